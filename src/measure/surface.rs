//! Surfaces of masks and the distances between them, as DeepMind's `surface-distance` defines them.
//!
//! Points of a surface are corners of voxels: a corner whose eight voxels are neither all inside nor all outside. Each
//! stands for as much area as marching cubes would draw there ([`areas`](super::surfels)). A corner's distance to another
//! surface is that to the nearest corner of it, in mm by the grid's spacing along its own axes.
//!
//! Two figures are wanted of a surface's distances: the area within a tolerance, and the distance within which lies a
//! share of the area. Near corners are found by shifting one surface over the other ([`rings`](super::rings)) until both figures
//! are known; where surfaces lie farther apart, the rest is searched for ([`far`](super::far)). Both are exact, and what
//! they take in memory is bounded by the box around the masks, not by how rugged the surfaces are.

use super::far::Far;
use super::lattice::{Bits, Frame};
use super::nearest::{Tree, cells};
use super::rings::{Counts, Ring, census, found, rings, steps};
use super::rows::Rows;
use super::surfels;

/// As many shifts as pay before a search does: about five voxels around.
const MOST_STEPS: usize = 520;

/// Shifts that find less than this share of what is left are given up.
const IN_VAIN: f64 = 0.05;

/// A mask's voxels and the corners of its surface.
struct Surface {
    voxels: Bits,
    corners: Bits,
}

/// What is known of the distances of one surface to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distances {
    /// Area in mm2.
    pub area: f64,
    /// Area in mm2 no farther than the tolerance.
    pub within: f64,
    /// The smallest distance in mm within which lies the wanted share of the area.
    pub covering: f64,
}

/// Distances from the first mask's surface to the second's, and back; nothing where a mask is empty.
pub(super) fn distances(a: &Rows, b: &Rows, spacing: [f64; 3], tolerance: f64, share: f64) -> Option<[Distances; 2]> {
    if a.spans().is_empty() || b.spans().is_empty() {
        return None;
    }
    let frame = Frame::around(a, b)?;
    let surface = |rows: &Rows| {
        let voxels = Bits::voxels(&frame, rows);
        let corners = Bits::surface(&voxels);
        Surface { voxels, corners }
    };
    let (a, b) = rayon::join(|| surface(a), || surface(b));
    let search = Search {
        rings: rings(spacing, MOST_STEPS),
        areas: surfels::areas(spacing),
        spacing,
        tolerance,
        share,
    };
    Some([search.distances(&a, &b), search.distances(&b, &a)])
}

struct Search {
    rings: Vec<Ring>,
    areas: [f64; 256],
    spacing: [f64; 3],
    tolerance: f64,
    share: f64,
}

impl Search {
    fn distances(&self, from: &Surface, to: &Surface) -> Distances {
        let area = self.area(&census(&from.corners, &from.voxels));
        let mut out = Distances {
            area,
            within: 0.0,
            covering: 0.0,
        };
        let mut left = from.corners.clone();
        let (mut reached, mut at, mut covered) = (0.0, 0, None);
        while at < self.rings.len() {
            let end = self.next_stop(at);
            let stage = &self.rings[at..end];
            let before = reached;
            for (ring, counts) in stage.iter().zip(found(&mut left, &from.voxels, &to.corners, stage)) {
                reached += self.area(&counts);
                if ring.mm <= self.tolerance {
                    out.within = reached;
                }
                if covered.is_none() && reached / area >= self.share {
                    covered = Some(ring.mm);
                }
            }
            at = end;
            let enough = covered.is_some() && self.rings[end - 1].mm > self.tolerance;
            // Where shifts find next to nothing the surfaces lie elsewhere, and a search costs less.
            let in_vain = reached - before < IN_VAIN * (area - reached);
            if enough || in_vain {
                break;
            }
        }
        out.covering = covered.unwrap_or_default();
        let within_is_known = self.rings[at - 1].mm > self.tolerance;
        if covered.is_some() && within_is_known {
            return out;
        }
        let cells_left = cells(&left);
        if cells_left.is_empty() {
            // All corners are found, and rounding kept their sum below the share.
            out.covering = covered.unwrap_or(self.rings[at - 1].mm);
            return out;
        }
        drop(left);
        let tree = Tree::new(cells(&to.corners), self.spacing);
        let far = Far {
            cells: &cells_left,
            voxels: &from.voxels,
            areas: &self.areas,
            tree: &tree,
            spacing: self.spacing,
        };
        if !within_is_known {
            out.within += far.within(self.tolerance);
        }
        out.covering = covered.unwrap_or_else(|| far.covering(self.share * area - reached));
        out
    }

    /// Where to look whether enough is known: after the nearest corners, then after three times as many steps.
    fn next_stop(&self, at: usize) -> usize {
        let most = 3 * steps(&self.rings[..at]).max(9);
        let enough = (at + 1..self.rings.len()).find(|&end| steps(&self.rings[..end]) >= most);
        enough.unwrap_or(self.rings.len())
    }

    fn area(&self, counts: &Counts) -> f64 {
        counts.iter().zip(&self.areas).map(|(&n, area)| n as f64 * area).sum()
    }
}

#[cfg(test)]
#[path = "surface_tests.rs"]
mod tests;
