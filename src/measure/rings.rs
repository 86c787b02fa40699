//! Distances between surfaces that lie near one another: one surface is shifted over the other, the nearest places first.
//!
//! All corners that lie (dx, dy, dz) from a corner of the other surface are found at once by comparing words of bits. Corners
//! that are found leave, and rows without corners left cost nothing, so surfaces a few voxels apart are done after some hundred shifts.

use rayon::prelude::*;

use super::lattice::{Bits, each_bit};

/// No row is shifted by a word or more.
const MOST_SHIFT: f64 = 63.0;

/// All steps of one length.
#[derive(Debug, PartialEq)]
pub(super) struct Ring {
    pub mm: f64,
    steps: Vec<[isize; 3]>,
}

/// How many of a surface's corners lie in a ring, by code.
pub(super) type Counts = [u64; 256];

/// The whole rings nearest to the middle, rising, with about `most` steps or fewer: no step that is left out is shorter than one that
/// is there. There is always the first, of no length.
pub(super) fn rings(spacing: [f64; 3], most: usize) -> Vec<Ring> {
    // A ball of this radius has that many voxels; where one spacing is much the largest there are more in it, and they are cut off.
    let volume: f64 = spacing.iter().product();
    let radius = (3.0 * most as f64 * volume / (4.0 * std::f64::consts::PI)).cbrt();
    let radius = spacing.iter().fold(radius, |radius, mm| radius.min(MOST_SHIFT * mm));
    let reach = spacing.map(|mm| (radius / mm).floor() as isize);
    let mut steps = Vec::new();
    for z in -reach[2]..=reach[2] {
        for y in -reach[1]..=reach[1] {
            for x in -reach[0]..=reach[0] {
                let step = [x, y, z];
                let mm = length(step.map(|n| n as f64), spacing).sqrt();
                if mm <= radius || step == [0; 3] {
                    steps.push((mm, step));
                }
            }
        }
    }
    steps.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut rings: Vec<Ring> = Vec::new();
    for (n, (mm, step)) in steps.into_iter().enumerate() {
        match rings.last_mut() {
            Some(ring) if ring.mm == mm => ring.steps.push(step),
            _ if n > most => break,
            _ => rings.push(Ring { mm, steps: vec![step] }),
        }
    }
    rings
}

/// Squared length in mm2 of a step of voxels.
pub(super) fn length(step: [f64; 3], spacing: [f64; 3]) -> f64 {
    let mm = |a: usize| step[a] * spacing[a];
    mm(0) * mm(0) + mm(1) * mm(1) + mm(2) * mm(2)
}

/// Steps in all of the rings.
pub(super) fn steps(rings: &[Ring]) -> usize {
    rings.iter().map(|ring| ring.steps.len()).sum()
}

/// Takes from `left` the corners that lie in one of the rings around a corner of `to`, and counts them by ring and code. `voxels` are
/// those that `left` is the surface of.
pub(super) fn found(left: &mut Bits, voxels: &Bits, to: &Bits, rings: &[Ring]) -> Vec<Counts> {
    let none = || vec![[0; 256]; rings.len()];
    let (planes, stride) = left.planes_mut();
    let search = |mut counts: Vec<Counts>, (k, plane): (usize, &mut [u64])| {
        let (mut open, mut hits) = (Vec::with_capacity(stride), vec![0; stride]);
        for (j, row) in plane.chunks_mut(stride).enumerate() {
            open.clear();
            open.extend((1..stride - 1).filter(|&w| row[w] != 0));
            for (ring, counts) in rings.iter().zip(&mut counts) {
                if open.is_empty() {
                    break;
                }
                for &[x, y, z] in &ring.steps {
                    shift(to.row(j as isize + y, k as isize + z), x, &open, &mut hits);
                }
                open.retain(|&w| {
                    let met = row[w] & std::mem::take(&mut hits[w]);
                    if met != 0 {
                        voxels.codes(j, k, w).count(met, counts);
                        row[w] &= !met;
                    }
                    row[w] != 0
                });
            }
        }
        counts
    };
    planes.enumerate().fold(none, search).reduce(none, |mut a, b| {
        add(&mut a, &b);
        a
    })
}

/// Adds to `hits` the bits of a row moved down by `step`.
fn shift(row: &[u64], step: isize, words: &[usize], hits: &mut [u64]) {
    match step {
        0 => words.iter().for_each(|&w| hits[w] |= row[w]),
        1.. => words
            .iter()
            .for_each(|&w| hits[w] |= row[w] >> step | row[w + 1] << (64 - step)),
        _ => words
            .iter()
            .for_each(|&w| hits[w] |= row[w] << -step | row[w - 1] >> (64 + step)),
    }
}

fn add(sum: &mut [Counts], more: &[Counts]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
}

/// All corners of a surface, counted by code.
pub(super) fn census(surface: &Bits, voxels: &Bits) -> Counts {
    let [_, nj, nk] = surface.size();
    let none = || [0; 256];
    let planes = (0..nk).into_par_iter().fold(none, |mut counts, k| {
        for j in 0..nj {
            for (w, &word) in surface.row(j as isize, k as isize).iter().enumerate() {
                if word != 0 {
                    voxels.codes(j, k, w).count(word, &mut counts);
                }
            }
        }
        counts
    });
    planes.reduce(none, |mut a, b| {
        add(std::slice::from_mut(&mut a), std::slice::from_ref(&b));
        a
    })
}

/// Area in mm2 of the corners of a word.
pub(super) fn area(corners: u64, voxels: &Bits, at: [usize; 3], areas: &[f64; 256]) -> f64 {
    let codes = voxels.codes(at[1], at[2], at[0]);
    let mut sum = 0.0;
    each_bit(corners, |bit| sum += areas[codes.code(bit)]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_whole_and_rise_from_the_middle() {
        for spacing in [[1.0, 1.0, 1.0], [0.7, 0.7, 5.0], [3.0, 0.02, 0.5]] {
            let rings = rings(spacing, 300);
            assert_eq!((rings[0].mm, rings[0].steps.as_slice()), (0.0, &[[0; 3]][..]));
            assert!(rings.windows(2).all(|pair| pair[0].mm < pair[1].mm));
            let last = rings.last().unwrap().mm;
            let reach = spacing.map(|mm| (last / mm) as isize + 1);
            assert!(reach.iter().all(|&n| n <= 64), "{spacing:?}");
            let mut inside = 0;
            for x in -reach[0]..=reach[0] {
                for y in -reach[1]..=reach[1] {
                    for z in -reach[2]..=reach[2] {
                        let mm = length([x as f64, y as f64, z as f64], spacing).sqrt();
                        inside += usize::from(mm <= last);
                    }
                }
            }
            assert_eq!(steps(&rings), inside, "{spacing:?}");
            assert!(inside < 400, "{inside}");
        }
    }
}
