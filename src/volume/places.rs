//! Where MONAI's `Spacing` looks for each voxel of the new grid, rounding included.
//!
//! MONAI (`SpatialResample`, `AffineTransform`, `to_norm_affine`) and PyTorch (`affine_grid`, `grid_sample` with
//! `align_corners=False`) go by way of coordinates in which an image reaches from -1 to 1. Each step below is one of
//! theirs, in their order and with their roundings, since these decide which planes of zeros keep a trace of the
//! foreground. Where an image's axes run along the patient's, the places are theirs to the last bit; elsewhere LAPACK's
//! solver rounds in its own way.

use super::grid::Grid;

/// The places of one grid's voxels in another, whose axes run along the same ones.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// From the new grid's coordinates (-1 to 1) to the old grid's, row by row.
    slopes: [[f64; 3]; 3],
    shifts: [f64; 3],
    /// The coordinates of the new grid's voxels along each axis.
    coordinates: [Vec<f64>; 3],
    old_shape: [usize; 3],
    /// The grids are one and the same, and MONAI leaves the image alone.
    same: bool,
}

impl Places {
    pub fn new(old: &Grid, new: &Grid) -> Places {
        let solved = old.affine().lu().solve(new.affine());
        let matrix = solved.unwrap_or_else(|| old.inverse() * new.affine());
        let (from, to) = (old.shape().map(Unit::of), new.shape().map(Unit::of));
        // to_norm_affine: normalize(from) @ matrix @ inv(normalize(to))
        let rows = [0, 1, 2].map(|axis: usize| [0, 1, 2].map(|column| from[axis].scale * matrix[(axis, column)]));
        Places {
            slopes: rows.map(|row| [0, 1, 2].map(|column: usize| row[column] * to[column].inverse_scale())),
            shifts: [0, 1, 2].map(|axis| {
                (0..3)
                    .map(|column| rows[axis][column] * to[column].inverse_shift())
                    .sum::<f64>()
                    + (from[axis].scale * matrix[(axis, 3)] + from[axis].shift)
            }),
            coordinates: new.shape().map(|length| linspace(length).collect()),
            old_shape: old.shape(),
            same: old == new,
        }
    }

    /// Whether no axis leans towards another: [`Places::along`] is then the whole truth.
    pub fn is_straight(&self) -> bool {
        self.same || (0..3).all(|axis| (0..3).all(|other| other == axis || self.slopes[axis][other] == 0.0))
    }

    /// Places along an axis, in voxels of the old grid, half-way along the other axes.
    pub fn along(&self, axis: usize) -> Vec<f64> {
        let places = self.coordinates[axis]
            .iter()
            .enumerate()
            .map(|(n, at)| match self.same {
                true => n as f64,
                false => self.unnormalize(axis, at * self.slopes[axis][axis] + self.shifts[axis]),
            });
        places.collect()
    }

    /// The place of one voxel of the new grid.
    pub fn of(&self, voxel: [usize; 3]) -> [f64; 3] {
        if self.same {
            return voxel.map(|n| n as f64);
        }
        [0, 1, 2].map(|axis| {
            // affine_grid adds the last axis first
            let terms = (0..3)
                .rev()
                .map(|n| self.coordinates[n][voxel[n]] * self.slopes[axis][n]);
            self.unnormalize(axis, terms.sum::<f64>() + self.shifts[axis])
        })
    }

    /// `grid_sampler_unnormalize`
    fn unnormalize(&self, axis: usize, at: f64) -> f64 {
        ((at + 1.0) * self.old_shape[axis] as f64 - 1.0) / 2.0
    }
}

/// MONAI's `normalize_transform`: voxels to -1 … 1.
struct Unit {
    scale: f64,
    shift: f64,
}

impl Unit {
    fn of(length: usize) -> Unit {
        let length = length as f64;
        Unit {
            scale: 2.0 / length,
            shift: 1.0 / length - 1.0,
        }
    }

    fn inverse_scale(&self) -> f64 {
        1.0 / self.scale
    }

    fn inverse_shift(&self) -> f64 {
        -(self.shift * self.inverse_scale())
    }
}

/// PyTorch's `linspace_from_neg_one` without the corners: steps from both ends to the middle, each rounded once.
fn linspace(length: usize) -> impl Iterator<Item = f64> {
    let last = length.saturating_sub(1) as f64;
    let step = 2.0 / last;
    (0..length).map(move |n| {
        let at = match length {
            1 => 0.0,
            _ if n < length / 2 => step.mul_add(n as f64, -1.0),
            _ => (-step).mul_add(last - n as f64, 1.0),
        };
        at * last / length as f64
    })
}
