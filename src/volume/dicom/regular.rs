//! Tilted and uneven slices on a regular grid.

use std::collections::TryReserveError;

use rayon::prelude::*;

use crate::volume::Grid;

/// A place this close to a pixel or a slice is that pixel or slice.
const ON: f64 = 1e-4;

/// Interpolates slices to the grid that was made around them: linear within the two slices that a voxel lies between, and
/// linear from one to the other along the normal. Slices have `size` columns and rows and lie at `places` of the grid; what none covers
/// has the value `outside`.
///
/// # Errors
/// When there is no room.
pub(super) fn regular(
    size: [usize; 2],
    slices: &[f32],
    places: &[[f64; 3]],
    grid: &Grid,
    outside: f32,
) -> Result<Vec<f32>, TryReserveError> {
    let [columns, rows, _] = grid.shape();
    let of = size[0] * size[1];
    let slice = |k: usize| Slice {
        pixels: &slices[k * of..][..of],
        size,
        place: places[k],
        outside,
    };
    let mut voxels = Vec::new();
    voxels.try_reserve_exact(grid.len())?;
    voxels.resize(grid.len(), 0.0);
    voxels
        .par_chunks_mut(columns * rows)
        .enumerate()
        .for_each(|(k, voxels)| {
            let (below, part) = between(places, k as f64);
            slice(below).add(columns, 1.0 - part, voxels);
            if part > 0.0 {
                slice(below + 1).add(columns, part, voxels);
            }
        });
    Ok(voxels)
}

/// The slice at or below a depth, and how far towards the next one the depth is.
fn between(places: &[[f64; 3]], depth: f64) -> (usize, f64) {
    let after = places.partition_point(|place| place[2] <= depth + ON);
    let below = after.max(1) - 1;
    let Some(next) = places.get(below + 1) else {
        return (below, 0.0);
    };
    let part = (depth - places[below][2]) / (next[2] - places[below][2]);
    let part = part.clamp(0.0, 1.0);
    (below, if part < ON { 0.0 } else { part })
}

/// A slice, shifted within its plane.
struct Slice<'a> {
    pixels: &'a [f32],
    size: [usize; 2],
    place: [f64; 3],
    outside: f32,
}

impl Slice<'_> {
    /// Adds `weight` times the slice to a plane of the grid that is `columns` wide.
    fn add(&self, columns: usize, weight: f64, plane: &mut [f32]) {
        let [across, down] = [0, 1].map(|axis| Shift::of(self.place[axis]));
        for (j, row) in plane.chunks_mut(columns).enumerate() {
            for (i, voxel) in row.iter_mut().enumerate() {
                let upper = self.row(across, i, j as i64 - down.whole);
                let value = match down.part > 0.0 {
                    true => (1.0 - down.part) * upper + down.part * self.row(across, i, j as i64 - down.whole - 1),
                    false => upper,
                };
                *voxel += (weight * value) as f32;
            }
        }
    }

    fn row(&self, across: Shift, i: usize, j: i64) -> f64 {
        let i = i as i64 - across.whole;
        let here = self.pixel(i, j);
        match across.part > 0.0 {
            true => (1.0 - across.part) * here + across.part * self.pixel(i - 1, j),
            false => here,
        }
    }

    fn pixel(&self, i: i64, j: i64) -> f64 {
        let [columns, rows] = self.size.map(|length| length as i64);
        let inside = (0..columns).contains(&i) && (0..rows).contains(&j);
        f64::from(match inside {
            true => self.pixels[(i + columns * j) as usize],
            false => self.outside,
        })
    }
}

/// A place, or a shift, in whole pixels or slices and a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    pub whole: i64,
    pub part: f64,
}

impl Shift {
    pub fn of(by: f64) -> Shift {
        let near = by.round();
        match (by - near).abs() < ON {
            true => Shift {
                whole: near as i64,
                part: 0.0,
            },
            false => Shift {
                whole: by.floor() as i64,
                part: by - by.floor(),
            },
        }
    }
}
