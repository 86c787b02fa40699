//! Surfaces of masks and the distances between them, as DeepMind's `surface-distance` defines them.
//!
//! Points of a surface are corners of voxels: a corner whose eight voxels are neither all inside nor all outside. Each
//! stands for as much area as marching cubes would draw there ([`areas`](super::surfels)). A corner's distance to another
//! surface is that to the nearest corner of it, in mm by the grid's spacing along its own axes.

use rayon::prelude::*;

use super::rows::{Rows, Span};
use super::surfels;

/// A point of a surface: corner (i, j, k) lies before voxel (i, j, k) on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corner {
    at: [u32; 3],
    code: u8,
}

/// All surface points of a mask, in stored order.
pub(crate) fn corners(rows: &Rows) -> Vec<Corner> {
    let mut out = Vec::new();
    let Some((j, k)) = extent(rows.spans()) else { return out };
    for k in k.0..=k.1 + 1 {
        for j in j.0..=j.1 + 1 {
            let (y, z) = (j as isize, k as isize);
            let around = [
                rows.row(y - 1, z - 1),
                rows.row(y - 1, z),
                rows.row(y, z - 1),
                rows.row(y, z),
            ];
            if around.iter().any(|row| !row.is_empty()) {
                corners_of_line(around, j, k, &mut out);
            }
        }
    }
    out
}

fn extent(spans: &[Span]) -> Option<((u32, u32), (u32, u32))> {
    let (k0, k1) = (spans.first()?.k, spans.last()?.k);
    let j0 = spans.iter().map(|s| s.j).min()?;
    let j1 = spans.iter().map(|s| s.j).max()?;
    Some(((j0, j1), (k0, k1)))
}

/// Surface points on the line of corners between four rows of voxels, the rows in the order of the code's bits.
fn corners_of_line(around: [&[Span]; 4], j: u32, k: u32, out: &mut Vec<Corner>) {
    // A bit of the code for the voxel after the corner; the voxel before it has the same bit, four higher.
    const BIT: [u8; 4] = [8, 4, 2, 1];
    let mut next = [0usize; 4]; // edges passed in each row: twice the spans, plus one inside a span
    let edge = |row: usize, n: usize| {
        around[row]
            .get(n / 2)
            .map(|s| if n.is_multiple_of(2) { s.start } else { s.end })
    };
    let mut inside = 0u8;
    let mut at = 0;
    loop {
        let Some(stop) = (0..4).filter_map(|row| edge(row, next[row])).min() else {
            return;
        };
        if inside != 0 && inside != 15 {
            let code = inside << 4 | inside;
            out.extend((at..stop).map(|i| Corner { at: [i, j, k], code }));
        }
        let before = inside;
        for row in 0..4 {
            if edge(row, next[row]) == Some(stop) {
                next[row] += 1;
                inside ^= BIT[row];
            }
        }
        out.push(Corner {
            at: [stop, j, k],
            code: before << 4 | inside,
        });
        at = stop + 1;
    }
}

/// For each surface point of `from` its distance to `to` and its area, sorted by both; `to` must not be empty.
pub(crate) fn distances(from: &[Corner], to: &[Corner], spacing: [f64; 3]) -> Vec<(f64, f64)> {
    let area = surfels::areas(spacing);
    let tree = Tree::new(to.iter().map(|c| c.at).collect(), spacing);
    // Neighbours on a surface have neighbours on the other, so one answer bounds the next search; pieces of a fixed
    // length keep the result independent of the number of threads.
    let mut found: Vec<(f64, f64)> = from
        .par_chunks(4096)
        .flat_map_iter(|piece| {
            let mut near = 0;
            let (tree, area) = (&tree, &area);
            piece.iter().map(move |corner| {
                near = tree.nearest(corner.at, near);
                (tree.squared(corner.at, near).sqrt(), area[usize::from(corner.code)])
            })
        })
        .collect();
    found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    found
}

/// A k-d tree over lattice points, with boxes drawn tight around its nodes.
struct Tree {
    points: Vec<[u32; 3]>,
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

const LEAF: usize = 12;

impl Tree {
    fn new(points: Vec<[u32; 3]>, spacing: [f64; 3]) -> Tree {
        let mut tree = Tree {
            nodes: Vec::with_capacity(points.len() / 3),
            points,
            spacing,
        };
        tree.grow(0, tree.points.len());
        tree
    }

    fn grow(&mut self, start: usize, end: usize) {
        let mut low = [u32::MAX; 3];
        let mut high = [0; 3];
        for p in &self.points[start..end] {
            for a in 0..3 {
                low[a] = low[a].min(p[a]);
                high[a] = high[a].max(p[a]);
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
        self.points[start..end].select_nth_unstable_by_key(middle - start, |p| p[axis]);
        self.grow(start, middle);
        self.nodes[here].second = self.nodes.len() as u32;
        self.grow(middle, end);
    }

    /// Squared distance in mm2 to the point numbered `n`.
    fn squared(&self, from: [u32; 3], n: usize) -> f64 {
        let p = self.points[n];
        let mm = |a: usize| (f64::from(from[a]) - f64::from(p[a])) * self.spacing[a];
        mm(0) * mm(0) + mm(1) * mm(1) + mm(2) * mm(2)
    }

    /// Squared distance in mm2 to a node's box.
    fn squared_to_box(&self, from: [u32; 3], node: &Node) -> f64 {
        let mm = |a: usize| f64::from(from[a].clamp(node.low[a], node.high[a]).abs_diff(from[a])) * self.spacing[a];
        mm(0) * mm(0) + mm(1) * mm(1) + mm(2) * mm(2)
    }

    /// Number of the nearest point, `guess` being any point's.
    fn nearest(&self, from: [u32; 3], guess: usize) -> usize {
        let mut best = (self.squared(from, guess), guess);
        self.search(from, 0, &mut best);
        best.1
    }

    fn search(&self, from: [u32; 3], at: usize, best: &mut (f64, usize)) {
        let node = &self.nodes[at];
        if node.second == 0 {
            for n in node.start as usize..node.end as usize {
                let d = self.squared(from, n);
                if d < best.0 {
                    *best = (d, n);
                }
            }
            return;
        }
        let children = [at + 1, node.second as usize];
        let far = children.map(|c| self.squared_to_box(from, &self.nodes[c]));
        let order = if far[0] <= far[1] { [0, 1] } else { [1, 0] };
        for c in order {
            if far[c] < best.0 {
                self.search(from, children[c], best);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_of, noise};

    #[test]
    fn surface_points_are_the_corners_with_mixed_voxels_around_them() {
        let shape = [7, 5, 6];
        for (seed, share) in [(1, 0.1), (2, 0.5), (3, 0.9)] {
            let bits = noise(seed, 7 * 5 * 6, share);
            let inside = |i: isize, j: isize, k: isize| {
                (0..7).contains(&i)
                    && (0..5).contains(&j)
                    && (0..6).contains(&k)
                    && bits[(i + 7 * (j + 5 * k)) as usize]
            };
            let mut expected = Vec::new();
            for k in 0..=6 {
                for j in 0..=5 {
                    for i in 0..=7 {
                        let mut code = 0u8;
                        for n in 0..8isize {
                            code |= u8::from(inside(i - 1 + n / 4, j - 1 + n / 2 % 2, k - 1 + n % 2)) << (7 - n);
                        }
                        if code != 0 && code != 255 {
                            expected.push(Corner {
                                at: [i as u32, j as u32, k as u32],
                                code,
                            });
                        }
                    }
                }
            }
            let mask = mask_of(shape, |i, j, k| inside(i as isize, j as isize, k as isize));
            assert_eq!(corners(&Rows::new(&mask)), expected, "seed {seed}");
        }
    }

    #[test]
    fn the_tree_finds_what_a_search_through_all_points_finds() {
        let spacing = [0.8, 1.0, 2.5];
        let surface = |seed| {
            let bits = noise(seed, 20 * 15 * 10, 0.02);
            corners(&Rows::new(&mask_of([20, 15, 10], |i, j, k| {
                bits[i + 20 * (j + 15 * k)]
            })))
        };
        let (from, to) = (surface(7), surface(8));
        let tree = Tree::new(to.iter().map(|c| c.at).collect(), spacing);
        let mut near = 0;
        for corner in &from {
            near = tree.nearest(corner.at, near);
            let best = (0..to.len())
                .map(|n| tree.squared(corner.at, n))
                .min_by(f64::total_cmp)
                .unwrap();
            assert_eq!(tree.squared(corner.at, near), best);
        }
    }

    #[test]
    fn a_large_cube_has_nearly_the_area_of_its_faces() {
        let cube = mask_of([40, 40, 40], |i, j, k| [i, j, k].iter().all(|v| (5..35).contains(v)));
        let area = surfels::areas([1.0; 3]);
        let total: f64 = corners(&Rows::new(&cube))
            .iter()
            .map(|c| area[usize::from(c.code)])
            .sum();
        assert!((total / 5400.0 - 1.0).abs() < 0.05, "{total}");
    }
}
