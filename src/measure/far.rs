//! Areas by distance where surfaces lie far from one another: only what the figures depend on is found exactly.
//!
//! A distance changes by no more than one moves, so the distance of a cube's middle says between which bounds those of all
//! its corners lie. What lies wholly below a wanted percentile, or wholly above, need not be looked at more closely: cubes of
//! 16 places a side are divided into cells of 4, and cells into corners, only where their bounds reach over it.

use rayon::prelude::*;

use super::lattice::Bits;
use super::nearest::{Cell, Tree, cube};
use super::rings::{area, length};

/// Corners of a surface that are farther than `beyond` from the other one.
pub(super) struct Far<'a> {
    pub cells: &'a [Cell],
    /// The voxels that the corners are the surface of.
    pub voxels: &'a Bits,
    pub areas: &'a [f64; 256],
    /// The other surface.
    pub tree: &'a Tree,
    pub spacing: [f64; 3],
}

/// Corners whose distances lie between two bounds.
#[derive(Debug, Clone, Copy)]
struct Group {
    low: f64,
    high: f64,
    area: f64,
    /// Of [`Far::cells`]: from the first to before the second.
    cells: (usize, usize),
}

impl Far<'_> {
    /// Area in mm2 of the corners no farther than `mm` from the other surface.
    pub fn within(&self, mm: f64) -> f64 {
        let mut sum = 0.0;
        let mut sort = |groups: Vec<Group>| -> Vec<Group> {
            sum += groups.iter().filter(|g| g.high <= mm).map(|g| g.area).sum::<f64>();
            groups.into_iter().filter(|g| g.low <= mm && g.high > mm).collect()
        };
        let cubes = sort(self.cubes());
        let cells = sort(self.divided(&cubes));
        sort(self.corners(&cells));
        sum
    }

    /// The smallest distance within which lies `wanted` mm2 of area; the largest of all if there is less.
    pub fn covering(&self, wanted: f64) -> f64 {
        let mut missing = wanted;
        let cubes = between(self.cubes(), &mut missing);
        let cells = between(self.divided(&cubes), &mut missing);
        let mut corners = self.corners(&cells);
        corners.sort_unstable_by(|a, b| a.low.total_cmp(&b.low).then(a.area.total_cmp(&b.area)));
        reached(corners.iter().map(|corner| (corner.low, corner.area)), missing)
    }

    fn cubes(&self) -> Vec<Group> {
        let mut ranges = Vec::new();
        for (n, pair) in self.cells.windows(2).enumerate() {
            if cube(&pair[0]) != cube(&pair[1]) {
                ranges.push(n + 1);
            }
        }
        let starts = std::iter::once(0).chain(ranges.iter().copied());
        let ends = ranges.iter().copied().chain(std::iter::once(self.cells.len()));
        self.bounded(starts.zip(ends).collect())
    }

    fn divided(&self, groups: &[Group]) -> Vec<Group> {
        let cells = groups.iter().flat_map(|group| group.cells.0..group.cells.1);
        self.bounded(cells.map(|n| (n, n + 1)).collect())
    }

    /// Bounds for ranges of cells, by the distance from the middle of the box around their corners.
    fn bounded(&self, ranges: Vec<(usize, usize)>) -> Vec<Group> {
        let one = |last: &mut Option<([f64; 3], f64)>, (start, end): (usize, usize)| {
            let cells = &self.cells[start..end];
            let (mut least, mut most) = ([u32::MAX; 3], [0; 3]);
            for (low, high) in cells.iter().map(Cell::bounds) {
                for a in 0..3 {
                    least[a] = least[a].min(low[a]);
                    most[a] = most[a].max(high[a]);
                }
            }
            let middle: [f64; 3] = std::array::from_fn(|a| (f64::from(least[a]) + f64::from(most[a])) / 2.0);
            let half = std::array::from_fn(|a| f64::from(most[a] - least[a]) / 2.0);
            let (far, reach) = (self.distance(middle, last), length(half, self.spacing).sqrt());
            Group {
                low: far - widened(reach),
                high: far + widened(reach),
                area: self.area_of(cells),
                cells: (start, end),
            }
        };
        let pieces = ranges.par_chunks(256).flat_map_iter(|piece| {
            let mut last = None;
            piece.iter().map(move |&range| one(&mut last, range))
        });
        pieces.collect()
    }

    /// Each corner of some cells, with its distance.
    fn corners(&self, groups: &[Group]) -> Vec<Group> {
        let pieces = groups.par_chunks(64).flat_map_iter(|piece| {
            let mut last = None;
            let mut found = Vec::new();
            for group in piece {
                for cell in &self.cells[group.cells.0..group.cells.1] {
                    cell.corners(|corner| {
                        let mm = self.distance(corner.map(f64::from), &mut last);
                        found.push(Group {
                            low: mm,
                            high: mm,
                            area: self.area_at(corner),
                            cells: group.cells,
                        });
                    });
                }
            }
            found
        });
        pieces.collect()
    }

    /// Distance in mm of a place, in voxels, to the other surface; the place looked up before bounds the search.
    fn distance(&self, from: [f64; 3], last: &mut Option<([f64; 3], f64)>) -> f64 {
        let bound = last.map_or(f64::INFINITY, |(at, mm)| {
            let moved = length(std::array::from_fn(|a| from[a] - at[a]), self.spacing).sqrt();
            widened(mm + moved).powi(2)
        });
        let mm = self.tree.nearest(from, bound).sqrt();
        *last = Some((from, mm));
        mm
    }

    fn area_of(&self, cells: &[Cell]) -> f64 {
        let mut sum = 0.0;
        for cell in cells {
            let [i, j, k] = cell.at.map(|v| v as usize);
            for row in (0..16).filter(|row| cell.bits >> (4 * row) & 15 != 0) {
                let corners = (cell.bits >> (4 * row) & 15) << (i % 64);
                sum += area(corners, self.voxels, [1 + i / 64, j + row % 4, k + row / 4], self.areas);
            }
        }
        sum
    }

    fn area_at(&self, corner: [u32; 3]) -> f64 {
        let [i, j, k] = corner.map(|v| v as usize);
        area(1 << (i % 64), self.voxels, [1 + i / 64, j, k], self.areas)
    }
}

/// A little more than `mm`, so that no rounding hides a corner that lies just on a bound.
fn widened(mm: f64) -> f64 {
    mm * (1.0 + 1e-9) + 1e-9
}

/// The groups that may hold the distance which covers `missing`; the area of those certainly below it is taken off.
fn between(mut groups: Vec<Group>, missing: &mut f64) -> Vec<Group> {
    groups.sort_unstable_by(|a, b| a.low.total_cmp(&b.low).then(a.high.total_cmp(&b.high)));
    let from = reached(groups.iter().map(|group| (group.low, group.area)), *missing);
    groups.sort_unstable_by(|a, b| a.high.total_cmp(&b.high).then(a.low.total_cmp(&b.low)));
    let to = reached(groups.iter().map(|group| (group.high, group.area)), *missing);
    // Widened, so that sums in another order leave the same groups.
    let (from, to) = (from - 1e-6, to + 1e-6);
    *missing -= groups.iter().filter(|g| g.high < from).map(|g| g.area).sum::<f64>();
    groups.into_iter().filter(|g| g.high >= from && g.low <= to).collect()
}

/// The first distance at which areas, summed up as they come, reach `wanted`; the last one if they do not.
fn reached(groups: impl Iterator<Item = (f64, f64)>, wanted: f64) -> f64 {
    let (mut sum, mut last) = (0.0, 0.0);
    for (mm, area) in groups {
        sum += area;
        last = mm;
        if sum >= wanted {
            break;
        }
    }
    last
}
