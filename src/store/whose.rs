//! To whom a file belongs that is named by its path: the results folder may lie among the scans that callers may read.

use super::{IMAGES, KEPT, OWNER_FILE, PARTIAL, RESULT_FILE, Store, images, sessions, tasks, underway};
use std::path::{Component, Path};

/// Digits of a result's id.
const ID: usize = 20;
/// What the store keeps beside results.
const OWN: [&str; 5] = [IMAGES, KEPT, tasks::TASKS, sessions::SESSIONS, underway::NOTES];

/// Whether a name is one that results have. Whether there is that result is told to nobody who may not see it.
fn is_id(name: &str) -> bool {
    name.len() == ID && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a path into the results folder leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// A file of a result, or an image that was sent: this owner's, or nobody's where absent.
    Of(Option<String>),
    /// What the store keeps for itself, or nothing.
    Stores,
}

impl Store {
    /// What `path`, absolute and with its links followed, leads to. None where it lies elsewhere, or where the store has nothing:
    /// scans may lie in the results folder, too.
    pub fn whose(&self, path: &Path) -> Option<Whose> {
        let way = self.way_to(path)?;
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        let first = way.first()?;
        if !OWN.contains(first) && !first.starts_with(PARTIAL) && !is_id(first) && !self.has_result(first) {
            return None;
        }
        let owner = match way.as_slice() {
            [IMAGES, owner, file] if !file.starts_with(PARTIAL) && path.is_file() => {
                Some(images::owner_of(owner).map(str::to_owned))
            }
            [id, file] if self.file(id, RESULT_FILE).is_ok() && self.file(id, file).is_ok() => self.owner(id).ok(),
            _ => None,
        };
        Some(owner.map_or(Whose::Stores, Whose::Of))
    }

    fn has_result(&self, id: &str) -> bool {
        let folder = self.folder(id);
        folder.is_ok_and(|folder| folder.join(RESULT_FILE).exists() || folder.join(OWNER_FILE).exists())
    }

    /// The names from the results folder down to `path`. The folder counts as the same under whatever name, and so do those
    /// in it: they may be mounted twice, or be links to another disk.
    fn way_to(&self, path: &Path) -> Option<Vec<String>> {
        let own = OWN.map(|name| (Some(name), self.root.join(name)));
        let known: Vec<_> = std::iter::once((None, self.root.clone()))
            .chain(own)
            .filter_map(|(name, folder)| Some((name, identity(&folder)?)))
            .collect();
        path.ancestors().find_map(|above| {
            let here = identity(above)?;
            let (name, _) = known.iter().find(|(_, folder)| *folder == here)?;
            let rest = path.strip_prefix(above).ok()?.components();
            let rest = rest
                .map(Component::as_os_str)
                .map(|step| step.to_string_lossy().into_owned());
            Some(name.map(str::to_owned).into_iter().chain(rest).collect())
        })
    }
}

/// What tells whether two paths lead to one folder.
#[cfg(unix)]
fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = folder.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(folder: &Path) -> Option<std::path::PathBuf> {
    folder.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A store with a result and an image of `aa`'s and of nobody's, and its folder with links followed.
    fn store(root: &Path) -> Store {
        let store = Store::open(root).unwrap();
        for (id, owner) in [("a1", Some("aa")), ("b1", None)] {
            let draft = store.begin(id, owner).unwrap();
            std::fs::write(draft.path().join("liver.nii.gz"), b"mask").unwrap();
            draft.keep("{}").unwrap();
            let mut upload = store.receive(owner).unwrap();
            upload.write(b"abc").unwrap();
            upload.keep("nii").unwrap();
        }
        store.tasks().unwrap();
        store
    }

    const SCAN: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.nii";

    fn of(owner: Option<&str>) -> Option<Whose> {
        Some(Whose::Of(owner.map(str::to_owned)))
    }

    #[test]
    fn only_files_of_results_and_images_are_anybodys() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir.path().join("results"));
        let whose = |way: &str| store.whose(&store.root().join(way));
        for (way, owner) in [
            ("a1/liver.nii.gz".to_owned(), Some("aa")),
            ("b1/liver.nii.gz".to_owned(), None),
            (format!("images/aa/{SCAN}"), Some("aa")),
            (format!("images/common/{SCAN}"), None),
        ] {
            assert_eq!(whose(&way), of(owner), "{way}");
        }
        for way in [
            "a1",
            "a1/.owner",
            "a1/spleen.nii.gz",
            ".partial-x/liver.nii.gz",
            // Of no result, but it might be: that there is none is told to nobody.
            "0123456789abcdef0123/liver.nii.gz",
            "images/aa",
            "images/aa/.partial-1",
            "images/aa/0.nii",
            "tasks/1.json",
            "sessions/1.json",
            "masks/0/1.mask",
            "underway/a1",
        ] {
            assert_eq!(whose(way), Some(Whose::Stores), "{way:?}");
        }
        std::fs::create_dir(store.root().join("c1")).unwrap();
        std::fs::write(store.root().join("c1/liver.nii.gz"), b"no result").unwrap();
        for way in ["", "scan.nii", "scans/scan.nii", "c1/liver.nii.gz", "d1/liver.nii.gz"] {
            assert_eq!(whose(way), None, "{way:?}");
        }
        assert_eq!(store.whose(&dir.path().canonicalize().unwrap().join("scan.nii")), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_the_store_that_lies_elsewhere_is_the_stores_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let store = store(&top.join("results"));
        std::fs::rename(store.root().join("images"), top.join("large")).unwrap();
        std::os::unix::fs::symlink(top.join("large"), store.root().join("images")).unwrap();
        assert_eq!(store.whose(&top.join("large/aa").join(SCAN)), of(Some("aa")));
        assert_eq!(store.whose(&top.join("large/aa/0.nii")), Some(Whose::Stores));
    }
}
