//! Images as callers name them: a path, a file URI, the URI of an image that was sent or a series in an archive, and after a `#`
//! which image there.

use super::images::IMAGES;
use super::remote::{DICOMWEB, Remote};
use super::{Access, Caller, Code, Fault, ResourceFile, Service, paths};
use crate::store::Whose;
use crate::volume::{Around, Input, ReadError, pair_names};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Digits of a hash that make a name for people.
const SHORT: usize = 8;

/// Files of a folder by which it is known.
const MOST_ENTRIES: usize = 10_000;

/// An image that a caller has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// Where it lies, and which of several images there it is.
    pub input: Input,
    /// What it is called in answers: it leads to the same image.
    pub uri: String,
    /// The series in an archive that it is; it lies nowhere until [`Service::at_hand`] has fetched it.
    pub remote: Option<Remote>,
}

impl From<ResourceFile> for Given {
    fn from(file: ResourceFile) -> Given {
        Given {
            input: Input::at(file.path),
            uri: file.uri,
            remote: None,
        }
    }
}

impl Given {
    /// A reader's error as a fault, which names the file as it was given: where that lies may be nobody's business.
    pub fn fault(&self, error: ReadError, otherwise: Code) -> Fault {
        let mut fault = paths::read_fault(error, otherwise);
        if self.uri == paths::uri_of(&self.input) {
            return fault;
        }
        let name = self.uri_of_file();
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let others = pair_names(&self.input.path).into_iter().flatten();
        for other in others.chain(self.input.other.clone()) {
            let file = other.file_name().unwrap_or_default().to_string_lossy();
            let gap = if folder.is_empty() { "" } else { "/" };
            let told = format!("{folder}{gap}{file}");
            fault.message = fault.message.replace(&other.display().to_string(), &told);
        }
        fault.message = fault.message.replace(&self.input.path.display().to_string(), name);
        fault
    }

    /// What the file is called, whichever image in it is meant.
    fn uri_of_file(&self) -> &str {
        match (&self.input.choice, self.uri.rsplit_once('#')) {
            (Some(_), Some((file, _))) => file,
            _ => &self.uri,
        }
    }

    /// A name for what is in the file.
    pub fn stem(&self) -> String {
        let choice = self.input.choice.as_ref().map(|choice| format!("#{choice}"));
        let choice = choice.unwrap_or_default();
        if let Some(sha256) = self.uri_of_file().strip_prefix(IMAGES) {
            return format!("image {}{choice}", &sha256[..sha256.len().min(SHORT)]);
        }
        let file = self.input.path.file_name().unwrap_or_default().to_string_lossy();
        let bare = file.trim_end_matches(".gz");
        let stem = [".nii", ".hdr", ".img"].iter().find_map(|end| bare.strip_suffix(end));
        format!("{}{choice}", stem.unwrap_or(bare))
    }
}

/// By what files that have been written anew are known without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<FileStamp>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    place: PathBuf,
    /// None for an image that was sent or is in an archive: its name is its hash, and its time that of its last use.
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Stamp {
    /// Of a file as it is now; none where its system has no times.
    pub fn of(place: PathBuf) -> Option<Stamp> {
        Stamp::of_all(std::iter::once(place.as_path()))
    }

    fn of_all<'a>(files: impl Iterator<Item = &'a Path>) -> Option<Stamp> {
        let mut stamps = Vec::new();
        for file in files {
            stamps.push(FileStamp::of(file)?);
            // The files of a series; of folders below, that something was added or taken away.
            if let Ok(entries) = std::fs::read_dir(file) {
                let entries = entries
                    .take(MOST_ENTRIES)
                    .filter_map(|entry| FileStamp::of(&entry.ok()?.path()));
                stamps.extend(entries);
            }
        }
        Some(Stamp(stamps))
    }
}

impl FileStamp {
    fn of(file: &Path) -> Option<FileStamp> {
        let metadata = file.metadata().ok()?;
        Some(FileStamp {
            place: file.to_owned(),
            modified: Some(metadata.modified().ok()?),
            bytes: metadata.len(),
        })
    }
}

impl Service {
    /// The file that an image's name means to `caller`, or the place in an archive, where it means one.
    pub fn place_of(&self, caller: &Caller, given: &str) -> Option<PathBuf> {
        self.given(caller, given).ok().map(|given| given.input.path)
    }

    /// By what it would be seen that the files which an image's name means have changed; none where it means none.
    pub fn stamp(&self, caller: &Caller, given: &str) -> Option<Stamp> {
        let named = self.given(caller, given).ok()?;
        if let Some(remote) = &named.remote {
            // What it is of is in the name; nothing is read here that a file could be written under.
            return Some(Stamp(vec![FileStamp {
                place: self.state_of(remote).ok()?.into(),
                modified: None,
                bytes: 0,
            }]));
        }
        let input = named.input;
        // One file of a series stands for those beside it.
        let beside = input.is_dicom_file().then(|| input.path.parent()).flatten();
        let mut stamp = Stamp::of_all(input.files().chain(beside))?;
        if given.starts_with(IMAGES) {
            stamp.0.iter_mut().for_each(|file| file.modified = None);
        }
        Some(stamp)
    }

    /// The image that `caller` means by a path, a file URI, the URI of an image that was sent or the name of a series in an
    /// archive, each with `#` and which image there where there are several.
    pub(super) fn given(&self, caller: &Caller, given: &str) -> Result<Given, Fault> {
        if given.starts_with(DICOMWEB) && self.reaches_out() {
            return self.remote(given);
        }
        let Some(sent) = given.strip_prefix(IMAGES) else {
            let resolved = self.settings.access.resolve(given);
            let resolved = resolved.and_then(|input| {
                input.files().try_for_each(|file| self.open_to(caller, given, file))?;
                // Nor is anybody's to be found by naming a folder around the store.
                let around = match (&self.settings.access, self.store.root().canonicalize()) {
                    (Access::Roots(_), Ok(store)) => Around::Except(store),
                    _ => Around::All,
                };
                Ok(input.within(around))
            });
            // Who shares no disk with us hears of our folders only what they have said themselves.
            return match caller.sees_paths() {
                true => resolved.map(|input| Given {
                    uri: paths::uri_of(&input),
                    input,
                    remote: None,
                }),
                false => resolved.map_err(paths::unplaced).map(|input| Given {
                    uri: given.to_owned(),
                    input,
                    remote: None,
                }),
            };
        };
        let (sha256, choice) =
            paths::split_choice(sent).map_or((sent, None), |(sha256, choice)| (sha256, Some(choice)));
        let image = self.stored_image(caller, sha256)?;
        self.store.use_image(&image);
        Ok(Given {
            input: Input::at(&image.path)
                .choosing(choice.map(str::to_owned))
                .within(Around::Nothing),
            uri: given.to_owned(),
            remote: None,
        })
    }

    /// Refuses a path of the store's, unless it is that of a result's file or an image which `caller` may see: what is another
    /// caller's is as far outside as what the store keeps for itself. Whoever may name any file has the results folder before
    /// them anyway.
    fn open_to(&self, caller: &Caller, given: &str, path: &Path) -> Result<(), Fault> {
        let Access::Roots(roots) = &self.settings.access else {
            return Ok(());
        };
        match self.store.whose(path) {
            None => Ok(()),
            Some(Whose::Of(owner)) if caller.may_see(owner.as_deref()) => Ok(()),
            Some(_) => Err(paths::outside(given, roots)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::{Settings, tests::settings};

    fn service(root: &Path) -> Service {
        Service::without_model(Settings {
            access: Access::Roots(vec![root.to_owned()]),
            ..settings(root)
        })
        .unwrap()
    }

    #[test]
    fn a_pair_is_known_by_both_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (service, caller) = (service(&root), Caller::neighbour());
        std::fs::write(root.join("a.hdr"), b"header").unwrap();
        let alone = service.stamp(&caller, "a.hdr").unwrap();
        std::fs::write(root.join("a.img"), b"voxels").unwrap();
        let pair = service.stamp(&caller, "a.hdr").unwrap();
        assert_ne!(alone, pair);
        std::fs::write(root.join("a.img"), b"other voxels").unwrap();
        assert_ne!(service.stamp(&caller, "a.hdr").unwrap(), pair);
    }

    #[test]
    fn who_sees_no_paths_hears_of_a_file_as_it_was_named_whichever_of_a_pair_is_at_fault() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let service = service(&root);
        std::fs::create_dir(root.join("study")).unwrap();
        let far = Caller::neighbour().without_paths();
        let told = |given: &str, path: &str| {
            let given = service.given(&far, given).unwrap();
            let path = root.join(path);
            let error = ReadError::Empty { path };
            given.fault(error, Code::BadImage).message
        };
        std::fs::write(root.join("study/a.hdr"), b"header").unwrap();
        std::fs::write(root.join("study/a.img"), b"voxels").unwrap();
        for (given, path, said) in [
            ("study/a.hdr", "study/a.hdr", "study/a.hdr: "),
            ("study/a.hdr#3", "study/a.hdr", "study/a.hdr: "),
            ("study/a.hdr", "study/a.img", "study/a.img: "),
            ("study/a.img", "study/a.hdr.gz", "study/a.hdr.gz: "),
        ] {
            let message = told(given, path);
            assert!(message.starts_with(said), "{message}");
        }
    }
}
