//! Keeping the results folder within its limits.

use super::{IMAGES, KEPT, PARTIAL, Store, StoreError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A run that has written nothing for so long was cut off.
const CUT_OFF_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How much may stay.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Bytes of all results, kept masks and images together.
    pub max_bytes: Option<u64>,
    /// Age since last use.
    pub max_age: Option<Duration>,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Results, images with kept masks, images that were sent.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Deletes what is older than the limits allow, and the least recently used until the rest fits.
    /// What is in use, the result `keep`, stays whatever the limits say.
    pub fn prune(&self, limits: &Limits, keep: Option<&str>) -> Result<Pruned, StoreError> {
        let kept = keep.map(|id| self.root.join(id));
        self.prune_around(limits, kept.as_deref())
    }

    /// Bytes of all that the limits go for.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        Ok(self.entries()?.iter().map(|(_, bytes, _)| bytes).sum())
    }

    /// When each result, image with kept masks and sent image was last used, its bytes, and where it is.
    fn entries(&self) -> Result<Vec<(SystemTime, u64, PathBuf)>, StoreError> {
        let mut entries: Vec<_> = self
            .results()?
            .into_iter()
            .map(|result| (result.used, result.bytes, self.root.join(result.id)))
            .collect();
        for folder in folders_in(&self.root.join(KEPT)) {
            entries.push((last_change(&folder), bytes_in(&folder), folder));
        }
        for path in folders_in(&self.root.join(IMAGES))
            .iter()
            .flat_map(|owner| in_folder(owner))
        {
            // One that is still arriving is not counted: it may yet come to nothing.
            if !is_partial(&path)
                && let Ok(metadata) = path.metadata()
            {
                entries.push((last_change(&path), metadata.len(), path));
            }
        }
        Ok(entries)
    }

    /// The same, where what stays is named by its path.
    pub(super) fn prune_around(&self, limits: &Limits, kept: Option<&Path>) -> Result<Pruned, StoreError> {
        let mut entries = self.entries()?;
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        let now = SystemTime::now();
        let mut pruned = Pruned::default();
        for (used, bytes, path) in entries.into_iter().filter(|(.., path)| Some(path.as_path()) != kept) {
            let age = now.duration_since(used).unwrap_or_default();
            let too_old = limits.max_age.is_some_and(|limit| age > limit);
            let too_much = limits.max_bytes.is_some_and(|limit| total > limit);
            if too_old || too_much {
                remove(&self.root, &path)?;
                total -= bytes;
                pruned.entries += 1;
                pruned.bytes += bytes;
            }
        }
        Ok(pruned)
    }
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
