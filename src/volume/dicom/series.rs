//! What a DICOM series says beyond its voxels: what segmentations and reports made of it repeat and refer to.

use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;

use super::Note;
use super::regular::Shift;
use crate::volume::Mask;

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
        }
    }

    /// The same series, whose slices lie at these places of the volume's grid, in voxels, since they make no regular one.
    pub(super) fn with_places(mut self, places: Option<Vec<[f64; 3]>>) -> Series {
        self.places = places;
        self
    }

    /// Where its slices lie on the volume's grid, in voxels, since they make no regular one.
    pub(super) fn places(&self) -> Option<&[[f64; 3]]> {
        self.places.as_deref()
    }

    /// The same series, with what its reader should know.
    pub(super) fn with_notes(mut self, notes: Vec<Note>) -> Series {
        self.notes = notes;
        self
    }

    /// What happened to the series on its way to the image.
    pub fn notes(&self) -> &[Note] {
        &self.notes
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

    /// A hash of what is made of the series besides its voxels: its header, its images by UID and frame number in order, and what
    /// happened to them.
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut header = Vec::new();
        // What cannot be written down cannot be repeated in objects either.
        let _ = self
            .header
            .write_dataset_with_ts(&mut header, &EXPLICIT_VR_LITTLE_ENDIAN.erased());
        hasher.update(&header);
        for frame in &self.frames {
            let instance = &self.instances[frame.instance];
            hasher.update(format!("{}#{}\n", instance.uid, frame.number.unwrap_or(0)).as_bytes());
        }
        for note in &self.notes {
            hasher.update(note.to_string().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Whether every instance has a UID of its own, as objects need that refer to them.
    pub fn has_identities(&self) -> bool {
        let uids: std::collections::HashSet<&str> = self.instances.iter().map(|instance| &instance.uid[..]).collect();
        uids.len() == self.instances.len() && !uids.contains("")
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
    /// The mask lies on the grid of the volume that the series was read as. Where that is not the slices' own, a pixel is inside if
    /// the mask, interpolated to it, is more in than out.
    pub fn each_plane<E>(&self, mask: &Mask, mut each: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut pixels = vec![0; self.size[0] * self.size[1]];
        let mut planes = Planes::of(mask);
        for frame in 0..self.frames.len() {
            let place = match &self.places {
                Some(places) => places[frame],
                None => [0.0, 0.0, frame as f64],
            };
            if planes.slice(place, self.size, &mut pixels) {
                each(frame, &pixels)?;
            }
        }
        Ok(())
    }
}

/// The planes of a mask along its third axis, unpacked one or two at a time.
struct Planes<'a> {
    mask: &'a Mask,
    /// Which planes are unpacked.
    open: [Option<usize>; 2],
    pixels: [Vec<u8>; 2],
}

impl<'a> Planes<'a> {
    fn of(mask: &'a Mask) -> Planes<'a> {
        Planes {
            mask,
            open: [None; 2],
            pixels: [Vec::new(), Vec::new()],
        }
    }

    /// Fills `pixels` with the slice whose first pixel lies at `place` of the grid, and says whether any is inside.
    fn slice(&mut self, place: [f64; 3], size: [usize; 2], pixels: &mut [u8]) -> bool {
        pixels.fill(0);
        let grid = self.mask.grid().shape();
        let Shift { whole: below, part: up } = Shift::of(place[2]);
        let below = below.clamp(0, grid[2] as i64 - 1) as usize;
        let above = (below + 1).min(grid[2] - 1);
        if self.is_empty(below) && (up == 0.0 || self.is_empty(above)) {
            return false;
        }
        // Nearly always the slice is a plane of the grid.
        if up == 0.0 && place[..2] == [0.0; 2] && grid[..2] == size {
            self.runs(below).for_each(|(start, end)| pixels[start..end].fill(1));
            return true;
        }
        let planes = [
            self.unpacked(below),
            self.unpacked(if up == 0.0 { below } else { above }),
        ];
        let at = |plane: usize, i: i64, j: i64| -> f64 {
            let inside = (0..grid[0] as i64).contains(&i) && (0..grid[1] as i64).contains(&j);
            match inside {
                true => f64::from(self.pixels[planes[plane]][(i + grid[0] as i64 * j) as usize]),
                false => 0.0,
            }
        };
        let [across, down] = [place[0], place[1]].map(Shift::of);
        let mut any = false;
        for (j, row) in pixels.chunks_mut(size[0]).enumerate() {
            for (i, pixel) in row.iter_mut().enumerate() {
                let (i, j) = (i as i64 + across.whole, j as i64 + down.whole);
                let weights = [(0, 1.0 - up), (1, up)];
                let value: f64 = weights
                    .iter()
                    .filter(|(_, weight)| *weight > 0.0)
                    .map(|&(plane, weight)| {
                        let along = |j| match across.part == 0.0 {
                            true => at(plane, i, j),
                            false => (1.0 - across.part) * at(plane, i, j) + across.part * at(plane, i + 1, j),
                        };
                        let value = match down.part == 0.0 {
                            true => along(j),
                            false => (1.0 - down.part) * along(j) + down.part * along(j + 1),
                        };
                        weight * value
                    })
                    .sum();
                *pixel = u8::from(value > 0.5);
                any |= value > 0.5;
            }
        }
        any
    }

    /// The runs that begin before the end of a plane and end behind its beginning.
    fn runs(&self, plane: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let [columns, rows, _] = self.mask.grid().shape();
        let (start, end) = ((plane * columns * rows) as u64, ((plane + 1) * columns * rows) as u64);
        let runs = self.mask.runs();
        let first = runs.partition_point(|run| run.end <= start);
        let runs = runs[first..].iter().take_while(move |run| run.start < end);
        runs.map(move |run| {
            (
                (run.start.max(start) - start) as usize,
                (run.end.min(end) - start) as usize,
            )
        })
    }

    fn is_empty(&self, plane: usize) -> bool {
        self.runs(plane).next().is_none()
    }

    /// Which of the two buffers holds a plane.
    fn unpacked(&mut self, plane: usize) -> usize {
        if let Some(at) = self.open.iter().position(|open| *open == Some(plane)) {
            return at;
        }
        // The lower of the two goes.
        let at = if self.open[0] <= self.open[1] { 0 } else { 1 };
        let [columns, rows, _] = self.mask.grid().shape();
        let mut pixels = std::mem::take(&mut self.pixels[at]);
        pixels.clear();
        pixels.resize(columns * rows, 0);
        self.runs(plane).for_each(|(start, end)| pixels[start..end].fill(1));
        self.pixels[at] = pixels;
        self.open[at] = Some(plane);
        at
    }
}
