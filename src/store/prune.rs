//! Keeping the results folder within its limits.

use super::{IMAGES, KEPT, PARTIAL, Store, StoreError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A run that has written nothing for so long was cut off.
const CUT_OFF_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How much may stay.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Bytes of all results, kept masks, images and series together. Beyond, whoever holds the most gives first.
    pub max_bytes: Option<u64>,
    /// Age since last use.
    pub max_age: Option<Duration>,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Results, images with kept masks, images that were sent, series that were fetched.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Deletes what is older than the limits allow, and until the rest fits the least recently used of the owner who holds
    /// the most.
    /// What is in use, the result `keep`, stays whatever the limits say.
    pub fn prune(&self, limits: &Limits, keep: Option<&str>) -> Result<Pruned, StoreError> {
        let kept = keep.map(|id| self.root.join(id));
        self.prune_around(limits, kept.as_deref())
    }

    /// Bytes of all that the limits go for.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        Ok(self.entries()?.iter().map(|entry| entry.bytes).sum())
    }

    /// Each result, image with kept masks, sent image and fetched series.
    fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let results = self.results()?.into_iter().map(|result| Entry {
            used: result.used,
            bytes: result.bytes,
            path: self.root.join(result.id),
            owner: result.owner,
        });
        let mut entries: Vec<Entry> = results.collect();
        for folder in folders_in(&self.root.join(KEPT)) {
            entries.push(Entry {
                used: last_change(&folder),
                bytes: bytes_in(&folder),
                owner: folder.extension().and_then(|owner| owner.to_str()).map(str::to_owned),
                path: folder,
            });
        }
        for folder in folders_in(&self.root.join(IMAGES)) {
            let owner = Store::owner_of_images(&folder);
            for path in in_folder(&folder) {
                // One that is still arriving is not counted: it may yet come to nothing.
                if !is_partial(&path)
                    && let Ok(metadata) = path.metadata()
                {
                    // A series that was fetched is a folder.
                    let bytes = match metadata.is_dir() {
                        true => bytes_in(&path),
                        false => metadata.len(),
                    };
                    entries.push(Entry {
                        used: last_change(&path),
                        bytes,
                        owner: owner.clone(),
                        path,
                    });
                }
            }
        }
        Ok(entries)
    }

    /// The same, where what stays is named by its path.
    pub(super) fn prune_around(&self, limits: &Limits, kept: Option<&Path>) -> Result<Pruned, StoreError> {
        let mut entries = self.entries()?;
        // The first to go stands last.
        entries.sort_by(|a, b| (b.used, &b.path).cmp(&(a.used, &a.path)));
        let mut held: HashMap<Option<String>, u64> = HashMap::new();
        for entry in &entries {
            *held.entry(entry.owner.clone()).or_default() += entry.bytes;
        }
        entries.retain(|entry| Some(entry.path.as_path()) != kept);
        let now = SystemTime::now();
        let mut pruned = Pruned::default();
        loop {
            let total: u64 = held.values().sum();
            let is_old = |entry: &Entry| {
                let age = now.duration_since(entry.used).unwrap_or_default();
                limits.max_age.is_some_and(|limit| age > limit)
            };
            let at = match limits.max_bytes.is_some_and(|limit| total > limit) {
                _ if entries.last().is_some_and(is_old) => entries.len().checked_sub(1),
                true => first_to_go(&entries, &held),
                false => None,
            };
            let Some(entry) = at.map(|at| entries.remove(at)) else {
                return Ok(pruned);
            };
            remove(&self.root, &entry.path)?;
            pruned.entries += 1;
            pruned.bytes += entry.bytes;
            if let Some(held) = held.get_mut(&entry.owner) {
                *held -= entry.bytes;
            }
        }
    }
}

/// One thing that goes as a whole.
struct Entry {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
    owner: Option<String>,
}

/// Of the owner who holds the most, and has something that may go, what was used least recently: as long as that
/// one has something that may go, nobody else's goes for it.
fn first_to_go(entries: &[Entry], held: &HashMap<Option<String>, u64>) -> Option<usize> {
    let holds = |at: &usize| held.get(&entries[*at].owner).copied().unwrap_or(0);
    // Of equals the last, which was used least recently.
    (0..entries.len()).max_by_key(holds)
}

/// Renames a folder or a file aside first, so that nobody finds it half deleted.
pub(super) fn remove(root: &Path, what: &Path) -> Result<(), StoreError> {
    let not_writable = |source| StoreError::NotWritable {
        path: what.to_owned(),
        source,
    };
    let aside = tempfile::Builder::new()
        .prefix(PARTIAL)
        .tempdir_in(root)
        .map_err(not_writable)?;
    match std::fs::rename(what, aside.path().join("deleted")) {
        // Another process was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        done => done.map_err(not_writable)?,
    }
    aside.close().map_err(not_writable)
}

/// Deletes what runs that were cut off left behind.
pub(super) fn clear_partial(root: &Path) {
    let folders = std::iter::once(root.to_owned())
        .chain(folders_in(&root.join(KEPT)))
        .chain(folders_in(&root.join(IMAGES)));
    for path in folders
        .flat_map(|folder| in_folder(&folder))
        .filter(|path| is_partial(path))
    {
        let age = SystemTime::now().duration_since(last_change(&path)).unwrap_or_default();
        if age > CUT_OFF_AFTER {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            if let Err(error) = removed {
                tracing::warn!(%error, "a leftover of a run that was cut off cannot be deleted");
            }
        }
    }
}

pub(super) fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.metadata().ok());
    files.map(|metadata| metadata.len()).sum()
}

fn last_change(path: &Path) -> SystemTime {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    in_folder(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn is_partial(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn store_with(ids: &[&str]) -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for (i, id) in ids.iter().enumerate() {
            let draft = store.begin(id, None).unwrap();
            std::fs::write(draft.path().join("a.nii.gz"), vec![0u8; 1000]).unwrap();
            let folder = draft.keep("{}").unwrap();
            let used = SystemTime::now() - Duration::from_secs(3600 * (ids.len() - i) as u64);
            std::fs::File::open(folder.join("result.json"))
                .unwrap()
                .set_modified(used)
                .unwrap();
        }
        (dir, store)
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let (_dir, store) = store_with(&["aa", "bb", "cc"]);
        let pruned = store
            .prune(
                &Limits {
                    max_bytes: Some(2100),
                    max_age: None,
                },
                None,
            )
            .unwrap();
        assert_eq!(
            pruned,
            Pruned {
                entries: 1,
                bytes: 1002
            }
        );
        let left: Vec<_> = store.results().unwrap().into_iter().map(|result| result.id).collect();
        assert_eq!(left, ["cc", "bb"]);
    }

    #[test]
    fn who_holds_the_most_gives_first_and_what_another_holds_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        // The first is bob's and the oldest; then ann fills the folder.
        for (n, (id, owner)) in [("aa", "bob"), ("bb", "ann"), ("cc", "ann"), ("dd", "ann")]
            .iter()
            .enumerate()
        {
            let draft = store.begin(id, Some(owner)).unwrap();
            std::fs::write(draft.path().join("a.nii.gz"), vec![0u8; 1000]).unwrap();
            let used = SystemTime::now() - Duration::from_secs(3600 * (9 - n as u64));
            let file = std::fs::File::open(draft.keep("{}").unwrap().join("result.json")).unwrap();
            file.set_modified(used).unwrap();
        }
        let limit = Limits {
            max_bytes: Some(2500),
            max_age: None,
        };
        store.prune(&limit, Some("dd")).unwrap();
        let left: Vec<_> = store.results().unwrap().into_iter().map(|result| result.id).collect();
        assert_eq!(left, ["dd", "aa"]);
    }

    #[test]
    fn the_result_in_use_stays() {
        let (_dir, store) = store_with(&["aa", "bb"]);
        let none = Limits {
            max_bytes: Some(0),
            max_age: None,
        };
        store.prune(&none, Some("aa")).unwrap();
        let left: Vec<_> = store.results().unwrap().into_iter().map(|result| result.id).collect();
        assert_eq!(left, ["aa"]);
    }

    #[test]
    fn what_is_too_old_goes() {
        let (_dir, store) = store_with(&["aa", "bb", "cc"]);
        store
            .prune(
                &Limits {
                    max_bytes: None,
                    max_age: Some(Duration::from_secs(5400)),
                },
                None,
            )
            .unwrap();
        assert_eq!(store.results().unwrap().len(), 1);
    }
}
