//! What is kept of clients' sessions, so that a restarted server or another replica knows them again.
//!
//! `RESULTS/sessions/{hash of the id}.json`, written whole or not at all, readable by the server's user alone. Who reads the
//! folder does not learn the ids.

use super::{Store, StoreError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(super) const SESSIONS: &str = "sessions";

/// A session that nobody has used for so long is over.
const OVER_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions that are kept; beyond, those go that were used least recently.
const MOST: usize = 4096;

impl Store {
    /// What was kept of a session. Reading it counts as use.
    pub fn session(&self, id: &str) -> Result<Option<String>, StoreError> {
        let path = self.session_file(id);
        let used = path.metadata().and_then(|file| file.modified());
        if used.is_ok_and(is_over) {
            return Ok(None);
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                super::touch(&path);
                Ok(Some(text))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Unreadable { path, source }),
        }
    }

    /// Keeps `text` of a session.
    pub fn keep_session(&self, id: &str, text: &str) -> Result<(), StoreError> {
        let path = self.session_file(id);
        let folder = self.root.join(SESSIONS);
        let not_writable = |source| StoreError::NotWritable {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(not_writable)?;
        let draft = tempfile::Builder::new()
            .prefix(super::PARTIAL)
            .tempfile_in(&folder)
            .map_err(not_writable)?;
        std::fs::write(draft.path(), text).map_err(not_writable)?;
        draft.persist(&path).map_err(|error| not_writable(error.error))?;
        Ok(())
    }

    /// Forgets a session; one that is not there is forgotten already.
    pub fn forget_session(&self, id: &str) -> Result<(), StoreError> {
        let path = self.session_file(id);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::NotWritable { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Forgets sessions that are over, and the least recently used beyond what is kept.
    pub fn prune_sessions(&self) {
        let mut files = files_in(&self.root.join(SESSIONS));
        files.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
        for (at, (used, path)) in files.iter().enumerate() {
            if at >= MOST || is_over(*used) {
                // Another process may have been quicker.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn session_file(&self, id: &str) -> PathBuf {
        let name = blake3::hash(id.as_bytes()).to_hex();
        self.root.join(SESSIONS).join(format!("{name}.json"))
    }
}

fn is_over(used: SystemTime) -> bool {
    SystemTime::now().duration_since(used).is_ok_and(|age| age > OVER_AFTER)
}

fn files_in(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_session_is_known_again_and_its_id_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.session("an-id").unwrap(), None);
        store.keep_session("an-id", "{}").unwrap();
        let again = Store::open(dir.path()).unwrap();
        assert_eq!(again.session("an-id").unwrap().as_deref(), Some("{}"));
        assert_eq!(again.session("another").unwrap(), None);
        let (_, path) = files_in(&dir.path().join(SESSIONS)).pop().unwrap();
        assert!(!path.to_string_lossy().contains("an-id"));
        again.forget_session("an-id").unwrap();
        again.forget_session("an-id").unwrap();
        assert_eq!(store.session("an-id").unwrap(), None);
    }

    #[test]
    fn a_session_ends_when_nobody_has_used_it_for_days() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for id in ["old", "new"] {
            store.keep_session(id, "{}").unwrap();
        }
        let long_ago = SystemTime::now() - OVER_AFTER - Duration::from_secs(60);
        let file = std::fs::File::options()
            .write(true)
            .open(store.session_file("old"))
            .unwrap();
        file.set_modified(long_ago).unwrap();
        assert_eq!(store.session("old").unwrap(), None);
        store.prune_sessions();
        assert!(!store.session_file("old").exists());
        assert_eq!(store.session("new").unwrap().as_deref(), Some("{}"));
    }

    #[test]
    fn sessions_are_no_results() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.keep_session("an-id", "{}").unwrap();
        assert_eq!(store.results().unwrap(), []);
        store
            .prune(
                &crate::store::Limits {
                    max_bytes: Some(0),
                    max_age: None,
                },
                None,
            )
            .unwrap();
        assert!(store.session("an-id").unwrap().is_some());
    }
}
