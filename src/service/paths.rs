//! Which file a caller means, and whether the caller may read it.

use super::{Code, Fault};
use crate::volume::ReadError;
use std::path::{Component, Path, PathBuf};

/// Which files callers may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Any: a person at the command line. Relative paths start at the working directory.
    Anything,
    /// Those in these folders, with links followed. Relative paths start at the first of them.
    Roots(Vec<PathBuf>),
}

impl Access {
    /// The file that `given`, a path or a `file://` URI, names. Whether it exists is told only inside the roots.
    pub fn resolve(&self, given: &str) -> Result<PathBuf, Fault> {
        let path = plain_path(given)?;
        match self {
            Access::Anything => Ok(path),
            Access::Roots(roots) => within(given, &path, roots),
        }
    }
}

/// A path as the URI that answers give; [`shown`] undoes it.
pub(super) fn uri_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    url::Url::from_file_path(&absolute)
        .map(String::from)
        .unwrap_or_else(|()| absolute.display().to_string())
}

/// A file URI as the path that people write.
pub(super) fn shown(uri: &str) -> String {
    let path = url::Url::parse(uri).ok().and_then(|url| url.to_file_path().ok());
    path.map_or_else(|| uri.to_owned(), |path| path.display().to_string())
}

/// A reader's error as a fault: `not_found` where there is no such file, `otherwise` for the rest.
pub(super) fn read_fault(error: ReadError, otherwise: Code) -> Fault {
    let code = if matches!(error, ReadError::NotFound { .. }) {
        Code::NotFound
    } else {
        otherwise
    };
    Fault::new(code, super::faults::sentence(error.to_string()))
}

fn plain_path(given: &str) -> Result<PathBuf, Fault> {
    if given.trim().is_empty() {
        return Err(
            Fault::new(Code::InvalidArgument, "The path is empty.").hint("Give the path of a .nii or .nii.gz file.")
        );
    }
    let scheme = given
        .split_once(':')
        .map(|(scheme, _)| scheme)
        .filter(|scheme| scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
    match scheme {
        Some("file") => url::Url::parse(given)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or_else(|| {
                Fault::new(
                    Code::InvalidArgument,
                    format!("{given}: this file URI names no path on this machine."),
                )
                .hint("Write it as file:///folder/scan.nii.gz.")
            }),
        Some("dicomweb") => Err(Fault::new(
            Code::InvalidArgument,
            format!("{given}: no DICOMweb server is configured."),
        )
        .hint("This version reads NIfTI files; give the path of a .nii or .nii.gz file.")),
        Some(scheme) if given[scheme.len()..].starts_with("://") => Err(Fault::new(
            Code::InvalidArgument,
            format!("{given}: {scheme}: addresses are not fetched."),
        )
        .hint("Give the path of a file on this machine, or a file:// URI.")),
        _ => Ok(PathBuf::from(given)),
    }
}

/// The same fault for a caller who is told nothing of where files lie.
pub(super) fn unplaced(fault: Fault) -> Fault {
    match fault.code {
        Code::OutsideRoots => {
            fault.hint("Name a file that whoever runs the server has put there, or send it with PUT /images.")
        }
        _ => fault,
    }
}

/// The fault of a path that a caller who is limited to `roots` may not read.
pub(super) fn outside(given: &str, roots: &[PathBuf]) -> Fault {
    let roots = roots
        .iter()
        .map(|root| root.display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    Fault::new(
        Code::OutsideRoots,
        format!("{given}: this path lies outside the folders that the server may read."),
    )
    .hint(format!(
        "It may read {roots}; put the file there, or start the server with --data-root FOLDER."
    ))
}

fn within(given: &str, path: &Path, roots: &[PathBuf]) -> Result<PathBuf, Fault> {
    let real = roots.first().map(|first| followed(&first.join(path)));
    real.filter(|real| roots.iter().any(|root| real.starts_with(root)))
        .ok_or_else(|| outside(given, roots))
}

/// Where an absolute path leads, step by step with links followed. A `..` takes back the step before it, be that a folder, a
/// file or nothing at all, so that nothing is told about what there is elsewhere.
fn followed(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut reached, step| {
        match step {
            Component::ParentDir => {
                reached.pop();
            }
            step => reached.push(step),
        }
        reached.canonicalize().unwrap_or(reached)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn code(access: &Access, given: &str) -> Code {
        access.resolve(given).unwrap_err().code
    }

    #[test]
    fn a_server_reads_only_below_its_roots_whatever_the_spelling() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let root = top.join("scans");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.nii"), b"").unwrap();
        std::fs::write(top.join("secret.nii"), b"").unwrap();
        let access = Access::Roots(vec![root.clone()]);
        for given in [
            "a.nii",
            "./a.nii",
            "../scans/a.nii",
            "a.nii/../a.nii",
            "not-there/../a.nii",
            "../not-there/../scans/a.nii",
            &format!("file://{}/a.nii", root.display()),
        ] {
            assert_eq!(access.resolve(given).unwrap(), root.join("a.nii"), "{given}");
        }
        for given in [
            "../secret.nii",
            "/etc/passwd",
            "../nothing.nii",
            "x/../../secret.nii",
            "a.nii/../../secret.nii",
            "/nowhere/at/all",
        ] {
            assert_eq!(code(&access, given), Code::OutsideRoots, "{given}");
        }
        assert_eq!(access.resolve("not-there.nii").unwrap(), root.join("not-there.nii"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_of_the_roots_is_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("scans");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        let access = Access::Roots(vec![root]);
        for given in ["link/passwd", "not-there/../link/passwd", "link/../etc/passwd"] {
            assert_eq!(code(&access, given), Code::OutsideRoots, "{given}");
        }
    }

    #[test]
    fn addresses_are_not_fetched() {
        for given in [
            "http://example.org/a.nii",
            "s3://bucket/a.nii",
            "dicomweb:1.2/3.4",
            "",
            "file://host/share/a",
        ] {
            assert_eq!(code(&Access::Anything, given), Code::InvalidArgument, "{given}");
        }
        assert_eq!(
            Access::Anything.resolve("C:/scan.nii").unwrap(),
            PathBuf::from("C:/scan.nii")
        );
    }
}
