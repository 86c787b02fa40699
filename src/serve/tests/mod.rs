//! The protocol's manners, with a desk that works without a network and at any pace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fake;
mod listening;
mod offer;
mod prompts;
mod replies;
mod resources;
mod tasks;
mod turns;
mod viewer;
mod waiting;
#[path = "../../../tests/common/wire.rs"]
mod wire;

use super::{Depth, Options, ServeError, stdio};
use fake::FakeDesk;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

type Wire = wire::Wire<DuplexStream, DuplexStream>;

/// A server on a pipe, and both its ends.
struct Served {
    wire: Wire,
    desk: Arc<FakeDesk>,
    server: JoinHandle<Result<(), ServeError>>,
}

/// As shipped, but for a limit that a test can reach.
fn patient() -> Options {
    Options {
        resource_limit: 1 << 20,
        ..Options::default()
    }
}

/// Patience short enough to end within a test, beats often enough to see, a queue that is soon full.
fn impatient() -> Options {
    let (answer_within, beat_every) = (Duration::from_millis(300), Duration::from_millis(150));
    Options {
        answer_within,
        word_within: answer_within,
        beat_every,
        look_every: Duration::from_millis(50),
        queue: Depth { all: 2, each: 2 },
        ..patient()
    }
}

async fn served_by(options: Options, version: &str) -> Served {
    let mut served = serving(options, Arc::new(FakeDesk::default()));
    served.wire.initialize(version).await;
    served
}

async fn served_without_handshake(options: Options) -> Served {
    serving(options, Arc::new(FakeDesk::default()))
}

/// Before a word was said.
fn serving(options: Options, desk: Arc<FakeDesk>) -> Served {
    let (client_in, server_out) = tokio::io::duplex(1 << 20);
    let (server_in, client_out) = tokio::io::duplex(1 << 20);
    let server = tokio::spawn(stdio::serve(desk.clone(), options, server_in, server_out));
    let wire = Wire::new(client_in, client_out);
    Served { wire, desk, server }
}

async fn served() -> Served {
    served_by(patient(), "2025-11-25").await
}
