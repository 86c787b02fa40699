//! Where voxels are in the patient.
//!
//! A [`Grid`] is a shape and an affine from voxel indices to RAS+ millimetres, as in NIfTI. Everything that has
//! voxels has a grid, and two images may only be combined when their grids are equal.

use nalgebra::Matrix4;

/// Voxel (i, j, k) to RAS+ millimetres, as in NIfTI: the last row is 0 0 0 1.
pub type Affine = Matrix4<f64>;

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

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the grid has no voxels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
