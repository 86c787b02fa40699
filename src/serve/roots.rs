//! Which folders `serve` may read.

use super::ServeError;
use std::path::{Path, PathBuf};

/// The folders to serve: those given, made absolute with links resolved; without any, the working directory, unless
/// that would lay open the whole disk or everything of a person's.
pub fn data_roots(given: Vec<PathBuf>, cwd: &Path, home: Option<&Path>) -> Result<Vec<PathBuf>, ServeError> {
    if given.is_empty() {
        let root = folder(cwd)?;
        let home = home.and_then(|home| home.canonicalize().ok());
        let holds_home = home.is_some_and(|home| home.starts_with(&root));
        if root.parent().is_none() || holds_home {
            return Err(ServeError::RootTooWide { cwd: root });
        }
        return Ok(vec![root]);
    }
    given.iter().map(|root| folder(root)).collect()
}

fn folder(path: &Path) -> Result<PathBuf, ServeError> {
    let canonical = path.canonicalize().map_err(|source| ServeError::Root {
        path: path.to_owned(),
        source,
    })?;
    if !canonical.is_dir() {
        return Err(ServeError::RootNotAFolder { path: path.to_owned() });
    }
    Ok(canonical)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn without_a_root_the_working_directory_is_served() {
        let home = tempfile::tempdir().unwrap();
        let scans = home.path().join("scans");
        std::fs::create_dir(&scans).unwrap();
        assert_eq!(
            data_roots(vec![], &scans, Some(home.path())).unwrap(),
            [scans.canonicalize().unwrap()]
        );
    }

    #[test]
    fn the_whole_disk_and_the_home_folder_are_never_served_by_accident() {
        let home = tempfile::tempdir().unwrap();
        let above = home.path().parent().unwrap();
        for cwd in [Path::new("/"), home.path(), above] {
            let refused = data_roots(vec![], cwd, Some(home.path())).unwrap_err().to_string();
            assert!(refused.contains("--data-root"), "{refused}");
        }
    }

    #[test]
    fn roots_given_by_name_are_served_with_their_links_resolved() {
        let disk = tempfile::tempdir().unwrap();
        let (real, link) = (disk.path().join("real"), disk.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&real, &link).unwrap();
        #[cfg(unix)]
        assert_eq!(
            data_roots(vec![link], disk.path(), None).unwrap(),
            [real.canonicalize().unwrap()]
        );
        assert_eq!(
            data_roots(vec!["/".into()], disk.path(), None).unwrap(),
            [Path::new("/")]
        );
    }

    #[test]
    fn a_root_that_is_no_folder_is_refused_by_name() {
        let disk = tempfile::tempdir().unwrap();
        let file = disk.path().join("scan.nii");
        std::fs::write(&file, "").unwrap();
        for wrong in [file, disk.path().join("missing")] {
            let refused = data_roots(vec![wrong.clone()], disk.path(), None)
                .unwrap_err()
                .to_string();
            assert!(refused.contains(wrong.to_str().unwrap()), "{refused}");
        }
    }
}
