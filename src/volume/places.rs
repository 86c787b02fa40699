//! Where MONAI's `Spacing` looks for each voxel of the new grid, rounding included.
//!
//! MONAI (`SpatialResample`, `AffineTransform`, `to_norm_affine`) and PyTorch (`affine_grid`, `grid_sample` with
//! `align_corners=False`) go by way of coordinates in which an image reaches from -1 to 1. Each step below is one of
//! theirs, in their order and with their roundings, since these decide which planes of zeros keep a trace of the
//! foreground. Where an image's axes run along the patient's, the places are theirs to the last bit; elsewhere LAPACK's
//! solver rounds in its own way.

use super::grid::Grid;

/// For each axis of `new`, the places of its voxels along the same axis of `old`, in voxels. The grids' axes must run
/// along each other.
pub(super) fn places(old: &Grid, new: &Grid) -> [Vec<f64>; 3] {
    if old == new {
        return old.shape().map(|length| (0..length).map(|n| n as f64).collect());
    }
    let solved = old.affine().lu().solve(new.affine());
    let matrix = solved.unwrap_or_else(|| old.inverse() * new.affine());
    let (from, to) = (old.shape().map(Unit::of), new.shape().map(Unit::of));
    [0, 1, 2].map(|axis| {
        // to_norm_affine: normalize(from) @ matrix @ inv(normalize(to))
        let row = [0, 1, 2].map(|column| from[axis].scale * matrix[(axis, column)]);
        let slope = row[axis] * to[axis].inverse_scale();
        let shift = (0..3)
            .map(|column| row[column] * to[column].inverse_shift())
            .sum::<f64>()
            + (from[axis].scale * matrix[(axis, 3)] + from[axis].shift);
        let length = old.shape()[axis] as f64;
        linspace(new.shape()[axis])
            .map(|at| {
                // affine_grid, then grid_sampler_unnormalize
                let at = at * slope + shift;
                ((at + 1.0) * length - 1.0) / 2.0
            })
            .collect()
    })
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
