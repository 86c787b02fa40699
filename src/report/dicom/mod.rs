//! What an archive takes: a DICOM Segmentation and a DICOM measurement report of one result.
//!
//! [`write_seg`] writes one Segmentation object (PS3.3 A.51, binary, one segment a class) on the slices of the source series, and
//! [`write_sr`] a Comprehensive 3D SR (PS3.3 A.35.13) after TID 1500 whose measurement groups point at its segments. Both take the
//! same [`Segment`]s, so that number n there is number n here. Patient and study are those of the source's header; what the
//! source lacks or holds malformed is left empty where the standard lets it be, and otherwise derived. Identifiers follow from
//! the result's id, so that writing a result twice names the same instances. Nothing of a patient is ever logged.

mod bits;
mod codes;
mod colour;
mod content;
mod elements;
mod file;
mod frames;
mod header;
mod identity;
mod library;
mod measurements;
mod references;
mod seg;
mod source;
mod sr;
mod text;
mod uids;

pub use codes::{Code, Coding, Region};
pub use seg::write_seg;
pub use sr::write_sr;

use chrono::{DateTime, FixedOffset};

use crate::measure::Measurement;
use crate::volume::{PackedMask, Series};

/// One class of a result. Its number in both objects is its place in the list, from 1.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    /// What people read: the class's name, or the phrase as asked.
    pub label: &'a str,
    /// More about it where there is more to say ("left kidney and right kidney"), else empty.
    pub description: &'a str,
    /// What it is, in codes.
    pub coding: Coding,
    /// Its colour in the label map, red, green and blue.
    pub colour: [u8; 3],
    /// Its voxels, on the grid of the volume that the series was read as.
    pub mask: &'a PackedMask,
    /// What was measured of it.
    pub measurement: &'a Measurement,
}

impl<'a> Segment<'a> {
    /// What it is called: a label must not be empty.
    fn name(&self) -> &'a str {
        match self.label.trim() {
            "" => "segment",
            label => label,
        }
    }
}

/// Who made a result, and when.
#[derive(Debug, Clone)]
pub struct Made<'a> {
    /// The result's id: all UIDs follow from it.
    pub result_id: &'a str,
    /// The model's name.
    pub model_name: &'a str,
    /// The model's version.
    pub model_version: &'a str,
    /// The model's hash, in hexadecimal digits; its start stands for a serial number.
    pub model_sha256: &'a str,
    /// This program's version.
    pub program_version: &'a str,
    /// When. Written in the source's time zone where its header says which, otherwise in the zone given here.
    pub created: DateTime<FixedOffset>,
}

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DicomError {
    /// There is no class to write.
    #[error("a DICOM segmentation needs at least one segment")]
    NoSegments,
    /// The series has no images.
    #[error("the source series has no images")]
    NoImages,
    /// Segment numbers have sixteen bits.
    #[error("{segments} segments are more than the 65535 that a DICOM segmentation can number")]
    TooManySegments {
        /// Segments given.
        segments: usize,
    },
    /// Rows and columns have sixteen bits.
    #[error("slices of {columns} x {rows} pixels are too large for a DICOM segmentation")]
    SliceTooLarge {
        /// Columns of a slice.
        columns: usize,
        /// Rows of a slice.
        rows: usize,
    },
    /// A value's length has thirty-two bits.
    #[error("the masks take {bytes} bytes, more than one DICOM object holds; ask for fewer targets at once")]
    TooLarge {
        /// Bytes of the pixel data.
        bytes: u64,
    },
    /// The destination failed.
    #[error("the DICOM object could not be written")]
    Write(#[from] std::io::Error),
    /// The data set could not be encoded.
    #[error("the DICOM data set could not be encoded")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Checks that hold for both objects.
fn check(series: &Series, segments: &[Segment]) -> Result<(), DicomError> {
    match segments.len() {
        0 => Err(DicomError::NoSegments),
        _ if series.frames().is_empty() => Err(DicomError::NoImages),
        n if n > usize::from(u16::MAX) => Err(DicomError::TooManySegments { segments: n }),
        _ => Ok(()),
    }
}
