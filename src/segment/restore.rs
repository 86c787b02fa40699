//! From probabilities on a model's grid back to a mask on the image's own.
//!
//! The probability is interpolated (trilinear) and then compared with the threshold: where the grids coincide this is
//! the model's own mask, elsewhere a smoother one than its nearest neighbours would be. Beyond the crop the probability
//! is 0, but past the outermost centres of the uncropped model grid the border is repeated: there the image goes on
//! for a part of a voxel, and only the resampling left it out.

use rayon::prelude::*;

use super::Prepared;
use super::field::{Field, ModelBox, Planes};
use super::restore_axes::along_axes;
use crate::volume::{Grid, Mask, MaskBuilder, Neighbour, Run, Sampling};

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

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
