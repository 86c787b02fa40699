//! Masks as callers name them, put on one grid: label maps, and DICOM segmentations, which lie where their image does.

use std::sync::Arc;

use super::given::Given;
use super::{Caller, Code, Fault, Service, images};
use crate::volume::{Grid, LabelMap, Mask, MaskFile, ReadError, Segmentation, SeriesError, Volume, read_masks_within};

/// Most masks of a file that are measured at once.
const MOST_MASKS: usize = 512;

/// A file of masks, as it was named.
pub(super) struct Masks {
    given: Given,
    file: MaskFile,
}

/// One of them.
pub(super) struct OneMask {
    pub name: String,
    pub mask: Mask,
    /// The number that it has in its file.
    pub label: Option<u32>,
}

/// On whose grid a segmentation's masks are put.
#[derive(Clone, Copy)]
pub(super) enum Onto<'a> {
    /// The image's.
    Image(&'a Volume),
    /// Another mask's.
    Grid(&'a Arc<Grid>),
    /// That of its frames, and of those of another segmentation that it is compared with.
    Frames(Option<&'a Segmentation>),
}

impl Service {
    /// Reads a mask file by path, `sat://results/…` or `sat://images/…` URI.
    pub(super) fn mask_file(&self, caller: &Caller, given: &str) -> Result<Masks, Fault> {
        let given = match given.starts_with("sat://") && !given.starts_with(images::IMAGES) {
            true => Given::from(self.resource(caller, given)?),
            false => self.given(caller, given)?,
        };
        if given.remote.is_some() {
            let fetched = format!("{}: masks are not fetched from a DICOMweb server.", given.uri);
            return Err(Fault::new(Code::BadMask, fetched)
                .hint("Give a result_id, or the path of a mask: NIfTI (.nii or .nii.gz) or a DICOM SEG."));
        }
        let file = read_masks_within(&given.input, &self.settings.reading)
            .map_err(|error| given.fault(error, Code::BadMask))?;
        Ok(Masks { given, file })
    }
}

impl Masks {
    /// Where a segmentation is put that is compared with these masks and has no image.
    pub fn place(&self) -> Place<'_> {
        match &self.file {
            MaskFile::Labels(labels) => Place::Grid(labels.shared_grid()),
            MaskFile::Segments(segments) => Place::Frames(segments),
        }
    }

    /// The masks that are measured: all of the file, or the one that `label` picks.
    pub fn all(&self, label: Option<u32>, onto: Onto<'_>) -> Result<Vec<OneMask>, Fault> {
        match &self.file {
            MaskFile::Labels(labels) => self.of_labels(labels, label),
            MaskFile::Segments(segments) => self.of_segments(segments, label, onto),
        }
    }

    fn of_labels(&self, labels: &LabelMap, label: Option<u32>) -> Result<Vec<OneMask>, Fault> {
        let stem = self.given.stem();
        let named = |label: u32| OneMask {
            name: format!("{stem} label {label}"),
            mask: labels.mask(label),
            label: Some(label),
        };
        match label {
            Some(0) => {
                return Err(Fault::new(Code::InvalidArgument, "label 0 is the background.").hint("Give 1 or more."));
            }
            // A label that is nowhere is an empty mask: an answer, and not an error.
            Some(label) => return Ok(vec![named(label)]),
            None => {}
        }
        let values = labels.values();
        if values.iter().all(|value| *value == 1) {
            return Ok(vec![OneMask {
                name: stem,
                mask: labels.foreground(),
                label: None,
            }]);
        }
        self.not_too_many(values.len(), "different labels")?;
        Ok(values.into_iter().map(named).collect())
    }

    fn of_segments(&self, segments: &Segmentation, label: Option<u32>, onto: Onto<'_>) -> Result<Vec<OneMask>, Fault> {
        if let Some(label) = label.filter(|label| !segments.segments().iter().any(|there| there.number == *label)) {
            return Err(self.fault(segments.no_segment(label)));
        }
        self.not_too_many(segments.segments().len(), "segments")?;
        let masks = match onto {
            Onto::Image(image) => segments.on_image(image),
            Onto::Grid(grid) => segments.on_grid(Arc::clone(grid)),
            Onto::Frames(with) => segments.grid(with).and_then(|grid| segments.on_grid(Arc::new(grid))),
        };
        let masks = masks.map_err(|error| self.fault(error))?;
        let listed = segments.segments();
        let twice = |name: &str| {
            listed
                .iter()
                .filter(|other| other.label.as_deref() == Some(name))
                .count()
                > 1
        };
        let named = listed.iter().zip(masks).map(|(segment, mask)| OneMask {
            name: match segment.label.as_deref() {
                Some(name) if !twice(name) => name.to_owned(),
                Some(name) => format!("{name} (segment {})", segment.number),
                None => format!("{} segment {}", self.given.stem(), segment.number),
            },
            mask,
            label: Some(segment.number),
        });
        Ok(named.filter(|one| label.is_none() || one.label == label).collect())
    }

    /// What masks are compared with, on the grid that they are on.
    pub fn reference(&self, onto: Onto<'_>) -> Result<Reference<'_>, Fault> {
        match &self.file {
            MaskFile::Labels(labels) => Ok(Reference::Labels(labels)),
            MaskFile::Segments(segments) => self.of_segments(segments, None, onto).map(Reference::Segments),
        }
    }

    fn not_too_many(&self, count: usize, what: &str) -> Result<(), Fault> {
        match count > MOST_MASKS {
            true => Err(Fault::new(
                Code::BadMask,
                format!("{}: {count} {what}, more than {MOST_MASKS}.", self.given.uri),
            )
            .hint("Is this an image and not a mask? Otherwise pick one with label.")),
            false => Ok(()),
        }
    }

    fn fault(&self, error: SeriesError) -> Fault {
        let error = ReadError::series(&self.given.input.path, error);
        self.given.fault(error, Code::BadMask)
    }
}

/// [`Onto`], of a file of masks that others are put beside.
pub(super) enum Place<'a> {
    Grid(Arc<Grid>),
    Frames(&'a Segmentation),
}

impl Place<'_> {
    pub fn onto(&self) -> Onto<'_> {
        match self {
            Place::Grid(grid) => Onto::Grid(grid),
            Place::Frames(segments) => Onto::Frames(Some(segments)),
        }
    }
}

/// What masks are compared with.
pub(super) enum Reference<'a> {
    Labels(&'a LabelMap),
    Segments(Vec<OneMask>),
}

impl Reference<'_> {
    /// The mask to compare with: the only one there is, or the one of the same name, or the one with the same number.
    pub fn counterpart(&self, name: &str, label: Option<u32>) -> Result<Mask, Fault> {
        let unclear = |n: usize, what: &str| {
            Fault::new(
                Code::BadMask,
                format!("The reference has {n} {what}, and nothing says which of them is meant."),
            )
            .hint("Give a binary reference, or compare two label maps, which goes label by label.")
        };
        match self {
            Reference::Labels(labels) => {
                let values = labels.values();
                match (values.len(), label) {
                    (0 | 1, _) => Ok(labels.foreground()),
                    (_, Some(label)) => Ok(labels.mask(label)),
                    (n, None) => Err(unclear(n, "labels")),
                }
            }
            Reference::Segments(segments) => {
                let named = segments.iter().find(|one| one.name.eq_ignore_ascii_case(name));
                let numbered = || segments.iter().find(|one| label.is_some() && one.label == label);
                let only = || segments.first().filter(|_| segments.len() == 1);
                let found = only().or(named).or_else(numbered);
                match (found, label) {
                    (Some(found), _) => Ok(found.mask.clone()),
                    (None, Some(label)) => Err(Fault::new(
                        Code::BadMask,
                        format!("The reference has no segment that is called {name:?}, and none of number {label}."),
                    )
                    .hint("Name the one that is meant by its number, as in reference.dcm#2.")),
                    (None, None) => Err(unclear(segments.len(), "segments")
                        .hint("Name the one that is meant by its number, as in reference.dcm#2.")),
                }
            }
        }
    }
}
