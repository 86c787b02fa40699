//! Two masks of one thing: how alike they are.

use super::numbers;
use super::rows::Rows;
use super::surface;
use super::types::{Comparison, MeasureWarning};
use crate::volume::Mask;

/// Surfaces closer than this count as the same in `surface_dice_1mm`.
const TOLERANCE_MM: f64 = 1.0;

/// Why two masks could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// They lie on different grids.
    #[error(
        "the masks are on different grids ({mask:?} and {reference:?} voxels, or other affines): resample the \
         reference to the mask's grid, nearest neighbour"
    )]
    GridsDiffer {
        /// Shape of the first one's grid.
        mask: [usize; 3],
        /// Shape of the second one's.
        reference: [usize; 3],
    },
}

/// Overlap, distance and volume of `mask` against `reference`.
///
/// Surface figures are those of DeepMind's `surface-distance`: surfaces are the corners between inside and outside,
/// weighted by the area of their marching-cubes triangles. Surface Dice is the share of both surfaces within 1 mm of the
/// other one. The 95 % Hausdorff distance takes in each direction the smallest distance that covers 95 % of the surface,
/// and of the two the larger. Spacing is that of the grid's own axes, so oblique grids give the same figures as straight ones.
pub fn compare(mask: &Mask, reference: &Mask) -> Result<Comparison, CompareError> {
    same_grid(mask, reference)?;
    let ml = mask.grid().voxel_volume() / 1000.0;
    let (n, m) = (mask.count() as f64, reference.count() as f64);
    let mut out = Comparison {
        dice: dice(mask, reference).and_then(numbers::share),
        surface_dice_1mm: None,
        hausdorff95_mm: None,
        volume_difference_ml: numbers::ml((n - m) * ml).unwrap_or_default(),
        volume_ratio: (m > 0.0).then(|| n / m).and_then(numbers::share),
        warnings: Vec::new(),
    };
    match (mask.is_empty(), reference.is_empty()) {
        (false, false) => surfaces(mask, reference, &mut out),
        (true, true) => out.warnings.push(MeasureWarning::new(
            "both_empty",
            "Mask and reference are both empty, so overlap, distance and ratio are undefined: both say that there is nothing.",
        )),
        (mask_empty, _) => {
            out.surface_dice_1mm = Some(0.0);
            let which = if mask_empty { "mask" } else { "reference" };
            let absent = if mask_empty { "a distance is" } else { "a distance and a ratio are" };
            out.warnings.push(MeasureWarning::new(
                if mask_empty { "mask_empty" } else { "reference_empty" },
                format!("The {which} is empty, so {absent} undefined."),
            ));
        }
    }
    Ok(out)
}

/// Share of each surface that the 95 % Hausdorff distance takes in.
const ROBUST: f64 = 0.95;

/// Fills in what the surfaces say; both masks have voxels.
fn surfaces(mask: &Mask, reference: &Mask, out: &mut Comparison) {
    let (a, b) = rayon::join(|| Rows::new(mask), || Rows::new(reference));
    let Some([there, back]) = surface::distances(&a, &b, mask.grid().spacing(), TOLERANCE_MM, ROBUST) else {
        return;
    };
    out.surface_dice_1mm = numbers::share((there.within + back.within) / (there.area + back.area));
    out.hausdorff95_mm = numbers::mm(there.covering.max(back.covering));
}

/// Twice the common voxels over the sum of voxels; nothing where both are empty. The grids must be the same.
pub(super) fn dice(a: &Mask, b: &Mask) -> Option<f64> {
    let sum = a.count() + b.count();
    (sum > 0).then(|| 2.0 * a.intersection_count(b) as f64 / sum as f64)
}

/// An error unless both masks lie on one grid.
pub(super) fn same_grid(mask: &Mask, reference: &Mask) -> Result<(), CompareError> {
    if mask.grid().agrees_with(reference.grid()) {
        return Ok(());
    }
    Err(CompareError::GridsDiffer {
        mask: mask.grid().shape(),
        reference: reference.grid().shape(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_of, mask_on};
    use crate::volume::{Affine, Grid};
    use std::sync::Arc;

    fn cube(from: usize, to: usize) -> Mask {
        mask_of([20, 20, 20], |i, j, k| [i, j, k].iter().all(|v| (from..to).contains(v)))
    }

    #[test]
    fn a_mask_equals_itself() {
        let c = compare(&cube(4, 12), &cube(4, 12)).unwrap();
        assert_eq!(
            (c.dice, c.surface_dice_1mm, c.hausdorff95_mm),
            (Some(1.0), Some(1.0), Some(0.0))
        );
        assert_eq!((c.volume_difference_ml, c.volume_ratio), (0.0, Some(1.0)));
        assert!(c.warnings.is_empty());
    }

    #[test]
    fn cubes_one_voxel_apart_on_every_side_are_within_a_millimetre_but_for_edges() {
        let c = compare(&cube(5, 13), &cube(4, 14)).unwrap();
        assert_eq!(c.volume_difference_ml, -0.488);
        assert_eq!(c.volume_ratio, Some(0.512));
        assert!(
            c.surface_dice_1mm.unwrap() < 1.0 && c.surface_dice_1mm.unwrap() > 0.8,
            "{c:?}"
        );
    }

    #[test]
    fn figures_that_mean_nothing_are_absent_and_explained() {
        let none = cube(0, 0);
        let c = compare(&none, &none).unwrap();
        assert_eq!(
            (c.dice, c.surface_dice_1mm, c.hausdorff95_mm, c.volume_ratio),
            (None, None, None, None)
        );
        assert_eq!(c.warnings[0].code, "both_empty");
        let c = compare(&none, &cube(1, 3)).unwrap();
        assert_eq!(
            (c.dice, c.surface_dice_1mm, c.hausdorff95_mm),
            (Some(0.0), Some(0.0), None)
        );
        assert_eq!((c.volume_ratio, c.warnings[0].code.as_str()), (Some(0.0), "mask_empty"));
        let c = compare(&cube(1, 3), &none).unwrap();
        assert_eq!((c.volume_ratio, c.warnings[0].code.as_str()), (None, "reference_empty"));
    }

    #[test]
    fn masks_of_different_grids_are_refused_with_a_way_out() {
        let elsewhere = mask_on(
            Arc::new(Grid::new([20, 20, 20], Affine::identity() * 2.0)),
            |_, _, _| true,
        );
        let error = compare(&cube(1, 3), &elsewhere).unwrap_err();
        assert!(error.to_string().contains("resample the reference"), "{error}");
    }
}
