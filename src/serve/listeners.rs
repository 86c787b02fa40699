//! What a server keeps of those who listen: which results and tasks, and which runs it follows for them.

use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

/// Subscriptions of one session, or of one request that listens.
pub(super) const MOST: usize = 64;
/// Results that are looked at for all of them together, once each interval.
pub(super) const MOST_OF_ALL: usize = 1024;

/// Tasks that a request to listen names. rmcp's filter has no place for them yet, so HTTP notes them beside the request;
/// on stdio a client of 2026-07-28 asks with `tasks/get`.
#[derive(Debug, Clone)]
pub(super) struct TaskIds(pub Vec<String>);

impl TaskIds {
    pub fn of(context: &RequestContext<RoleServer>) -> Vec<String> {
        let noted = context
            .extensions
            .get::<Parts>()
            .and_then(|parts| parts.extensions.get::<TaskIds>());
        noted.map(|TaskIds(ids)| ids.clone()).unwrap_or_default()
    }
}

/// What the sessions of a server share: room for so many looks at the store.
#[derive(Debug, Clone)]
pub(super) struct Looks(Arc<Semaphore>);

impl Looks {
    /// Room for one more, while it is held; none where all of it is taken.
    pub fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }
}

impl Default for Looks {
    fn default() -> Looks {
        Looks(Arc::new(Semaphore::new(MOST_OF_ALL)))
    }
}

/// What one session has subscribed to, by URI. They end with it.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Mutex<HashMap<String, AbortHandle>>);

impl Subscriptions {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.lock().values().for_each(AbortHandle::abort);
    }
}

/// The runs that are followed, by their names.
#[derive(Debug, Clone, Default)]
pub(super) struct Followed(Arc<Mutex<HashSet<String>>>);

/// One of them; dropped, it is followed no more.
pub(super) struct Following {
    followed: Followed,
    run: String,
}

impl Followed {
    /// Takes a run on that nobody follows.
    pub fn begin(&self, run: &str) -> Option<Following> {
        self.lock().insert(run.to_owned()).then(|| Following {
            followed: self.clone(),
            run: run.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followed.lock().remove(&self.run);
    }
}
