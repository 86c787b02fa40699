//! Series that were fetched from an archive, so that the same one is fetched once. They lie beside the images that were sent, each
//! owner's apart: who may fetch what is for the archive to say, anew each time.

use super::{Limits, PARTIAL, Pruned, Store, StoreError, touch};
use std::path::{Path, PathBuf};

/// How a series' folder is called after its key.
const SUFFIX: &str = "series";

/// A series that is being fetched. Dropped before [`SeriesDraft::keep`], it leaves nothing behind.
#[derive(Debug)]
pub struct SeriesDraft {
    folder: tempfile::TempDir,
    target: PathBuf,
}

impl Store {
    /// The folder of the series of this key that was fetched for `owner`, where it is there. Asking counts as use. A key is a
    /// hash in hexadecimal.
    pub fn series(&self, owner: Option<&str>, key: &str) -> Option<PathBuf> {
        let folder = self.place_of_series(owner, key);
        folder.is_dir().then(|| {
            touch(&folder);
            folder
        })
    }

    /// An empty folder aside, to be filled and then kept as the series of `key`.
    pub fn fetch_series(&self, owner: Option<&str>, key: &str) -> Result<SeriesDraft, StoreError> {
        let images = self.images_of(owner);
        let not_writable = |source| StoreError::NotWritable {
            path: images.clone(),
            source,
        };
        std::fs::create_dir_all(&images).map_err(not_writable)?;
        let folder = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&images)
            .map_err(not_writable)?;
        Ok(SeriesDraft {
            folder,
            target: self.place_of_series(owner, key),
        })
    }

    /// [`Store::prune`], but the series in `folder` stays.
    pub fn prune_around_series(&self, limits: &Limits, folder: &Path) -> Result<Pruned, StoreError> {
        self.prune_around(limits, Some(folder))
    }

    fn place_of_series(&self, owner: Option<&str>, key: &str) -> PathBuf {
        debug_assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()));
        self.images_of(owner).join(format!("{key}.{SUFFIX}"))
    }
}

impl SeriesDraft {
    /// Where to put its files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Renames the folder into place. Where the same series has come first, that one stays.
    pub fn keep(self) -> Result<PathBuf, StoreError> {
        let not_writable = |source| StoreError::NotWritable {
            path: self.target.clone(),
            source,
        };
        for entry in std::fs::read_dir(self.folder.path()).map_err(not_writable)? {
            let file = entry.and_then(|entry| std::fs::File::open(entry.path()));
            file.and_then(|file| file.sync_all()).map_err(not_writable)?;
        }
        match std::fs::rename(self.folder.path(), &self.target) {
            Ok(()) => {
                let _ = self.folder.keep(); // it has moved: there is nothing left to clear
                Ok(self.target)
            }
            Err(_) if self.target.is_dir() => Ok(self.target),
            Err(source) => Err(not_writable(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::{Duration, SystemTime};

    fn fetch(store: &Store, owner: Option<&str>, key: &str) -> PathBuf {
        let draft = store.fetch_series(owner, key).unwrap();
        std::fs::write(draft.path().join("1.2.dcm"), [0; 1000]).unwrap();
        std::fs::write(draft.path().join("1.3.dcm"), [0; 1000]).unwrap();
        draft.keep().unwrap()
    }

    #[test]
    fn a_series_is_there_for_whom_it_was_fetched_and_only_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let draft = store.fetch_series(Some("aa"), "0f").unwrap();
        assert_eq!(store.series(Some("aa"), "0f"), None);
        drop(draft);
        let folder = fetch(&store, Some("aa"), "0f");
        assert_eq!(store.series(Some("aa"), "0f"), Some(folder.clone()));
        assert_eq!((store.series(None, "0f"), store.series(Some("bb"), "0f")), (None, None));
        // Whoever came second finds the first one's.
        assert_eq!(fetch(&store, Some("aa"), "0f"), folder);
        assert_eq!(std::fs::read_dir(dir.path().join("images/aa")).unwrap().count(), 1);
        // By its path it is nobody's.
        assert_eq!(store.whose(&folder.join("1.2.dcm")), Some(crate::store::Whose::Stores));
        assert_eq!(store.whose(&folder), Some(crate::store::Whose::Stores));
    }

    #[test]
    fn series_are_pruned_whole_the_least_recently_used_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (old, new) = (fetch(&store, None, "0a"), fetch(&store, None, "0b"));
        let aged = |folder: &Path, hours: u64| {
            let used = SystemTime::now() - Duration::from_secs(3600 * hours);
            std::fs::File::open(folder).unwrap().set_modified(used).unwrap();
        };
        aged(&old, 1);
        aged(&new, 2);
        // Asked for, it is the newer one.
        store.series(None, "0b").unwrap();
        let limits = |max_bytes| Limits {
            max_bytes: Some(max_bytes),
            max_age: None,
        };
        let pruned = store.prune(&limits(3000), None).unwrap();
        assert_eq!((pruned.entries, pruned.bytes), (1, 2000));
        assert!(!old.exists() && new.exists());
        store.prune_around_series(&limits(0), &new).unwrap();
        assert!(new.exists());
        store.prune(&limits(0), None).unwrap();
        assert!(!new.exists());
    }
}
