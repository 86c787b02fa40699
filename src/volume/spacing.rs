//! The grid that an image is resampled to: MONAI's `Spacing` with its defaults, which is what SAT was trained behind.

use nalgebra::{Cholesky, Matrix3, Vector3};

use super::Grid;

/// MONAI's `AFFINE_TOL`: differences in spacing and affine that do not count.
const TOLERANCE: f64 = 1e-3;

/// What keeps its place when an oblique image is resampled.
///
/// A NIfTI file holds its affine in single precision, so an oblique one is sheared by some 1e-7. MONAI asks for a corner that lies
/// lowest along all new axes to within 1e-8 voxels, and where rounding leaves none it lays the two grids' centres on
/// each other instead: up to half a voxel away, by the luck of the last bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// As MONAI decides, to the letter: the published models were taught behind it.
    #[default]
    Published,
    /// The first voxel, whatever rounding does to the affine: turning a scan's affine changes nothing.
    FirstVoxel,
}

impl Anchor {
    /// Voxels by which a corner may miss being the lowest.
    fn slack(self) -> f64 {
        match self {
            Anchor::Published => 1e-8,
            Anchor::FirstVoxel => 1e-2,
        }
    }
}

/// `grid` at `spacing` along its own axes, as MONAI's `Spacing` makes it; `grid` itself where MONAI would leave the
/// image alone.
///
/// The rotation stays and shear goes. The corner of the image that lies lowest along all new axes stays where it is (the
/// first voxel, unless the grid is sheared), and a side of n voxels gets round((n - 1) s / s') + 1 of them. A spacing that
/// is right within 0.001 mm is not touched.
pub(crate) fn respaced(grid: &Grid, spacing: [f64; 3], anchor: Anchor) -> Grid {
    let linear: Matrix3<f64> = grid.affine().fixed_view::<3, 3>(0, 0).into();
    let origin: Vector3<f64> = grid.affine().fixed_view::<3, 1>(0, 3).into();
    let own = grid.spacing();
    let target = [0, 1, 2].map(|axis| {
        if (own[axis] - spacing[axis]).abs() <= TOLERANCE {
            own[axis]
        } else {
            spacing[axis]
        }
    });

    // rotation x (zoom and shear): linear = rotation * upper, upper from the Cholesky factor of linear' linear.
    let rotation = Cholesky::new(linear.transpose() * linear)
        .and_then(|factor| factor.l().transpose().solve_upper_triangular(&Matrix3::identity()))
        .map_or(linear, |inverse| linear * inverse);
    let new_linear = rotation * Matrix3::from_diagonal(&Vector3::from(target));
    let Some(inverse) = new_linear.try_inverse() else {
        return grid.clone();
    };
    let to_new = inverse * linear;

    // Where the old grid's corners lie in new voxels, as seen from the old origin.
    let shape = grid.shape();
    let corners: Vec<Vector3<f64>> = (0..8)
        .map(|corner| {
            Vector3::from([0, 1, 2].map(|axis| match corner >> (2 - axis) & 1 {
                0 => 0.0,
                _ => shape[axis] as f64 - 1.0,
            }))
        })
        .collect();
    let seen: Vec<Vector3<f64>> = corners.iter().map(|corner| to_new * corner).collect();
    let bounds = |axis: usize| {
        seen.iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), corner| {
                (low.min(corner[axis]), high.max(corner[axis]))
            })
    };
    let new_shape = [0, 1, 2].map(|axis| {
        let (low, high) = bounds(axis);
        ((high - low + 1.0).round_ties_even()).max(1.0) as usize
    });
    let lowest =
        (0..8).find(|&corner| (0..3).all(|axis| (bounds(axis).0 - seen[corner][axis]).abs() <= anchor.slack()));
    let new_origin = match lowest {
        Some(corner) => linear * corners[corner] + origin,
        None => {
            let half = |shape: [usize; 3]| Vector3::from(shape.map(|length| length as f64 / 2.0));
            linear * half(shape) + origin - new_linear * half(new_shape)
        }
    };

    let mut affine = *grid.affine();
    affine.fixed_view_mut::<3, 3>(0, 0).copy_from(&new_linear);
    affine.fixed_view_mut::<3, 1>(0, 3).copy_from(&new_origin);
    let new = Grid::new(new_shape, affine);
    if is_unchanged(grid, &new) { grid.clone() } else { new }
}

/// Whether MONAI's `SpatialResample` would hand the image on as it is.
fn is_unchanged(old: &Grid, new: &Grid) -> bool {
    let close = |a: &super::Affine, b: &super::Affine| {
        a.iter()
            .zip(b.iter())
            .all(|(a, b)| (a - b).abs() <= TOLERANCE + 1e-5 * b.abs())
    };
    old.shape() == new.shape()
        && (close(old.affine(), new.affine()) || close(&(old.inverse() * new.affine()), &super::Affine::identity()))
}
