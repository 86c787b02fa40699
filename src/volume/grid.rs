//! Where voxels are in the patient.
//!
//! A [`Grid`] is a shape and an affine from voxel indices to RAS+ millimetres, as in NIfTI. Everything that has
//! voxels has a grid, and two images may only be combined when their grids are equal.

use nalgebra::Vector4;

use super::axes::{self, Affine, AxisCode, Reorientation};

/// Two grids agree when no corner moves by more than this; float32 headers lose more than they mean.
const CORNER_TOLERANCE_MM: f64 = 1e-3;

/// Shape and placement of a voxel grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    shape: [usize; 3],
    affine: Affine,
}

impl Grid {
    /// A grid of `shape` voxels placed by `affine`, which the reader has checked to be invertible.
    pub fn new(shape: [usize; 3], affine: Affine) -> Grid {
        Grid { shape, affine }
    }

    /// Voxels along the stored axes.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxel indices to RAS+ millimetres.
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// RAS+ millimetres to voxel indices.
    ///
    /// All NaN where the affine is singular, which no grid of a file that was read is.
    pub fn inverse(&self) -> Affine {
        self.affine.try_inverse().unwrap_or_else(|| Affine::repeat(f64::NAN))
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the grid has no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Millimetres from one voxel centre to the next along each stored axis.
    pub fn spacing(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| self.affine.fixed_view::<3, 1>(0, axis).norm())
    }

    /// Volume of one voxel in mm3: the absolute determinant of the affine's linear part.
    pub fn voxel_volume(&self) -> f64 {
        self.affine.fixed_view::<3, 3>(0, 0).determinant().abs()
    }

    /// The anatomical direction that each stored axis runs towards, as nibabel's `io_orientation` decides.
    pub fn axis_code(&self) -> AxisCode {
        axes::axis_code(&self.affine)
    }

    /// The grid with axes permuted and flipped towards `code`, and the [`Reorientation`] that leads there and back.
    ///
    /// Oblique grids keep their rotation: each axis goes to the anatomical direction it is closest to, as nibabel's
    /// `io_orientation` decides (ties included).
    pub fn reoriented(&self, code: AxisCode) -> (Grid, Reorientation) {
        let turn = Reorientation::between(self.axis_code(), code, self.shape);
        let mut affine = self.affine;
        for new in 0..3 {
            let old = turn.from()[new];
            let column: Vector4<f64> = self.affine.column(old).into();
            if turn.flipped()[new] {
                affine.set_column(new, &-column);
                let end: Vector4<f64> = affine.column(3) + column * (self.shape[old] as f64 - 1.0);
                affine.set_column(3, &end);
            } else {
                affine.set_column(new, &column);
            }
        }
        (Grid::new(turn.shape(), affine), turn)
    }

    /// The part of the grid that begins at voxel `min` and has `shape` voxels.
    pub fn cropped(&self, min: [usize; 3], shape: [usize; 3]) -> Grid {
        let mut affine = self.affine;
        let origin = self.to_world(min.map(|n| n as f64));
        for (row, value) in origin.into_iter().enumerate() {
            affine[(row, 3)] = value;
        }
        Grid::new(shape, affine)
    }

    /// Where a voxel coordinate is in the patient, in RAS+ millimetres.
    pub fn to_world(&self, voxel: [f64; 3]) -> [f64; 3] {
        transform(&self.affine, voxel)
    }

    /// Which voxel coordinate a place in the patient has. For many places take [`Grid::inverse`] once.
    pub fn to_voxel(&self, world: [f64; 3]) -> [f64; 3] {
        transform(&self.inverse(), world)
    }

    /// Linear index of voxel (i, j, k): i fastest, as NIfTI stores.
    pub fn index(&self, [i, j, k]: [usize; 3]) -> usize {
        i + self.shape[0] * (j + self.shape[1] * k)
    }

    /// Voxel (i, j, k) of a linear index: what [`Grid::index`] undoes.
    pub fn voxel(&self, index: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [index % nx, index / nx % ny, index / (nx * ny)]
    }

    /// Whether both grids put the same voxels in the same places: equal shapes, and no corner further than 0.001 mm
    /// from its counterpart.
    pub fn agrees_with(&self, other: &Grid) -> bool {
        if self.shape != other.shape {
            return false;
        }
        (0..8).all(|corner| {
            let voxel = [0, 1, 2].map(|axis| match corner >> axis & 1 {
                0 => 0.0,
                _ => self.shape[axis].saturating_sub(1) as f64,
            });
            let (here, there) = (self.to_world(voxel), other.to_world(voxel));
            (0..3)
                .map(|axis| (here[axis] - there[axis]).powi(2))
                .sum::<f64>()
                .sqrt()
                <= CORNER_TOLERANCE_MM
        })
    }
}

/// `affine` applied to a point.
pub(crate) fn transform(affine: &Affine, point: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|row| (0..3).map(|column| affine[(row, column)] * point[column]).sum::<f64>() + affine[(row, 3)])
}

#[cfg(test)]
#[path = "grid_tests.rs"]
mod tests;
