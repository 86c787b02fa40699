//! Places for work that takes memory, handed out in turn: of those who wait, whoever holds the fewest gets the next.

use super::runs::Depth;
use crate::service::{Code, Fault};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places.
#[derive(Clone)]
pub(super) struct Shares(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// How many may wait.
    depth: Depth,
}

struct State {
    free: usize,
    /// Places by whose they are.
    held: HashMap<String, usize>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    turn: String,
    give: oneshot::Sender<Share>,
}

/// One place; dropped, the next may have it.
pub(super) struct Share {
    shares: Shares,
    turn: String,
}

impl Shares {
    /// So many places, for which as many as `depth` says may wait.
    pub fn new(places: usize, depth: Depth) -> Shares {
        Shares(Arc::new(Inner {
            state: Mutex::new(State {
                free: places,
                held: HashMap::new(),
                waiting: VecDeque::new(),
            }),
            depth,
        }))
    }

    /// A place, when it is `turn`'s turn.
    pub async fn take(&self, turn: &str) -> Result<Share, Fault> {
        let (give, given) = oneshot::channel();
        {
            let mut state = self.lock();
            state.waiting.retain(|waiting| !waiting.give.is_closed());
            let own = state.waiting.iter().filter(|waiting| waiting.turn == turn).count();
            if state.waiting.len() >= self.0.depth.all || own >= self.0.depth.each {
                let busy = Fault::new(
                    Code::Busy,
                    "As many calls are waiting for their images as the server takes.",
                );
                return Err(busy.hint("Try again in 10 s."));
            }
            state.waiting.push_back(Waiting {
                turn: turn.to_owned(),
                give,
            });
        }
        self.hand_out();
        // Nobody drops the other end but with what it gives.
        given.await.map_err(|_| Fault::broke_off("call"))
    }

    /// A place now or not at all: none of those that somebody waits for, and none beyond `each` of one caller's.
    pub fn try_take(&self, turn: &str, each: usize) -> Option<Share> {
        let mut state = self.lock();
        let held = state.held.get(turn).copied().unwrap_or(0);
        (state.free > 0 && state.waiting.is_empty() && held < each).then(|| {
            state.hold(turn);
            Share {
                shares: self.clone(),
                turn: turn.to_owned(),
            }
        })
    }

    fn hand_out(&self) {
        loop {
            // In a statement of its own, for the lock to end with it.
            let next = self.lock().next();
            let Some(waiting) = next else { return };
            let share = Share {
                shares: self.clone(),
                turn: waiting.turn,
            };
            // One who has just gone gives it back by dropping it.
            let _ = waiting.give.send(share);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a place for whoever of the waiting holds the fewest; of those, the first.
    fn next(&mut self) -> Option<Waiting> {
        if self.free == 0 {
            return None;
        }
        self.waiting.retain(|waiting| !waiting.give.is_closed());
        let holds = |at: &usize| self.held.get(&self.waiting[*at].turn).copied().unwrap_or(0);
        let at = (0..self.waiting.len()).min_by_key(holds)?;
        let waiting = self.waiting.remove(at)?;
        self.hold(&waiting.turn);
        Some(waiting)
    }

    fn hold(&mut self, turn: &str) {
        self.free -= 1;
        *self.held.entry(turn.to_owned()).or_default() += 1;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        {
            let mut state = self.shares.lock();
            state.free += 1;
            if let Some(held) = state.held.get_mut(&self.turn) {
                *held -= 1;
                if *held == 0 {
                    state.held.remove(&self.turn);
                }
            }
        }
        self.shares.hand_out();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_holds_the_fewest_gets_the_next_and_who_has_gone_gets_none() {
        let shares = Shares::new(2, Depth { all: 9, each: 9 });
        let (mut a1, mut a2) = (pin!(shares.take("a")), pin!(shares.take("a")));
        let (Poll::Ready(Ok(first)), Poll::Ready(Ok(second))) = (poll(a1.as_mut()), poll(a2.as_mut())) else {
            unreachable!("both places were free")
        };
        let mut a3 = pin!(shares.take("a"));
        let mut gone = Box::pin(shares.take("c"));
        let mut b1 = pin!(shares.take("b"));
        assert!(poll(a3.as_mut()).is_pending() && poll(gone.as_mut()).is_pending() && poll(b1.as_mut()).is_pending());
        drop(gone);
        drop(first);
        assert!(poll(a3.as_mut()).is_pending());
        let Poll::Ready(Ok(third)) = poll(b1.as_mut()) else {
            unreachable!("b holds fewer than a")
        };
        drop((second, third));
        assert!(poll(a3.as_mut()).is_ready());
    }

    #[test]
    fn who_does_not_wait_gets_no_more_than_its_own_and_takes_nobodys() {
        let shares = Shares::new(3, Depth { all: 0, each: 0 });
        let (a1, a2, a3) = (
            shares.try_take("a", 2),
            shares.try_take("a", 2),
            shares.try_take("a", 2),
        );
        assert!(a1.is_some() && a2.is_some() && a3.is_none());
        let b = shares.try_take("b", 2);
        assert!(b.is_some() && shares.try_take("c", 2).is_none());
        drop(a1);
        assert!(shares.try_take("c", 2).is_some());
    }

    #[test]
    fn no_more_wait_than_may_and_of_one_caller_fewer() {
        let shares = Shares::new(0, Depth { all: 3, each: 2 });
        let mut waiting: Vec<_> = ["a", "a", "b"].map(|turn| Box::pin(shares.take(turn))).into();
        assert!(waiting[..2].iter_mut().all(|one| poll(one.as_mut()).is_pending()));
        let busy = |turn| matches!(poll(pin!(shares.take(turn)).as_mut()), Poll::Ready(Err(fault)) if fault.code == Code::Busy);
        assert!(busy("a"));
        assert!(poll(waiting[2].as_mut()).is_pending());
        assert!(busy("b"));
    }
}
