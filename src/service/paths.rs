//! Which file a caller means, and whether the caller may read it.

use super::{Code, Fault};
use crate::volume::{Around, Input, ReadError, pair_names};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use std::path::{Component, Path, PathBuf};

/// What does not stand as it is in the fragment of a URI.
const FRAGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'%');

/// Which files callers may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Any: a person at the command line. Relative paths start at the working directory.
    Anything,
    /// Those in these folders, with links followed. Relative paths start at the first of them.
    Roots(Vec<PathBuf>),
}

impl Access {
    /// The image that `given` names: a path or a `file://` URI, and after a `#` which of several images there. Whether a file
    /// exists is told only inside the roots.
    ///
    /// A path that has a `#` in it and is there is taken as it stands; in a URI such a `#` is written `%23`.
    pub fn resolve(&self, given: &str) -> Result<Input, Fault> {
        let named = Named::parse(given)?;
        let whole = self.place(given, &named.path);
        let (path, place, choice) = match named.split() {
            // The whole may be outside where the path before the `#` is not: that of a root itself.
            Some((path, choice)) if !self.is_there(&named.path, whole.as_ref().ok()) => {
                let place = self.place(given, &path)?;
                (path, place, Some(choice))
            }
            _ => (named.path, whole?, named.choice),
        };
        // The other file of a pair goes by the name that was given: links may lead the two to different folders, and neither
        // may lead out.
        let others = pair_names(&path).into_iter().flatten();
        let other = others
            .map(|other| self.place(given, &other))
            .find(|other| other.as_ref().map_or(true, |other| other.exists()))
            .transpose()?;
        Ok(Input {
            path: place,
            other,
            choice,
            around: Around::All,
        })
    }

    /// Whether there is something at a path, be it a link that leads out.
    fn is_there(&self, path: &Path, place: Option<&PathBuf>) -> bool {
        let link = match self {
            Access::Anything => None,
            Access::Roots(roots) => roots.first().map(|first| first.join(path)),
        };
        place.is_some_and(|place| place.exists()) || link.is_some_and(|link| link.symlink_metadata().is_ok())
    }

    /// Where a path leads, if it may be read.
    fn place(&self, given: &str, path: &Path) -> Result<PathBuf, Fault> {
        match self {
            Access::Anything => Ok(path.to_owned()),
            Access::Roots(roots) => within(given, path, roots),
        }
    }
}

/// What a caller wrote, taken apart.
struct Named {
    path: PathBuf,
    choice: Option<String>,
    /// Whether what is a `#` and what is none was said by percent signs.
    is_uri: bool,
}

impl Named {
    /// The path before the last `#`, and what stands behind it; none where that is part of a folder's name.
    fn split(&self) -> Option<(PathBuf, String)> {
        let (path, choice) = split_choice(self.path.to_str().filter(|_| !self.is_uri)?)?;
        Some((path.into(), choice.to_owned()))
    }
}

/// A name without its choice, and the choice, where it has one.
pub(super) fn split_choice(given: &str) -> Option<(&str, &str)> {
    given
        .rsplit_once('#')
        .filter(|(path, choice)| !path.is_empty() && !choice.contains(['/', '\\']))
}

/// An image as the URI that answers give; [`shown`] undoes it.
pub(super) fn uri_of(input: &Input) -> String {
    let absolute = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
    let Ok(mut url) = url::Url::from_file_path(&absolute) else {
        return absolute.display().to_string();
    };
    let choice = input.choice.as_deref();
    let escaped = choice.map(|choice| utf8_percent_encode(choice, FRAGMENT).to_string());
    url.set_fragment(escaped.as_deref());
    url.into()
}

/// A file URI as the path that people write.
pub(super) fn shown(uri: &str) -> String {
    let Some(Ok(named)) = uri.starts_with("file:").then(|| Named::parse(uri)) else {
        return uri.to_owned();
    };
    let choice = named.choice.map(|choice| format!("#{choice}")).unwrap_or_default();
    format!("{}{choice}", named.path.display())
}

/// How a message may name the image of this URI: whole, and without its choice, as URIs and as people write them. What has
/// another in it comes first.
pub(super) fn spellings(uri: &str) -> Vec<String> {
    let file = uri.split_once('#').filter(|_| uri.starts_with("file:"));
    let names = std::iter::once(uri).chain(file.map(|(file, _)| file));
    let mut names: Vec<String> = names.flat_map(|name| [name.to_owned(), shown(name)]).collect();
    // The error may be about the other file of a pair.
    let others = names.last().and_then(|name| pair_names(Path::new(name)));
    names.extend(others.into_iter().flatten().map(|other| other.display().to_string()));
    names
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

impl Named {
    fn parse(given: &str) -> Result<Named, Fault> {
        if given.trim().is_empty() {
            return Err(Fault::new(Code::InvalidArgument, "The path is empty.")
                .hint("Give the path of a NIfTI file or of the folder of a DICOM series."));
        }
        let scheme = given.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
            scheme.len() > 1 && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        });
        match scheme {
            Some("file") => url::Url::parse(given)
                .ok()
                .and_then(|url| {
                    let choice = url
                        .fragment()
                        .map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
                    Some(Named {
                        path: url.to_file_path().ok()?,
                        choice,
                        is_uri: true,
                    })
                })
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
            .hint("Give the path of a scan, or have a server named in [dicomweb] of sat-mcp.toml.")),
            Some(scheme) if given[scheme.len()..].starts_with("://") => Err(Fault::new(
                Code::InvalidArgument,
                format!("{given}: {scheme}: addresses are not fetched."),
            )
            .hint("Give the path of a file on this machine, or a file:// URI.")),
            _ => Ok(Named {
                path: PathBuf::from(given),
                choice: None,
                is_uri: false,
            }),
        }
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
            assert_eq!(access.resolve(given).unwrap().path, root.join("a.nii"), "{given}");
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
        assert_eq!(
            access.resolve("not-there.nii").unwrap().path,
            root.join("not-there.nii")
        );
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
    fn what_follows_a_number_sign_is_a_choice_unless_it_is_the_files_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for file in ["a.nii", "b#1.nii", "c.nii", "c.nii#2"] {
            std::fs::write(root.join(file), b"").unwrap();
        }
        std::fs::create_dir(root.join("d#3")).unwrap();
        let top = root.display();
        for access in [Access::Roots(vec![root.clone()]), Access::Anything] {
            for (given, path, choice) in [
                ("a.nii#3", "a.nii", Some("3")),
                ("a.nii#", "a.nii", Some("")),
                ("b#1.nii", "b#1.nii", None),
                ("b#1.nii#0", "b#1.nii", Some("0")),
                ("c.nii#2", "c.nii#2", None),
                ("c.nii#3", "c.nii", Some("3")),
                ("d#3/e.nii", "d#3/e.nii", None),
                ("d#3", "d#3", None),
                ("none#1/e.nii", "none#1/e.nii", None),
                ("e.nii#1.2.3", "e.nii", Some("1.2.3")),
            ] {
                let found = access.resolve(&format!("{top}/{given}")).unwrap();
                assert_eq!(found.path, root.join(path), "{given}");
                assert_eq!(found.choice.as_deref(), choice, "{given}");
                // What answers call it leads back to it, and so does what people are shown.
                assert_eq!(access.resolve(&uri_of(&found)).unwrap(), found, "{given}");
                assert_eq!(access.resolve(&shown(&uri_of(&found))).unwrap(), found, "{given}");
            }
            for (given, path, choice) in [
                ("b%231.nii", "b#1.nii", None),
                ("b%231.nii#4", "b#1.nii", Some("4")),
                ("none%231.nii", "none#1.nii", None),
                ("c.nii#2", "c.nii", Some("2")),
                ("a.nii#5%25", "a.nii", Some("5%")),
            ] {
                let found = access.resolve(&format!("file://{top}/{given}")).unwrap();
                assert_eq!(
                    (found.path, found.choice.as_deref()),
                    (root.join(path), choice),
                    "{given}"
                );
            }
        }
        assert_eq!(Access::Anything.resolve("#3").unwrap().choice, None);
    }

    #[cfg(unix)]
    #[test]
    fn neither_a_choice_nor_the_other_file_of_a_pair_leads_out_of_the_roots() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let root = top.join("scans");
        std::fs::create_dir(&root).unwrap();
        for file in ["secret.nii", "secret.img"] {
            std::fs::write(top.join(file), b"").unwrap();
        }
        for file in ["scans/a.nii", "scans/b.hdr", "scans/c.hdr", "scans/real.img"] {
            std::fs::write(top.join(file), b"").unwrap();
        }
        symlink(top.join("secret.nii"), root.join("a.nii#1")).unwrap();
        symlink(top.join("secret.img"), root.join("b.img")).unwrap();
        symlink(root.join("real.img"), root.join("c.img")).unwrap();
        let access = Access::Roots(vec![root.clone()]);
        for given in [
            "../secret.nii#0",
            "a.nii#1",
            "/etc/passwd#1",
            "x#/../../secret.nii",
            "b.hdr",
        ] {
            assert_eq!(code(&access, given), Code::OutsideRoots, "{given}");
        }
        assert_eq!(access.resolve("a.nii#/../a.nii").unwrap().path, root.join("a.nii"));
        assert_eq!(access.resolve("c.hdr").unwrap().other, Some(root.join("real.img")));
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
            Access::Anything.resolve("C:/scan.nii").unwrap().path,
            PathBuf::from("C:/scan.nii")
        );
    }
}
