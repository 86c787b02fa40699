//! Which results there are, told without opening any of them twice.
//!
//! When a result was made and whose it is never changes, so both are remembered from the first look. A look costs one
//! listing of the results folder, whatever lies in the results.

use super::{Store, StoreError};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Where a result stands among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub made: SystemTime,
    /// Whose it is; nobody's where absent.
    pub owner: Option<String>,
}

/// What was seen of the results folder.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<HashMap<String, Place>>);

impl Store {
    /// All results, the newest first; of those made at one time, by id. The order of two never changes.
    pub fn places(&self) -> Result<Vec<Place>, StoreError> {
        let names = self.ids()?;
        let mut known = self.index.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen: HashMap<String, Place> = names
            .into_iter()
            .filter_map(|id| {
                let place = match known.remove(&id) {
                    Some(place) => place,
                    None => self.place(&id)?,
                };
                Some((id, place))
            })
            .collect();
        let mut places: Vec<Place> = seen.values().cloned().collect();
        *known = seen;
        places.sort_by(|a, b| b.made.cmp(&a.made).then_with(|| a.id.cmp(&b.id)));
        Ok(places)
    }

    /// Names in the results folder that are results' by their form; a draft's is not.
    pub(super) fn ids(&self) -> Result<Vec<String>, StoreError> {
        let entries = match std::fs::read_dir(&self.root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| StoreError::Unreadable {
                path: self.root.clone(),
                source,
            })?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| self.folder(name).is_ok()).collect())
    }

    fn place(&self, id: &str) -> Option<Place> {
        let folder = self.folder(id).ok()?;
        if !folder.join(super::RESULT_FILE).is_file() {
            return None;
        }
        Some(Place {
            id: id.to_owned(),
            made: made(&folder)?,
            owner: self.owner(id).ok()?,
        })
    }
}

/// When a folder was made; where the file system does not say, when an entry last came or went.
fn made(folder: &Path) -> Option<SystemTime> {
    let metadata = folder.metadata().ok()?;
    metadata.created().or_else(|_| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ids(store: &Store) -> Vec<String> {
        store.places().unwrap().into_iter().map(|place| place.id).collect()
    }

    #[test]
    fn the_order_of_results_stays_when_they_are_used_and_when_others_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for id in ["aa", "bb", "cc"] {
            store.begin(id, None).unwrap().keep("{}").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(ids(&store), ["cc", "bb", "aa"]);
        store.result("aa").unwrap();
        store.begin("dd", Some("ann")).unwrap().keep("{}").unwrap();
        store.delete("bb").unwrap();
        assert_eq!(ids(&store), ["dd", "cc", "aa"]);
        assert_eq!(ids(&Store::open(dir.path()).unwrap()), ["dd", "cc", "aa"]);
        assert_eq!(store.places().unwrap()[0].owner.as_deref(), Some("ann"));
    }
}
