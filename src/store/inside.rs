//! What a path below the results folder is. A results folder may lie within a data root, and callers name files by path.

use super::{IMAGES, KEPT, OWNER_FILE, PARTIAL, RESULT_FILE, Store, sessions, tasks, underway};
use std::path::Path;

/// What lies under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside<'a> {
    /// Nothing of the store's.
    Foreign,
    /// A file of this result.
    OfResult(&'a str),
    /// What the store keeps for itself: images by owner, masks, tasks, sessions, notes, drafts.
    Own,
}

impl Store {
    /// What `path` is, with its links followed.
    pub fn inside<'a>(&self, path: &'a Path) -> Inside<'a> {
        let Ok(within) = path.strip_prefix(&self.root) else {
            return Inside::Foreign;
        };
        let mut parts = within.iter();
        let Some(first) = parts.next() else {
            return Inside::Foreign;
        };
        let own = [KEPT, IMAGES, tasks::TASKS, sessions::SESSIONS, underway::NOTES];
        let Some(first) = first.to_str() else {
            return Inside::Foreign;
        };
        if own.contains(&first) || first.starts_with(PARTIAL) {
            return Inside::Own;
        }
        let Ok(folder) = self.folder(first) else {
            return Inside::Foreign;
        };
        let file = parts.next().and_then(|file| file.to_str());
        match (file, parts.next()) {
            (Some(file), None) if self.file(first, file).is_ok() => Inside::OfResult(first),
            _ if folder.join(RESULT_FILE).exists() || folder.join(OWNER_FILE).exists() => Inside::Own,
            _ => Inside::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_the_stores_is_told_from_what_only_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let folder = store.begin("ab", Some("ann")).unwrap().keep("{}").unwrap();
        std::fs::write(folder.join("liver.nii.gz"), b"mask").unwrap();
        std::fs::create_dir(store.root().join("cafe")).unwrap();
        std::fs::write(store.root().join("cafe/scan.nii"), b"scan").unwrap();
        let inside = |name: &str| {
            let path = store.root().join(name);
            format!("{:?}", store.inside(&path))
        };
        assert_eq!(inside("ab/liver.nii.gz"), "OfResult(\"ab\")");
        for own in [
            "ab",
            "ab/.owner",
            "ab/nothing.nii",
            "ab/liver.nii.gz/x",
            "images/common/00.nii.gz",
            "masks/00/00.mask",
            "tasks/x.json",
            "sessions/x.json",
            "underway/ab",
            ".partial-x/liver.nii.gz",
        ] {
            assert_eq!(inside(own), "Own", "{own}");
        }
        for foreign in ["", "scan.nii", "scans/scan.nii", "cd/scan.nii", "../scan.nii"] {
            assert_eq!(inside(foreign), "Foreign", "{foreign}");
        }
        assert_eq!(store.inside(Path::new("/elsewhere/ab/liver.nii.gz")), Inside::Foreign);
    }
}
