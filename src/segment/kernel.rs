//! The innermost loops: features to whole steps, and embeddings times features to probabilities.
//!
//! Each is written as plain loops over short arrays and compiled several times, for the vector units that processors have;
//! `pulp` picks the one for this processor.

use super::features::{STEPS, StoredTile};

/// Voxels that are computed together.
pub(super) const LANES: usize = 16;
/// Classes that are computed together: their sums stay in registers.
pub(super) const CLASSES: usize = 8;

/// 1.5 * 2^23: added to a small number and taken off again, it leaves the nearest whole number.
const ROUNDING: f32 = 12_582_912.0;

/// Writes `values` as whole steps and returns the size of a step; nothing where a value is not finite. What is left of
/// `out` keeps its zeros.
pub(super) fn quantise(values: &[f32], out: &mut [i16]) -> Option<f32> {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut largest = [0.0f32; LANES];
            // Stays 0 unless something is infinite or no number.
            let mut trouble = [0.0f32; LANES];
            let whole = values.chunks_exact(LANES);
            let rest = whole.remainder();
            for chunk in whole {
                for i in 0..LANES {
                    largest[i] = largest[i].max(chunk[i].abs());
                    trouble[i] += chunk[i] * 0.0;
                }
            }
            for (i, value) in rest.iter().enumerate() {
                largest[i] = largest[i].max(value.abs());
                trouble[i] += value * 0.0;
            }
            if trouble.iter().any(|value| *value != 0.0) {
                return None;
            }
            let largest = largest.iter().copied().fold(0.0, f32::max);
            let step = largest / STEPS;
            let per_step = STEPS / largest;
            // Nothing but zeros, or values so small that their inverse overflows.
            if !per_step.is_finite() {
                return Some(0.0);
            }
            for (value, out) in values.iter().zip(out) {
                let rounded = value * per_step + ROUNDING;
                // The lowest bits of the sum are the whole number.
                *out = rounded.to_bits() as i16;
            }
            Some(step)
        },
    )
}

/// A window that covers a tile: its features there, its embeddings of a block of classes, its importance there.
pub(super) struct Covering<'a> {
    pub tile: StoredTile<'a>,
    /// For each group of [`CLASSES`] classes, for each channel, one weight a class, in units of the tile's steps.
    pub embeddings: Vec<[f32; CLASSES]>,
    /// Importance of each voxel, padded like the features.
    pub importance: Vec<f32>,
}

/// Blended probabilities of a tile: for each class of `groups` groups, for each voxel (padded).
pub(super) fn blend(covering: &[Covering<'_>], groups: usize, padded: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(groups * CLASSES * padded, 0.0);
    match pulp::Arch::new() {
        // Without a fused multiply-add unit the fused operation would be a call for each number.
        pulp::Arch::Scalar => blend_groups::<false>(covering, padded, out),
        arch => arch.dispatch(
            #[inline(always)]
            || blend_groups::<true>(covering, padded, out),
        ),
    }
}

/// About how long a thread takes to blend a voxel of one window for so many classes: tried out on a made-up tile.
pub(super) fn seconds_a_voxel(width: usize, classes: usize) -> f64 {
    const VOXELS: usize = 1024;
    let groups = classes.div_ceil(CLASSES).min(8);
    let (values, steps) = (vec![1i16; VOXELS * width], vec![1e-3; width]);
    let covering = [Covering {
        tile: StoredTile {
            values: &values,
            steps: &steps,
        },
        embeddings: vec![[0.1; CLASSES]; groups * width],
        importance: vec![1.0; VOXELS],
    }];
    let mut out = Vec::new();
    blend(&covering, groups, VOXELS, &mut out);
    let began = std::time::Instant::now();
    blend(&covering, groups, VOXELS, &mut out);
    let one_class = began.elapsed().as_secs_f64() / (VOXELS * groups * CLASSES) as f64;
    one_class * classes as f64
}

#[inline(always)]
fn blend_groups<const FUSED: bool>(covering: &[Covering<'_>], padded: usize, out: &mut [f32]) {
    let mut total = vec![0.0f32; padded];
    for window in covering {
        total.iter_mut().zip(&window.importance).for_each(|(sum, g)| *sum += g);
    }
    for (group, out) in out.chunks_exact_mut(CLASSES * padded).enumerate() {
        for at in (0..padded).step_by(LANES) {
            let mut sums = [[0.0f32; LANES]; CLASSES];
            for window in covering {
                let channels = window.tile.steps.len();
                let embeddings = &window.embeddings[group * channels..(group + 1) * channels];
                let logits = logits::<FUSED>(window.tile.values, padded, at, embeddings);
                let g = vector(&window.importance, at);
                for (sum, logit) in sums.iter_mut().zip(&logits) {
                    for i in 0..LANES {
                        sum[i] += g[i] * sigmoid(logit[i]);
                    }
                }
            }
            let weight = vector(&total, at);
            for (class, sum) in sums.iter().enumerate() {
                let out = &mut out[class * padded + at..class * padded + at + LANES];
                for i in 0..LANES {
                    out[i] = sum[i] / weight[i];
                }
            }
        }
    }
}

/// Embeddings times features, for a group of classes and a vector of voxels.
#[inline(always)]
fn logits<const FUSED: bool>(
    values: &[i16],
    padded: usize,
    at: usize,
    embeddings: &[[f32; CLASSES]],
) -> [[f32; LANES]; CLASSES] {
    let mut logits = [[0.0f32; LANES]; CLASSES];
    for (channel, weights) in values.chunks_exact(padded).zip(embeddings) {
        let feature = vector(channel, at).map(f32::from);
        for class in 0..CLASSES {
            for i in 0..LANES {
                logits[class][i] = match FUSED {
                    true => feature[i].mul_add(weights[class], logits[class][i]),
                    false => feature[i] * weights[class] + logits[class][i],
                };
            }
        }
    }
    logits
}

#[inline(always)]
fn vector<T: Copy + Default>(values: &[T], at: usize) -> [T; LANES] {
    let mut vector = [T::default(); LANES];
    vector.copy_from_slice(&values[at..at + LANES]);
    vector
}

/// 1 / (1 + exp(-x)), within 3e-7 of it: 2^t as a power of two times a polynomial on [-1/2, 1/2].
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    let t = (-x * LOG2_E).clamp(-125.0, 125.0);
    let whole = t + ROUNDING;
    let r = t - (whole - ROUNDING);
    // Taylor coefficients of 2^r: ln(2)^n / n!.
    let mut power = 1.540_353e-4;
    for coefficient in [1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265_1e-1, std::f32::consts::LN_2, 1.0] {
        power = power * r + coefficient;
    }
    let scale = f32::from_bits((whole.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    1.0 / (1.0 + power * scale)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sigmoid_is_the_logistic_function(x in -200.0f32..200.0) {
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            prop_assert!((f64::from(sigmoid(x)) - exact).abs() < 3e-7, "{x}: {} for {exact}", sigmoid(x));
        }

        #[test]
        fn a_value_is_off_by_half_a_step_at_most(values in prop::collection::vec(-9.0f32..9.0, 1..70)) {
            let mut out = vec![0; 80];
            let step = quantise(&values, &mut out).unwrap();
            let largest = values.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            for (value, steps) in values.iter().zip(&out) {
                prop_assert!((f32::from(*steps) * step - value).abs() <= 0.51 * largest / STEPS);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_found_wherever_it_is() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 15, 16, 36] {
                let mut values = vec![1.0; 37];
                values[at] = bad;
                assert_eq!(quantise(&values, &mut [0; 48]), None);
            }
        }
        assert_eq!(quantise(&[0.0; 5], &mut [0; 16]), Some(0.0));
        assert_eq!(quantise(&[1e-42; 5], &mut [0; 16]), Some(0.0));
    }
}
