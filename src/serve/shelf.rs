//! Work that took longer than its caller could wait, kept until that caller asks again.
//!
//! A client that hears no progress may give up after a minute of silence, and reading a scan from a slow disk, or measuring
//! hundreds of labels, can take that long. So it gets word to ask again, and finds the work further on or done.

use super::beat::Beat;
use crate::service::{Caller, Code, Fault};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use tracing::Instrument;

/// How long it is kept for a caller who does not come back.
const KEPT: Duration = Duration::from_secs(300);

type Work<T> = JoinHandle<Result<T, Fault>>;

/// What was asked, by whom.
pub(super) fn key(caller: &Caller, request: &impl Serialize) -> String {
    let asked = serde_json::json!([caller, request]).to_string();
    blake3::hash(asked.as_bytes()).to_hex().to_string()
}

/// Work by what was asked.
pub(super) struct Shelf<T>(Arc<Mutex<HashMap<String, Work<T>>>>);

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
    /// its patience ends; asked for the same `key`, the work goes on where it is.
    pub(super) async fn finish(
        &self,
        key: &str,
        sentence: &str,
        beat: &mut Beat,
        patience: std::pin::Pin<&mut Sleep>,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        if beat.is_heard() {
            return beat.during(sentence, work).await;
        }
        let left = self.lock().remove(key);
        let mut work = left.unwrap_or_else(|| tokio::spawn(work.in_current_span()));
        tokio::select! {
            done = &mut work => done.unwrap_or_else(|_| Err(Fault::broke_off("call"))),
            () = patience => {
                self.keep(key, work);
                Err(Fault::new(Code::Busy, format!("Still {sentence}."))
                    .hint("Call again with the same arguments: the work goes on meanwhile."))
            }
        }
    }

    fn keep(&self, key: &str, work: Work<T>) {
        let id = work.id();
        self.lock().insert(key.to_owned(), work);
        let (shelf, key) = (self.clone(), key.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            let mut works = shelf.lock();
            // Unless it has been fetched, or fetched and left again.
            if works.get(&key).is_some_and(|work| work.id() == id) {
                works.remove(&key);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Work<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
