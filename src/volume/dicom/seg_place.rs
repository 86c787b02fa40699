//! Where a segmentation's masks lie: on the image's grid, on another mask's, or on one of their own.
//!
//! Nothing is interpolated but where the image itself was. Frames must lie on planes of the grid, whichever way its axes run; what
//! is no plane of it is an error.

use std::sync::Arc;

use super::choice::SAME_MM;
use super::regular::regular;
use super::seg::Segmentation;
use super::stack::{Plane, STEP_MM, TILTED, UNEVEN, UNEVEN_MM, placed};
use super::vectors::{dot, length, minus, plus, scaled};
use super::{Series, SeriesError};
use crate::volume::{Grid, Mask, MaskBuilder, Run, Volume};

/// How far from a voxel's centre a pixel's may lie, in voxels. Images that are even but for that much are read as even.
const ON: f64 = 0.1;
/// The same across planes, in millimetres.
const ON_MM: f64 = 0.07;
/// How far a frame may lie from the image that it is of, where images and not a grid are compared.
const SAME_PLACE_MM: f64 = 0.05;
/// Gaps so much wider than the slices are thick may have slices in them that have no frames.
const WIDER: f64 = 1.9;

impl Segmentation {
    /// A mask for each segment, on the image's grid.
    ///
    /// Where the image's slices were interpolated to that grid, the masks are, too: a voxel is inside where more of it is than not.
    ///
    /// # Errors
    /// When frames are none of the image's planes, lie outside of it, or in another frame of reference.
    pub fn on_image(&self, image: &Volume) -> Result<Vec<Mask>, SeriesError> {
        let Some(series) = image.series() else {
            return self.on_grid(image.shared_grid());
        };
        let theirs = super::attributes::text(series.header(), dicom_dictionary_std::tags::FRAME_OF_REFERENCE_UID);
        self.same_frame_of_reference(theirs.as_deref())?;
        match series.places() {
            None => self.on_grid(image.shared_grid()),
            Some(places) => self.on_slices(series, places, image.shared_grid()),
        }
    }

    /// A mask for each segment, on this grid.
    ///
    /// # Errors
    /// When frames lie on no planes of it, or outside.
    pub fn on_grid(&self, grid: Arc<Grid>) -> Result<Vec<Mask>, SeriesError> {
        let onto = Onto::new(&self.plane, &grid);
        let off = |position: &&[f64; 3]| onto.as_ref().and_then(|onto| onto.base(**position)).is_none();
        let frames = self.positions.iter().filter(off).count();
        let Some(onto) = onto.as_ref().filter(|_| frames == 0) else {
            return Err(SeriesError::OffGrid {
                frames: if onto.is_none() { self.positions.len() } else { frames },
                of: self.positions.len(),
            });
        };
        let masks = self.segments.iter().map(|segment| {
            let mut mask = Onto::mask(onto, &grid);
            for patch in self.patches.iter().filter(|patch| patch.segment == segment.number) {
                let base = onto.base(patch.position).unwrap_or_default();
                patch.runs.iter().for_each(|run| mask.push(base, *run));
            }
            mask.finish()
        });
        masks.collect()
    }

    /// The grid of the frames themselves, from the lowest to the highest, also those of a second segmentation that masks are to be
    /// compared with. Slices between them that have no frames are part of it.
    ///
    /// Most objects leave out the slices that nothing is on. Then there is one more at either end: that a mask ends where its
    /// frames do does not mean that the scan does.
    ///
    /// # Errors
    /// When the frames make no even stack by themselves, or the grid would be larger than is read.
    pub fn grid(&self, with: Option<&Segmentation>) -> Result<Grid, SeriesError> {
        let plane = self.plane;
        let normal = plane.normal();
        let mut positions = self.positions.clone();
        if let Some(other) = with {
            self.same_frame_of_reference(other.frame_of_reference.as_deref())?;
            if !plane.agrees_with(&other.plane) {
                return Err(needs_image("lie in other planes than those of the reference"));
            }
            positions.extend(&other.positions);
        }
        positions.sort_by(|a, b| dot(*a, normal).total_cmp(&dot(*b, normal)));
        let all = positions.clone();
        positions.dedup_by(|a, b| dot(minus(*a, *b), normal).abs() < SAME_MM);
        let spacing = self.spacing(&positions, with)?;
        let (first, last) = (positions[0], positions[positions.len() - 1]);
        let extent = dot(minus(last, first), normal);
        let steps = (extent / spacing).round();
        let step = match steps > 0.0 {
            true => scaled(minus(last, first), 1.0 / steps),
            false => scaled(normal, spacing),
        };
        let along = dot(step, normal);
        let sideways = length(minus(step, scaled(normal, along)));
        let pixel = plane.spacing[0].min(plane.spacing[1]);
        if sideways > TILTED * along && sideways * steps > pixel / 2.0 {
            return Err(needs_image(
                "are shifted against one another, as a tilted gantry leaves them",
            ));
        }
        let (allowed, beside) = ((UNEVEN * along).max(UNEVEN_MM), (ON * pixel).max(UNEVEN_MM));
        let even = all.iter().all(|position| {
            let nth = (dot(minus(*position, first), normal) / along).round();
            let off = minus(*position, plus(first, scaled(step, nth)));
            let deep = dot(off, normal);
            deep.abs() <= allowed && length(minus(off, scaled(normal, deep))) <= beside
        });
        if !even {
            return Err(needs_image("have uneven distances"));
        }
        let around = if self.whole || with.is_some_and(|other| other.whole) {
            0
        } else {
            1
        };
        let slices = (steps as u64).saturating_add(1 + 2 * around);
        let promised = slices.saturating_mul((plane.size[0] * plane.size[1]) as u64);
        if promised > self.limit {
            return Err(SeriesError::TooLarge {
                promised,
                limit: self.limit,
            });
        }
        let origin = minus(first, scaled(step, around as f64));
        Ok(placed(&plane, plane.size, slices as usize, origin, step))
    }

    /// Millimetres from one slice to the next: as the object says, where its frames agree with that, else the least there is between
    /// two frames.
    fn spacing(&self, positions: &[[f64; 3]], with: Option<&Segmentation>) -> Result<f64, SeriesError> {
        let normal = self.plane.normal();
        let gaps = positions.windows(2).map(|pair| dot(minus(pair[1], pair[0]), normal));
        let gaps: Vec<f64> = gaps.collect();
        let fits = |spacing: f64| {
            let allowed = (UNEVEN * spacing).max(UNEVEN_MM);
            let off = |gap: f64| (gap - spacing * (gap / spacing).round()).abs();
            gaps.iter().all(|gap| *gap > spacing / 2.0 && off(*gap) <= allowed)
        };
        let said = self.between.or_else(|| with.and_then(|other| other.between));
        if let Some(said) = said.filter(|said| STEP_MM.contains(said) && fits(*said)) {
            // A rounded number would add up over many slices.
            let extent: f64 = gaps.iter().sum();
            let steps = (extent / said).round();
            return Ok(if steps > 0.0 { extent / steps } else { said });
        }
        let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
        let thickness = self.thickness.or_else(|| with.and_then(|other| other.thickness));
        if gaps.is_empty() {
            return Err(needs_image(
                "lie in one plane, and it does not say how far the next slice is",
            ));
        }
        if !STEP_MM.contains(&least) || !fits(least) {
            return Err(needs_image("have uneven distances"));
        }
        if thickness.is_some_and(|thickness| least > WIDER * thickness) {
            return Err(needs_image(
                "lie further apart than slices are thick, and it does not say whether there are slices between them",
            ));
        }
        Ok(least)
    }

    fn same_frame_of_reference(&self, theirs: Option<&str>) -> Result<(), SeriesError> {
        match (self.frame_of_reference.as_deref(), theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(SeriesError::OtherFrameOfReference {
                mask: ours.to_owned(),
                image: theirs.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// On the grid of a tilted or uneven series, whose slices lie at `places` of it.
    fn on_slices(&self, series: &Series, places: &[[f64; 3]], grid: Arc<Grid>) -> Result<Vec<Mask>, SeriesError> {
        let theirs = Plane {
            size: series.size(),
            spacing: series.spacing(),
            orientation: series.orientation(),
        };
        let slice = |position: [f64; 3]| {
            let mut frames = series.frames().iter();
            frames.position(|frame| length(minus(frame.position, position)) < SAME_PLACE_MM)
        };
        let off = self
            .positions
            .iter()
            .filter(|position| slice(**position).is_none())
            .count();
        if off > 0 || !theirs.agrees_with(&self.plane) {
            return Err(SeriesError::OffGrid {
                frames: if off == 0 { self.positions.len() } else { off },
                of: self.positions.len(),
            });
        }
        let of = theirs.size[0] * theirs.size[1];
        let mut slices = vec![0.0_f32; of * series.frames().len()];
        let masks = self.segments.iter().map(|segment| {
            slices.fill(0.0);
            for patch in self.patches.iter().filter(|patch| patch.segment == segment.number) {
                let at = of * slice(patch.position).unwrap_or_default();
                for [from, to] in &patch.runs {
                    slices[at..at + of][*from as usize..*to as usize].fill(1.0);
                }
            }
            let part = regular(theirs.size, &slices, places, &grid, 0.0)
                .map_err(|_| SeriesError::Read(std::io::ErrorKind::OutOfMemory.into()))?;
            Ok(Mask::from_predicate(Arc::clone(&grid), |index| part[index] > 0.5))
        });
        masks.collect()
    }
}

fn needs_image(why: &'static str) -> SeriesError {
    SeriesError::NeedsImage { why }
}

/// How pixels of the frames become voxels of a grid.
struct Onto {
    inverse: crate::volume::Affine,
    /// For columns and for rows, the grid's axis that they run along, and whether up or down.
    axes: [(usize, i64); 2],
    /// How far a pixel may lie from a voxel, along each of the grid's axes.
    allowed: [f64; 3],
    columns: u32,
}

impl Onto {
    /// None where rows and columns do not run along the grid's axes, voxel by voxel.
    fn new(plane: &Plane, grid: &Grid) -> Option<Onto> {
        let inverse = grid.inverse();
        let axis = |direction: [f64; 3], spacing: f64, pixels: usize| -> Option<(usize, i64)> {
            let step = scaled(direction, spacing);
            let by = [0, 1, 2].map(|row| {
                // From LPS+ to RAS+ on the way.
                -inverse[(row, 0)] * step[0] - inverse[(row, 1)] * step[1] + inverse[(row, 2)] * step[2]
            });
            let most = (0..3).max_by(|a, b| by[*a].abs().total_cmp(&by[*b].abs()))?;
            let sign = by[most].signum();
            let strays = (0..3).map(|axis| if axis == most { by[axis] - sign } else { by[axis] });
            let far = strays.fold(0.0, |far: f64, stray| far.max(stray.abs())) * (pixels - 1) as f64;
            (far <= ON).then_some((most, sign as i64))
        };
        let axes = [
            axis(plane.row(), plane.spacing[0], plane.size[0])?,
            axis(plane.column(), plane.spacing[1], plane.size[1])?,
        ];
        let spacing = grid.spacing();
        (axes[0].0 != axes[1].0).then(|| Onto {
            inverse,
            axes,
            allowed: spacing.map(|spacing| ON.max(ON_MM / spacing)),
            columns: plane.size[0] as u32,
        })
    }

    /// The voxel of a frame's first pixel, which may lie outside of the grid; none where it lies between voxels.
    fn base(&self, [x, y, z]: [f64; 3]) -> Option<[i64; 3]> {
        let voxel = crate::volume::transform(&self.inverse, [-x, -y, z]);
        let near = (0..3).all(|axis| (voxel[axis] - voxel[axis].round()).abs() <= self.allowed[axis]);
        near.then(|| voxel.map(|at| at.round() as i64))
    }

    fn mask<'a>(&'a self, grid: &'a Arc<Grid>) -> Placed<'a> {
        Placed {
            onto: self,
            grid,
            outside: 0,
            voxels: match self.axes[0] {
                (0, 1) => Voxels::Runs(MaskBuilder::new(Arc::clone(grid))),
                _ => Voxels::Each(vec![false; grid.len()]),
            },
        }
    }
}

/// A mask that is being put on a grid.
struct Placed<'a> {
    onto: &'a Onto,
    grid: &'a Arc<Grid>,
    voxels: Voxels,
    /// Pixels that lie outside of the grid.
    outside: u64,
}

/// Where rows run along the first axis, runs stay runs.
enum Voxels {
    Runs(MaskBuilder),
    Each(Vec<bool>),
}

impl Placed<'_> {
    /// Adds a run of pixels of the frame whose first pixel has this voxel.
    fn push(&mut self, base: [i64; 3], [from, to]: [u32; 2]) {
        let columns = self.onto.columns;
        let mut at = from;
        while at < to {
            let (column, row) = (at % columns, at / columns);
            let end = to.min((row + 1) * columns);
            self.push_row(base, row, column..column + (end - at));
            at = end;
        }
    }

    fn push_row(&mut self, mut base: [i64; 3], row: u32, columns: std::ops::Range<u32>) {
        let [(across, right), (down, below)] = self.onto.axes;
        let shape = self.grid.shape().map(|length| length as i64);
        base[down] += below * i64::from(row);
        let inside = |axis: usize, at: i64| (0..shape[axis]).contains(&at);
        if !(0..3).all(|axis| axis == across || inside(axis, base[axis])) {
            self.outside += columns.len() as u64;
            return;
        }
        match &mut self.voxels {
            Voxels::Runs(runs) => {
                let all = base[0] + i64::from(columns.start)..base[0] + i64::from(columns.end);
                let (from, to) = (all.start.clamp(0, shape[0]), all.end.clamp(0, shape[0]));
                self.outside += ((all.end - all.start) - (to - from)) as u64;
                let start = self.grid.index([0, base[1] as usize, base[2] as usize]) as u64;
                runs.push_run(Run {
                    start: start + from as u64,
                    end: start + to as u64,
                });
            }
            Voxels::Each(voxels) => {
                for column in columns {
                    let mut voxel = base;
                    voxel[across] += right * i64::from(column);
                    match inside(across, voxel[across]) {
                        true => voxels[self.grid.index(voxel.map(|at| at as usize))] = true,
                        false => self.outside += 1,
                    }
                }
            }
        }
    }

    fn finish(self) -> Result<Mask, SeriesError> {
        match (self.outside, self.voxels) {
            (0, Voxels::Runs(runs)) => Ok(runs.finish()),
            (0, Voxels::Each(voxels)) => Ok(Mask::from_bools(Arc::clone(self.grid), &voxels)),
            (voxels, _) => Err(SeriesError::OutsideImage { voxels }),
        }
    }
}
