//! Which files of a folder make a series.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;

use super::attributes::text;
use super::file::{self, Dicom};
use super::image::{Image, Instance, images};
use super::note::Note;
use super::spot::{Packed, Spot, is_zip};
use super::{SeriesError, SeriesLine};
use crate::volume::Input;

/// Files that are looked at, unless a caller says otherwise: three times the longest series there is.
pub(super) const MOST_FILES: usize = 20_000;
/// Folders within folders.
const MOST_DEPTH: usize = 8;

/// The files of one series.
pub(super) struct Found {
    /// The header of the first file, by Instance Number.
    pub header: InMemDicomObject,
    pub modality: String,
    pub instances: Vec<Instance>,
    pub images: Vec<Image>,
    /// The earliest Acquisition Date and Time.
    pub acquired: Option<(String, String)>,
    pub notes: Vec<Note>,
}

/// A file that was looked at.
struct Looked {
    spot: Spot,
    dicom: Dicom,
    series: String,
    modality: String,
}

/// Finds the series that `path`, a folder or one file of it, stands for.
///
/// # Errors
/// When there is none, or several and `wanted` (a Series Instance UID) names none of them.
pub(super) fn find(input: &Input, wanted: Option<&str>, limit: u64) -> Result<Found, SeriesError> {
    let (files, own) = files_of(input, limit)?;
    find_among(&files, wanted.map(str::to_owned).or(own), limit)
}

/// Finds the series of this UID, or the only one, among these files.
pub(super) fn find_among(files: &[Spot], wanted: Option<String>, limit: u64) -> Result<Found, SeriesError> {
    let found = choose(look(files, limit)?, files.len(), wanted);
    match found {
        // Only now it matters what else there is, if it is not DICOM as files are.
        Err(SeriesError::NoImages { files: all, others }) => {
            let headless = files.iter().filter(|spot| file::lacks_head(spot, limit)).count();
            Err(SeriesError::NoImages {
                files: all,
                others: match headless {
                    0 => others,
                    _ => format!(
                        "{others}; {headless} would be, but for the preamble and meta information that DICOM files begin with, which dcmconv writes"
                    ),
                },
            })
        }
        found => found,
    }
}

/// The files that a name stands for, and the series of the one that it names.
fn files_of(input: &Input, limit: u64) -> Result<(Vec<Spot>, Option<String>), SeriesError> {
    let path = &input.path;
    if is_zip(path) {
        return Ok((Packed::open(path, limit, MOST_FILES)?, None));
    }
    let spot = Spot::File(path.clone());
    let (folder, own) = match path.is_dir() {
        true => (path.to_owned(), None),
        false => {
            let own = Dicom::open(&spot, limit)?.ok_or(SeriesError::Changed)?;
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (folder.unwrap_or(Path::new(".")).to_owned(), Some(own))
        }
    };
    // A directory of a medium (DICOMDIR) stands for the files around it, wherever it points.
    let own = own.filter(|own| !own.is_directory());
    // Of one file, the series lies beside it; of a folder, also in folders below.
    let depth = if own.is_some() { 0 } else { MOST_DEPTH };
    let mut files = Vec::new();
    match input.closed.as_deref() {
        // What lies beside it is none of its caller's.
        Some(closed) if closed == folder => files.extend(own.as_ref().map(|_| path.clone())),
        closed => list(&folder, depth, closed, &mut files)?,
    }
    files.sort();
    let own = own.map(|own| uid_of(&own.header));
    Ok((files.into_iter().map(Spot::File).collect(), own))
}

fn uid_of(header: &InMemDicomObject) -> String {
    text(header, tags::SERIES_INSTANCE_UID).unwrap_or_default()
}

/// Files of a folder and of those below; links are followed to files only within it.
fn list(folder: &Path, depth: usize, closed: Option<&Path>, files: &mut Vec<PathBuf>) -> Result<(), SeriesError> {
    for entry in std::fs::read_dir(folder).map_err(SeriesError::Read)? {
        let entry = entry.map_err(SeriesError::Read)?;
        let kind = entry.file_type().map_err(SeriesError::Read)?;
        if kind.is_dir() && depth > 0 {
            if Some(entry.path().as_path()) != closed {
                list(&entry.path(), depth - 1, closed, files)?;
            }
        } else if kind.is_file() || (kind.is_symlink() && stays_within(folder, &entry.path())) {
            files.push(entry.path());
        }
        if files.len() > MOST_FILES {
            return Err(SeriesError::ManyFiles { limit: MOST_FILES });
        }
    }
    Ok(())
}

/// Whether a link leads to a file beside it: one that leads elsewhere could lead out of what may be read.
fn stays_within(folder: &Path, link: &Path) -> bool {
    let within = || -> std::io::Result<bool> {
        let target = link.canonicalize()?;
        Ok(target.is_file() && target.starts_with(folder.canonicalize()?))
    };
    within().unwrap_or(false)
}

/// Reads all headers. What is no DICOM file is passed over; one that is damaged is an error, since its slice would be missing.
fn look(files: &[Spot], limit: u64) -> Result<Vec<Looked>, SeriesError> {
    let looked = files.par_iter().map(|spot| {
        let dicom = match Dicom::open(spot, limit) {
            Ok(Some(dicom)) => dicom,
            Ok(None) => return Ok(None),
            // No slice is missing for want of a directory.
            Err(SeriesError::Damaged(_)) if file::says_directory(spot, limit) => return Ok(None),
            Err(error) => return Err(error.of(spot)),
        };
        Ok(Some(Looked {
            spot: spot.clone(),
            series: uid_of(&dicom.header),
            modality: text(&dicom.header, tags::MODALITY).unwrap_or_default(),
            dicom,
        }))
    });
    Ok(looked
        .collect::<Result<Vec<_>, SeriesError>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn choose(looked: Vec<Looked>, files: usize, wanted: Option<String>) -> Result<Found, SeriesError> {
    let mut series: BTreeMap<String, Vec<Looked>> = BTreeMap::new();
    let mut others: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for file in looked {
        // Reports, segmentations and the like are not what a folder of images is opened for, unless one was named.
        let named = wanted.as_ref() == Some(&file.series);
        match file.dicom.walked.has_pixels() && (is_read(&file.modality) || named) {
            true => series.entry(file.series.clone()).or_default().push(file),
            false => {
                let pixels = file.dicom.walked.has_pixels();
                *others.entry((file.modality, pixels)).or_default() += 1;
            }
        }
    }
    let lines = || -> Vec<SeriesLine> { series.iter().map(|(uid, files)| line(uid, files)).collect() };
    let chosen = match wanted {
        Some(uid) if series.contains_key(&uid) => uid,
        Some(uid) => return Err(SeriesError::NoSeries { uid, found: lines() }),
        None if series.len() > 1 => return Err(SeriesError::ManySeries(lines())),
        None => series.keys().next().cloned().ok_or_else(|| SeriesError::NoImages {
            files,
            others: told(&others),
        })?,
    };
    found(series.remove(&chosen).unwrap_or_default())
}

/// Whether images of a modality are read at all.
fn is_read(modality: &str) -> bool {
    matches!(modality, "CT" | "MR" | "PT")
}

fn told(others: &BTreeMap<(String, bool), usize>) -> String {
    let words: Vec<String> = others
        .iter()
        .map(|((modality, pixels), count)| {
            let bare = if is_read(modality) && !pixels {
                " without pixels"
            } else {
                ""
            };
            match modality.is_empty() {
                true => format!("{count} without a modality"),
                false => format!("{count} of modality {modality}{bare}"),
            }
        })
        .collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(" of CT, MR or PET ({})", words.join(", ")),
    }
}

fn line(uid: &str, files: &[Looked]) -> SeriesLine {
    let first = files.first();
    SeriesLine {
        uid: uid.to_owned(),
        modality: first.map(|file| file.modality.clone()).unwrap_or_default(),
        description: first.and_then(|file| text(&file.dicom.header, tags::SERIES_DESCRIPTION)),
        images: files
            .iter()
            .map(|file| super::attributes::count(&file.dicom.header, tags::NUMBER_OF_FRAMES).unwrap_or(1))
            .sum(),
    }
}

/// The images of a series, from its files.
fn found(mut files: Vec<Looked>) -> Result<Found, SeriesError> {
    let modality = files.first().map(|file| file.modality.clone()).unwrap_or_default();
    if !is_read(&modality) {
        return Err(SeriesError::Modality { modality });
    }
    let number = |file: &Looked| super::attributes::number(&file.dicom.header, tags::INSTANCE_NUMBER).unwrap_or(0.0);
    files.sort_by(|a, b| {
        number(a)
            .total_cmp(&number(b))
            .then_with(|| a.spot.name().cmp(&b.spot.name()))
    });
    let acquired = files.iter().filter_map(|file| {
        let header = &file.dicom.header;
        text(header, tags::ACQUISITION_DATE).zip(text(header, tags::ACQUISITION_TIME))
    });
    let acquired = acquired.min();
    let mut header = None;
    let mut found = Found {
        header: InMemDicomObject::new_empty(),
        modality,
        instances: Vec::new(),
        images: Vec::new(),
        acquired,
        notes: Vec::new(),
    };
    let (mut uids, mut copies, mut others) = (std::collections::HashSet::new(), 0, 0);
    let mut grey = Ok(());
    for file in files {
        if super::attributes::texts(&file.dicom.header, tags::IMAGE_TYPE)
            .iter()
            .any(|kind| kind == "MOSAIC")
        {
            return Err(SeriesError::Mosaic);
        }
        if let Some(damage) = &file.dicom.walked.damage {
            return Err(SeriesError::Damaged(damage.clone()).of(&file.spot));
        }
        let (instance, mut images) = match images(&file.dicom, file.spot.clone(), found.instances.len()) {
            Ok(both) => both,
            // A dose report as a colour picture, say, beside the slices.
            Err(error @ SeriesError::NotGrey(_)) => {
                others += 1;
                grey = grey.and(Err(error));
                continue;
            }
            Err(error) => return Err(error.of(&file.spot)),
        };
        // The same instance, exported twice under two names.
        if !instance.source.uid.is_empty() && !uids.insert(instance.source.uid.clone()) {
            copies += images.len();
            continue;
        }
        header.get_or_insert(file.dicom.header);
        found.instances.push(instance);
        found.images.append(&mut images);
    }
    if found.images.is_empty() {
        grey?;
    }
    if others > 0 {
        found.notes.push(Note::OthersLeftOut { images: others });
    }
    if copies > 0 {
        found.notes.push(Note::CopiesLeftOut { images: copies });
    }
    found.header = header.unwrap_or_else(InMemDicomObject::new_empty);
    Ok(found)
}
