//! An answer that serves all who ask within a few seconds: finding it costs more than they may cost us.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is good.
const GOOD: Duration = Duration::from_secs(2);

/// The last answer and when it was found.
pub(super) struct Lately<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Lately<T> {
    fn default() -> Lately<T> {
        Lately(Mutex::new(None))
    }
}

impl<T: Clone> Lately<T> {
    /// The last answer, or where that is too old a new one. Blocks while somebody else finds it.
    pub fn get(&self, find: impl FnOnce() -> T) -> T {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((when, found)) if when.elapsed() < GOOD => found.clone(),
            _ => {
                let found = find();
                *last = Some((Instant::now(), found.clone()));
                found
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_soon_after_another_gets_the_same_answer() {
        let lately = Lately::default();
        assert_eq!(lately.get(|| 1), 1);
        assert_eq!(lately.get(|| 2), 1);
    }
}
