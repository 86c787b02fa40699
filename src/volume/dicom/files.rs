//! Which files a name stands for.

use std::path::{Path, PathBuf};

use super::SeriesError;
use super::attributes::text;
use super::file::Dicom;
use super::spot::{Packed, Spot, is_zip};
use crate::volume::{Around, Input};
use dicom_dictionary_std::tags;

/// Files that are looked at: three times those of the longest series there is.
pub(super) const MOST_FILES: usize = 20_000;
/// Folders within folders.
const MOST_DEPTH: usize = 8;
/// Folders altogether.
const MOST_FOLDERS: usize = 2_000;

/// The files of a folder, of a zip file, or beside the one that is named, and then the series of that one.
pub(super) fn files_of(input: &Input, limit: u64) -> Result<(Vec<Spot>, Option<String>), SeriesError> {
    let path = &input.path;
    if is_zip(path) {
        return Ok((Packed::open(path, limit, MOST_FILES)?, None));
    }
    let (folder, own) = match path.is_dir() {
        true => (path.to_owned(), None),
        false => {
            let own = Dicom::open(&Spot::File(path.clone()), limit)?.ok_or(SeriesError::Changed)?;
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (folder.unwrap_or(Path::new(".")).to_owned(), Some(own))
        }
    };
    // A directory of a medium (DICOMDIR) stands for the files around it, wherever it points.
    let own = own.filter(|own| !own.is_directory());
    let series = own.map(|own| text(&own.header, tags::SERIES_INSTANCE_UID).unwrap_or_default());
    // What lies beside it is none of its caller's.
    if input.around == Around::Nothing {
        let alone = series.iter().map(|_| Spot::File(path.clone())).collect();
        return Ok((alone, series));
    }
    let mut listing = Listing {
        closed: match &input.around {
            Around::Except(folder) => closed(folder),
            Around::All | Around::Nothing => Vec::new(),
        },
        files: Vec::new(),
        folders: 0,
    };
    // Of one file, the series lies beside it; of a folder, also in folders below.
    listing.list(&folder, if series.is_some() { 0 } else { MOST_DEPTH })?;
    listing.files.sort();
    Ok((listing.files.into_iter().map(Spot::File).collect(), series))
}

/// Where a closed folder and those in it really lie: they may be links to other disks.
fn closed(folder: &Path) -> Vec<PathBuf> {
    let within = std::fs::read_dir(folder).into_iter().flatten();
    let within = within
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir());
    let all = std::iter::once(folder.to_owned()).chain(within);
    all.filter_map(|path| path.canonicalize().ok()).collect()
}

struct Listing {
    closed: Vec<PathBuf>,
    files: Vec<PathBuf>,
    folders: usize,
}

impl Listing {
    /// Files of a folder and of those below. Links are followed to files only, and only within the folder.
    fn list(&mut self, folder: &Path, depth: usize) -> Result<(), SeriesError> {
        self.folders += 1;
        let real = folder.canonicalize().map_err(SeriesError::Read)?;
        if self.is_closed(&real) {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(SeriesError::Read)? {
            let entry = entry.map_err(SeriesError::Read)?;
            let kind = entry.file_type().map_err(SeriesError::Read)?;
            if kind.is_dir() && depth > 0 {
                self.list(&entry.path(), depth - 1)?;
            } else if kind.is_file() || (kind.is_symlink() && self.stays_within(&real, &entry.path())) {
                self.files.push(entry.path());
            }
            if self.files.len() > MOST_FILES || self.folders > MOST_FOLDERS {
                return Err(SeriesError::ManyFiles { limit: MOST_FILES });
            }
        }
        Ok(())
    }

    fn is_closed(&self, real: &Path) -> bool {
        self.closed.iter().any(|closed| real.starts_with(closed))
    }

    /// Whether a link leads to a file of the same folder: one that leads elsewhere could lead out of what may be read.
    fn stays_within(&self, folder: &Path, link: &Path) -> bool {
        let target = link.canonicalize().ok();
        target.is_some_and(|target| target.is_file() && target.starts_with(folder) && !self.is_closed(&target))
    }
}
