//! Results on disk: written whole or not at all, found again after a restart.
//!
//! ```text
//! RESULTS/
//!   {result_id}/result.json, masks, label map, preview     one folder a result, renamed into place in one step
//!   masks/{image}(.{owner})/{key}.mask                     one file a mask, for later requests on the same image
//!   images/{owner}/{sha256}.nii(.gz)                       one file an image that a caller sent
//!   images/{owner}/{hash}.series/                          one folder a series that was fetched for a caller
//!   tasks/                                                 work that outlives the call that asked for it
//!   sessions/{hash}.json                                   one file a session of an older client
//!   underway/{result_id}                                   how far a run is, or how it ended without a result
//! ```
//! Everything here can be computed, sent or fetched again, so the oldest may be pruned.

mod images;
mod index;
mod kept;
mod prune;
mod series;
mod sessions;
mod tasks;
mod underway;
mod whose;

pub use images::{StoredImage, Upload};
pub use index::Place;
pub use kept::{KeptMask, MaskKey};
pub use prune::{Limits, Pruned};
pub use series::SeriesDraft;
pub use tasks::{TaskRecord, TaskState, TaskStore};
pub use underway::{RENEWED_WITHIN, UnderwayNote};
pub use whose::Whose;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The file that makes a folder a result.
pub const RESULT_FILE: &str = "result.json";
/// Beside it, whose result it is; not there where it is nobody's.
const OWNER_FILE: &str = ".owner";
const KEPT: &str = "masks";
const IMAGES: &str = "images";
const PARTIAL: &str = ".partial-";

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The results folder cannot be made or written.
    #[error("{path}: the results folder cannot be written: {source}", path = .path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the store cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such result.
    #[error("there is no result {id:?} here")]
    NoResult {
        /// The id asked for.
        id: String,
    },
    /// A result has no such file.
    #[error("result {id} has no file {file:?}")]
    NoFile {
        /// The result.
        id: String,
        /// The file asked for.
        file: String,
    },
}

/// The results folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    index: Arc<index::Index>,
}

/// A result found in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// When it was made or last asked for.
    pub used: SystemTime,
    /// Bytes of its files.
    pub bytes: u64,
    /// Whose it is; nobody's where absent.
    pub owner: Option<String>,
}

impl Store {
    /// Opens the results folder, making it where it is missing, and clears what runs that were cut off left behind.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        let not_writable = |source| StoreError::NotWritable {
            path: root.to_owned(),
            source,
        };
        std::fs::create_dir_all(root.join(KEPT)).map_err(not_writable)?;
        let root = root.canonicalize().map_err(not_writable)?;
        let store = Store {
            root,
            index: Arc::default(),
        };
        // A folder may be read-only although it exists; better told now than after minutes of work.
        store.check_writable()?;
        prune::clear_partial(&store.root);
        underway::clear_notes(&store.root);
        Ok(store)
    }

    /// The results folder as it is: it may be missing, which is as good as empty, or read-only. For who only looks.
    pub fn as_it_is(root: &Path) -> Store {
        let absolute = || std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Store {
            root: root.canonicalize().unwrap_or_else(|_| absolute()),
            index: Arc::default(),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of a result, whether it is there or not. Ids are hexadecimal, so an id never leads elsewhere.
    pub fn folder(&self, id: &str) -> Result<PathBuf, StoreError> {
        match !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => Ok(self.root.join(id)),
            false => Err(StoreError::NoResult { id: id.to_owned() }),
        }
    }

    /// The text of a result's `result.json`, where the result is there. Reading it counts as use.
    pub fn result(&self, id: &str) -> Result<Option<String>, StoreError> {
        let path = self.folder(id)?.join(RESULT_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                touch(&path);
                Ok(Some(text))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Unreadable { path, source }),
        }
    }

    /// One file of a result.
    pub fn file(&self, id: &str, file: &str) -> Result<PathBuf, StoreError> {
        let missing = || StoreError::NoFile {
            id: id.to_owned(),
            file: file.to_owned(),
        };
        let folder = self.folder(id)?;
        if !folder.is_dir() {
            return Err(StoreError::NoResult { id: id.to_owned() });
        }
        if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\']) {
            return Err(missing());
        }
        let path = folder.join(file);
        path.is_file().then_some(path).ok_or_else(missing)
    }

    /// Whose result `id` is; nobody's where absent.
    pub fn owner(&self, id: &str) -> Result<Option<String>, StoreError> {
        let path = self.folder(id)?.join(OWNER_FILE);
        match std::fs::read_to_string(&path) {
            Ok(owner) => Ok(Some(owner)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Unreadable { path, source }),
        }
    }

    /// An empty folder aside, to be filled and then kept as result `id`, of nobody's or of `owner`'s.
    pub fn begin(&self, id: &str, owner: Option<&str>) -> Result<Draft, StoreError> {
        let target = self.folder(id)?;
        let folder = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.root)
            .map_err(|source| StoreError::NotWritable {
                path: self.root.clone(),
                source,
            })?;
        if let Some(owner) = owner {
            let path = folder.path().join(OWNER_FILE);
            std::fs::write(&path, owner).map_err(|source| StoreError::NotWritable { path, source })?;
        }
        Ok(Draft { folder, target })
    }

    /// All results, last used first.
    pub fn results(&self) -> Result<Vec<Stored>, StoreError> {
        let names = self.ids()?;
        let mut found: Vec<Stored> = names
            .into_iter()
            .filter_map(|id| {
                let path = self.root.join(&id);
                let used = path.join(RESULT_FILE).metadata().ok()?.modified().ok()?;
                Some(Stored {
                    owner: self.owner(&id).ok()?,
                    id,
                    used,
                    bytes: prune::bytes_in(&path),
                })
            })
            .collect();
        found.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }

    /// Notes that a file of result `id` was fetched, which is a use of the result.
    pub fn use_result(&self, id: &str) {
        if let Ok(folder) = self.folder(id) {
            touch(&folder.join(RESULT_FILE));
        }
    }

    /// Whether something can be written here now.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(&self.root)
            .map(|_| ())
            .map_err(|source| StoreError::NotWritable {
                path: self.root.clone(),
                source,
            })
    }

    /// Deletes a result.
    pub fn delete(&self, id: &str) -> Result<(), StoreError> {
        let folder = self.folder(id)?;
        if !folder.join(RESULT_FILE).is_file() {
            return Err(StoreError::NoResult { id: id.to_owned() });
        }
        prune::remove(&self.root, &folder)
    }
}

/// A result that is being written. Dropped before [`Draft::keep`], it leaves nothing behind.
#[derive(Debug)]
pub struct Draft {
    folder: tempfile::TempDir,
    target: PathBuf,
}

impl Draft {
    /// Where to put its files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `result.json` and renames the folder into place. Where an equal result has come first, that one stays.
    pub fn keep(self, result: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder.path().join(RESULT_FILE);
        let not_writable = |source| StoreError::NotWritable {
            path: path.clone(),
            source,
        };
        std::fs::write(&path, result).map_err(not_writable)?;
        for entry in std::fs::read_dir(self.folder.path()).map_err(not_writable)? {
            let file = entry
                .and_then(|entry| std::fs::File::open(entry.path()))
                .map_err(not_writable)?;
            file.sync_all().map_err(not_writable)?;
        }
        match std::fs::rename(self.folder.path(), &self.target) {
            Ok(()) => {
                let _ = self.folder.keep(); // it has moved: there is nothing left to clear
                Ok(self.target)
            }
            Err(_) if self.target.join(RESULT_FILE).is_file() => Ok(self.target),
            // A folder without result.json is a result that somebody damaged: it makes room.
            Err(_) if self.target.is_dir() => {
                let root = self.target.parent().unwrap_or(&self.target).to_owned();
                prune::remove(&root, &self.target)?;
                std::fs::rename(self.folder.path(), &self.target).map_err(|source| StoreError::NotWritable {
                    path: self.target.clone(),
                    source,
                })?;
                let _ = self.folder.keep();
                Ok(self.target)
            }
            Err(source) => Err(StoreError::NotWritable {
                path: self.target.clone(),
                source,
            }),
        }
    }
}

/// Notes a use. Where the time can't be set, pruning goes by when it was last written.
fn touch(path: &Path) {
    let _ = std::fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests;
