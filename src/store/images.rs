//! Images that callers have sent, by the hash of their bytes. Each owner has a folder of its own, so that nobody learns from
//! a hash what somebody else has.

use super::{IMAGES, Limits, PARTIAL, Pruned, Store, StoreError, prune, touch};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folder of those that are nobody's; an owner is hexadecimal.
const COMMON: &str = "common";
/// How a file may be called after its hash.
const SUFFIXES: [&str; 4] = ["nii.gz", "nii", "dcm", "zip"];

/// An image that is being received. Dropped before [`Upload::keep`], it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    root: PathBuf,
    folder: PathBuf,
    file: tempfile::NamedTempFile,
    hash: Sha256,
    bytes: u64,
}

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Hash of the file, in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
}

impl Store {
    /// Begins to receive an image of nobody's or of `owner`'s.
    pub fn receive(&self, owner: Option<&str>) -> Result<Upload, StoreError> {
        let folder = self.images_of(owner);
        let not_writable = |source| StoreError::NotWritable {
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(not_writable)?;
        let file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(&folder)
            .map_err(not_writable)?;
        Ok(Upload {
            root: self.root.clone(),
            folder,
            file,
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// The image of this hash, where one of the owners that `may_see` admits has it. Looking is no use.
    pub fn image(&self, sha256: &str, may_see: impl Fn(Option<&str>) -> bool) -> Option<StoredImage> {
        if sha256.len() != 64 || !sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let owners = prune::folders_in(&self.root.join(IMAGES));
        let seen = owners.iter().filter(|folder| {
            let name = folder.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| may_see(owner_of(name)))
        });
        seen.flat_map(|folder| SUFFIXES.map(|suffix| folder.join(format!("{sha256}.{suffix}"))))
            .find_map(|path| {
                let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
                Some(StoredImage {
                    sha256: sha256.to_owned(),
                    bytes: metadata.len(),
                    path,
                })
            })
    }

    /// Notes that an image is in use, which puts off its going.
    pub fn use_image(&self, image: &StoredImage) {
        touch(&image.path);
    }

    /// Deletes an image. A run that reads it goes on.
    pub fn delete_image(&self, image: &StoredImage) -> Result<(), StoreError> {
        prune::remove(&self.root, &image.path)
    }

    /// [`Store::prune`], but `image` stays.
    pub fn prune_around_image(&self, limits: &Limits, image: &StoredImage) -> Result<Pruned, StoreError> {
        self.prune_around(limits, Some(&image.path))
    }

    /// Whose the images in a folder are.
    pub(super) fn owner_of_images(folder: &Path) -> Option<String> {
        let name = folder.file_name()?.to_str()?;
        Some(name.to_owned()).filter(|name| name != COMMON)
    }

    pub(super) fn images_of(&self, owner: Option<&str>) -> PathBuf {
        self.root.join(IMAGES).join(owner.unwrap_or(COMMON))
    }
}

/// Whose images lie in the folder of this name; nobody's where absent.
pub(super) fn owner_of(folder: &str) -> Option<&str> {
    Some(folder).filter(|name| *name != COMMON)
}

impl Upload {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|source| StoreError::NotWritable {
            path: self.folder.clone(),
            source,
        })?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts the file in its place under its hash and `suffix`, what kind of file it is. Also says whether it is new there; where it is not, the one there is used.
    pub fn keep(self, suffix: &str) -> Result<(StoredImage, bool), StoreError> {
        let sha256: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{sha256}.{suffix}"));
        let image = StoredImage {
            sha256,
            bytes: self.bytes,
            path: path.clone(),
        };
        let not_writable = |source| StoreError::NotWritable {
            path: self.folder.clone(),
            source,
        };
        if path.is_file() {
            touch(&path);
            return Ok((image, false));
        }
        self.file.as_file().sync_all().map_err(not_writable)?;
        readable_like(&self.root, self.file.path()).map_err(not_writable)?;
        self.file.persist(&path).map_err(|error| not_writable(error.error))?;
        Ok((image, true))
    }
}

/// `tempfile` makes files for their owner alone; an image may be read by whom the results folder lets in.
#[cfg(unix)]
fn readable_like(folder: &Path, file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = folder.metadata()?.permissions().mode() & 0o666;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn readable_like(_folder: &Path, _file: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::{Duration, SystemTime};

    fn send(store: &Store, owner: Option<&str>, bytes: &[u8]) -> StoredImage {
        let mut upload = store.receive(owner).unwrap();
        bytes.chunks(3).for_each(|chunk| upload.write(chunk).unwrap());
        upload.keep("nii.gz").unwrap().0
    }

    fn files(store: &Store) -> usize {
        let folders = prune::folders_in(&store.root().join(IMAGES));
        folders
            .iter()
            .map(|folder| std::fs::read_dir(folder).unwrap().count())
            .sum()
    }

    #[test]
    fn an_image_is_found_by_the_hash_that_sha256sum_gives_and_by_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let image = send(&store, None, b"abc");
        // FIPS 180-4, the example of one block
        assert_eq!(
            image.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(store.image(&image.sha256, |_| true), Some(image.clone()));
        for other in ["", "..", "../common", &image.sha256[1..], &image.sha256.to_uppercase()] {
            assert_eq!(store.image(other, |_| true), None, "{other:?}");
        }
        assert_eq!(std::fs::read(&image.path).unwrap(), b"abc");
    }

    #[test]
    fn another_owner_has_no_such_image_even_by_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let image = send(&store, Some("aa"), b"abc");
        assert!(store.image(&image.sha256, |owner| owner == Some("aa")).is_some());
        assert!(store.image(&image.sha256, |owner| owner == Some("bb")).is_none());
        assert!(store.image(&image.sha256, |owner| owner.is_none()).is_none());
    }

    #[test]
    fn what_was_broken_off_leaves_nothing_and_what_is_sent_twice_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut upload = store.receive(None).unwrap();
        upload.write(b"abc").unwrap();
        drop(upload);
        assert_eq!(files(&store), 0);
        send(&store, None, b"abc");
        let mut again = store.receive(None).unwrap();
        again.write(b"abc").unwrap();
        assert!(!again.keep("nii.gz").unwrap().1);
        assert_eq!(files(&store), 1);
    }

    #[test]
    fn images_are_pruned_with_results_the_least_recently_used_first() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let hours = |n: u64| SystemTime::now() - Duration::from_secs(3600 * n);
        let (old, new) = (send(&store, None, &[1; 1000]), send(&store, None, &[2; 1000]));
        let result = store.begin("ab", None).unwrap().keep("{}").unwrap();
        for (path, used) in [
            (&old.path, hours(3)),
            (&new.path, hours(1)),
            (&result.join("result.json"), hours(2)),
        ] {
            std::fs::File::open(path).unwrap().set_modified(used).unwrap();
        }
        let limits = |max_bytes| Limits {
            max_bytes: Some(max_bytes),
            max_age: None,
        };
        assert_eq!(store.prune(&limits(1500), None).unwrap().bytes, 1000);
        assert!(!old.path.exists() && new.path.exists() && result.exists());
        store.prune(&limits(1000), None).unwrap();
        assert!(new.path.exists() && !result.exists());
        store.prune_around_image(&limits(0), &new).unwrap();
        assert!(new.path.exists());
        store
            .prune(
                &Limits {
                    max_bytes: None,
                    max_age: Some(Duration::from_secs(60)),
                },
                None,
            )
            .unwrap();
        assert!(!new.path.exists());
    }
}
