//! DICOM Segmentation objects as masks (PS3.3 sections A.51, A.87 and C.8.20): ours, and anybody's.
//!
//! BINARY ones have a frame for each slice of each segment, LABELMAP ones a frame for each slice, whose pixels are segment numbers.
//! Segments may overlap, so each becomes a mask of its own. Where the masks lie is found out when it is known on whose grid they
//! are wanted (`seg_place`).

use std::collections::BTreeSet;
use std::sync::Arc;

use dicom_core::Tag;
use dicom_core::dictionary::{UidDictionary, UidDictionaryEntry};
use dicom_dictionary_std::{StandardSopClassDictionary, tags, uids};
use dicom_object::InMemDicomObject;

use super::attributes::{Groups, array, count, items, number, text};
use super::file::{self, Dicom};
use super::image::{Instance, Layout, MOST_ALONG, MOST_FRAMES};
use super::seg_frames::{Frames, Patch};
use super::spot::Spot;
use super::stack::Plane;
use super::{SeriesError, SourceInstance};
use crate::volume::{Input, ReadLimits};

/// One segment of a segmentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Segment Number, from 1.
    pub number: u32,
    /// Segment Label.
    pub label: Option<String>,
}

/// A DICOM Segmentation object, not yet placed on a grid.
#[derive(Debug, Clone)]
pub struct Segmentation {
    pub(super) segments: Vec<Segment>,
    pub(super) frame_of_reference: Option<String>,
    /// Columns, rows, spacing and directions of all frames.
    pub(super) plane: Plane,
    /// Spacing Between Slices.
    pub(super) between: Option<f64>,
    /// Slice Thickness.
    pub(super) thickness: Option<f64>,
    /// Where there are frames, with voxels or without.
    pub(super) positions: Vec<[f64; 3]>,
    /// What the frames hold.
    pub(super) patches: Vec<Patch>,
    /// Whether slices without any segment have frames, too, so that the first and the last are the scan's.
    pub(super) whole: bool,
    /// Voxels that a grid may have.
    pub(super) limit: u64,
}

/// Reads a segmentation; the input's choice may be the number of the one segment that is wanted.
///
/// # Errors
/// When the file is no segmentation, none whose pixels are in or out, or damaged.
pub fn read_segmentation(input: &Input, limits: &ReadLimits) -> Result<Segmentation, SeriesError> {
    let all = read(&Spot::File(input.path.clone()), limits)?;
    match &input.choice {
        None => Ok(all),
        Some(choice) => all.only(choice),
    }
}

/// Reads a segmentation from a file's bytes.
///
/// # Errors
/// As of a file: [`SeriesError`].
pub fn read_segmentation_bytes(bytes: &[u8], limits: &ReadLimits) -> Result<Segmentation, SeriesError> {
    read(&Spot::Memory("segmentation".into(), Arc::from(bytes)), limits)
}

impl Segmentation {
    /// The segments, in the order in which the object lists them.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Only the segment of this number.
    fn only(mut self, choice: &str) -> Result<Segmentation, SeriesError> {
        let number = choice.parse::<u32>().ok();
        if !self.segments.iter().any(|segment| Some(segment.number) == number) {
            return Err(self.no_segment(choice));
        }
        self.segments.retain(|segment| Some(segment.number) == number);
        self.patches.retain(|patch| Some(patch.segment) == number);
        Ok(self)
    }

    /// That there is no segment of this number, and which there are.
    pub fn no_segment(&self, asked: impl ToString) -> SeriesError {
        SeriesError::NoSegment {
            asked: asked.to_string(),
            found: self.segments.clone(),
        }
    }
}

fn read(spot: &Spot, limits: &ReadLimits) -> Result<Segmentation, SeriesError> {
    let dicom = Dicom::open(spot, limits.unpacked_bytes)?.ok_or(SeriesError::Changed)?;
    let header = &dicom.header;
    let kind = Kind::of(header)?;
    if let Some(damage) = &dicom.walked.damage {
        return Err(SeriesError::Damaged(damage.clone()));
    }
    let segments = segments(header)?;
    let stored = stored(header, &kind)?;
    let declared = count(header, tags::NUMBER_OF_FRAMES).unwrap_or(1);
    if declared == 0 || declared > MOST_FRAMES {
        return Err(SeriesError::Nonsense {
            attribute: "Number of Frames",
            value: declared.to_string(),
        });
    }
    let places = (0..declared).map(|at| Place::of(header, at, &stored, &kind));
    let places = places.collect::<Result<Vec<_>, _>>()?;
    let (first, rest) = places.split_first().ok_or(SeriesError::Changed)?;
    if rest.iter().any(|place| !place.plane.agrees_with(&first.plane)) {
        return Err(SeriesError::Nonsense {
            attribute: "Plane Orientation or Pixel Measures",
            value: "not the same in all frames".into(),
        });
    }
    let listed: BTreeSet<u32> = segments.iter().map(|segment| segment.number).collect();
    let mut frames = Frames::new(limits, &listed);
    let instance = Instance {
        spot: spot.clone(),
        seen: dicom.seen,
        syntax: dicom.syntax.clone(),
        walked: dicom.walked.clone(),
        source: SourceInstance {
            class_uid: String::new(),
            uid: String::new(),
        },
        layout: stored,
        frames: declared,
    };
    let mut bytes = file::again(spot, dicom.seen, limits.unpacked_bytes)?;
    for (at, place) in places.iter().enumerate() {
        frames.read(&mut *bytes, &instance, at, (place.segment, place.position))?;
    }
    Ok(Segmentation {
        segments,
        frame_of_reference: text(header, tags::FRAME_OF_REFERENCE_UID),
        plane: first.plane,
        between: first.between,
        thickness: first.thickness,
        positions: places.iter().map(|place| place.position).collect(),
        whole: frames.blank,
        patches: frames.patches,
        limit: limits.voxels,
    })
}

/// What pixels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Binary,
    LabelMap,
}

impl Kind {
    fn of(header: &InMemDicomObject) -> Result<Kind, SeriesError> {
        let class = text(header, tags::SOP_CLASS_UID).unwrap_or_default();
        match &class[..] {
            uids::SEGMENTATION_STORAGE => match text(header, tags::SEGMENTATION_TYPE).as_deref() {
                Some("BINARY") => Ok(Kind::Binary),
                Some("FRACTIONAL") => Err(SeriesError::Fractional),
                Some("LABELMAP") => Ok(Kind::LabelMap),
                other => Err(SeriesError::Nonsense {
                    attribute: "Segmentation Type",
                    value: other.unwrap_or("missing").to_owned(),
                }),
            },
            uids::LABEL_MAP_SEGMENTATION_STORAGE => Ok(Kind::LabelMap),
            _ => {
                let name = StandardSopClassDictionary.by_uid(&class).map(|entry| entry.name());
                let modality = || text(header, tags::MODALITY).unwrap_or_else(|| "no kind that is known".into());
                let name = name.map(|name| name.trim_end_matches(" Storage").to_owned());
                Err(SeriesError::NotSegmentation {
                    kind: name.unwrap_or_else(modality),
                })
            }
        }
    }
}

/// The Segment Sequence (PS3.3 section C.8.20.4), without the background of a label map.
fn segments(header: &InMemDicomObject) -> Result<Vec<Segment>, SeriesError> {
    let mut segments: Vec<Segment> = Vec::new();
    for item in items(header, tags::SEGMENT_SEQUENCE) {
        let number = count(item, tags::SEGMENT_NUMBER).and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| SeriesError::Damaged("one of its segments has no number".into()))?;
        if segments.iter().any(|there| there.number == number) {
            return Err(SeriesError::Damaged(format!("it has two segments {number}")));
        }
        if number > 0 {
            segments.push(Segment {
                number,
                label: text(item, tags::SEGMENT_LABEL),
            });
        }
    }
    match segments.is_empty() {
        true => Err(SeriesError::Damaged("it lists no segments".into())),
        false => Ok(segments),
    }
}

/// How pixels are stored: one bit each, or as many as a segment's number needs.
fn stored(header: &InMemDicomObject, kind: &Kind) -> Result<Layout, SeriesError> {
    let of = |tag: Tag| count(header, tag).unwrap_or(0);
    let (rows, columns, allocated) = (of(tags::ROWS), of(tags::COLUMNS), of(tags::BITS_ALLOCATED));
    let samples = count(header, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    let bits = match kind {
        Kind::Binary => matches!(allocated, 1 | 8),
        Kind::LabelMap => matches!(allocated, 8 | 16),
    };
    if rows.min(columns) == 0 || rows.max(columns) > MOST_ALONG || samples != 1 || !bits {
        return Err(SeriesError::Nonsense {
            attribute: "Rows, Columns, Samples per Pixel and Bits Allocated",
            value: format!("{rows}, {columns}, {samples} and {allocated}"),
        });
    }
    Ok(Layout {
        rows,
        columns,
        bits_allocated: allocated as u16,
        bits_stored: allocated as u16,
        high_bit: allocated as u16 - 1,
        signed: false,
    })
}

/// What is said of one frame (PS3.3 sections C.7.6.16.2 and C.8.20.3.1).
struct Place {
    plane: Plane,
    position: [f64; 3],
    /// Of a label map, each pixel says it.
    segment: Option<u32>,
    between: Option<f64>,
    thickness: Option<f64>,
}

impl Place {
    fn of(header: &InMemDicomObject, at: usize, stored: &Layout, kind: &Kind) -> Result<Place, SeriesError> {
        let groups = Groups::of(header, at);
        let nowhere = "the place of its frames is unknown";
        let place = groups.get(tags::PLANE_POSITION_SEQUENCE);
        let place = place.and_then(|of| array(of, tags::IMAGE_POSITION_PATIENT));
        let turned = groups.get(tags::PLANE_ORIENTATION_SEQUENCE);
        let turned = turned.and_then(|of| array(of, tags::IMAGE_ORIENTATION_PATIENT));
        let measures = groups.get(tags::PIXEL_MEASURES_SEQUENCE);
        let spacing: Option<[f64; 2]> = measures.and_then(|of| array(of, tags::PIXEL_SPACING));
        let [between_rows, between_columns] =
            spacing.ok_or_else(|| SeriesError::missing("Pixel Spacing", "the size of its pixels is unknown"))?;
        let plane = Plane {
            size: [stored.columns, stored.rows],
            spacing: [between_columns, between_rows],
            orientation: turned.ok_or_else(|| SeriesError::missing("Image Orientation (Patient)", nowhere))?,
        };
        plane.check()?;
        let segment = groups.get(tags::SEGMENT_IDENTIFICATION_SEQUENCE);
        let segment = segment.and_then(|of| count(of, tags::REFERENCED_SEGMENT_NUMBER));
        let length = |tag| measures.and_then(|of| number(of, tag)).filter(|length| *length > 0.0);
        Ok(Place {
            plane,
            position: place.ok_or_else(|| SeriesError::missing("Image Position (Patient)", nowhere))?,
            segment: match kind {
                Kind::LabelMap => None,
                Kind::Binary => {
                    let segment = segment.and_then(|number| u32::try_from(number).ok());
                    Some(segment.ok_or_else(|| {
                        SeriesError::missing("Referenced Segment Number", "nobody knows whose frame it is")
                    })?)
                }
            },
            between: length(tags::SPACING_BETWEEN_SLICES),
            thickness: length(tags::SLICE_THICKNESS),
        })
    }
}
