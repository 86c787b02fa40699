#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::segment::{Preparation, Prepared, prepare};
use crate::volume::{Affine, Anchor, AxisCode, Grid, Modality, Volume};

/// Numbers from -1 to 1 that look random and are the same every time.
fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// An image whose grid is the model's own.
fn on_the_models_grid(shape: [usize; 3]) -> Prepared {
    let grid = Grid::new(shape, Affine::identity());
    let voxels = noise(grid.len(), 5).into_iter().map(|value| value + 1.1).collect();
    let how = Preparation {
        orientation: AxisCode::RAS,
        spacing: [1.0; 3],
        ct_window: [-9.0, 9.0],
        percentiles: [0.0, 100.0],
        anchor: Anchor::Published,
    };
    prepare(&Volume::new(grid, voxels, None), Modality::Ct, &how).unwrap()
}

struct Opinion {
    start: [usize; 3],
    features: Vec<f32>,
    embeddings: Array2<f32>,
}

/// Probabilities of a class as the published code adds them up, in f64, x slowest.
fn published(shape: [usize; 3], size: [usize; 3], opinions: &[Opinion], class: usize) -> Vec<f64> {
    let g = importance(size);
    let (mut sum, mut weight) = (vec![0.0; shape.iter().product()], vec![0.0; shape.iter().product()]);
    for opinion in opinions {
        for here in 0..g.len() {
            let place = [here / (size[1] * size[2]), here / size[2] % size[1], here % size[2]];
            let voxel = [0, 1, 2].map(|axis| opinion.start[axis] + place[axis]);
            if (0..3).any(|axis| voxel[axis] >= shape[axis]) {
                continue;
            }
            let embedding = opinion.embeddings.row(class);
            let products = embedding.iter().enumerate();
            let logit: f64 = products
                .map(|(c, e)| f64::from(*e) * f64::from(opinion.features[c * g.len() + here]))
                .sum();
            let index = (voxel[0] * shape[1] + voxel[1]) * shape[2] + voxel[2];
            sum[index] += f64::from(g[here]) / (1.0 + (-logit).exp());
            weight[index] += f64::from(g[here]);
        }
    }
    sum.iter().zip(&weight).map(|(sum, weight)| sum / weight).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn masks_are_where_the_published_weighted_mean_is_above_the_threshold(
        // two voxels at least: an image of one is constant, which preparation refuses
        shape in [1usize..26, 1usize..26, 2usize..34],
        half in [2usize..9, 2usize..9, 2usize..12],
        sweep in 0usize..3,
        classes in 1usize..19,
        threshold in 0.2f32..0.8,
        seed: u64,
    ) {
        let (size, width) = (half.map(|n| 2 * n), 5);
        let prepared = on_the_models_grid(shape);
        let restore = Restore::new(&prepared);
        let tiling = Tiling::along(shape, size, sweep);
        let mut blend = Blend::new(&tiling, &restore, vec![threshold; classes]);
        let mut opinions = Vec::new();
        for window in tiling.windows() {
            let seed = seed ^ tiling.number(window) as u64;
            let features = noise(width * size.iter().product::<usize>(), seed);
            let embeddings = Array2::from_shape_vec((classes, width), noise(classes * width, !seed)).unwrap() * 3.0;
            let stored = store(&tiling, window, FeatureValues::Single(&features), width).unwrap();
            blend.add(window, stored, embeddings.clone(), &Cancel::new());
            opinions.push(Opinion { start: tiling.start(window), features, embeddings });
        }
        let found = blend.finish();
        for (class, found) in found.iter().enumerate() {
            let expected = published(shape, size, &opinions, class);
            let mask = found.mask.unpack();
            let (mut voxels, mut sum, mut unsure) = (0.0, 0.0, 0);
            for (index, probability) in expected.into_iter().enumerate() {
                let voxel = [index / (shape[1] * shape[2]), index / shape[2] % shape[1], index % shape[2]];
                let is_in = mask.contains(prepared.source_grid().index(voxel) as u64);
                if (probability - f64::from(threshold)).abs() > 1e-4 {
                    prop_assert_eq!(is_in, probability > f64::from(threshold), "voxel {:?}: {}", voxel, probability);
                } else {
                    unsure += 1;
                }
                if probability > f64::from(threshold) {
                    (voxels, sum) = (voxels + 1.0, sum + probability);
                }
            }
            if unsure == 0 {
                prop_assert_eq!(found.mean_probability.is_some(), voxels > 0.0);
                let mean = found.mean_probability.unwrap_or_default();
                prop_assert!(voxels == 0.0 || (mean - sum / voxels).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn features_are_let_go_when_their_place_is_closed() {
    let (shape, size, width) = ([8, 8, 64], [8, 8, 8], 2);
    let prepared = on_the_models_grid(shape);
    let restore = Restore::new(&prepared);
    let tiling = Tiling::new(shape, size);
    let mut blend = Blend::new(&tiling, &restore, vec![0.5]);
    let mut most = 0;
    for window in tiling.windows() {
        let features = noise(width * 512, 1);
        let stored = store(&tiling, window, FeatureValues::Single(&features), width).unwrap();
        blend.add(window, stored, Array2::ones((1, width)), &Cancel::new());
        let held = blend
            .windows
            .iter()
            .flatten()
            .flat_map(|waiting| waiting.layers.iter().flatten());
        most = most.max(held.map(|layer| layer.bytes()).sum::<usize>());
    }
    let one_window = width * 512 * 2;
    assert!(
        most < 2 * one_window,
        "{most} bytes are held, a window has {one_window}"
    );
}

#[test]
fn features_that_are_no_numbers_are_refused() {
    let tiling = Tiling::new([8, 8, 8], [8, 8, 8]);
    let mut features = vec![1.0; 1024];
    features[700] = f32::NAN;
    let window = tiling.windows().next().unwrap();
    assert_eq!(
        store(&tiling, window, FeatureValues::Single(&features), 2).err(),
        Some(NotFinite)
    );
}
