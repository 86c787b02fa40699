//! Tasks on disk: work that outlives the call that asked for it, and the server that began it.
//!
//! ```text
//! RESULTS/tasks/
//!   {id}.json          the record, replaced as a whole
//!   {id}.cancel        somebody wants it ended
//!   {server}.alive     locked by the server that works on the records naming it, for as long as it lives
//! ```
//! Locks go with their process however it ends, so a record whose server's lock is free was left by a server that died.

use super::{PARTIAL, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) const TASKS: &str = "tasks";
/// How long a record stays after its task has ended.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the records that stay; beyond, those that ended first go earlier.
const MOST_BYTES: u64 = 256 << 20;
/// How often old records are looked for, where new ones come.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long a record stays that nobody works on and nobody asks for.
const KEPT_UNFINISHED: Duration = Duration::from_secs(7 * 24 * 3600);

/// One task, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its name; nobody can guess it.
    pub id: String,
    /// Whose it is; nobody's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What was asked for: enough to begin again.
    pub call: Value,
    /// The result that it makes, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Where it is.
    pub state: TaskState,
    /// The same in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: u64,
    /// When this record was last written.
    pub updated_ms: u64,
    /// The server that works on it.
    pub server: String,
    /// How often a server has begun it.
    pub attempts: u32,
}

/// Where a task is. The last three are ends: they never change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "with")]
pub enum TaskState {
    /// Not at its end.
    Working,
    /// Answered; the answer may say that it could not be done.
    Completed(Value),
    /// Broken off, and why.
    Failed(Value),
    /// Ended because somebody wanted it.
    Cancelled,
}

impl TaskRecord {
    /// Whether it is at its end.
    pub fn is_ended(&self) -> bool {
        self.state != TaskState::Working
    }

    /// Milliseconds from its creation until it may be forgotten; unlimited while it is at work.
    pub fn ttl_ms(&self) -> Option<u64> {
        let spent = self.updated_ms.saturating_sub(self.created_ms);
        self.is_ended().then(|| spent + KEPT_AFTER_END.as_millis() as u64)
    }
}

/// The tasks of a results folder, for one server.
#[derive(Debug)]
pub struct TaskStore {
    folder: PathBuf,
    server: String,
    /// Held while a record is read, changed and written, so that of two changes neither is lost.
    writing: Mutex<()>,
    /// When old records were last looked for.
    swept: Mutex<Instant>,
    /// Locked until it is dropped.
    _alive: File,
}

impl Store {
    /// The tasks kept here, with a name of its own for this server.
    pub fn tasks(&self) -> Result<TaskStore, StoreError> {
        let folder = self.root.join(TASKS);
        std::fs::create_dir_all(&folder).map_err(|source| not_writable(&folder, source))?;
        let server = uuid::Uuid::new_v4().to_string();
        let path = alive(&folder, &server);
        let file = File::create_new(&path).map_err(|source| not_writable(&path, source))?;
        file.lock().map_err(|source| not_writable(&path, source))?;
        let tasks = TaskStore {
            folder,
            server,
            writing: Mutex::new(()),
            swept: Mutex::new(Instant::now()),
            _alive: file,
        };
        tasks.forget_old();
        Ok(tasks)
    }
}

impl TaskStore {
    /// A new task of `owner`'s, on disk when this returns.
    pub fn begin(&self, owner: Option<&str>, call: Value, message: &str) -> Result<TaskRecord, StoreError> {
        self.sweep();
        let now = now_ms();
        let record = TaskRecord {
            id: uuid::Uuid::new_v4().to_string(),
            owner: owner.map(str::to_owned),
            call,
            result: None,
            state: TaskState::Working,
            message: Some(message.to_owned()),
            created_ms: now,
            updated_ms: now,
            server: self.server.clone(),
            attempts: 1,
        };
        self.write(&record)?;
        Ok(record)
    }

    /// The record of a task, where there is one.
    pub fn get(&self, id: &str) -> Result<Option<TaskRecord>, StoreError> {
        let Some(path) = self.path(id, "json") else {
            return Ok(None);
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| StoreError::Unreadable {
                    path,
                    source: error.into(),
                }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Unreadable { path, source }),
        }
    }

    /// Writes where a task is now. One that has ended stays as it ended.
    pub fn note(&self, id: &str, state: TaskState, message: &str) -> Result<Option<TaskRecord>, StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut record) = self.get(id)?.filter(|record| !record.is_ended()) else {
            return Ok(None);
        };
        record.state = state;
        record.message = Some(message.to_owned());
        record.updated_ms = now_ms();
        self.write(&record)?;
        if record.is_ended() {
            // A leftover wish does no harm.
            let _ = self.path(id, "cancel").map(std::fs::remove_file);
        }
        Ok(Some(record))
    }

    /// Notes which result a task makes, and whether that is what it has been all along.
    pub fn note_result(&self, id: &str, result: &str) -> Result<bool, StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut record) = self.get(id)?.filter(|record| !record.is_ended()) else {
            return Ok(true);
        };
        if let Some(before) = &record.result {
            return Ok(before == result);
        }
        record.result = Some(result.to_owned());
        self.write(&record)?;
        Ok(true)
    }

    /// Whether this server is the one that works on a task.
    pub fn is_mine(&self, record: &TaskRecord) -> bool {
        record.server == self.server
    }

    /// Takes over a task whose server is gone. `None` while that lives, or where another server was quicker.
    pub fn adopt(&self, record: &TaskRecord) -> Result<Option<TaskRecord>, StoreError> {
        let path = alive(&self.folder, &record.server);
        // Whoever holds the dead server's lock may take its tasks, so that only one does.
        let _held = match File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
        {
            Ok(file) => match file.try_lock() {
                Ok(()) => file,
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(not_writable(&path, source)),
            },
            Err(source) => return Err(not_writable(&path, source)),
        };
        let Some(mut current) = self.get(&record.id)?.filter(|current| !current.is_ended()) else {
            return Ok(None);
        };
        if current.server != record.server {
            return Ok(None);
        }
        current.server = self.server.clone();
        current.attempts += 1;
        current.updated_ms = now_ms();
        self.write(&current)?;
        Ok(Some(current))
    }

    /// Begins a task again that this server has lost sight of.
    pub fn retake(&self, id: &str) -> Result<Option<TaskRecord>, StoreError> {
        self.count(id, |attempts| attempts + 1)
    }

    /// Leaves a task to the next server as if this one had not begun it: it ends because it was told to.
    pub fn hand_back(&self, id: &str) -> Result<Option<TaskRecord>, StoreError> {
        self.count(id, |attempts| attempts.saturating_sub(1))
    }

    fn count(&self, id: &str, attempts: impl FnOnce(u32) -> u32) -> Result<Option<TaskRecord>, StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |record: &TaskRecord| self.is_mine(record) && !record.is_ended();
        let Some(mut record) = self.get(id)?.filter(mine) else {
            return Ok(None);
        };
        record.attempts = attempts(record.attempts);
        self.write(&record)?;
        Ok(Some(record))
    }

    /// Says that somebody wants a task ended, to whichever server works on it.
    pub fn ask_to_cancel(&self, id: &str) -> Result<(), StoreError> {
        let Some(path) = self.path(id, "cancel") else {
            return Ok(());
        };
        File::create(&path).map_err(|source| not_writable(&path, source))?;
        Ok(())
    }

    /// Whether somebody wants a task ended.
    pub fn is_to_be_cancelled(&self, id: &str) -> bool {
        self.path(id, "cancel").is_some_and(|path| path.exists())
    }

    /// Ids are UUIDs as this room writes them, so an id never leads elsewhere.
    fn path(&self, id: &str, extension: &str) -> Option<PathBuf> {
        let id = uuid::Uuid::parse_str(id).ok()?.to_string();
        Some(self.folder.join(format!("{id}.{extension}")))
    }

    fn write(&self, record: &TaskRecord) -> Result<(), StoreError> {
        let path = self.folder.join(format!("{}.json", record.id));
        let text = serde_json::to_vec(record).map_err(|error| not_writable(&path, error.into()))?;
        let written = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(&self.folder)
            .and_then(|mut file| {
                file.write_all(&text)?;
                if record.is_ended() || record.attempts == 1 && record.created_ms == record.updated_ms {
                    file.as_file().sync_all()?;
                }
                file.persist(&path).map_err(|error| error.error)
            });
        written.map(drop).map_err(|source| not_writable(&path, source))
    }

    /// [`TaskStore::forget_old`], now and then.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.elapsed() < SWEEP_EVERY {
                return;
            }
            *swept = Instant::now();
        }
        self.forget_old();
    }

    /// Deletes records past their time, those that are too many, and the marks of servers that are gone and have left nothing.
    fn forget_old(&self) {
        self.forget_beyond(MOST_BYTES);
    }

    fn forget_beyond(&self, most_bytes: u64) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut records = Vec::new();
        for path in entries.map(|entry| entry.path()) {
            let Ok(metadata) = path.metadata() else { continue };
            let idle = metadata.modified().ok();
            let idle = idle.and_then(|when| SystemTime::now().duration_since(when).ok());
            let idle = idle.unwrap_or_default();
            let old = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => idle > KEPT_UNFINISHED || idle > KEPT_AFTER_END && ended(&path),
                Some("alive") => idle > KEPT_UNFINISHED && is_free(&path),
                _ => idle > KEPT_UNFINISHED,
            };
            match path.extension().is_some_and(|extension| extension == "json") {
                _ if old => forget(&path),
                true => records.push((idle, metadata.len(), path)),
                false => {}
            }
        }
        records.sort_by_key(|(idle, ..)| *idle);
        let mut kept = 0;
        for (_, bytes, path) in records {
            kept += bytes;
            if kept > most_bytes && ended(&path) {
                forget(&path);
            }
        }
    }
}

impl Drop for TaskStore {
    fn drop(&mut self) {
        // Records that still name this server are left for the next one; the mark without its lock says so as well as none.
        let _ = std::fs::remove_file(alive(&self.folder, &self.server));
    }
}

fn forget(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "a task past its time cannot be deleted");
    }
}

fn alive(folder: &Path, server: &str) -> PathBuf {
    folder.join(format!("{server}.alive"))
}

fn ended(record: &Path) -> bool {
    let bytes = std::fs::read(record).unwrap_or_default();
    serde_json::from_slice::<TaskRecord>(&bytes).map_or(true, |record| record.is_ended())
}

fn is_free(mark: &Path) -> bool {
    File::open(mark).is_ok_and(|file| file.try_lock().is_ok())
}

fn not_writable(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::NotWritable {
        path: path.to_owned(),
        source,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
