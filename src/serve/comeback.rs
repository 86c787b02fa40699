//! Segmentations that are under way, by what was asked: who comes back finds its run without its image being read again, for
//! as long as nobody has written to that.

use crate::service::{SegmentAnswer, Stamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is under way.
#[derive(Clone, Default)]
pub(super) struct Comebacks(Arc<Mutex<HashMap<String, Comeback>>>);

/// What one request came to so far.
#[derive(Clone)]
pub(super) struct Comeback {
    /// What the run is called.
    pub run: String,
    /// Of the image, from before it was read.
    pub stamp: Stamp,
    /// What is said while the run goes on.
    pub running: SegmentAnswer,
}

impl Comebacks {
    /// What was noted under `key`.
    pub fn get(&self, key: &str) -> Option<Comeback> {
        self.lock().get(key).cloned()
    }

    /// Notes it, and forgets those whose runs are no longer `open`.
    pub fn note(&self, key: String, comeback: Comeback, open: impl Fn(&str) -> bool) {
        let mut noted = self.lock();
        noted.retain(|_, comeback| open(&comeback.run));
        noted.insert(key, comeback);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Comeback>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
