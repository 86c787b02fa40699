#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nalgebra::{Matrix3, Rotation3};
use proptest::prelude::*;

use super::*;
use crate::segment::{Preparation, prepare};
use crate::volume::{Affine, Anchor, AxisCode, Modality, Volume};

/// The mask voxel by voxel from the definition, in f64: clamp to the uncropped grid, interpolate, compare. Where the
/// value is the threshold to rounding, `None`.
fn by_definition(prepared: &Prepared, part: ModelBox, probability: &[f32], threshold: f32) -> Vec<Option<bool>> {
    let size = part.shape();
    let value = |index: [usize; 3]| {
        let mut place = 0;
        for axis in 0..3 {
            let inside = index[axis].checked_sub(prepared.crop_start()[axis] + part.min[axis]);
            match inside {
                Some(inside) if inside < size[axis] => place = place * size[axis] + inside,
                _ => return 0.0,
            }
        }
        f64::from(probability[place])
    };
    let (grid, whole) = (prepared.source_grid(), prepared.whole_grid());
    let to_whole = whole.inverse() * grid.affine();
    (0..grid.len())
        .map(|index| {
            let place = crate::volume::transform(&to_whole, grid.voxel(index).map(|n| n as f64));
            let place = [0, 1, 2].map(|axis| place[axis].clamp(0.0, whole.shape()[axis] as f64 - 1.0));
            let mut sum = 0.0;
            for corner in 0..8 {
                let mut weight = 1.0;
                let index = [0, 1, 2].map(|axis| {
                    let (low, part) = (place[axis].floor(), place[axis].fract());
                    let up = corner >> axis & 1;
                    weight *= if up == 1 { part } else { 1.0 - part };
                    (low as usize + up).min(whole.shape()[axis] - 1)
                });
                sum += weight * value(index);
            }
            ((sum - f64::from(threshold)).abs() > 1e-5).then_some(sum > f64::from(threshold))
        })
        .collect()
}

#[derive(Debug, Clone)]
struct Scene {
    source: Volume,
    how: Preparation,
}

fn scenes() -> impl Strategy<Value = Scene> {
    let turn = prop::array::uniform3(-3.2_f64..3.2);
    let zoom = prop::array::uniform3(0.4_f64..4.0);
    let shear = prop_oneof![3 => Just(0.0), 1 => -0.4_f64..0.4];
    let spacing = prop::array::uniform3(0.8_f64..3.5);
    let code = prop_oneof![Just(AxisCode::RAS), Just(AxisCode::ASR)];
    let signs = prop::array::uniform3(any::<bool>());
    (
        prop::array::uniform3(1_usize..12),
        turn,
        zoom,
        shear,
        spacing,
        code,
        signs,
        any::<u64>(),
    )
        .prop_map(|(shape, turn, zoom, shear, spacing, orientation, signs, seed)| {
            let zoom = [0, 1, 2].map(|n| if signs[n] { -zoom[n] } else { zoom[n] });
            let linear = Rotation3::from_euler_angles(turn[0], turn[1], turn[2]).matrix()
                * Matrix3::new(1.0, 0.0, 0.0, 0.0, 1.0, shear, 0.0, 0.0, 1.0)
                * Matrix3::from_diagonal(&zoom.into());
            let mut affine = Affine::identity();
            affine.fixed_view_mut::<3, 3>(0, 0).copy_from(&linear);
            let grid = Grid::new(shape, affine);
            let noise = noise(grid.len(), seed);
            // An empty margin on some sides, so that there is something to crop.
            let voxels = (0..grid.len())
                .map(|index| {
                    let voxel = grid.voxel(index);
                    let margin = (0..3).any(|axis| shape[axis] > 6 && (seed >> axis & 1) == 1 && voxel[axis] < 3);
                    if margin { -1.0 } else { noise[index] + 0.1 }
                })
                .collect();
            let how = Preparation {
                orientation,
                spacing,
                ct_window: [-500.0, 1000.0],
                percentiles: [0.5, 99.5],
                anchor: Anchor::Published,
            };
            Scene {
                source: Volume::new(grid, voxels, None),
                how,
            }
        })
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        })
        .collect()
}

proptest! {
    #[test]
    fn a_mask_is_what_the_definition_says(
        scene in scenes(),
        corners in prop::array::uniform6(any::<prop::sample::Index>()),
        threshold in prop_oneof![Just(0.5_f32), Just(0.0), 0.05_f32..0.95],
        seed: u64,
    ) {
        let Ok(prepared) = prepare(&scene.source, Modality::Ct, &scene.how) else { return Ok(()) };
        let shape = prepared.shape();
        let ends = [0, 1, 2].map(|axis| (corners[axis].index(shape[axis]), corners[axis + 3].index(shape[axis])));
        let part = ModelBox { min: ends.map(|(a, b)| a.min(b)), max: ends.map(|(a, b)| a.max(b)) };
        let probability = noise(part.len(), seed);
        let mask = Restore::new(&prepared).mask_of_box(part, &probability, threshold);
        let expected = by_definition(&prepared, part, &probability, threshold);
        for (index, expected) in expected.into_iter().enumerate() {
            if let Some(expected) = expected {
                prop_assert_eq!(mask.contains(index as u64), expected, "voxel {:?}", prepared.source_grid().voxel(index));
            }
        }
    }

    #[test]
    fn stretch_by_stretch_gives_the_same_mask(
        scene in scenes(),
        sweep in 0_usize..3,
        cuts in prop::collection::btree_set(1_usize..12, 0..4),
        seed: u64,
    ) {
        let Ok(prepared) = prepare(&scene.source, Modality::Ct, &scene.how) else { return Ok(()) };
        let shape = prepared.shape();
        let probability = noise(prepared.voxels().len(), seed);
        let restore = Restore::new(&prepared);
        let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < shape[sweep]).collect();
        let mut builder = MaskBuilder::new(restore.shared_grid());
        for n in 0..=cuts.len() {
            let (from, to) = (n.checked_sub(1).map(|n| cuts[n]), cuts.get(n).copied());
            let mut part = ModelBox::whole(shape);
            part.min[sweep] = from.map_or(0, |from| from - 1);
            part.max[sweep] = to.unwrap_or(shape[sweep]) - 1;
            let mut values = Vec::new();
            for x in part.min[0]..=part.max[0] {
                for y in part.min[1]..=part.max[1] {
                    let row = (x * shape[1] + y) * shape[2];
                    values.extend_from_slice(&probability[row + part.min[2]..=row + part.max[2]]);
                }
            }
            let runs = restore.within(part, &values, 0.5, Planes { sweep, from, to });
            runs.into_iter().for_each(|run| builder.push_run(run));
        }
        prop_assert_eq!(builder.finish(), restore.mask(&probability, 0.5));
    }

    #[test]
    fn where_the_grids_coincide_the_mask_is_the_models_own(seed: u64, threshold in 0.0_f32..0.9, flips: [bool; 3]) {
        let mut affine = Affine::identity();
        for axis in 0..3 {
            affine[(axis, axis)] = if flips[axis] { -1.0 } else { 1.0 };
        }
        let grid = Grid::new([6, 7, 8], affine);
        let source = Volume::new(grid, noise(336, seed).into_iter().map(|v| v + 0.1).collect(), None);
        let how = Preparation { orientation: AxisCode::RAS, spacing: [1.0; 3], ct_window: [-1.0, 9.0], percentiles: [0.0, 100.0], anchor: Anchor::Published };
        let prepared = prepare(&source, Modality::Ct, &how).unwrap();
        prop_assert_eq!(prepared.shape(), [6, 7, 8]);
        let probability = noise(336, !seed);
        let mask = Restore::new(&prepared).mask(&probability, threshold);
        for index in 0..336_usize {
            let voxel = source.grid().voxel(index);
            let [x, y, z] = [0, 1, 2].map(|axis| if flips[axis] { [5, 6, 7][axis] - voxel[axis] } else { voxel[axis] });
            prop_assert_eq!(mask.contains(index as u64), probability[(x * 7 + y) * 8 + z] > threshold);
        }
    }

    #[test]
    fn a_flipped_copy_of_a_scan_gives_the_same_mask(scene in scenes(), axis in 0_usize..3, seed: u64) {
        let original = &scene.source;
        let axes = original.grid().axis_code().axes();
        let code = AxisCode::new([0, 1, 2].map(|n| {
            if n == axis { crate::volume::Axis::new(axes[n].world_axis(), !axes[n].is_positive()) } else { axes[n] }
        })).unwrap();
        let (grid, turn) = original.grid().reoriented(code);
        let voxels = (0..grid.len()).map(|index| {
            let old = turn.undo(grid.voxel(index).map(|n| n as f64)).map(|n| n as usize);
            original.voxels()[original.grid().index(old)]
        }).collect();
        let flipped = Volume::new(grid, voxels, None);

        let prepared = [original, &flipped].map(|image| prepare(image, Modality::Ct, &scene.how));
        let [Ok(a), Ok(b)] = prepared else { return Ok(()) };
        prop_assert_eq!(a.shape(), b.shape());
        let off = a.voxels().iter().zip(b.voxels()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        prop_assert!(off < 1e-3, "the flipped copy is off by {}", off);
        let probability = noise(a.voxels().len(), seed);
        let (a, b) = (Restore::new(&a).mask(&probability, 0.5), Restore::new(&b).mask(&probability, 0.5));
        let differing = (0..original.grid().len()).filter(|&index| {
            let there = turn.apply(original.grid().voxel(index).map(|n| n as f64)).map(|n| n as usize);
            a.contains(index as u64) != b.contains(flipped.grid().index(there) as u64)
        }).count();
        prop_assert!(differing <= 2, "{} voxels differ", differing);
    }
}
