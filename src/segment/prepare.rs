//! From an image to what a model looks at: reoriented, resampled, cropped to what is above zero, normalised.
//!
//! These are the steps, and the order, of SAT's own loader (MONAI `Orientation`, `Spacing`, `CropForeground`, then its
//! normalisation), so that a model sees here what it saw in training.

use std::sync::Arc;

use rayon::prelude::*;

use super::normalise::{normalise, percentiles};
use crate::volume::{Anchor, AxisCode, Grid, Modality, Sampling, Volume, resample, respaced};

/// The most voxels that an image may have after resampling: 2 GiB as floats, a body of 2.5 m at 0.6 x 0.6 x 3 mm.
pub const MAX_PREPARED_VOXELS: usize = 1 << 29;

/// The figures of a model's manifest that say how it wants images.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// Directions of the axes.
    pub orientation: AxisCode,
    /// Millimetres between voxels along those axes.
    pub spacing: [f64; 3],
    /// Hounsfield units that CT is clipped to.
    pub ct_window: [f64; 2],
    /// Percentiles that other images are clipped to.
    pub percentiles: [f64; 2],
    /// What keeps its place when an oblique image is resampled.
    pub anchor: Anchor,
}

/// Why an image cannot be segmented. The caller knows its name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PrepareError {
    /// The crop would be empty.
    #[error(
        "no voxel of the image is above 0, and what is at or below 0 is taken as background; \
         shift the intensities (CT is expected in Hounsfield units)"
    )]
    NothingAboveZero,
    /// Nothing varies, so nothing can be seen.
    #[error(
        "the image is constant ({value}) once cropped and clipped, so there is nothing to segment; check that the right file was given"
    )]
    Constant {
        /// The value of its voxels.
        value: f32,
    },
    /// A spacing that no manifest should ask for.
    #[error("a spacing of {spacing:?} mm cannot be resampled to; correct the model's manifest")]
    Spacing {
        /// Millimetres along the axes.
        spacing: [f64; 3],
    },
    /// Resampling would blow the image up.
    #[error(
        "at the model's spacing the image would have {} x {} x {} voxels, more than the limit of {limit}; \
         check the voxel spacing in the file's header, or crop the image",
        shape[0], shape[1], shape[2]
    )]
    TooLarge {
        /// Its shape.
        shape: [usize; 3],
        /// Voxels allowed.
        limit: usize,
    },
}

/// An image as a model takes it, and the way back.
#[derive(Debug, Clone)]
pub struct Prepared {
    voxels: Vec<f32>,
    grid: Grid,
    /// The model grid before the crop, and where the crop begins in it.
    whole: Grid,
    crop: [usize; 3],
    source: Arc<Grid>,
    from: [usize; 3],
}

impl Prepared {
    /// Voxels along the model's axes.
    pub fn shape(&self) -> [usize; 3] {
        self.grid.shape()
    }

    /// Normalised intensities, last axis fastest.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// The same without its intensities, which are needed once: what is left leads back to the source.
    pub(super) fn without_voxels(self) -> Prepared {
        Prepared {
            voxels: Vec::new(),
            ..self
        }
    }

    /// The model's grid: reoriented, resampled and cropped. (Its linear indices, unlike those of
    /// [`Prepared::voxels`], run with the first axis fastest.)
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The grid of the image that this came from, which masks go back to.
    pub fn source_grid(&self) -> &Grid {
        &self.source
    }

    /// The same, to be shared with masks.
    pub fn shared_source_grid(&self) -> Arc<Grid> {
        Arc::clone(&self.source)
    }

    /// The model's grid before the crop.
    pub fn whole_grid(&self) -> &Grid {
        &self.whole
    }

    /// Where in [`Prepared::whole_grid`] the crop begins.
    pub fn crop_start(&self) -> [usize; 3] {
        self.crop
    }

    /// Where the source's voxels lie in the model's uncropped grid.
    pub(super) fn way_back(&self) -> Sampling {
        let mut from = [0; 3];
        for (model, source) in self.from.into_iter().enumerate() {
            from[source] = model;
        }
        Sampling::new(&self.whole, &self.source, from)
    }
}

/// Prepares an image for a model. Holds the image and the resampled copy, no third.
pub fn prepare(volume: &Volume, modality: Modality, how: &Preparation) -> Result<Prepared, PrepareError> {
    if !how.spacing.iter().all(|length| length.is_finite() && *length > 0.0) {
        return Err(PrepareError::Spacing { spacing: how.spacing });
    }
    let (turned, turn) = volume.grid().reoriented(how.orientation);
    let whole = respaced(&turned, how.spacing, how.anchor);
    let shape = whole.shape();
    let len = shape
        .iter()
        .try_fold(1_usize, |product, &length| product.checked_mul(length));
    if len.is_none_or(|len| len > MAX_PREPARED_VOXELS) {
        return Err(PrepareError::TooLarge {
            shape,
            limit: MAX_PREPARED_VOXELS,
        });
    }

    let sampling = Sampling::published(volume.grid(), &turn, &turned, &whole);
    let mut voxels = resample(volume.voxels(), &sampling);
    let mut found = foreground(&voxels, shape).ok_or(PrepareError::NothingAboveZero)?;
    if let Some(value) = sampling.leaning(volume.voxels()) {
        found = traced(value, shape, found);
    }
    let (crop, cropped) = found;
    keep_box(&mut voxels, shape, crop, cropped);
    let window = match modality {
        Modality::Ct => how.ct_window,
        Modality::Mri | Modality::Pet => percentiles(&voxels, how.percentiles),
    };
    normalise(&mut voxels, window).ok_or_else(|| PrepareError::Constant { value: voxels[0] })?;
    Ok(Prepared {
        voxels,
        grid: whole.cropped(crop, cropped),
        whole,
        crop,
        source: volume.shared_grid(),
        from: turn.from(),
    })
}

/// The box around everything above 0, as where it begins and its shape: MONAI's `CropForeground` with its defaults.
fn foreground(voxels: &[f32], [_, ny, nz]: [usize; 3]) -> Option<([usize; 3], [usize; 3])> {
    type Bounds = Option<([usize; 3], [usize; 3])>;
    let join = |a: Bounds, b: Bounds| match (a, b) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => Some((
            [0, 1, 2].map(|axis| a_min[axis].min(b_min[axis])),
            [0, 1, 2].map(|axis| a_max[axis].max(b_max[axis])),
        )),
        (found, None) | (None, found) => found,
    };
    let bounds = voxels
        .par_chunks(ny * nz)
        .enumerate()
        .map(|(x, plane)| {
            plane.chunks(nz).enumerate().fold(None, |bounds: Bounds, (y, line)| {
                let first = line.iter().position(|&value| value > 0.0);
                let last = line.iter().rposition(|&value| value > 0.0);
                join(
                    bounds,
                    first.zip(last).map(|(first, last)| ([x, y, first], [x, y, last])),
                )
            })
        })
        .reduce(|| None, join);
    bounds.map(|(min, max)| (min, [0, 1, 2].map(|axis| max[axis] - min[axis] + 1)))
}

/// The box as MONAI sees it in an image whose axes lean a little: a plane of zeros beside the foreground belongs to it where
/// any of its voxels lies a trace towards the foreground, and not where none does.
fn traced(
    value: impl Fn([usize; 3]) -> f32 + Sync,
    shape: [usize; 3],
    (min, cropped): ([usize; 3], [usize; 3]),
) -> ([usize; 3], [usize; 3]) {
    let max = [0, 1, 2].map(|axis| min[axis] + cropped[axis] - 1);
    // One more plane on each side, within the image.
    let low = min.map(|n| n.saturating_sub(1));
    let high = [0, 1, 2].map(|axis| (max[axis] + 1).min(shape[axis] - 1));
    let is_seen = |axis: usize, n: usize| {
        let [a, b] = [(axis + 1) % 3, (axis + 2) % 3];
        (low[a]..=high[a]).into_par_iter().any(|i| {
            (low[b]..=high[b]).any(|j| {
                let mut voxel = [n; 3];
                (voxel[a], voxel[b]) = (i, j);
                value(voxel) > 0.0
            })
        })
    };
    let first = [0, 1, 2].map(|axis| (low[axis]..=max[axis]).find(|n| is_seen(axis, *n)).unwrap_or(min[axis]));
    let last = [0, 1, 2].map(|axis| {
        let mut planes = (first[axis]..=high[axis]).rev();
        planes.find(|n| is_seen(axis, *n)).unwrap_or(max[axis])
    });
    (first, [0, 1, 2].map(|axis| last[axis] - first[axis] + 1))
}

/// Cuts an array (last axis fastest) down to a box, within the memory that it has.
fn keep_box(voxels: &mut Vec<f32>, [_, ny, nz]: [usize; 3], min: [usize; 3], shape: [usize; 3]) {
    let mut to = 0;
    for x in min[0]..min[0] + shape[0] {
        for y in min[1]..min[1] + shape[1] {
            let from = (x * ny + y) * nz + min[2];
            voxels.copy_within(from..from + shape[2], to);
            to += shape[2];
        }
    }
    voxels.truncate(to);
    voxels.shrink_to_fit();
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
