//! The nearest corner of a surface, by a k-d tree over cells of 4 x 4 x 4 corners.
//!
//! A cell is a word of bits, so the tree of the worst surface, noise through a whole scan, is some 100 MB and not gigabytes.

use super::lattice::{Bits, each_bit};
use super::rings::length;

/// The corners of a surface in a cube of 4 x 4 x 4 places: bit x + 4y + 16z.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The first place of the cube.
    pub at: [u32; 3],
    pub bits: u64,
}

impl Cell {
    /// Where its corners are.
    pub fn corners(&self, mut each: impl FnMut([u32; 3])) {
        let at = self.at;
        each_bit(self.bits, |n| each([at[0] + n % 4, at[1] + n / 4 % 4, at[2] + n / 16]));
    }

    /// The least and the greatest place of its corners on each axis.
    pub fn bounds(&self) -> ([u32; 3], [u32; 3]) {
        let (mut low, mut high) = ([u32::MAX; 3], [0; 3]);
        self.corners(|corner| {
            for a in 0..3 {
                low[a] = low[a].min(corner[a]);
                high[a] = high[a].max(corner[a]);
            }
        });
        (low, high)
    }
}

/// The cells of a surface that have corners; those of one cube of 16 x 16 x 16 places follow one another.
pub(super) fn cells(surface: &Bits) -> Vec<Cell> {
    let [_, nj, nk] = surface.size();
    let mut out = Vec::new();
    for k in (0..nk).step_by(4) {
        for j in (0..nj).step_by(4) {
            let rows: [&[u64]; 16] = std::array::from_fn(|n| surface.row((j + n % 4) as isize, (k + n / 4) as isize));
            for w in 1..rows[0].len() - 1 {
                let any = rows.iter().fold(0, |any, row| any | row[w]);
                for nibble in (0..16).filter(|nibble| any >> (4 * nibble) & 15 != 0) {
                    let bits = rows.iter().enumerate();
                    let bits = bits.fold(0, |bits, (n, row)| bits | (row[w] >> (4 * nibble) & 15) << (4 * n));
                    let i = 64 * (w - 1) + 4 * nibble;
                    out.push(Cell {
                        at: [i as u32, j as u32, k as u32],
                        bits,
                    });
                }
            }
        }
    }
    out.sort_by_key(cube);
    out
}

/// Which cube of 16 x 16 x 16 places a cell lies in.
pub(super) fn cube(cell: &Cell) -> [u32; 3] {
    [2, 1, 0].map(|axis| cell.at[axis] / 16)
}

/// A k-d tree over cells, with boxes drawn tight around the corners of its nodes.
pub(super) struct Tree {
    cells: Vec<Cell>,
    nodes: Vec<Node>,
    spacing: [f64; 3],
}

struct Node {
    low: [u32; 3],
    high: [u32; 3],
    start: u32,
    end: u32,
    /// The second child; the first follows its parent. 0 for a leaf.
    second: u32,
}

/// Cells in a leaf.
const LEAF: usize = 2;

impl Tree {
    /// A tree over cells, of which there is at least one.
    pub fn new(cells: Vec<Cell>, spacing: [f64; 3]) -> Tree {
        let mut tree = Tree {
            nodes: Vec::with_capacity(cells.len() * 2 / LEAF),
            cells,
            spacing,
        };
        tree.grow(0, tree.cells.len());
        tree
    }

    fn grow(&mut self, start: usize, end: usize) {
        let (mut low, mut high) = ([u32::MAX; 3], [0; 3]);
        for cell in &self.cells[start..end] {
            let bounds = cell.bounds();
            for a in 0..3 {
                low[a] = low[a].min(bounds.0[a]);
                high[a] = high[a].max(bounds.1[a]);
            }
        }
        let here = self.nodes.len();
        self.nodes.push(Node {
            low,
            high,
            start: start as u32,
            end: end as u32,
            second: 0,
        });
        if end - start <= LEAF {
            return;
        }
        let length = |a: usize| f64::from(high[a] - low[a]) * self.spacing[a];
        let axis = (0..3).max_by(|&a, &b| length(a).total_cmp(&length(b))).unwrap_or(0);
        let middle = (start + end) / 2;
        self.cells[start..end].select_nth_unstable_by_key(middle - start, |cell| cell.at[axis]);
        self.grow(start, middle);
        self.nodes[here].second = self.nodes.len() as u32;
        self.grow(middle, end);
    }

    /// Squared distance in mm2 from a place, in voxels, to the nearest corner, where it is less than `bound`; `bound` otherwise.
    pub fn nearest(&self, from: [f64; 3], bound: f64) -> f64 {
        let mut best = bound;
        if self.squared_to_box(from, &self.nodes[0]) < best {
            self.search(from, 0, &mut best);
        }
        best
    }

    fn squared_to_box(&self, from: [f64; 3], node: &Node) -> f64 {
        let step = std::array::from_fn(|a| from[a] - from[a].clamp(f64::from(node.low[a]), f64::from(node.high[a])));
        length(step, self.spacing)
    }

    fn search(&self, from: [f64; 3], at: usize, best: &mut f64) {
        let node = &self.nodes[at];
        if node.second == 0 {
            for cell in &self.cells[node.start as usize..node.end as usize] {
                cell.corners(|corner| {
                    let step = std::array::from_fn(|a| from[a] - f64::from(corner[a]));
                    *best = best.min(length(step, self.spacing));
                });
            }
            return;
        }
        let children = [at + 1, node.second as usize];
        let far = children.map(|c| self.squared_to_box(from, &self.nodes[c]));
        let order = if far[0] <= far[1] { [0, 1] } else { [1, 0] };
        for c in order {
            if far[c] < *best {
                self.search(from, children[c], best);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::lattice::Frame;
    use crate::measure::rows::Rows;
    use crate::measure::testing::{mask_of, noise};

    #[test]
    fn the_tree_finds_what_a_search_through_all_points_finds() {
        let spacing = [0.8, 1.0, 2.5];
        let rows = |seed| {
            let bits = noise(seed, 90 * 15 * 10, 0.01);
            Rows::new(&mask_of([90, 15, 10], |i, j, k| bits[i + 90 * (j + 15 * k)]))
        };
        let (a, b) = (rows(7), rows(8));
        let frame = Frame::around(&a, &b).unwrap();
        let points = |rows: &Rows| {
            let cells = cells(&Bits::surface(&Bits::voxels(&frame, rows)));
            let mut points = Vec::new();
            cells
                .iter()
                .for_each(|cell| cell.corners(|corner| points.push(corner.map(f64::from))));
            (cells, points)
        };
        let ((_, from), (to_cells, to)) = (points(&a), points(&b));
        let tree = Tree::new(to_cells, spacing);
        for at in from {
            let squared = to
                .iter()
                .map(|p| length([at[0] - p[0], at[1] - p[1], at[2] - p[2]], spacing));
            assert_eq!(tree.nearest(at, f64::INFINITY), squared.reduce(f64::min).unwrap());
        }
    }
}
