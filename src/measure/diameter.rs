//! The longest diameter of a structure within one slice.
//!
//! In each slice the two voxels furthest apart are corners of the convex hull of the slice, and a hull on a lattice has
//! few corners: comparing them all is exact and cheap. Of every line of voxels only the two ends can be corners.

use super::rows::Span;
use crate::volume::Affine;

/// Longest distance in mm between two voxel centres that lie in one slice, slices being perpendicular in the lattice to
/// `axis`; 0 for single voxels, nothing without a voxel.
pub(crate) fn longest<'a>(spans: impl Iterator<Item = &'a Span> + Clone, affine: &Affine, axis: usize) -> Option<f64> {
    let ends = LineEnds::new(spans, axis)?;
    // The axis along the lines and the one that counts lines, as LineEnds chose them.
    let (along, across) = if axis == 0 { (1, 2) } else { (0, 3 - axis) };
    let column = |a: usize| affine.fixed_view::<3, 1>(0, a).into_owned();
    let (u, v) = (column(along), column(across));
    let (uu, uv, vv) = (u.dot(&u), u.dot(&v), v.dot(&v));
    let mut most = 0.0f64;
    for slice in ends.slices() {
        let hull = hull(slice);
        for (n, p) in hull.iter().enumerate() {
            for q in &hull[n + 1..] {
                let (a, b) = ((p[1] - q[1]) as f64, (p[0] - q[0]) as f64);
                most = most.max(a * a * uu + 2.0 * a * b * uv + b * b * vv);
            }
        }
    }
    Some(most.sqrt())
}

/// First and last voxel of every line of every slice.
struct LineEnds {
    lines: usize,
    ends: Vec<(u32, u32)>,
}

const NO_VOXEL: (u32, u32) = (u32::MAX, 0);

impl LineEnds {
    /// Slices at fixed `axis`. Lines run along the first axis, or along the second where slices are cut across the first.
    fn new<'a>(spans: impl Iterator<Item = &'a Span> + Clone, axis: usize) -> Option<LineEnds> {
        let mut low = [u32::MAX; 3];
        let mut high = [0; 3];
        for s in spans.clone() {
            for (a, (least, most)) in [(s.start, s.end - 1), (s.j, s.j), (s.k, s.k)].into_iter().enumerate() {
                low[a] = low[a].min(least);
                high[a] = high[a].max(most);
            }
        }
        if low[0] > high[0] {
            return None;
        }
        let size = |a: usize| (high[a] - low[a] + 1) as usize;
        let line_axis = if axis == 0 { 2 } else { 3 - axis };
        let lines = size(line_axis);
        let mut ends = vec![NO_VOXEL; size(axis) * lines];
        let mut widen = |slice: u32, line: u32, first: u32, last: u32| {
            let end = &mut ends[slice as usize * lines + line as usize];
            *end = (end.0.min(first), end.1.max(last));
        };
        for s in spans {
            let (j, k) = (s.j - low[1], s.k - low[2]);
            match axis {
                0 => (s.start..s.end).for_each(|i| widen(i - low[0], k, j, j)),
                1 => widen(j, k, s.start, s.end - 1),
                _ => widen(k, j, s.start, s.end - 1),
            }
        }
        Some(LineEnds { lines, ends })
    }

    /// The points (line, position) of each slice, in rising order.
    fn slices(&self) -> impl Iterator<Item = Vec<[i64; 2]>> + '_ {
        self.ends.chunks(self.lines).map(|slice| {
            let mut points = Vec::with_capacity(2 * slice.len());
            for (line, &(first, last)) in slice.iter().enumerate() {
                if first <= last {
                    points.push([line as i64, i64::from(first)]);
                    if first < last {
                        points.push([line as i64, i64::from(last)]);
                    }
                }
            }
            points
        })
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
                let got = longest(rows.spans().iter(), &affine, axis).unwrap();
                assert!(
                    (got - most).abs() < 1e-9,
                    "seed {seed} axis {axis}: {got} against {most}"
                );
            }
        }
    }

    #[test]
    fn a_single_voxel_has_diameter_zero_and_none_has_no_diameter() {
        let one = Rows::new(&mask_of([3, 3, 3], |i, j, k| (i, j, k) == (1, 1, 1)));
        assert_eq!(longest(one.spans().iter(), &Matrix4::identity(), 2), Some(0.0));
        assert_eq!(longest([].iter(), &Matrix4::identity(), 2), None);
    }
}
