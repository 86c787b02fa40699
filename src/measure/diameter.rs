//! The longest diameter of a structure within one slice.
//!
//! In each slice the two voxels furthest apart are corners of the convex hull of the slice, and a hull on a lattice has
//! few corners: comparing them all is exact and cheap. Of every line of voxels only the two ends can be corners.

use super::rows::{Line, Span};
use super::types::BoundingBox;
use crate::volume::Affine;

/// First and last voxel of every line of every slice, slices being perpendicular in the lattice to an axis.
///
/// Lines run along the first axis, or along the second where slices are cut across the first.
pub(crate) struct LineEnds {
    axis: usize,
    low: [u32; 3],
    size: [usize; 3],
    /// The ends of a line are those of `first` and `last` at its place; no voxel where the first comes after the last.
    first: Vec<u32>,
    last: Vec<u32>,
}

impl LineEnds {
    /// No voxels yet; all that come must lie in the box.
    pub fn new(around: &BoundingBox<u32>, axis: usize) -> LineEnds {
        let size: [usize; 3] = std::array::from_fn(|a| (around.max[a] - around.min[a]) as usize + 1);
        let lines = match axis {
            0 => size[0] * size[2],
            _ => size[1] * size[2],
        };
        LineEnds {
            axis,
            low: around.min,
            size,
            first: vec![u32::MAX; lines],
            last: vec![0; lines],
        }
    }

    /// Adds a row of a mask.
    pub fn add_line(&mut self, line: &Line) {
        match self.axis {
            0 => line.spans.iter().for_each(|span| self.add(line.j, line.k, *span)),
            _ => {
                let (start, last) = line.ends();
                self.add(line.j, line.k, Span { start, end: last + 1 });
            }
        }
    }

    /// Adds voxels of row (j, k).
    pub fn add(&mut self, j: u32, k: u32, span: Span) {
        let (row, slice) = ((j - self.low[1]) as usize, (k - self.low[2]) as usize);
        if self.axis == 0 {
            let at = slice * self.size[0];
            let [from, to] = [span.start, span.end].map(|i| at + (i - self.low[0]) as usize);
            self.first[from..to].iter_mut().for_each(|first| *first = j.min(*first));
            self.last[from..to].iter_mut().for_each(|last| *last = j.max(*last));
        } else {
            let at = slice * self.size[1] + row;
            self.first[at] = self.first[at].min(span.start);
            self.last[at] = self.last[at].max(span.end - 1);
        }
    }

    /// The points (line, position) of each slice, in rising order.
    fn slices(&self) -> impl Iterator<Item = Vec<[i64; 2]>> + '_ {
        // Where the lines of a slice lie: from one line to the next, from one slice to the next.
        let [ni, nj, nk] = self.size;
        let (lines, line, slices, slice) = match self.axis {
            0 => (nk, ni, ni, 1),
            1 => (nk, nj, nj, 1),
            _ => (nj, 1, nk, nj),
        };
        (0..slices).map(move |s| {
            let mut points = Vec::with_capacity(2 * lines);
            for l in 0..lines {
                let at = s * slice + l * line;
                let (first, last) = (self.first[at], self.last[at]);
                if first <= last {
                    points.push([l as i64, i64::from(first)]);
                    if first < last {
                        points.push([l as i64, i64::from(last)]);
                    }
                }
            }
            points
        })
    }

    /// Longest distance in mm between two voxel centres that lie in one slice; 0 for single voxels.
    pub fn longest(&self, affine: &Affine) -> f64 {
        // The axis along the lines and the one that counts lines.
        let (along, across) = if self.axis == 0 { (1, 2) } else { (0, 3 - self.axis) };
        let column = |a: usize| affine.fixed_view::<3, 1>(0, a).into_owned();
        let (u, v) = (column(along), column(across));
        let (uu, uv, vv) = (u.dot(&u), u.dot(&v), v.dot(&v));
        let mut most = 0.0f64;
        for slice in self.slices() {
            let hull = hull(slice);
            for (n, p) in hull.iter().enumerate() {
                for q in &hull[n + 1..] {
                    let (a, b) = ((p[1] - q[1]) as f64, (p[0] - q[0]) as f64);
                    most = most.max(a * a * uu + 2.0 * a * b * uv + b * b * vv);
                }
            }
        }
        most.sqrt()
    }
}

/// Corners of the convex hull of points in rising order (Andrew's monotone chain, exact in whole numbers).
fn hull(points: Vec<[i64; 2]>) -> Vec<[i64; 2]> {
    if points.len() < 3 {
        return points;
    }
    let turn = |o: [i64; 2], a: [i64; 2], b: [i64; 2]| (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    let half = |points: &mut dyn Iterator<Item = &[i64; 2]>| {
        let mut chain: Vec<[i64; 2]> = Vec::new();
        for &p in points {
            while chain.len() > 1 && turn(chain[chain.len() - 2], chain[chain.len() - 1], p) <= 0 {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop(); // the other half begins with it
        chain
    };
    let mut all = half(&mut points.iter());
    all.extend(half(&mut points.iter().rev()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::rows::Rows;
    use crate::measure::testing::{mask_of, noise, oblique};
    use nalgebra::{Matrix4, Vector4};

    fn longest(rows: &Rows, affine: &Affine, axis: usize) -> f64 {
        let mut ends = LineEnds::new(&rows.voxel_box().unwrap(), axis);
        rows.lines().for_each(|line| ends.add_line(&line));
        ends.longest(affine)
    }

    #[test]
    fn random_masks_have_the_diameter_found_by_trying_all_pairs() {
        let affine = oblique([0.7, 1.1, 3.0]);
        for seed in 0..6 {
            let bits = noise(seed, 8 * 6 * 5, 0.2);
            let mask = mask_of([8, 6, 5], |i, j, k| bits[i + 8 * (j + 6 * k)]);
            let rows = Rows::new(&mask);
            let voxels: Vec<[usize; 3]> = (0..bits.len())
                .filter(|&n| bits[n])
                .map(|n| [n % 8, n / 8 % 6, n / 48])
                .collect();
            let world = |v: &[usize; 3]| affine * Vector4::new(v[0] as f64, v[1] as f64, v[2] as f64, 1.0);
            for axis in 0..3 {
                let mut most = 0.0f64;
                for p in &voxels {
                    for q in voxels.iter().filter(|q| q[axis] == p[axis]) {
                        most = most.max((world(p) - world(q)).norm());
                    }
                }
                let got = longest(&rows, &affine, axis);
                assert!(
                    (got - most).abs() < 1e-9,
                    "seed {seed} axis {axis}: {got} against {most}"
                );
            }
        }
    }

    #[test]
    fn a_single_voxel_has_diameter_zero() {
        let one = Rows::new(&mask_of([3, 3, 3], |i, j, k| (i, j, k) == (1, 1, 1)));
        for axis in 0..3 {
            assert_eq!(longest(&one, &Matrix4::identity(), axis), 0.0);
        }
    }
}
