#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::volume::Affine;

fn how(spacing: [f64; 3]) -> Preparation {
    Preparation {
        orientation: AxisCode::RAS,
        spacing,
        ct_window: [-500.0, 1000.0],
        percentiles: [0.5, 99.5],
    }
}

fn image(shape: [usize; 3], spacing: [f64; 3], value: impl Fn([usize; 3]) -> f32) -> Volume {
    let affine = Affine::from_diagonal(&[spacing[0], spacing[1], spacing[2], 1.0].into());
    let grid = Grid::new(shape, affine);
    let voxels = (0..grid.len()).map(|index| value(grid.voxel(index))).collect();
    Volume::new(grid, voxels, None)
}

#[test]
fn the_last_axis_is_fastest() {
    let source = image([2, 3, 4], [1.0; 3], |[i, j, k]| (100 * i + 10 * j + k + 1) as f32);
    let prepared = prepare(&source, Modality::Ct, &how([1.0; 3])).unwrap();
    assert_eq!(prepared.shape(), [2, 3, 4]);
    let voxels = prepared.voxels();
    let step = voxels[1] - voxels[0];
    assert!(step > 0.0);
    assert!(
        (voxels[4] - voxels[0] - 10.0 * step).abs() < 1e-4,
        "the next line is one further along the second axis"
    );
    assert!(
        (voxels[12] - voxels[0] - 100.0 * step).abs() < 1e-4,
        "the next plane is one further along the first axis"
    );
}

#[test]
fn the_crop_is_the_box_of_what_is_above_zero() {
    let source = image([9, 8, 7], [1.0; 3], |voxel| match voxel {
        [2, 3, 4] => 5.0,
        [6, 3, 5] => 7.0,
        [0, 0, 0] => -3.0,
        _ => 0.0,
    });
    let prepared = prepare(&source, Modality::Ct, &how([1.0; 3])).unwrap();
    assert_eq!((prepared.crop_start(), prepared.shape()), ([2, 3, 4], [5, 1, 2]));
    assert_eq!(prepared.grid().to_world([0.0; 3]), [2.0, 3.0, 4.0]);
    assert_eq!(prepared.whole_grid().shape(), [9, 8, 7]);
}

#[test]
fn nine_slices_of_5_mm_become_fourteen_of_3_mm() {
    let source = image([4, 4, 9], [1.0, 1.0, 5.0], |[i, j, k]| (i + 2 * j + 3 * k + 1) as f32);
    let prepared = prepare(&source, Modality::Mri, &how([1.0, 1.0, 3.0])).unwrap();
    assert_eq!(prepared.shape(), [4, 4, 14]);
    assert_eq!(
        prepared.grid().to_world([0.0, 0.0, 13.0]),
        [0.0, 0.0, 39.0],
        "1 mm short of the last slice"
    );
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let source = image([70, 60, 50], [0.7, 0.8, 1.3], |[i, j, k]| {
        ((i * 31 + j * 17 + k * 7) % 101) as f32
    });
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| prepare(&source, Modality::Mri, &how([1.0, 1.0, 3.0])).unwrap())
    };
    assert_eq!(with(1).voxels(), with(3).voxels());
}
