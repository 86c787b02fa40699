//! Two small values that are handed down a run: what to tell, and whether to stop.

use super::SegmentError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A step that has been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Steps done.
    pub done: u32,
    /// Steps there are.
    pub total: u32,
    /// The same for people.
    pub sentence: String,
}

/// Who wants to know how far a run is.
pub trait Progress: Sync {
    /// Called after each step, from the thread that does the work.
    fn report(&self, step: &Step);
}

/// Nobody wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _step: &Step) {}
}

impl<F: Fn(&Step) + Sync> Progress for F {
    fn report(&self, step: &Step) {
        self(step);
    }
}

/// A flag that stops a run before its next window. Copies share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Not cancelled yet.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Stops the run.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the run is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The error that stops it.
    pub fn heed(&self) -> Result<(), SegmentError> {
        match self.is_cancelled() {
            true => Err(SegmentError::Cancelled),
            false => Ok(()),
        }
    }
}
