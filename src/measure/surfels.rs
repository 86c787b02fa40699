//! How much surface a 2 x 2 x 2 neighbourhood of voxels holds.
//!
//! The table is the one of DeepMind's `surface-distance` (`lookup_tables.py`, Apache-2.0, Copyright 2018 Google Inc.),
//! made there with marching cubes: for each of the 256 neighbourhoods the normals of its triangles, whose lengths are
//! their areas at unit spacing. An area at other spacings needs only the absolute components, so the 256 lists come
//! down to 27.

/// Absolute components of the triangle normals of each kind of neighbourhood, in eighths.
const KINDS: [&[[u8; 3]]; 27] = [
    &[],
    &[[1, 1, 1]],
    &[[0, 0, 4], [0, 0, 4]],
    &[[0, 2, 2], [0, 2, 2]],
    &[[0, 4, 0], [0, 4, 0]],
    &[[1, 1, 1], [1, 1, 1]],
    &[[2, 0, 2], [2, 0, 2]],
    &[[2, 2, 0], [2, 2, 0]],
    &[[4, 0, 0], [4, 0, 0]],
    &[[0, 0, 4], [1, 1, 1], [2, 2, 2]],
    &[[0, 2, 2], [0, 2, 2], [1, 1, 1]],
    &[[0, 4, 0], [1, 1, 1], [2, 2, 2]],
    &[[1, 1, 1], [1, 1, 1], [1, 1, 1]],
    &[[1, 1, 1], [2, 0, 2], [2, 0, 2]],
    &[[1, 1, 1], [2, 2, 0], [2, 2, 0]],
    &[[1, 1, 1], [2, 2, 2], [4, 0, 0]],
    &[[0, 0, 4], [1, 1, 1], [1, 1, 1], [2, 2, 2]],
    &[[0, 2, 2], [0, 2, 2], [0, 2, 2], [0, 2, 2]],
    &[[0, 2, 2], [1, 1, 1], [2, 0, 2], [3, 3, 3]],
    &[[0, 2, 2], [1, 1, 1], [2, 2, 0], [3, 3, 3]],
    &[[0, 4, 0], [1, 1, 1], [1, 1, 1], [2, 2, 2]],
    &[[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]],
    &[[1, 1, 1], [1, 1, 1], [2, 2, 2], [2, 2, 2]],
    &[[1, 1, 1], [1, 1, 1], [2, 2, 2], [4, 0, 0]],
    &[[1, 1, 1], [2, 0, 2], [2, 2, 0], [3, 3, 3]],
    &[[2, 0, 2], [2, 0, 2], [2, 0, 2], [2, 0, 2]],
    &[[2, 2, 0], [2, 2, 0], [2, 2, 0], [2, 2, 0]],
];

/// Which kind a neighbourhood is; its complement is the same one, so codes above 127 are found by their complement.
#[rustfmt::skip]
const KIND_OF_CODE: [u8; 128] = [
    0, 1, 1, 7, 1, 6, 5, 15, 1, 5, 6, 15, 7, 15, 15, 8,
    1, 3, 5, 11, 5, 9, 12, 22, 5, 10, 13, 18, 14, 19, 23, 15,
    1, 5, 3, 11, 5, 13, 10, 18, 5, 12, 9, 22, 14, 23, 19, 15,
    7, 11, 11, 4, 14, 24, 20, 11, 14, 20, 24, 11, 26, 14, 14, 7,
    1, 5, 5, 14, 3, 9, 10, 19, 5, 12, 13, 23, 11, 22, 18, 15,
    6, 9, 13, 24, 9, 2, 16, 9, 13, 16, 25, 13, 24, 9, 13, 6,
    5, 12, 10, 20, 10, 16, 17, 10, 12, 21, 16, 12, 20, 12, 10, 5,
    15, 22, 18, 11, 19, 9, 10, 3, 23, 12, 13, 5, 14, 5, 5, 1,
];

/// Surface area in mm2 of each neighbourhood code for voxels of `spacing` mm.
///
/// Bit `7 - (4a + 2b + c)` of a code stands for the voxel at offset (a, b, c) in the neighbourhood.
pub(super) fn areas(spacing: [f64; 3]) -> [f64; 256] {
    let [x, y, z] = spacing;
    let face = [y * z / 8.0, x * z / 8.0, x * y / 8.0];
    std::array::from_fn(|code| {
        let kind = KIND_OF_CODE[code.min(255 - code)];
        let triangles = KINDS[usize::from(kind)].iter();
        triangles
            .map(|normal| {
                (0..3)
                    .map(|a| (f64::from(normal[a]) * face[a]).powi(2))
                    .sum::<f64>()
                    .sqrt()
            })
            .sum()
    })
}
