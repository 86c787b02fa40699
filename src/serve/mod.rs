//! The Model Context Protocol: the three tools, and results as resources, to any client on stdio or HTTP.
//!
//! Async lives here and nowhere else. `server` sorts messages, `tools` and `schema` say what can be called, `arguments`
//! holds a call against that, `segment` sees one segmentation through, `runs` owns the worker, `follow` notes how far its runs are and
//! `subscriptions` tells who asked, `reply` and `resources` write answers,
//! `viewer` the page that shows them. Everything that computes is a plain function of the service.

mod arguments;
mod beat;
mod comeback;
mod completions;
mod desk;
#[cfg(feature = "fixtures")]
mod fixtures;
mod follow;
mod hints;
mod http;
mod icons;
mod listeners;
mod meter;
mod methods;
mod prompts;
mod reply;
mod resources;
mod roots;
mod runs;
mod schema;
mod segment;
mod server;
mod shares;
mod shelf;
mod skill;
mod stdio;
mod subscriptions;
mod tasking;
mod tasks;
mod telemetry;
#[cfg(test)]
mod tests;
mod tools;
mod trace;
mod viewer;
mod who;

pub use http::{
    ConnectionLimits, GuardError, HttpOptions, IssuerError, OAuthOptions, TokenError, allowed_host, allowed_origin,
    run_http,
};
pub use roots::data_roots;
pub use runs::Depth;
pub use stdio::{run_stdio, stdio};
pub use telemetry::{LogFormat, Telemetry, telemetry};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a server behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// A caller who hears no progress gets an answer within this time, if only `status: running`.
    pub answer_within: Duration,
    /// A caller who hears no progress hears at least that it has to ask again within this time, where there is nothing else to
    /// tell yet: the scan is still being read, or masks are being measured.
    pub word_within: Duration,
    /// A caller who hears progress hears something at least this often.
    pub beat_every: Duration,
    /// How far a run is, is noted and told to subscribers at most this often.
    pub look_every: Duration,
    /// Segmentations that may wait behind the one at work.
    pub queue: Depth,
    /// Bytes of the largest file that `resources/read` puts into a message.
    pub resource_limit: u64,
    /// Whether the conformance suites' fixtures are offered beside the tools, over HTTP.
    #[cfg(feature = "fixtures")]
    pub fixtures: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            answer_within: Duration::from_secs(8),
            word_within: Duration::from_secs(9),
            beat_every: Duration::from_secs(5),
            look_every: Duration::from_secs(1),
            queue: Depth { all: 8, each: 8 },
            resource_limit: 32 << 20,
            #[cfg(feature = "fixtures")]
            fixtures: false,
        }
    }
}

impl Options {
    /// How long a caller who hears no progress may be left without a word.
    fn longest_silence(&self) -> Duration {
        self.word_within.max(self.answer_within)
    }
}

/// Why a server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A data root is missing or may not be entered.
    #[error("{path}: this data root cannot be used: {source}. Give --data-root a folder that exists and may be read.")]
    Root {
        /// As given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A data root is a file.
    #[error("{path}: a data root must be a folder. Give --data-root the folder that holds the scans.")]
    RootNotAFolder {
        /// As given.
        path: PathBuf,
    },
    /// The working directory would lay open too much.
    #[error(
        "serve will not offer all of {cwd} to its caller. Name the folders that hold scans: \
         sat-mcp serve --data-root /path/to/scans (repeatable), or SAT_MCP_DATA_ROOTS; or start it in such a folder."
    )]
    RootTooWide {
        /// The working directory.
        cwd: PathBuf,
    },
    /// The address is taken or may not be used.
    #[error("{address}: cannot listen there: {source}. Give --http another address and port.")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The results folder cannot hold tasks.
    #[error("serve could not start: {0}")]
    Store(#[from] crate::store::StoreError),
    /// Who may call over HTTP cannot be told.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The worker or the runtime did not start.
    #[error("serve could not start: {0}")]
    Start(#[from] std::io::Error),
    /// The client did not speak the protocol.
    #[error("the client on stdin does not speak MCP: {0}")]
    Handshake(Box<rmcp::service::ServerInitializeError>),
    /// The message loop broke.
    #[error("the message loop broke: {0}")]
    Loop(#[from] tokio::task::JoinError),
}
