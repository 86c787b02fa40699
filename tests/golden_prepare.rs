//! Preparing an image and bringing a mask back, against MONAI and scipy (tests/golden/make_prepare.py).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use sat_mcp::segment::{ModelBox, Preparation, Prepared, Restore, prepare};
use sat_mcp::volume::{self, Anchor, Modality, Volume};

struct Case {
    name: String,
    source: Volume,
    prepared: Prepared,
    told: serde_json::Value,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/prepare")
        .join(name)
}

fn cases() -> Vec<Case> {
    let told: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&std::fs::read(golden("cases.json")).unwrap()).unwrap();
    let cases: Vec<Case> = told
        .into_iter()
        .map(|(name, told)| {
            let source = volume::read(&golden(&format!("{name}.nii.gz"))).unwrap();
            let how = Preparation {
                orientation: told["orientation"].as_str().unwrap().parse().unwrap(),
                spacing: numbers(&told["spacing"]),
                ct_window: [-500.0, 1000.0],
                percentiles: [0.5, 99.5],
                anchor: Anchor::Published,
            };
            let modality: Modality = serde_json::from_value(told["modality"].clone()).unwrap();
            let prepared = prepare(&source, modality, &how).unwrap();
            Case {
                name,
                source,
                prepared,
                told,
            }
        })
        .collect();
    assert!(cases.len() >= 14);
    cases
}

fn numbers<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The voxels of an array whose last axis is fastest, in the order of one whose first is.
fn first_axis_fastest(values: &[f32], [nx, ny, nz]: [usize; 3]) -> Vec<f32> {
    let voxels = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| (x * ny + y) * nz + z)));
    voxels.map(|at| values[at]).collect()
}

fn last_axis_fastest(values: &[f32], [nx, ny, nz]: [usize; 3]) -> Vec<f32> {
    let voxels = (0..nx).flat_map(|x| (0..ny).flat_map(move |y| (0..nz).map(move |z| x + nx * (y + ny * z))));
    voxels.map(|at| values[at]).collect()
}

#[test]
fn an_image_is_prepared_as_monai_prepares_it() {
    for Case {
        name, prepared, told, ..
    } in cases()
    {
        let expected = volume::read(&golden(&format!("{name}.prepared.nii.gz"))).unwrap();
        assert_eq!(
            prepared.whole_grid().shape(),
            numbers::<[usize; 3]>(&told["whole_shape"]),
            "{name}"
        );
        assert_eq!(
            prepared.crop_start(),
            numbers::<[usize; 3]>(&told["crop_start"]),
            "{name}"
        );
        assert_eq!(prepared.shape(), expected.grid().shape(), "{name}");
        let off = (prepared.grid().affine() - expected.grid().affine()).amax();
        assert!(off < 1e-4, "{name}: the affine is off by {off}");

        let voxels = first_axis_fastest(prepared.voxels(), prepared.shape());
        let off = voxels
            .iter()
            .zip(expected.voxels())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off < 1e-4, "{name}: intensities are off by {off}");
    }
}

#[test]
fn a_mask_comes_back_as_scipy_interpolates_it() {
    for Case {
        name,
        source,
        prepared,
        told,
    } in cases()
    {
        let probability = volume::read(&golden(&format!("{name}.probability.nii.gz"))).unwrap();
        let probability = last_axis_fastest(probability.voxels(), prepared.shape());
        let expected = volume::read_labels(&golden(&format!("{name}.mask.nii.gz"))).unwrap();

        let mask = Restore::new(&prepared).mask(&probability, 0.5);
        assert!(mask.grid().agrees_with(source.grid()), "{name}");
        let found = mask.to_bytes();
        let differing = found
            .iter()
            .zip(expected.labels())
            .filter(|(a, b)| u32::from(**a) != **b)
            .count();
        // Where the value is 0.5 to rounding, either answer is right.
        let undecided: usize = numbers(&told["undecided"]);
        assert!(
            differing <= undecided,
            "{name}: {differing} voxels differ, {undecided} are undecided"
        );
        assert!(!mask.is_empty(), "{name}");
    }
}

#[test]
fn a_box_with_zeros_around_it_gives_the_mask_of_the_whole() {
    for Case { name, prepared, .. } in cases() {
        let shape = prepared.shape();
        let part = ModelBox {
            min: shape.map(|length| length / 4),
            max: shape.map(|length| (length - 1).min(length / 4 + length / 2)),
        };
        let inside = |voxel: [usize; 3]| (0..3).all(|axis| (part.min[axis]..=part.max[axis]).contains(&voxel[axis]));
        let value = |voxel: [usize; 3]| ((voxel[0] * 7 + voxel[1] * 5 + voxel[2] * 3) % 11) as f32 / 11.0;
        let mut whole = vec![0.0; shape.iter().product()];
        let mut boxed = Vec::new();
        for (at, probability) in whole.iter_mut().enumerate() {
            let voxel = [at / (shape[1] * shape[2]), at / shape[2] % shape[1], at % shape[2]];
            if inside(voxel) {
                *probability = value(voxel);
                boxed.push(value(voxel));
            }
        }
        assert_eq!(
            Restore::new(&prepared).mask_of_box(part, &boxed, 0.5),
            Restore::new(&prepared).mask(&whole, 0.5),
            "{name}"
        );
    }
}
