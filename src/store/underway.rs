//! Results that are still being made, as notes beside the results: any process with the same results folder reads from them how
//! far a run is, and how one ended that left no result.
//!
//! A note that its run no longer renews was cut off with its process, and counts for nothing.

use super::{PARTIAL, Store, StoreError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Beside the results; no id is spelled so.
pub(super) const NOTES: &str = "underway";
/// A run renews its note at least this often.
pub const RENEWED_WITHIN: Duration = Duration::from_secs(5);
/// A note of a run at work that is older was cut off.
const CUT_OFF_AFTER: Duration = Duration::from_secs(60);
/// How long one is told how a run failed.
const END_KEPT: Duration = Duration::from_secs(600);

/// What is known of a result that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderwayNote {
    /// For whom it is made; nobody where absent.
    pub owner: Option<String>,
    /// Whether its run has ended without a result.
    pub ended: bool,
    /// What its run has noted.
    pub text: String,
}

impl Store {
    /// Notes how far the run of result `id` is.
    pub fn note_underway(&self, id: &str, note: &UnderwayNote) -> Result<(), StoreError> {
        let path = self.note(id)?;
        let not_writable = |source| StoreError::NotWritable {
            path: path.clone(),
            source,
        };
        let folder = self.root.join(NOTES);
        std::fs::create_dir_all(&folder).map_err(not_writable)?;
        let mut file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(&folder)
            .map_err(not_writable)?;
        let state = if note.ended { "ended" } else { "at work" };
        let owner = note.owner.as_deref().unwrap_or_default();
        write!(file, "{state}\n{owner}\n{}", note.text).map_err(not_writable)?;
        // A reader sees the note before or this one, never half of one.
        file.persist(&path).map_err(|error| not_writable(error.error))?;
        Ok(())
    }

    /// The note of result `id`, where its run is at work or has ended lately.
    pub fn underway(&self, id: &str) -> Result<Option<UnderwayNote>, StoreError> {
        let path = self.note(id)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Unreadable { path, source }),
        };
        let mut parts = text.splitn(3, '\n');
        let (Some(state), Some(owner), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(None);
        };
        let ended = state == "ended";
        let valid_for = if ended { END_KEPT } else { CUT_OFF_AFTER };
        Ok((age(&path) < valid_for).then(|| UnderwayNote {
            owner: Some(owner.to_owned()).filter(|owner| !owner.is_empty()),
            ended,
            text: text.to_owned(),
        }))
    }

    /// Takes the note away: the result is there.
    pub fn forget_underway(&self, id: &str) -> Result<(), StoreError> {
        let path = self.note(id)?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::NotWritable { path, source: error })
            }
            _ => Ok(()),
        }
    }

    fn note(&self, id: &str) -> Result<PathBuf, StoreError> {
        self.folder(id)?; // an id never leads elsewhere
        Ok(self.root.join(NOTES).join(id))
    }
}

/// Deletes notes that count for nothing any more.
pub(super) fn clear_notes(root: &Path) {
    let entries = std::fs::read_dir(root.join(NOTES)).into_iter().flatten();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if age(&path) > END_KEPT {
            // Another process may have been quicker.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn age(path: &Path) -> Duration {
    let written = path.metadata().and_then(|metadata| metadata.modified());
    let written = written.unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(written).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn note(ended: bool) -> UnderwayNote {
        UnderwayNote {
            owner: Some("ann".into()),
            ended,
            text: "3 of 4\nwindows".into(),
        }
    }

    fn grow_old(store: &Store, id: &str, seconds: u64) {
        let file = std::fs::File::options()
            .write(true)
            .open(store.note(id).unwrap())
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }

    #[test]
    fn a_note_is_read_by_any_process_until_it_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let (store, other) = (Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap());
        assert_eq!(other.underway("ab").unwrap(), None);
        store.note_underway("ab", &note(false)).unwrap();
        assert_eq!(other.underway("ab").unwrap(), Some(note(false)));
        assert_eq!(other.places().unwrap(), []);
        store.forget_underway("ab").unwrap();
        store.forget_underway("ab").unwrap();
        assert_eq!(other.underway("ab").unwrap(), None);
        assert!(store.note_underway("../ab", &note(false)).is_err());
    }

    #[test]
    fn a_note_that_nobody_renews_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for (ended, id) in [(false, "aa"), (true, "bb")] {
            store.note_underway(id, &note(ended)).unwrap();
            grow_old(&store, id, 120);
        }
        assert_eq!(store.underway("aa").unwrap(), None);
        assert_eq!(store.underway("bb").unwrap(), Some(note(true)));
        grow_old(&store, "bb", 3600);
        assert_eq!(store.underway("bb").unwrap(), None);
        Store::open(dir.path()).unwrap();
        assert!(!store.note("bb").unwrap().exists());
    }
}
