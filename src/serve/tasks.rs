//! Tasks: calls that are answered at once with a handle, and done in their own time.
//!
//! rmcp's own manager keeps tasks in memory and fails them after five minutes. Here a task is a record in the store: any server
//! of the same results folder can tell where it is, it has no limit while it runs, and one whose server has died is begun
//! again by the next server that is asked for it.

use super::runs::Depth;
use super::who::Who;
use crate::service::{Caller, Code, Fault};
use crate::store::{StoreError, TaskRecord, TaskState, TaskStore};
use chrono::{DateTime, SecondsFormat};
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, DetailedTask, JsonObject, Task, TaskPayload};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often a client should ask.
const POLL: Duration = Duration::from_secs(1);
/// How often a server looks whether another one was told to end its task.
const LOOK: Duration = Duration::from_secs(1);
/// How work on a task ended.
pub(super) enum End {
    /// With an answer, be it that the tool could not.
    Answered(Box<CallToolResult>),
    /// With an error of the protocol's.
    #[cfg_attr(not(feature = "fixtures"), allow(dead_code))]
    Broke(ErrorData),
    /// Because somebody wanted it.
    Cancelled,
    /// Not at all: the server is going, and the next one shall begin again.
    CutOff,
}

/// All tasks of this server.
pub(super) struct Tasks {
    pub store: TaskStore,
    live: Mutex<HashMap<String, Live>>,
    /// How many may be at work.
    depth: Depth,
    driven: TaskTracker,
}

/// A task that this server works on.
#[derive(Default)]
struct Live {
    wanted: CancellationToken,
    /// Whose it is.
    turn: String,
}

/// Where work on a task says how far it is.
#[derive(Clone)]
pub(super) struct Voice {
    tasks: Arc<Tasks>,
    id: String,
}

impl Voice {
    /// Notes how far the work is.
    pub async fn say(&self, sentence: &str) {
        self.tasks.noted(&self.id, TaskState::Working, sentence).await;
    }

    /// Notes which result the work makes. A task that is begun again must not end with the result of something else.
    pub async fn makes(&self, result: &str) -> Result<(), Fault> {
        let result = result.to_owned();
        let same = self
            .tasks
            .aside(&self.id, move |store, id| store.note_result(id, &result));
        match same.await? {
            true => Ok(()),
            false => Err(Fault::new(
                Code::Cancelled,
                "The server ended while it worked on this task, and now the same call means another result: the image's file or \
                 the model has changed meanwhile.",
            )
            .hint("Call segment again.")),
        }
    }
}

impl Tasks {
    pub fn new(store: TaskStore, depth: Depth) -> Tasks {
        Tasks {
            store,
            depth,
            driven: TaskTracker::new(),
            live: Mutex::default(),
        }
    }

    /// A new task of `caller`'s that `work` is done for. It is on disk when this returns.
    pub fn begin<F: Future<Output = End> + Send + 'static>(
        self: &Arc<Self>,
        who: &Who,
        call: Value,
        work: impl FnOnce(Voice) -> F,
    ) -> Result<TaskRecord, Fault> {
        // Counted and entered in one go, or two who come at once would both get the last place.
        let mut live = self.live();
        // As many as could stand in the queue, and the one at work.
        let (all, own) = (live.len(), live.values().filter(|task| task.turn == who.turn).count());
        if all > self.depth.all || own > self.depth.each {
            let whose = match all > self.depth.all {
                true => format!("{all} tasks"),
                false => format!("{own} of your tasks"),
            };
            let busy = Fault::new(Code::Busy, format!("{whose} are at work already."));
            return Err(busy.hint("Try again when one has ended: tasks/get says so."));
        }
        let record = self.store.begin(who.caller.owner(), call, "accepted")?;
        let turn = who.turn.clone();
        live.insert(
            record.id.clone(),
            Live {
                turn,
                ..Live::default()
            },
        );
        drop(live);
        self.drive(&record, &who.turn, work);
        Ok(record)
    }

    /// A task that `caller` may know of.
    pub fn get(&self, caller: &Caller, id: &str) -> Result<TaskRecord, ErrorData> {
        let record = self.store.get(id).map_err(|error| unreadable(&error))?;
        record
            .filter(|record| caller.may_see(record.owner.as_deref()))
            .ok_or_else(|| {
                let message = format!("There is no task {id}. It may have been forgotten, a day after its end.");
                ErrorData::invalid_params(message, None)
            })
    }

    /// Takes a task on that nobody works on: one whose server is gone, or that this server has lost sight of. Of several who
    /// ask at once, one gets it.
    pub fn take(&self, record: &TaskRecord) -> Result<Option<TaskRecord>, StoreError> {
        let mut live = self.live();
        if live.contains_key(&record.id) {
            return Ok(None);
        }
        let taken = match self.store.is_mine(record) {
            true => self.store.retake(&record.id)?,
            false => self.store.adopt(record)?,
        };
        if taken.is_some() {
            live.insert(record.id.clone(), Live::default());
        }
        Ok(taken)
    }

    /// Ends a task of `caller`'s, whichever server works on it. One that has ended stays as it ended.
    pub fn cancel(&self, caller: &Caller, id: &str) -> Result<(), ErrorData> {
        let record = self.get(caller, id)?;
        if record.is_ended() {
            return Ok(());
        }
        if let Some(task) = self.live().get(id) {
            task.wanted.cancel();
            return Ok(());
        }
        match self.take(&record) {
            Ok(Some(_)) => {
                self.note(id, TaskState::Cancelled, "cancelled");
                self.live().remove(id);
                Ok(())
            }
            Ok(None) => self.store.ask_to_cancel(id).map_err(|error| unreadable(&error)),
            Err(error) => Err(unreadable(&error)),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees work through to its end, whoever comes and goes.
    pub fn drive<F: Future<Output = End> + Send + 'static>(
        self: &Arc<Self>,
        record: &TaskRecord,
        turn: &str,
        work: impl FnOnce(Voice) -> F,
    ) {
        let id = record.id.clone();
        let wanted = {
            // One who has taken the task on may have been told already to cancel it.
            let mut live = self.live();
            let task = live.entry(id.clone()).or_default();
            turn.clone_into(&mut task.turn);
            task.wanted.clone()
        };
        let voice = Voice {
            tasks: self.clone(),
            id: id.clone(),
        };
        // In a task of its own, so that a panic ends it and nothing else.
        let mut work = tokio::spawn(work(voice));
        let tasks = self.clone();
        self.driven.spawn(async move {
            let end = loop {
                tokio::select! {
                    end = &mut work => break end.ok(),
                    () = wanted.cancelled() => {
                        work.abort();
                        // What it was just noting may come after its end, and is no news then.
                        let _ = (&mut work).await;
                        break Some(End::Cancelled);
                    }
                    () = tokio::time::sleep(LOOK) => {
                        let asked = tasks.aside(&id, |store, id| Ok(store.is_to_be_cancelled(id)));
                        if asked.await.unwrap_or(false) {
                            wanted.cancel();
                        }
                    }
                }
            };
            let (state, words) = match end {
                Some(End::Answered(result)) if result.is_error == Some(true) => {
                    (TaskState::Completed(json(&result)), "refused")
                }
                Some(End::Answered(result)) => (TaskState::Completed(json(&result)), "done"),
                Some(End::Broke(error)) => (TaskState::Failed(json(&error)), "failed"),
                Some(End::Cancelled) => (TaskState::Cancelled, "cancelled"),
                Some(End::CutOff) => {
                    if let Err(error) = tasks.aside(&id, |store, id| store.hand_back(id)).await {
                        tracing::warn!(%error, "a task is left as if it had been begun");
                    }
                    tasks.live().remove(&id);
                    return;
                }
                None => (TaskState::Failed(json(&broke())), "failed"),
            };
            // A disk that is full may not stay so, and a task must not hang for it.
            while !tasks.noted(&id, state.clone(), words).await {
                tokio::time::sleep(LOOK).await;
            }
            tasks.live().remove(&id);
        });
    }

    /// Returns when what this server's tasks came to is written, or that it has left them.
    pub async fn at_rest(&self) {
        self.driven.close();
        self.driven.wait().await;
    }

    /// Ends a task that was taken and cannot be worked on.
    pub fn fail(&self, id: &str, error: &ErrorData) {
        self.note(id, TaskState::Failed(json(error)), &error.message);
        self.live().remove(id);
    }

    /// [`Tasks::note`], off the async threads.
    async fn noted(self: &Arc<Self>, id: &str, state: TaskState, message: &str) -> bool {
        let (tasks, id, message) = (self.clone(), id.to_owned(), message.to_owned());
        let noted = tokio::task::spawn_blocking(move || tasks.note(&id, state, &message));
        noted.await.unwrap_or(false)
    }

    /// Work on the store, off the async threads.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        id: &str,
        work: impl FnOnce(&TaskStore, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        let (tasks, id) = (self.clone(), id.to_owned());
        let done = tokio::task::spawn_blocking(move || work(&tasks.store, &id)).await;
        Ok(done.map_err(|_| Fault::broke_off("task"))??)
    }

    /// Writes where a task is; whether that could be done.
    pub fn note(&self, id: &str, state: TaskState, message: &str) -> bool {
        let noted = self.store.note(id, state, message);
        if let Err(error) = &noted {
            tracing::error!(%error, "a task's state cannot be written");
        }
        noted.is_ok()
    }
}

/// A record as the protocol shows it.
pub(super) fn shown(record: &TaskRecord) -> DetailedTask {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let payload = match &record.state {
        TaskState::Working => TaskPayload::Working,
        TaskState::Completed(result) => TaskPayload::Completed { result: object(result) },
        TaskState::Failed(error) => TaskPayload::Failed { error: object(error) },
        TaskState::Cancelled => TaskPayload::Cancelled,
    };
    DetailedTask::new(handle(record), payload)
}

/// The same without what it came to.
pub(super) fn handle(record: &TaskRecord) -> Task {
    let time = |ms: u64| {
        let time = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
        time.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let mut task = Task::new(
        record.id.clone(),
        Default::default(),
        time(record.created_ms),
        time(record.updated_ms),
    )
    .with_poll_interval_ms(POLL.as_millis() as u64);
    task.ttl_ms = record.ttl_ms();
    task.status_message = record.message.clone();
    task
}

pub(super) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|_| JsonObject::new().into())
}

fn broke() -> ErrorData {
    ErrorData::internal_error(
        "The task broke off by a fault of sat-mcp's own; the server's log says where.",
        None,
    )
}

pub(super) fn unreadable(error: &StoreError) -> ErrorData {
    // Where it lies is for the log alone: the caller may have no share in the file system.
    tracing::error!(%error, "a task's record is out of reach");
    let words = "The task's record cannot be read or written now; the server's log says why. Ask again later.";
    ErrorData::internal_error(words, None)
}
