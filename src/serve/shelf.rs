//! Work that took longer than its caller could wait, kept until that caller asks again.
//!
//! A client that hears no progress may give up after a minute of silence, and reading a scan from a slow disk, or measuring
//! hundreds of labels, can take that long. So it gets word to ask again, and finds the work further on or done.

use super::beat::Beat;
use crate::service::{Caller, Code, Fault};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// How long it is kept for a caller who does not come back.
const KEPT: Duration = Duration::from_secs(300);

/// What one caller may leave here; beyond, what it left first goes.
const EACH: usize = 8;

/// Dropped, it ends as far as it can.
type Work<T> = AbortOnDropHandle<Result<T, Fault>>;

/// What was asked, and whose turn it is.
#[derive(Clone)]
pub(super) struct Asked {
    pub key: String,
    turn: String,
}

impl Asked {
    /// A request of `caller`'s, in a form that nobody else's has.
    pub fn by(caller: &Caller, turn: &str, request: &impl Serialize) -> Asked {
        let asked = serde_json::json!([caller, request]).to_string();
        Asked {
            key: blake3::hash(asked.as_bytes()).to_hex().to_string(),
            turn: turn.to_owned(),
        }
    }
}

/// Work by what was asked.
pub(super) struct Shelf<T>(Arc<Mutex<HashMap<String, Left<T>>>>);

struct Left<T> {
    turn: String,
    when: Instant,
    work: Work<T>,
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Shelf<T> {
        Shelf(self.0.clone())
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf(Arc::default())
    }
}

impl<T: Send + 'static> Shelf<T> {
    /// What `work` comes to, with a beat saying `sentence` for a caller who hears one. Any other is told to ask again when
    /// its patience ends; asked for the same, the work goes on where it is.
    pub(super) async fn finish(
        &self,
        asked: Asked,
        sentence: &str,
        beat: &mut Beat,
        patience: std::pin::Pin<&mut Sleep>,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        if beat.is_heard() {
            return beat.during(sentence, work).await;
        }
        let left = self.lock().remove(&asked.key);
        let mut work = left.map_or_else(
            || AbortOnDropHandle::new(tokio::spawn(work.in_current_span())),
            |left| left.work,
        );
        tokio::select! {
            done = &mut work => done.unwrap_or_else(|_| Err(Fault::broke_off("call"))),
            () = patience => {
                self.keep(asked, work);
                Err(Fault::new(Code::Busy, format!("Still {sentence}."))
                    .hint("Call again with the same arguments: the work goes on meanwhile."))
            }
        }
    }

    fn keep(&self, asked: Asked, work: Work<T>) {
        let Asked { key, turn } = asked;
        let id = work.abort_handle().id();
        let mut works = self.lock();
        if works.values().filter(|left| left.turn == turn).count() >= EACH {
            let own = works.iter().filter(|(_, left)| left.turn == turn);
            let first = own.min_by_key(|(_, left)| left.when).map(|(key, _)| key.clone());
            first.and_then(|first| works.remove(&first));
        }
        let when = Instant::now();
        works.insert(key.clone(), Left { turn, when, work });
        drop(works);
        let shelf = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            let mut works = shelf.lock();
            // Unless it has been fetched, or fetched and left again.
            if works.get(&key).is_some_and(|left| left.work.abort_handle().id() == id) {
                works.remove(&key);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Left<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
