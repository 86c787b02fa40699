//! From probabilities on a model's grid back to a mask on the image's own.
//!
//! The probability is interpolated (trilinear) and then compared with the threshold: where the grids coincide this is
//! the model's own mask, elsewhere a smoother one than its nearest neighbours would be. Beyond the crop the probability
//! is 0, but past the outermost centres of the uncropped model grid the border is repeated: there the image goes on
//! for a part of a voxel, and only the resampling left it out.

use rayon::prelude::*;

use super::Prepared;
use super::restore_axes::along_axes;
use crate::volume::{Grid, Mask, MaskBuilder, Neighbour, Run, Sampling};

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

    pub(super) fn hold(&self, upper: usize) -> bool {
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
pub(super) struct Field<'a> {
    pub probability: &'a [f32],
    pub shape: [usize; 3],
    min: [usize; 3],
}

impl Field<'_> {
    pub fn strides(&self) -> [usize; 3] {
        [self.shape[1] * self.shape[2], self.shape[2], 1]
    }

    /// An index of the uncropped model grid as a place in the box with a margin of a zero at either end.
    pub fn padded(&self, axis: usize, index: usize) -> usize {
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

pub(super) fn lerp(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
