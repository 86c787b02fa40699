//! Runs that are under way, shared by everyone who asks for the same result.
//!
//! One worker thread owns the running, because one network fills the machine; a bounded queue stands in front of it, from
//! which the callers are served in turn.
//! Whoever asks takes a [`Seat`] at the run of that result: two equal requests share one run, and a run whose last
//! seat is left is cancelled, unless somebody was told to come back for it.

use crate::segment::{Cancel, Progress, Step};
use crate::service::{Code, Fault};
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the worker does for a run.
pub(super) type Work<T> = Box<dyn FnOnce(&dyn Progress, &Cancel) -> Result<T, Fault> + Send>;

/// How long a failure is kept for somebody who was told to come back.
const FAILURE_KEPT: Duration = Duration::from_secs(600);

/// The queue and its worker.
pub(super) struct Runs<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    depth: Depth,
}

/// How many runs may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Of all callers together.
    pub all: usize,
    /// Of one of them.
    pub each: usize,
}

struct State<T> {
    queue: VecDeque<Arc<Run<T>>>,
    current: Option<Arc<Run<T>>>,
    /// Those that can be joined: queued or running, and wanted.
    open: HashMap<String, Arc<Run<T>>>,
    /// Failures of kept runs, for those who come back.
    failed: HashMap<String, (Instant, Fault)>,
    /// When the callers that have runs here were last served, by the count of runs.
    served: HashMap<String, u64>,
    count: u64,
    /// Seconds the last whole run took.
    usual: Option<f64>,
    ended: Census,
    stopping: bool,
    worker_gone: bool,
}

/// How many runs there are and were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub waiting: u64,
    pub running: u64,
    pub done: u64,
    pub cancelled: u64,
    pub failed: u64,
    /// Whether no more are taken.
    pub stopping: bool,
}

struct Run<T> {
    id: String,
    /// Whose turn it takes.
    turn: String,
    work: Mutex<Option<Work<T>>>,
    cancel: Cancel,
    view: watch::Sender<View<T>>,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: usize,
    /// Those who were told to come back, and have not.
    kept: HashSet<String>,
}

/// Where a run is.
#[derive(Debug, Clone)]
pub(super) enum View<T> {
    /// Behind other runs.
    Queued,
    /// At work since `since`; the last step ended at `stepped`.
    Running {
        since: Instant,
        stepped: Instant,
        step: Option<Step>,
    },
    /// At its end.
    Done(Result<T, Fault>),
}

impl<T: Clone + Send + Sync + 'static> Runs<T> {
    /// A queue of at most `depth` waiting runs, with its worker.
    pub(super) fn new(depth: Depth) -> std::io::Result<Runs<T>> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new()),
            changed: Condvar::new(),
            depth,
        });
        let worker = shared.clone();
        std::thread::Builder::new()
            .name("sat-mcp worker".into())
            .spawn(move || worker.work())?;
        Ok(Runs(shared))
    }

    /// A seat at the run of `id`: the one under way, or a new one that does `work` when it is `turn`'s turn.
    pub(super) fn join(&self, id: &str, turn: &str, work: Work<T>) -> Result<Seat<T>, Fault> {
        let mut state = self.0.lock();
        if state.stopping {
            return Err(stopped());
        }
        if let Some((when, fault)) = state.failed.remove(id)
            && when.elapsed() < FAILURE_KEPT
        {
            return Err(fault);
        }
        if let Some(run) = state.open.get(id) {
            return Ok(Seat::new(&self.0, run, turn));
        }
        let own = state.queue.iter().filter(|run| run.turn == turn).count();
        if state.queue.len() >= self.0.depth.all || own >= self.0.depth.each {
            let wait = state.remaining().unwrap_or(30.0).max(1.0).ceil();
            let whose = match state.queue.len() >= self.0.depth.all {
                true => format!("{} segmentations", state.queue.len()),
                false => format!("{own} of your segmentations"),
            };
            return Err(
                Fault::new(Code::Busy, format!("{whose} are waiting already.")).hint(format!("Try again in {wait} s."))
            );
        }
        let run = Arc::new(Run {
            id: id.to_owned(),
            turn: turn.to_owned(),
            work: Mutex::new(Some(work)),
            cancel: Cancel::new(),
            view: watch::Sender::new(View::Queued),
            seats: Mutex::default(),
        });
        let seat = Seat::new(&self.0, &run, turn);
        state.open.insert(id.to_owned(), run.clone());
        state.queue.push_back(run);
        self.0.changed.notify_all();
        Ok(seat)
    }

    /// A seat at the run of `id`, where there is one.
    pub(super) fn rejoin(&self, id: &str, turn: &str) -> Option<Seat<T>> {
        let state = self.0.lock();
        state.open.get(id).map(|run| Seat::new(&self.0, run, turn))
    }

    /// Whether there is a run of `id`.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.0.lock().open.contains_key(id)
    }

    /// How many runs there are and were.
    pub(super) fn census(&self) -> Census {
        let state = self.0.lock();
        Census {
            waiting: state.queue.len() as u64,
            running: u64::from(state.current.is_some()),
            stopping: state.stopping,
            ..state.ended
        }
    }

    /// Cancels everything and takes nothing more.
    pub(super) fn stop(&self) {
        let mut state = self.0.lock();
        state.stopping = true;
        state.ended.cancelled += state.queue.len() as u64;
        state.open.clear();
        // Whoever waits is told now, not at the end of a window.
        for run in state.queue.drain(..) {
            run.show(View::Done(Err(stopped())));
        }
        if let Some(run) = &state.current {
            run.cancel.cancel();
            run.show(View::Done(Err(stopped())));
        }
        self.0.changed.notify_all();
    }

    /// Whether everything is being cancelled because the server ends.
    pub(super) fn is_stopping(&self) -> bool {
        self.0.lock().stopping
    }

    /// Whether the worker has gone, after waiting for it at most `patience`.
    pub(super) fn wait_stopped(&self, patience: Duration) -> bool {
        let state = self.0.lock();
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, patience, |state| !state.worker_gone);
        waited.unwrap_or_else(PoisonError::into_inner).0.worker_gone
    }
}

impl<T> State<T> {
    fn new() -> State<T> {
        State {
            queue: VecDeque::new(),
            current: None,
            open: HashMap::new(),
            failed: HashMap::new(),
            served: HashMap::new(),
            count: 0,
            usual: None,
            ended: Census::default(),
            stopping: false,
            worker_gone: false,
        }
    }

    /// Takes the run whose caller has waited longest since it was last served; of one caller, the first.
    fn take_next(&mut self) -> Option<Arc<Run<T>>> {
        let at = next_of(&self.queue, &self.served)?;
        let run = self.queue.remove(at)?;
        self.count += 1;
        self.served.insert(run.turn.clone(), self.count);
        // Who has nothing here any more is as good as new.
        let (served, queue) = (&mut self.served, &self.queue);
        served.retain(|turn, _| *turn == run.turn || queue.iter().any(|waiting| waiting.turn == *turn));
        Some(run)
    }

    /// How many of the queue come before `run`; none where it does not wait.
    fn before(&self, run: &Arc<Run<T>>) -> Option<usize> {
        let (mut queue, mut served) = (self.queue.clone(), self.served.clone());
        let mut before = 0;
        while let Some(next) = next_of(&queue, &served).and_then(|at| queue.remove(at)) {
            if Arc::ptr_eq(&next, run) {
                return Some(before);
            }
            before += 1;
            served.insert(next.turn.clone(), self.count + before as u64);
        }
        None
    }

    /// Seconds until the run at work ends, as far as can be told.
    fn remaining(&self) -> Option<f64> {
        let run = self.current.as_ref()?;
        match &*run.view.borrow() {
            View::Running { since, step, .. } => {
                let spent = since.elapsed().as_secs_f64();
                match step {
                    Some(step) if step.done > 0 => {
                        Some(spent / f64::from(step.done) * f64::from(step.total.saturating_sub(step.done)))
                    }
                    _ => self.usual.map(|usual| (usual - spent).max(1.0)),
                }
            }
            _ => None,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(run) = self.next() {
            let since = Instant::now();
            run.show(View::Running {
                since,
                stepped: since,
                step: None,
            });
            let work = run.work.lock().unwrap_or_else(PoisonError::into_inner).take();
            let result = match work {
                Some(work) => catch_unwind(AssertUnwindSafe(|| work(&Reporter { run: &run, since }, &run.cancel)))
                    .unwrap_or_else(|_| Err(Fault::broke_off("run"))),
                None => Err(Fault::broke_off("run")),
            };
            self.finish(&run, since, &result);
            run.show(View::Done(result));
        }
        self.lock().worker_gone = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Arc<Run<T>>> {
        let waiting = |state: &mut State<T>| state.queue.is_empty() && !state.stopping;
        let mut state = self
            .changed
            .wait_while(self.lock(), waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let run = state.take_next();
        state.current = run.clone();
        run
    }

    fn finish(&self, run: &Arc<Run<T>>, since: Instant, result: &Result<T, Fault>) {
        let mut state = self.lock();
        state.current = None;
        if state.open.get(&run.id).is_some_and(|open| Arc::ptr_eq(open, run)) {
            state.open.remove(&run.id);
        }
        match result {
            Ok(_) => {
                state.usual = Some(since.elapsed().as_secs_f64());
                state.ended.done += 1;
            }
            Err(fault) => {
                match run.cancel.is_cancelled() {
                    true => state.ended.cancelled += 1,
                    false => state.ended.failed += 1,
                }
                let seats = run.seats();
                if !seats.kept.is_empty() && seats.taken == 0 && !run.cancel.is_cancelled() {
                    state.failed.retain(|_, (when, _)| when.elapsed() < FAILURE_KEPT);
                    state.failed.insert(run.id.clone(), (Instant::now(), fault.clone()));
                }
            }
        }
    }

    /// One seat fewer; nobody left and nobody to come back means: stop.
    fn leave(&self, run: &Arc<Run<T>>) {
        let mut state = self.lock();
        let mut seats = run.seats();
        seats.taken -= 1;
        if seats.taken > 0 || !seats.kept.is_empty() {
            return;
        }
        run.cancel.cancel();
        let before = state.queue.len();
        state.queue.retain(|queued| !Arc::ptr_eq(queued, run));
        state.ended.cancelled += (before - state.queue.len()) as u64;
        // Not to be joined any more: who asks now starts afresh.
        if state.open.get(&run.id).is_some_and(|open| Arc::ptr_eq(open, run)) {
            state.open.remove(&run.id);
        }
    }
}

impl<T> Run<T> {
    /// Shows the seats where the run is. The end is the last that is shown.
    fn show(&self, now: View<T>) {
        self.view.send_if_modified(|view| {
            let open = !matches!(view, View::Done(_));
            if open {
                *view = now;
            }
            open
        });
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a run's steps to its seats.
struct Reporter<'a, T> {
    run: &'a Run<T>,
    since: Instant,
}

impl<T: Send + Sync> Progress for Reporter<'_, T> {
    fn report(&self, step: &Step) {
        let view = View::Running {
            since: self.since,
            stepped: Instant::now(),
            step: Some(step.clone()),
        };
        self.run.show(view);
    }
}

/// A place at a run. Dropping it is leaving.
pub(super) struct Seat<T: Clone + Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    run: Arc<Run<T>>,
    /// Whose it is.
    turn: String,
    view: watch::Receiver<View<T>>,
}

impl<T: Clone + Send + Sync + 'static> Seat<T> {
    fn new(shared: &Arc<Shared<T>>, run: &Arc<Run<T>>, turn: &str) -> Seat<T> {
        let mut seats = run.seats();
        seats.taken += 1;
        seats.kept.remove(turn);
        drop(seats);
        Seat {
            turn: turn.to_owned(),
            shared: shared.clone(),
            run: run.clone(),
            view: run.view.subscribe(),
        }
    }

    /// Where the run is now.
    pub(super) fn view(&mut self) -> View<T> {
        self.view.borrow_and_update().clone()
    }

    /// Returns when the run has moved since the last look.
    pub(super) async fn moved(&mut self) {
        // The sender lives in the run, and the run in this seat.
        let _ = self.view.changed().await;
    }

    /// To see where the run is without a seat at it.
    pub(super) fn watch(&self) -> watch::Receiver<View<T>> {
        self.run.view.subscribe()
    }

    /// Seconds until the answer, as far as can be told.
    pub(super) fn eta(&self) -> Option<f64> {
        let state = self.shared.lock();
        match state.before(&self.run) {
            None => state.remaining(),
            Some(ahead) => {
                let usual = state.usual?;
                Some(state.remaining().unwrap_or(0.0) + usual * (ahead as f64 + 1.0))
            }
        }
    }

    /// Runs that come first, the one at work included.
    pub(super) fn ahead(&self) -> usize {
        let state = self.shared.lock();
        let before = state.before(&self.run);
        before.map_or(0, |before| before + usize::from(state.current.is_some()))
    }

    /// Leaves, but the run goes on: somebody was told to come back for it.
    pub(super) fn keep(self) {
        self.run.seats().kept.insert(self.turn.clone());
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Seat<T> {
    fn drop(&mut self) {
        self.shared.leave(&self.run);
    }
}

/// Which of a queue comes next.
fn next_of<T>(queue: &VecDeque<Arc<Run<T>>>, served: &HashMap<String, u64>) -> Option<usize> {
    let last = |run: &Arc<Run<T>>| served.get(&run.turn).copied().unwrap_or(0);
    (0..queue.len()).min_by_key(|at| last(&queue[*at]))
}

fn stopped() -> Fault {
    Fault::new(Code::Cancelled, "The server is shutting down.").hint("Start it again and ask again: nothing is lost.")
}
