//! Following a run, whoever waits for it: the store's note of how far it is, for all who want to know.

use super::desk::Desk;
use super::runs::View;
use super::server::Server;
use crate::service::{Caller, Code, Fault, RENEWED_WITHIN, SegmentAnswer, Underway, UnderwayStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

pub(super) type Watched = watch::Receiver<View<Arc<SegmentAnswer>>>;

impl<D: Desk> Server<D> {
    /// Follows `run`, which makes the result of `running` for `caller`, until it ends. Its note is there before this
    /// returns, so that a caller who is told the result's name can read it.
    pub(super) async fn follow(&self, run: &str, caller: &Caller, running: &SegmentAnswer, view: Watched) {
        let Some(following) = self.followed.begin(run) else {
            return;
        };
        let notes = Notes {
            desk: self.desk.clone(),
            caller: caller.clone(),
            state: Underway::of(running),
            every: self.options.look_every,
        };
        let (noted, is_noted) = oneshot::channel();
        // In a task of its own: the caller may go, and the run stay for another.
        tokio::spawn(async move {
            notes.write(&notes.state).await;
            let _ = noted.send(());
            notes.keep(view).await;
            drop(following);
        });
        let _ = is_noted.await;
    }
}

/// Waits for a run's end: why it has no result, if it has none.
async fn end_of(view: &mut Watched) -> Option<Fault> {
    // One that left the queue, because nobody waited for it, never shows an end.
    let cancelled = || Fault::new(Code::Cancelled, "The run was cancelled: there is no result.");
    match view.wait_for(|view| matches!(view, View::Done(_))).await {
        Ok(view) => match &*view {
            View::Done(Err(fault)) => Some(fault.clone()),
            _ => None,
        },
        Err(_) => Some(cancelled()),
    }
}

/// The note of one run.
struct Notes<D> {
    desk: Arc<D>,
    caller: Caller,
    /// As it was before the run began.
    state: Underway,
    every: Duration,
}

impl<D: Desk> Notes<D> {
    async fn keep(self, mut view: Watched) {
        let (mut noted, mut when) = (self.state.clone(), Instant::now());
        loop {
            match tokio::time::timeout(self.every, end_of(&mut view)).await {
                Ok(None) => return self.forget().await,
                Ok(Some(fault)) => return self.write(&self.failed(&noted, fault)).await,
                Err(_) => {}
            }
            let now = self.at(&view.borrow());
            if !now.says_as(&noted) || when.elapsed() >= RENEWED_WITHIN {
                self.write(&now).await;
                (noted, when) = (now, Instant::now());
            }
        }
    }

    /// What is to be told of a run that is there.
    fn at(&self, view: &View<Arc<SegmentAnswer>>) -> Underway {
        let state = self.state.clone();
        let View::Running { since, stepped, step } = view else {
            return state;
        };
        let Some(step) = step else {
            let message = Some("preparing the image".to_owned());
            return Underway { message, ..state };
        };
        let eta_s = (step.done > 0).then(|| {
            let window = (*stepped - *since).as_secs_f64() / f64::from(step.done);
            let left = window * f64::from(step.total.saturating_sub(step.done)) - stepped.elapsed().as_secs_f64();
            (left.max(0.0) * 10.0).round() / 10.0
        });
        Underway {
            windows_done: step.done,
            windows: Some(step.total),
            eta_s: eta_s.or(state.eta_s),
            message: Some(step.sentence.clone()),
            ..state
        }
    }

    fn failed(&self, noted: &Underway, fault: Fault) -> Underway {
        let status = match fault.code {
            Code::Cancelled => UnderwayStatus::Cancelled,
            _ => UnderwayStatus::Failed,
        };
        Underway {
            status,
            windows_done: noted.windows_done,
            windows: noted.windows,
            eta_s: None,
            message: None,
            error: Some(fault),
            ..self.state.clone()
        }
    }

    async fn write(&self, state: &Underway) {
        let (desk, caller, state) = (self.desk.clone(), self.caller.clone(), state.clone());
        self.aside(move || desk.note_underway(&caller, &state)).await;
    }

    async fn forget(&self) {
        let (desk, id) = (self.desk.clone(), self.state.result_id.clone());
        self.aside(move || desk.forget_underway(&id)).await;
    }

    /// The run goes on without its note.
    async fn aside(&self, work: impl FnOnce() -> Result<(), Fault> + Send + 'static) {
        if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
            tracing::warn!(%error, "how far a run is could not be noted");
        }
    }
}
