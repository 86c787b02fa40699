//! Where a mask lies: centroid, boxes and the faces of the image that it touches.

use super::rows::Span;
use super::types::{BoundingBox, Face};
use crate::volume::Grid;

/// Sums over voxels from which positions follow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    pub voxels: u64,
    sums: [u128; 3],
}

impl Moments {
    /// Counts a span in.
    pub fn add(&mut self, span: &Span) {
        let n = span.len();
        self.voxels += n;
        // i runs over start..end: n times its mean, which is half of first plus last.
        self.sums[0] += u128::from(n * (u64::from(span.start) + u64::from(span.end) - 1) / 2);
        self.sums[1] += u128::from(n * u64::from(span.j));
        self.sums[2] += u128::from(n * u64::from(span.k));
    }

    /// Mean position in mm; nothing without a voxel.
    pub fn centroid(&self, grid: &Grid) -> Option<[f64; 3]> {
        (self.voxels > 0).then(|| grid.to_world(self.sums.map(|s| s as f64 / self.voxels as f64)))
    }
}

/// First and last voxel on each axis.
pub(crate) fn voxel_box(spans: &[Span]) -> Option<BoundingBox<u32>> {
    let (first, last) = (spans.first()?, spans.last()?);
    let mut min = [first.start, first.j, first.k];
    let mut max = [first.end - 1, first.j, last.k];
    for s in spans {
        min = [min[0].min(s.start), min[1].min(s.j), min[2]];
        max = [max[0].max(s.end - 1), max[1].max(s.j), max[2]];
    }
    Some(BoundingBox { min, max })
}

/// The smallest box along the world's axes around the voxels' outer corners. On an oblique grid it hugs the voxels of the
/// mask, not the corners of its voxel box, so that turning a scan doesn't blow it up.
pub(crate) fn world_box(spans: &[Span], grid: &Grid) -> Option<BoundingBox<f64>> {
    let affine = grid.affine();
    let mut min = [f64::INFINITY; 3];
    let mut max = [f64::NEG_INFINITY; 3];
    for s in spans {
        for i in [s.start, s.end - 1] {
            let centre = grid.to_world([i.into(), s.j.into(), s.k.into()]);
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
    (!spans.is_empty()).then_some(around)
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
