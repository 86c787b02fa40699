//! Which files make a series.

use std::collections::BTreeMap;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use rayon::prelude::*;

use super::attributes::{number, text, texts};
use super::file::{self, Dicom};
use super::files::files_of;
use super::image::{Image, Instance, Told, images};
use super::note::Note;
use super::spot::Spot;
use super::{SeriesError, SeriesLine};
use crate::volume::Input;

/// Images of a series at most: a day of functional MRI has as many.
const MOST_IMAGES: usize = 1 << 17;

/// The files of one series.
pub(super) struct Found {
    /// The header of the first file, by Instance Number.
    pub header: InMemDicomObject,
    pub modality: String,
    pub instances: Vec<Instance>,
    pub images: Vec<Image<Told>>,
    /// The earliest Acquisition Date and Time.
    pub acquired: Option<(String, String)>,
    pub notes: Vec<Note>,
}

/// What is kept of a file that was looked at.
struct Looked {
    spot: Spot,
    series: String,
    modality: String,
    description: Option<String>,
    number: f64,
    acquired: Option<(String, String)>,
    mosaic: bool,
    inverted: bool,
    damage: Option<String>,
    /// Whose it is, and where: what all files of a series have in common.
    common: [Option<String>; COMMON.len()],
    pixels: bool,
    images: Result<(Instance, Vec<Image<Told>>), SeriesError>,
}

/// What two files of one series may not differ in, lest one patient's slices stand in another's scan.
const COMMON: [(&str, dicom_core::Tag); 3] = [
    ("Patient ID", tags::PATIENT_ID),
    ("Study Instance UID", tags::STUDY_INSTANCE_UID),
    ("Frame of Reference UID", tags::FRAME_OF_REFERENCE_UID),
];

/// Finds the series that a name stands for: a folder, one file of it, or a zip file.
///
/// # Errors
/// When there is none, or several and `wanted` (a Series Instance UID) names none of them.
pub(super) fn find(input: &Input, wanted: Option<&str>, limit: u64) -> Result<Found, SeriesError> {
    let (files, own) = files_of(input, limit)?;
    find_among(&files, wanted.map(str::to_owned).or(own), limit)
}

/// Finds the series of this UID, or the only one, among these files.
pub(super) fn find_among(files: &[Spot], wanted: Option<String>, limit: u64) -> Result<Found, SeriesError> {
    let (looked, none) = look(files, limit)?;
    let mut found = match choose(looked, files.len(), wanted, limit) {
        // Only now it matters what else there is, if it is not DICOM as files are.
        Err(SeriesError::NoImages { files: all, others }) => {
            let headless = files.iter().filter(|spot| file::lacks_head(spot, limit)).count();
            return Err(SeriesError::NoImages {
                files: all,
                others: match headless {
                    0 => others,
                    _ => format!(
                        "{others}; {headless} would be, but for the preamble and meta information that DICOM files begin with, which dcmconv writes"
                    ),
                },
            });
        }
        found => found?,
    };
    if !none.is_empty() {
        found.notes.push(Note::FilesWithout {
            files: none.len(),
            first: none[0].clone(),
        });
    }
    Ok(found)
}

/// Reads all headers. What is no DICOM file is passed over, and the names of those that were expected to be; one that is damaged
/// is an error, since its slice would be missing.
fn look(files: &[Spot], limit: u64) -> Result<(Vec<Looked>, Vec<String>), SeriesError> {
    let one = |spot: &Spot| match Dicom::open(spot, limit) {
        Ok(Some(dicom)) => Ok(Ok(Looked::of(spot, &dicom))),
        // No slice is missing for want of a directory.
        Err(SeriesError::Damaged(_)) if file::says_directory(spot, limit) => Ok(Err(None)),
        Ok(None) => Ok(Err(spot.is_missed().then(|| spot.name().display().to_string()))),
        Err(error) => Err(error.of(spot)),
    };
    // Packed files are unpacked in memory: one at a time.
    let all: Result<Vec<_>, SeriesError> = match files.iter().any(|spot| matches!(spot, Spot::Packed(..))) {
        true => files.iter().map(one).collect(),
        false => files.par_iter().map(one).collect(),
    };
    let (mut looked, mut none) = (Vec::new(), Vec::new());
    for file in all? {
        match file {
            Ok(file) => looked.push(file),
            Err(name) => none.extend(name),
        }
    }
    Ok((looked, none))
}

impl Looked {
    fn of(spot: &Spot, dicom: &Dicom) -> Looked {
        let header = &dicom.header;
        let acquired = text(header, tags::ACQUISITION_DATE).zip(text(header, tags::ACQUISITION_TIME));
        Looked {
            spot: spot.clone(),
            series: text(header, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
            modality: text(header, tags::MODALITY).unwrap_or_default(),
            description: text(header, tags::SERIES_DESCRIPTION),
            number: number(header, tags::INSTANCE_NUMBER).unwrap_or(0.0),
            acquired,
            mosaic: texts(header, tags::IMAGE_TYPE).iter().any(|kind| kind == "MOSAIC"),
            inverted: text(header, tags::PHOTOMETRIC_INTERPRETATION).as_deref() == Some("MONOCHROME1"),
            damage: dicom.walked.damage.clone(),
            common: COMMON.map(|(_, tag)| text(header, tag)),
            pixels: dicom.walked.has_pixels(),
            images: images(dicom, spot.clone()),
        }
    }

    fn count(&self) -> usize {
        self.images.as_ref().map_or(1, |(_, images)| images.len())
    }
}

fn choose(looked: Vec<Looked>, files: usize, wanted: Option<String>, limit: u64) -> Result<Found, SeriesError> {
    let mut series: BTreeMap<String, Vec<Looked>> = BTreeMap::new();
    let mut others: BTreeMap<(String, bool), usize> = BTreeMap::new();
    for file in looked {
        // Reports, segmentations and the like are not what a folder of images is opened for, unless one was named.
        let named = wanted.as_ref() == Some(&file.series);
        match file.pixels && (is_read(&file.modality) || named) {
            true => series.entry(file.series.clone()).or_default().push(file),
            false => {
                *others.entry((file.modality, file.pixels)).or_default() += 1;
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
    found(series.remove(&chosen).unwrap_or_default(), limit)
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
        description: first.and_then(|file| file.description.clone()),
        images: files.iter().map(Looked::count).sum(),
    }
}

/// The images of a series, from its files.
fn found(mut files: Vec<Looked>, limit: u64) -> Result<Found, SeriesError> {
    let modality = files.first().map(|file| file.modality.clone()).unwrap_or_default();
    if !is_read(&modality) {
        return Err(SeriesError::Modality { modality });
    }
    files.sort_by(|a, b| {
        a.number
            .total_cmp(&b.number)
            .then_with(|| a.spot.name().cmp(&b.spot.name()))
    });
    for (at, (attribute, _)) in COMMON.iter().enumerate() {
        if files.iter().any(|file| file.common[at] != files[0].common[at]) {
            return Err(SeriesError::Mixed { attribute });
        }
    }
    let mut found = Found {
        header: InMemDicomObject::new_empty(),
        modality,
        instances: Vec::new(),
        images: Vec::new(),
        acquired: files.iter().filter_map(|file| file.acquired.clone()).min(),
        notes: Vec::new(),
    };
    if files.iter().map(Looked::count).sum::<usize>() > MOST_IMAGES {
        return Err(SeriesError::ManyImages { limit: MOST_IMAGES });
    }
    let mut others = Vec::new();
    let mut inverted = false;
    for file in files {
        if file.mosaic {
            return Err(SeriesError::Mosaic);
        }
        if let Some(damage) = file.damage {
            return Err(SeriesError::Damaged(damage).of(&file.spot));
        }
        match file.images {
            Ok((instance, images)) => {
                let at = found.instances.len();
                found
                    .images
                    .extend(images.into_iter().map(|image| Image { instance: at, ..image }));
                found.instances.push(instance);
                inverted |= file.inverted;
            }
            // A dose report as a colour picture, say, beside the slices.
            Err(error @ SeriesError::NotGrey(_)) => others.push(error),
            Err(error) => return Err(error.of(&file.spot)),
        }
    }
    let Some(first) = found.instances.first() else {
        return Err(others.pop().unwrap_or(SeriesError::SingleSlice));
    };
    // Of all headers only the first is kept; it is read once more.
    let first = Dicom::open(&first.spot, limit)?.ok_or(SeriesError::Changed)?;
    found.header = first.header;
    if !others.is_empty() {
        found.notes.push(Note::OthersLeftOut { images: others.len() });
    }
    if inverted {
        found.notes.push(Note::Inverted);
    }
    Ok(found)
}
