//! Where a mask lies: centroid, boxes and the faces of the image that it touches.

use super::rows::{Line, Rows, Span};
use super::types::{BoundingBox, Face};
use crate::volume::Grid;

/// Sums over voxels from which positions follow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    pub voxels: u64,
    sums: [u128; 3],
}

impl Moments {
    /// The voxels of a mask.
    pub fn of(rows: &Rows) -> Moments {
        let mut moments = Moments::default();
        rows.lines().for_each(|line| moments.add_line(&line));
        moments
    }

    /// Counts a row of a mask in.
    pub fn add_line(&mut self, line: &Line) {
        line.spans.iter().for_each(|span| self.add(line.j, line.k, span));
    }

    /// Counts voxels of row (j, k) in.
    pub fn add(&mut self, j: u32, k: u32, span: &Span) {
        let n = span.len();
        self.voxels += n;
        // i runs over start..end: n times its mean, which is half of first plus last.
        self.sums[0] += u128::from(n * (u64::from(span.start) + u64::from(span.end) - 1) / 2);
        self.sums[1] += u128::from(n * u64::from(j));
        self.sums[2] += u128::from(n * u64::from(k));
    }

    /// Mean position in mm; nothing without a voxel.
    pub fn centroid(&self, grid: &Grid) -> Option<[f64; 3]> {
        (self.voxels > 0).then(|| grid.to_world(self.sums.map(|s| s as f64 / self.voxels as f64)))
    }
}

/// The smallest box along the world's axes around the voxels' outer corners. On an oblique grid it hugs the voxels of the
/// mask, not the corners of its voxel box, so that turning a scan doesn't blow it up.
pub(crate) fn world_box(rows: &Rows, grid: &Grid) -> Option<BoundingBox<f64>> {
    let affine = grid.affine();
    let mut min = [f64::INFINITY; 3];
    let mut max = [f64::NEG_INFINITY; 3];
    for line in rows.lines() {
        let (start, last) = line.ends();
        for i in [start, last] {
            let centre = grid.to_world([i.into(), line.j.into(), line.k.into()]);
            for a in 0..3 {
                min[a] = min[a].min(centre[a]);
                max[a] = max[a].max(centre[a]);
            }
        }
    }
    // A voxel reaches this far from its centre along each world axis.
    let reach: [f64; 3] = std::array::from_fn(|a| (0..3).map(|c| affine[(a, c)].abs()).sum::<f64>() / 2.0);
    let around = BoundingBox {
        min: std::array::from_fn(|a| min[a] - reach[a]),
        max: std::array::from_fn(|a| max[a] + reach[a]),
    };
    (!rows.spans().is_empty()).then_some(around)
}

/// Faces of the image that a box of voxels touches, in the contract's order.
pub(crate) fn faces(of: &BoundingBox<u32>, grid: &Grid) -> Vec<Face> {
    let shape = grid.shape();
    let mut touched = Vec::new();
    for (axis, (low, high)) in faces_of_axes(grid).into_iter().enumerate() {
        if of.min[axis] == 0 {
            touched.push(low);
        }
        if of.max[axis] as usize + 1 == shape[axis] {
            touched.push(high);
        }
    }
    touched.sort_unstable();
    touched
}

/// For each stored axis the faces that its first and its last voxel lie at.
fn faces_of_axes(grid: &Grid) -> [(Face, Face); 3] {
    grid.axis_code().axes().map(|axis| {
        let (low, high) = match axis.world_axis() {
            0 => (Face::Left, Face::Right),
            1 => (Face::Posterior, Face::Anterior),
            _ => (Face::Inferior, Face::Superior),
        };
        if axis.is_positive() { (low, high) } else { (high, low) }
    })
}
