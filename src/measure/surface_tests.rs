//! Distances against a search through all pairs of corners, whichever way they are found.

use super::*;
use crate::measure::testing::{mask_of, noise};
use crate::volume::Mask;

/// Every corner of a surface with its area.
fn points(frame: &Frame, rows: &Rows, areas: &[f64; 256]) -> Vec<([f64; 3], f64)> {
    let voxels = Bits::voxels(frame, rows);
    let mut out = Vec::new();
    for cell in cells(&Bits::surface(&voxels)) {
        cell.corners(|corner| {
            let [i, j, k] = corner.map(|v| v as usize);
            let area = areas[voxels.codes(j, k, 1 + i / 64).code(i as u32 % 64)];
            out.push((corner.map(f64::from), area));
        });
    }
    out
}

fn by_all_pairs(from: &[([f64; 3], f64)], to: &[([f64; 3], f64)], search: &Search) -> Distances {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for (p, area) in from {
        let squared = to
            .iter()
            .map(|(q, _)| super::super::rings::length([p[0] - q[0], p[1] - q[1], p[2] - q[2]], search.spacing));
        found.push((squared.fold(f64::INFINITY, f64::min).sqrt(), *area));
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let area: f64 = found.iter().map(|(_, area)| area).sum();
    let mut sum = 0.0;
    let covering = found.iter().find(|(_, part)| {
        sum += part;
        sum / area >= search.share
    });
    Distances {
        area,
        within: found
            .iter()
            .filter(|(mm, _)| *mm <= search.tolerance)
            .map(|(_, area)| area)
            .sum(),
        covering: covering.or(found.last()).unwrap().0,
    }
}

fn check(a: &Mask, b: &Mask, spacing: [f64; 3], tolerance: f64) {
    let [a, b] = [Rows::new(a), Rows::new(b)];
    let frame = Frame::around(&a, &b).unwrap();
    let areas = surfels::areas(spacing);
    let of_points = [points(&frame, &a, &areas), points(&frame, &b, &areas)];
    let of_bits = [&a, &b].map(|rows| {
        let voxels = Bits::voxels(&frame, rows);
        let corners = Bits::surface(&voxels);
        Surface { voxels, corners }
    });
    // With no more than the first ring nearly everything is searched for; with all of them nearly nothing.
    for most in [0, 20, MOST_STEPS] {
        let search = Search {
            rings: rings(spacing, most),
            areas,
            spacing,
            tolerance,
            share: 0.95,
        };
        for (from, to) in [(0, 1), (1, 0)] {
            let expected = by_all_pairs(&of_points[from], &of_points[to], &search);
            let found = search.distances(&of_bits[from], &of_bits[to]);
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            assert!(
                near(found.area, expected.area)
                    && near(found.within, expected.within)
                    && near(found.covering, expected.covering),
                "{most} steps, from {from}: {found:?}, not {expected:?}"
            );
        }
    }
}

#[test]
fn random_masks_have_the_distances_of_all_pairs_of_corners() {
    let shape = [70, 9, 8];
    let random = |seed, share| {
        let bits = noise(seed, 70 * 9 * 8, share);
        mask_of(shape, move |i, j, k| bits[i + 70 * (j + 9 * k)])
    };
    for (seed, a, b) in [(1, 0.3, 0.3), (2, 0.01, 0.01), (3, 0.002, 0.2), (4, 0.9, 0.001)] {
        check(&random(seed, a), &random(seed + 100, b), [0.8, 1.1, 2.5], 1.0);
    }
}

#[test]
fn masks_far_apart_have_the_distances_of_all_pairs_of_corners() {
    let ball = |centre: [isize; 3], radius: isize| {
        mask_of([120, 40, 30], move |i, j, k| {
            let at = [i as isize, j as isize, k as isize];
            (0..3).map(|a| (at[a] - centre[a]).pow(2)).sum::<isize>() <= radius * radius
        })
    };
    check(&ball([12, 10, 9], 7), &ball([101, 30, 20], 5), [1.0; 3], 1.0);
    let two = ball([12, 10, 9], 7).union(&ball([100, 20, 15], 3));
    check(&two, &ball([14, 11, 9], 7), [0.7, 0.7, 3.0], 1.0);
}

#[test]
fn a_tolerance_of_many_voxels_is_found_too() {
    let block = |from: usize| {
        mask_of([60, 20, 20], move |i, j, k| {
            (from..from + 9).contains(&i) && j > 3 && k < 11
        })
    };
    check(&block(4), &block(35), [0.04, 0.05, 0.03], 1.0);
    check(&block(4), &block(19), [0.04, 0.05, 0.03], 0.6);
}

#[test]
fn a_large_cube_has_nearly_the_area_of_its_faces() {
    let cube = Rows::new(&mask_of([40, 40, 40], |i, j, k| {
        [i, j, k].iter().all(|v| (5..35).contains(v))
    }));
    let [there, back] = distances(&cube, &cube, [1.0; 3], 1.0, 0.95).unwrap();
    assert!((there.area / 5400.0 - 1.0).abs() < 0.05, "{there:?}");
    assert_eq!((there, there.covering, there.within), (back, 0.0, there.area));
}
