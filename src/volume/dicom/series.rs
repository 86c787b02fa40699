//! What a DICOM series says beyond its voxels: what segmentations and reports made of it repeat and refer to.

use dicom_object::InMemDicomObject;

use super::{IntensityUnit, Note};
use crate::volume::{Grid, Mask};

/// A series as it was read: its header, its instances and where its images lie.
#[derive(Debug, Clone)]
pub struct Series {
    header: InMemDicomObject,
    instances: Vec<SourceInstance>,
    frames: Vec<SourceFrame>,
    size: [usize; 2],
    spacing: [f64; 2],
    orientation: [f64; 6],
    places: Option<Vec<[f64; 3]>>,
    notes: Vec<Note>,
    unit: IntensityUnit,
}

/// One SOP instance of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInstance {
    /// SOP Class UID.
    pub class_uid: String,
    /// SOP Instance UID.
    pub uid: String,
}

/// One image of a series: a single-frame instance, or a frame of a multi-frame one.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFrame {
    /// Which of [`Series::instances`] it lies in.
    pub instance: usize,
    /// Its number within a multi-frame instance, from 1; none in a single-frame one.
    pub number: Option<u32>,
    /// Image Position (Patient): the centre of the first pixel, in DICOM's LPS+ millimetres.
    pub position: [f64; 3],
}

impl Series {
    /// A series of `size` columns and rows, `spacing` millimetres between columns and between rows, and Image Orientation (Patient)
    /// `orientation`; frames ascend along the normal. The header is the first instance's without its pixels.
    pub fn new(
        header: InMemDicomObject,
        instances: Vec<SourceInstance>,
        frames: Vec<SourceFrame>,
        size: [usize; 2],
        spacing: [f64; 2],
        orientation: [f64; 6],
    ) -> Series {
        Series {
            header,
            instances,
            frames,
            size,
            spacing,
            orientation,
            places: None,
            notes: Vec::new(),
            unit: IntensityUnit::Arbitrary,
        }
    }

    /// The same series, whose slices lie at these places of the volume's grid, in voxels, since they make no regular one.
    pub(super) fn with_places(mut self, places: Option<Vec<[f64; 3]>>) -> Series {
        self.places = places;
        self
    }

    /// The same series, with what its reader should know.
    pub(super) fn with_notes(mut self, notes: Vec<Note>) -> Series {
        self.notes = notes;
        self
    }

    /// The same series, whose numbers are these.
    pub(super) fn with_unit(mut self, unit: IntensityUnit) -> Series {
        self.unit = unit;
        self
    }

    /// What happened to the series on its way to the image.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What the image's numbers are.
    pub fn unit(&self) -> &IntensityUnit {
        &self.unit
    }

    /// The data set of the first instance, without its pixels: patient, study, series, frame of reference.
    pub fn header(&self) -> &InMemDicomObject {
        &self.header
    }

    /// The instances, in the order of their first frames.
    pub fn instances(&self) -> &[SourceInstance] {
        &self.instances
    }

    /// The images, ascending along the normal.
    pub fn frames(&self) -> &[SourceFrame] {
        &self.frames
    }

    /// Columns and rows.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Millimetres between columns and between rows; DICOM's Pixel Spacing has them the other way about.
    pub fn spacing(&self) -> [f64; 2] {
        self.spacing
    }

    /// Image Orientation (Patient): the directions of a row and of a column in LPS+.
    pub fn orientation(&self) -> [f64; 6] {
        self.orientation
    }

    /// Calls `each` with every frame that has voxels of `mask`, ascending: its index among [`Series::frames`], and its pixels row
    /// by row, 1 inside and 0 outside.
    ///
    /// The mask lies on the grid of the volume that the series was read as.
    pub fn each_plane<E>(&self, mask: &Mask, mut each: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let grid: &Grid = mask.grid();
        let plane = self.size[0] * self.size[1];
        let mut pixels = vec![0; plane];
        let mut open = None;
        debug_assert_eq!(grid.len(), plane * self.frames.len());
        for ([i, j, k], length) in mask.rows() {
            if open.is_some_and(|open| open != k) {
                each(open.unwrap_or_default(), &pixels)?;
                pixels.fill(0);
            }
            open = Some(k);
            let start = i + self.size[0] * j;
            pixels[start..start + length].fill(1);
        }
        open.map_or(Ok(()), |k| each(k, &pixels))
    }
}
