//! From probabilities on a model's grid back to a mask on the image's own.
//!
//! The probability is interpolated (trilinear) and then compared with the threshold: where the grids coincide this is
//! the model's own mask, elsewhere a smoother one than its nearest neighbours would be. Beyond the crop the probability
//! is 0, but past the outermost centres of the uncropped model grid the border is repeated: there the image goes on
//! for a part of a voxel, and only the resampling left it out.

use std::ops::Range;

use rayon::prelude::*;

use super::Prepared;
use crate::volume::{Grid, Mask, MaskBuilder, Neighbour, Run, Sampling};

/// Planes of the image that one thread takes at a time.
const SLAB: usize = 16;

/// A box of voxels of a prepared image: the lowest and the highest voxel, both inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelBox {
    /// The lowest voxel along each axis.
    pub min: [usize; 3],
    /// The highest voxel along each axis.
    pub max: [usize; 3],
}

impl ModelBox {
    /// All of an image of this shape (which has voxels).
    pub fn whole(shape: [usize; 3]) -> ModelBox {
        ModelBox {
            min: [0; 3],
            max: shape.map(|length| length.saturating_sub(1)),
        }
    }

    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.max[axis] + 1 - self.min[axis])
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Never: both corners are inside.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The smallest box around both.
    pub(super) fn joined(&self, other: &ModelBox) -> ModelBox {
        ModelBox {
            min: [0, 1, 2].map(|axis| self.min[axis].min(other.min[axis])),
            max: [0, 1, 2].map(|axis| self.max[axis].max(other.max[axis])),
        }
    }

    /// One voxel more on every side, within an image of this shape.
    pub(super) fn grown(&self, shape: [usize; 3]) -> ModelBox {
        ModelBox {
            min: self.min.map(|n| n.saturating_sub(1)),
            max: [0, 1, 2].map(|axis| (self.max[axis] + 1).min(shape[axis] - 1)),
        }
    }
}

/// A stretch of the prepared image along one of its axes: the image's voxels whose upper neighbour lies in it, so that
/// one stretch after another reaches each voxel once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planes {
    /// The axis.
    pub sweep: usize,
    /// The first plane; absent for the first stretch, which also has all that lies before.
    pub from: Option<usize>,
    /// The plane after the last; absent for the last stretch, which also has all that lies behind.
    pub to: Option<usize>,
}

impl Planes {
    /// The whole image in one stretch.
    pub const ALL: Planes = Planes {
        sweep: 0,
        from: None,
        to: None,
    };

    fn hold(&self, upper: usize) -> bool {
        self.from.is_none_or(|from| from <= upper) && self.to.is_none_or(|to| upper < to)
    }
}

/// The way back of one prepared image.
pub struct Restore<'a> {
    prepared: &'a Prepared,
    sampling: Sampling,
    /// Where each voxel lies, axis by axis of the image, where that can be said.
    neighbours: Option<[Vec<Neighbour>; 3]>,
}

impl<'a> Restore<'a> {
    /// Tables the way back.
    pub fn new(prepared: &'a Prepared) -> Restore<'a> {
        let sampling = prepared.way_back();
        let separable = sampling.is_separable();
        let neighbours = separable.then(|| [0, 1, 2].map(|axis| sampling.neighbours(axis)));
        Restore {
            prepared,
            sampling,
            neighbours,
        }
    }

    /// The grid of masks, to be shared.
    pub fn shared_grid(&self) -> std::sync::Arc<Grid> {
        self.prepared.shared_source_grid()
    }

    /// The mask on the image's own grid of one class, whose probability is given for all of the prepared image, last axis
    /// fastest.
    ///
    /// # Panics
    /// When there are not as many probabilities as the prepared image has voxels.
    pub fn mask(&self, probability: &[f32], threshold: f32) -> Mask {
        let part = ModelBox::whole(self.prepared.shape());
        self.mask_of_box(part, probability, threshold)
    }

    /// As [`Restore::mask`], where the probability is given for a box only.
    ///
    /// # Panics
    /// As [`Restore::within`].
    pub fn mask_of_box(&self, part: ModelBox, probability: &[f32], threshold: f32) -> Mask {
        let mut builder = MaskBuilder::new(self.shared_grid());
        let runs = self.within(part, probability, threshold, Planes::ALL);
        runs.into_iter().for_each(|run| builder.push_run(run));
        builder.finish()
    }

    /// The runs of the image's voxels in `planes` whose probability, given for a box (last axis fastest) and 0 outside it,
    /// is above the threshold, which is not below 0.
    ///
    /// # Panics
    /// When there are not as many probabilities as the box has voxels, or the box reaches beyond the prepared image.
    pub fn within(&self, part: ModelBox, probability: &[f32], threshold: f32, planes: Planes) -> Vec<Run> {
        assert_eq!(
            probability.len(),
            part.len(),
            "one probability for each voxel of the box"
        );
        let shape = self.prepared.shape();
        assert!(
            (0..3).all(|axis| part.max[axis] < shape[axis]),
            "the box {part:?} reaches beyond {shape:?}"
        );
        let crop = self.prepared.crop_start();
        let field = Field {
            probability,
            shape: part.shape(),
            min: [0, 1, 2].map(|axis| crop[axis] + part.min[axis]),
        };
        // From here on planes are counted in the uncropped grid.
        let begin = crop[planes.sweep];
        let planes = Planes {
            from: planes.from.map(|from| from + begin),
            to: planes.to.map(|to| to + begin),
            ..planes
        };
        let grid = self.prepared.source_grid();
        match &self.neighbours {
            Some(neighbours) => along_axes(grid, self.sampling.from(), neighbours, &field, threshold, planes),
            None => voxel_by_voxel(self.prepared, &self.sampling, &field, threshold, planes),
        }
        .concat()
    }
}

/// Probabilities in a box of the uncropped model grid; 0 outside.
struct Field<'a> {
    probability: &'a [f32],
    shape: [usize; 3],
    min: [usize; 3],
}

impl Field<'_> {
    fn strides(&self) -> [usize; 3] {
        [self.shape[1] * self.shape[2], self.shape[2], 1]
    }

    /// An index of the uncropped model grid as a place in the box with a margin of a zero at either end.
    fn padded(&self, axis: usize, index: usize) -> usize {
        (index + 1).saturating_sub(self.min[axis]).min(self.shape[axis] + 1)
    }

    fn at(&self, index: [usize; 3]) -> f32 {
        let strides = self.strides();
        let mut place = 0;
        for axis in 0..3 {
            match index[axis].checked_sub(self.min[axis]) {
                Some(inside) if inside < self.shape[axis] => place += inside * strides[axis],
                _ => return 0.0,
            }
        }
        self.probability[place]
    }

    fn interpolated(&self, place: [Neighbour; 3]) -> f32 {
        let [x, y, z] = place;
        let reach =
            |axis: usize| self.min[axis] <= place[axis].high && place[axis].low < self.min[axis] + self.shape[axis];
        if !(reach(0) && reach(1) && reach(2)) {
            return 0.0;
        }
        let along_z = |x, y| lerp(self.at([x, y, z.low]), self.at([x, y, z.high]), z.weight as f32);
        let along_y = |x| lerp(along_z(x, y.low), along_z(x, y.high), y.weight as f32);
        lerp(along_y(x.low), along_y(x.high), x.weight as f32)
    }
}

/// The voxels of the image along one of its axes that the box reaches, and where in the padded box each lies: so far
/// from one place to the next.
struct Reach {
    start: usize,
    places: Vec<(usize, f32)>,
}

impl Reach {
    fn new(neighbours: &[Neighbour], field: &Field<'_>, model_axis: usize, planes: Planes) -> Reach {
        let inside = 1..field.shape[model_axis] + 1;
        let place = |n: &Neighbour| (field.padded(model_axis, n.low), n.weight as f32);
        let is_inside = |n: &Neighbour| {
            (model_axis != planes.sweep || planes.hold(n.high))
                && (inside.contains(&field.padded(model_axis, n.low)) || inside.contains(&field.padded(model_axis, n.high)))
        };
        let start = neighbours.iter().position(is_inside).unwrap_or(neighbours.len());
        let places = neighbours[start..]
            .iter()
            .take_while(|n| is_inside(n))
            .map(place)
            .collect();
        Reach { start, places }
    }
}

/// Axis by axis, which is possible where the axes of image and model lie along each other: a few planes of the box are
/// laid out as the image is stored, interpolated to each plane of the image, then to each line, then to each voxel.
fn along_axes(
    grid: &Grid,
    from: [usize; 3],
    neighbours: &[Vec<Neighbour>; 3],
    field: &Field<'_>,
    threshold: f32,
    planes: Planes,
) -> Vec<Vec<Run>> {
    let [i, j, k] = [0, 1, 2].map(|axis| Reach::new(&neighbours[axis], field, from[axis], planes));
    let stride = grid.shape()[0] as u64;
    k.places
        .par_chunks(SLAB)
        .enumerate()
        .map(|(n, places)| {
            let first = places.iter().map(|place| place.0).min().unwrap_or(0);
            let last = places.iter().map(|place| place.0 + 1).max().unwrap_or(0);
            let slab = lay_out(field, from, first..last + 1);
            let mut runs = Vec::new();
            for (plane, &(depth, weight)) in places.iter().enumerate() {
                let (a, b) = (&slab[depth - first], &slab[depth + 1 - first]);
                if a.highest.max(b.highest) <= threshold {
                    continue;
                }
                let base = grid.index([i.start, j.start, k.start + n * SLAB + plane]) as u64;
                threshold_plane(
                    &a.towards(b, weight),
                    &i.places,
                    &j.places,
                    threshold,
                    |line, start, end| {
                        let origin = base + line as u64 * stride;
                        runs.push(Run {
                            start: origin + start as u64,
                            end: origin + end as u64,
                        });
                    },
                );
            }
            runs
        })
        .collect()
}

/// A plane of the padded box, in the order in which the image is stored; its highest value, and each line's.
struct Plane {
    width: usize,
    values: Vec<f32>,
    line_highest: Vec<f32>,
    highest: f32,
}

/// Planes `depths` of the padded box. There is a margin of two zeros at the high end: one for what lies outside, and one
/// beyond it, which is read but has no weight.
fn lay_out(field: &Field<'_>, from: [usize; 3], depths: Range<usize>) -> Vec<Plane> {
    let [width, height] = [from[0], from[1]].map(|axis| field.shape[axis] + 3);
    let mut slab = vec![vec![0.0; width * height]; depths.len()];
    let strides = from.map(|axis| field.strides()[axis]);
    let inside = depths.start.max(1)..depths.end.min(field.shape[from[2]] + 1);
    let lengths = [field.shape[from[0]], field.shape[from[1]], inside.len()];
    // The innermost loop runs along the axis in which probabilities lie one after the other.
    let inner = (0..3).find(|&axis| strides[axis] == 1).unwrap_or(2);
    let (outer, middle) = ((inner + 1) % 3, (inner + 2) % 3);
    let mut at = [0; 3];
    for a in 0..lengths[outer] {
        for b in 0..lengths[middle] {
            (at[outer], at[middle]) = (a, b);
            let base = a * strides[outer] + b * strides[middle] + (inside.start - 1) * strides[2];
            for (c, &value) in field.probability[base..]
                .iter()
                .step_by(strides[inner])
                .take(lengths[inner])
                .enumerate()
            {
                at[inner] = c;
                slab[inside.start - depths.start + at[2]][(at[1] + 1) * width + at[0] + 1] = value;
            }
        }
    }
    slab.into_iter().map(|values| Plane::new(width, values)).collect()
}

impl Plane {
    fn new(width: usize, values: Vec<f32>) -> Plane {
        let line_highest: Vec<f32> = values.chunks_exact(width).map(highest).collect();
        Plane {
            width,
            highest: highest(&line_highest),
            values,
            line_highest,
        }
    }

    fn line(&self, n: usize) -> &[f32] {
        &self.values[n * self.width..(n + 1) * self.width]
    }

    /// The plane that lies `weight` of the way from this one to another.
    fn towards(&self, other: &Plane, weight: f32) -> Plane {
        let values = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(&a, &b)| lerp(a, b, weight))
            .collect();
        Plane::new(self.width, values)
    }
}

/// Calls `found` with (line, start, end) for each run above the threshold, counted from the first voxels reached.
fn threshold_plane(
    plane: &Plane,
    along: &[(usize, f32)],
    across: &[(usize, f32)],
    threshold: f32,
    mut found: impl FnMut(usize, usize, usize),
) {
    let mut line = vec![0.0; plane.width];
    for (row, &(place, weight)) in across.iter().enumerate() {
        // An average is nowhere above the highest of what it is made of.
        if plane.line_highest[place].max(plane.line_highest[place + 1]) <= threshold {
            continue;
        }
        let pairs = plane.line(place).iter().zip(plane.line(place + 1));
        line.iter_mut()
            .zip(pairs)
            .for_each(|(value, (&a, &b))| *value = lerp(a, b, weight));
        let mut start = None;
        for (n, &(place, weight)) in along.iter().enumerate() {
            let is_above = lerp(line[place], line[place + 1], weight) > threshold;
            if is_above != start.is_some() {
                match start.take() {
                    None => start = Some(n),
                    Some(first) => found(row, first, n),
                }
            }
        }
        if let Some(first) = start {
            found(row, first, along.len());
        }
    }
}

/// Each voxel by itself: for sheared images, whose axes do not lie along the model's.
fn voxel_by_voxel(
    prepared: &Prepared,
    sampling: &Sampling,
    field: &Field<'_>,
    threshold: f32,
    planes: Planes,
) -> Vec<Vec<Run>> {
    let grid = prepared.source_grid();
    let (low, high) = surroundings(prepared, field);
    (low[2]..high[2])
        .into_par_iter()
        .map(|k| {
            let mut runs: Vec<Run> = Vec::new();
            for j in low[1]..high[1] {
                let line = grid.index([0, j, k]) as u64;
                let places = sampling.line([low[0], j, k], 0);
                for (i, place) in (low[0]..high[0]).zip(places) {
                    if planes.hold(place[planes.sweep].high) && field.interpolated(place) > threshold {
                        let start = line + i as u64;
                        match runs.last_mut() {
                            Some(run) if run.end == start => run.end += 1,
                            _ => runs.push(Run { start, end: start + 1 }),
                        }
                    }
                }
            }
            runs
        })
        .collect()
}

/// A box of the image (half-open) that holds every voxel which the field's box can reach: up to a voxel beyond its
/// edges, and one more where the border is repeated.
fn surroundings(prepared: &Prepared, field: &Field<'_>) -> ([usize; 3], [usize; 3]) {
    let (mut low, mut high) = ([f64::INFINITY; 3], [f64::NEG_INFINITY; 3]);
    let to_voxel = prepared.source_grid().inverse();
    for corner in 0..8 {
        let model = [0, 1, 2].map(|axis| match corner >> axis & 1 {
            0 => field.min[axis] as f64 - 2.0,
            _ => (field.min[axis] + field.shape[axis]) as f64 + 1.0,
        });
        let voxel = crate::volume::transform(&to_voxel, prepared.whole_grid().to_world(model));
        for axis in 0..3 {
            low[axis] = low[axis].min(voxel[axis]);
            high[axis] = high[axis].max(voxel[axis]);
        }
    }
    let shape = prepared.source_grid().shape();
    (
        [0, 1, 2].map(|axis| low[axis].floor().max(0.0) as usize),
        [0, 1, 2].map(|axis| ((high[axis].ceil() + 1.0).max(0.0) as usize).min(shape[axis])),
    )
}

fn highest(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |highest, &value| if value > highest { value } else { highest })
}

fn lerp(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
