//! Is an answer plausible? Cheap tests that need no ground truth.

use super::compare::{CompareError, dice, same_grid};
use super::numbers;
use super::rows::Rows;
use super::shape::Moments;
use super::types::{Check, Laterality};
use crate::volume::{Mask, PackedMask};

/// Least share of a mask that must lie on its side of the plane between it and its counterpart.
const ENOUGH_ON_SIDE: f64 = 0.9;
/// Of the line between a pair, the least share that must run from left to right for it to say where the midline is.
const LEAST_LEFT_TO_RIGHT: f64 = 0.5;
/// Least Dice of a parent with the union of its parts.
const ENOUGH_AGREEMENT: f64 = 0.8;

/// Does a left or right mask lie on that side of the patient? Nothing for an empty mask.
///
/// A scan doesn't say where the body's midline is. With the same structure of the other side (`counterpart`) the two
/// decide it: the plane half-way between their centroids, perpendicular to the line that joins them (to the patient's left-right axis
/// where that line says nothing of left and right, since one lies in the other), and the check asks for nine tenths of the mask on
/// its own side of it. Without, the only plane is the image's centre, which a scan of one
/// shoulder or a patient lying aside does not share with the body: the check then only fails when most of the mask is
/// beyond it, and its name and note say what it was held against.
pub fn side(mask: &Mask, laterality: Laterality, counterpart: Option<&Mask>) -> Option<Check> {
    let rows = Rows::new(mask);
    let centroid = centroid(&rows, mask)?;
    let other = counterpart.filter(|other| same_grid(mask, other).is_ok());
    let other = other.and_then(|other| self::centroid(&Rows::new(other), other));
    let grid = mask.grid();
    let (through, to_right) = match other {
        Some(other) => {
            let (left, right) = if laterality == Laterality::Left {
                (centroid, other)
            } else {
                (other, centroid)
            };
            let to_right: [f64; 3] = std::array::from_fn(|a| right[a] - left[a]);
            let length = to_right.iter().map(|v| v * v).sum::<f64>().sqrt();
            let towards = if to_right[0].abs() < LEAST_LEFT_TO_RIGHT * length || length == 0.0 {
                // One lies in the other, or over it: the line between them says nothing of left and right.
                [1.0, 0.0, 0.0]
            } else {
                // Where left and right are swapped the line runs the wrong way, and so must not point the check.
                to_right.map(|v| v * to_right[0].signum())
            };
            (std::array::from_fn(|a| (left[a] + right[a]) / 2.0), towards)
        }
        None => (
            grid.to_world(grid.shape().map(|n| (n as f64 - 1.0) / 2.0)),
            [1.0, 0.0, 0.0],
        ),
    };
    let share = share_right_of(&rows, mask, through, to_right);
    let share = if laterality == Laterality::Left {
        1.0 - share
    } else {
        share
    };
    let side = if laterality == Laterality::Left {
        "left"
    } else {
        "right"
    };
    let (check, ok, against) = match other {
        Some(_) => (
            "side_of_counterpart",
            share >= ENOUGH_ON_SIDE,
            "the plane half-way to its counterpart",
        ),
        None => (
            "side_of_image_centre",
            share >= 0.5,
            "the image's centre, which need not be the body's midline (no counterpart was given)",
        ),
    };
    let note = format!("share of the mask on the patient's {side} of {against}");
    Some(Check {
        check: check.to_owned(),
        value: numbers::share(share)?,
        ok,
        note,
    })
}

fn centroid(rows: &Rows, mask: &Mask) -> Option<[f64; 3]> {
    Moments::of(rows).centroid(mask.grid())
}

/// Share of the voxels whose centres lie beyond a plane; along a span that is one solution of a linear equation.
fn share_right_of(rows: &Rows, mask: &Mask, through: [f64; 3], normal: [f64; 3]) -> f64 {
    let beyond = |p: [f64; 3]| (0..3).map(|a| (p[a] - through[a]) * normal[a]).sum::<f64>();
    let grid = mask.grid();
    let (mut inside, mut all) = (0.0, 0.0);
    let along = (0..3).map(|a| grid.affine()[(a, 0)] * normal[a]).sum::<f64>();
    for line in rows.lines() {
        let origin = beyond(grid.to_world([0.0, line.j.into(), line.k.into()]));
        let at = |i: u32| origin + along * f64::from(i);
        for s in line.spans {
            let (first, last, n) = (at(s.start), at(s.end - 1), s.len() as f64);
            all += n;
            inside += match (first > 0.0, last > 0.0) {
                (true, true) => n,
                (false, false) => 0.0,
                _ => {
                    // Voxels from the end that lies beyond to the crossing.
                    let (from, to) = if first > 0.0 { (first, last) } else { (last, first) };
                    (from / (from - to) * (n - 1.0)).ceil().clamp(1.0, n - 1.0)
                }
            };
        }
    }
    inside / all
}

/// How well a parent structure agrees with the union of its parts: two answers to one question.
pub fn agreement(parent: &Mask, parts: &[&PackedMask]) -> Result<Check, CompareError> {
    let mut union = Mask::empty(parent.shared_grid());
    for part in parts {
        let part = part.unpack();
        same_grid(parent, &part)?;
        union = union.union(&part);
    }
    let value = dice(parent, &union).unwrap_or(1.0); // both empty: both say that there is nothing
    Ok(Check {
        check: "agreement_with_parts".to_owned(),
        value: numbers::share(value).unwrap_or(0.0),
        ok: value >= ENOUGH_AGREEMENT,
        note: format!("Dice of the mask with the union of its {} parts", parts.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_on, oblique};
    use crate::volume::{Affine, Grid};
    use std::sync::Arc;

    /// 20 voxels wide, x from -40 to 36 mm, whose middle is not at x = 0.
    fn grid() -> Arc<Grid> {
        let mut affine = Affine::identity() * 4.0;
        affine[(3, 3)] = 1.0;
        affine[(0, 3)] = -40.0;
        Arc::new(Grid::new([20, 6, 6], affine))
    }

    fn packed(mask: &Mask) -> PackedMask {
        PackedMask::from(mask)
    }

    fn block(from: usize, to: usize) -> Mask {
        mask_on(grid(), |i, _, _| (from..to).contains(&i))
    }

    #[test]
    fn a_pair_off_the_images_centre_is_on_its_sides_of_its_own_midline() {
        let (left, right) = (block(0, 3), block(5, 8));
        for (mask, side_, other) in [(&left, Laterality::Left, &right), (&right, Laterality::Right, &left)] {
            let check = side(mask, side_, Some(other)).unwrap();
            assert_eq!(
                (check.check.as_str(), check.value, check.ok),
                ("side_of_counterpart", 1.0, true)
            );
        }
        // Held against the image's centre alone, the right one looks wrong: hence the check's other name and note.
        let alone = side(&right, Laterality::Right, None).unwrap();
        assert_eq!(
            (alone.check.as_str(), alone.value, alone.ok),
            ("side_of_image_centre", 0.0, false)
        );
        assert!(alone.note.contains("need not be the body's midline"));
    }

    #[test]
    fn swapped_sides_are_found_out() {
        let (left, right) = (block(0, 3), block(5, 8));
        let check = side(&right, Laterality::Left, Some(&left)).unwrap();
        assert_eq!((check.value, check.ok), (0.0, false));
    }

    #[test]
    fn a_mask_that_spills_over_fails_with_its_share() {
        let check = side(&block(0, 10), Laterality::Left, None).unwrap();
        assert_eq!((check.value, check.ok), (1.0, true));
        let check = side(&block(4, 14), Laterality::Left, Some(&block(14, 16))).unwrap();
        assert_eq!((check.value, check.ok), (0.8, false));
    }

    #[test]
    fn a_pair_that_lies_in_one_place_fails_on_both_sides() {
        let whole = block(4, 14);
        let inner = mask_on(grid(), |i, j, k| (6..12).contains(&i) && j < 5 && k > 1);
        for other in [&whole, &inner] {
            for laterality in [Laterality::Left, Laterality::Right] {
                let check = side(&whole, laterality, Some(other)).unwrap();
                assert_eq!((check.value, check.ok), (0.5, false), "{laterality:?}");
            }
        }
    }

    #[test]
    fn an_empty_mask_has_no_side_and_an_empty_counterpart_is_none() {
        assert_eq!(side(&block(0, 0), Laterality::Left, None), None);
        let check = side(&block(0, 3), Laterality::Left, Some(&block(0, 0))).unwrap();
        assert_eq!(check.check, "side_of_image_centre");
    }

    #[test]
    fn the_share_along_a_span_is_that_of_its_voxels() {
        let grid = Arc::new(Grid::new([9, 7, 5], oblique([2.0, 1.0, 3.0])));
        let mask = mask_on(grid.clone(), |i, j, k| (i + 2 * j + k) % 5 != 0);
        let (through, normal) = (grid.to_world([4.2, 3.1, 2.3]), [0.8, -0.5, 0.2]);
        let beyond = |n: usize| {
            let p = grid.to_world([(n % 9) as f64, (n / 9 % 7) as f64, (n / 63) as f64]);
            (0..3).map(|a| (p[a] - through[a]) * normal[a]).sum::<f64>() > 0.0
        };
        let inside: Vec<usize> = (0..315).filter(|&n| mask.contains(n as u64)).collect();
        let expected = inside.iter().filter(|&&n| beyond(n)).count() as f64 / inside.len() as f64;
        let got = share_right_of(&Rows::new(&mask), &mask, through, normal);
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }

    #[test]
    fn a_parent_equal_to_its_parts_agrees_and_one_of_another_grid_is_refused() {
        let (a, b) = (block(0, 3), block(3, 8));
        let check = agreement(&block(0, 8), &[&packed(&a), &packed(&b)]).unwrap();
        assert_eq!((check.value, check.ok), (1.0, true));
        assert!(!agreement(&block(0, 8), &[&packed(&a)]).unwrap().ok);
        assert_eq!(agreement(&block(0, 0), &[&packed(&block(0, 0))]).unwrap().value, 1.0);
        let elsewhere = mask_on(Arc::new(Grid::new([20, 6, 6], Affine::identity())), |_, _, _| true);
        assert!(agreement(&block(0, 8), &[&packed(&elsewhere)]).is_err());
    }
}
