//! Small masks for this room's tests.

use std::sync::Arc;

use nalgebra::{Matrix4, Rotation3, Vector3};

use crate::volume::{Affine, Grid, Mask};

/// A mask on a grid of 1 mm voxels with its first voxel's centre at the origin.
pub(crate) fn mask_of(shape: [usize; 3], inside: impl Fn(usize, usize, usize) -> bool) -> Mask {
    mask_on(Arc::new(Grid::new(shape, Affine::identity())), inside)
}

/// A mask on a grid, by a rule for voxels.
pub(crate) fn mask_on(grid: Arc<Grid>, inside: impl Fn(usize, usize, usize) -> bool) -> Mask {
    let [ni, nj, _] = grid.shape();
    Mask::from_predicate(grid, |n| inside(n % ni, n / ni % nj, n / (ni * nj)))
}

/// A turned and shifted affine with voxels of `spacing` mm.
pub(crate) fn oblique(spacing: [f64; 3]) -> Affine {
    let turn = Rotation3::from_euler_angles(0.2, -0.35, 0.5).to_homogeneous();
    let scale = Matrix4::new_nonuniform_scaling(&Vector3::from(spacing));
    Matrix4::new_translation(&Vector3::new(-31.0, 12.5, 7.0)) * turn * scale
}

/// `n` bits of which about `share` are set, the same for the same seed.
pub(crate) fn noise(seed: u64, n: usize, share: f64) -> Vec<bool> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n + 16).map(|_| next() < share).skip(16).collect()
}
