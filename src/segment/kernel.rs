//! The innermost loops: features to whole steps, and embeddings times features to probabilities.
//!
//! They are written once, over vectors of whatever length the processor has, and `pulp` picks the length at run time.

use pulp::{Simd, WithSimd};

/// Voxels whose features lie together: a tile is stored as `[voxels / LANES][channel][LANES]`, so that what is multiplied
/// together is read in one go.
pub(super) const LANES: usize = 16;
/// Classes that are computed together: their sums stay in registers.
pub(super) const CLASSES: usize = 8;

/// The steps that the largest value of a tile is divided into.
const STEPS: f32 = 32_767.0;

/// 1.5 * 2^23: added to a small number and taken off again, it leaves the nearest whole number; before it is taken off, the
/// lowest bits of the sum are that number.
const ROUNDING: f32 = 12_582_912.0;

/// A window's features in one tile.
pub(super) struct StoredTile<'a> {
    /// Whole steps: `[voxels / LANES][channel][LANES]`, the voxels padded to a multiple of [`LANES`].
    pub values: &'a [i16],
    /// Size of a step for each channel.
    pub steps: &'a [f32],
}

/// Writes a channel's values as whole steps into a tile of `width` channels, and returns the size of a step; nothing where
/// a value is not finite.
pub(super) fn quantise(values: &[f32], channel: usize, width: usize, tile: &mut [i16]) -> Option<f32> {
    pulp::Arch::new().dispatch(Quantise {
        values,
        channel,
        width,
        tile,
    })
}

struct Quantise<'a> {
    values: &'a [f32],
    channel: usize,
    width: usize,
    tile: &'a mut [i16],
}

impl WithSimd for Quantise<'_> {
    type Output = Option<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<f32> {
        let (vectors, rest) = S::as_simd_f32s(self.values);
        let zero = simd.splat_f32s(0.0);
        let (mut largest, mut trouble) = (zero, zero);
        for vector in vectors.iter().copied().chain([simd.partial_load_f32s(rest)]) {
            largest = simd.max_f32s(largest, simd.abs_f32s(vector));
            // Stays 0 unless something is infinite or no number.
            trouble = simd.mul_add_e_f32s(vector, zero, trouble);
        }
        if simd.reduce_sum_f32s(trouble) != 0.0 {
            return None;
        }
        let largest = simd.reduce_max_f32s(largest);
        let per_step = STEPS / largest;
        // Nothing but zeros, or values so small that their inverse overflows: the tile is zero already.
        if !per_step.is_finite() {
            return Some(0.0);
        }
        let places = self.tile.chunks_exact_mut(LANES).skip(self.channel).step_by(self.width);
        for (values, place) in self.values.chunks(LANES).zip(places) {
            for (value, place) in values.iter().zip(place) {
                *place = (value * per_step + ROUNDING).to_bits() as i16;
            }
        }
        Some(largest / STEPS)
    }
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
    pulp::Arch::new().dispatch(Blend {
        covering,
        groups,
        padded,
        out,
    });
}

struct Blend<'a> {
    covering: &'a [Covering<'a>],
    groups: usize,
    padded: usize,
    out: &'a mut [f32],
}

impl WithSimd for Blend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.covering.iter().map(|window| window.tile.steps.len()).max();
        let mut features = vec![0.0; width.unwrap_or(0) * LANES];
        let mut sums = vec![0.0; self.groups * CLASSES * LANES];
        for chunk in 0..self.padded / LANES {
            sums.fill(0.0);
            let mut total = [0.0; LANES];
            for window in self.covering {
                let g = &window.importance[chunk * LANES..(chunk + 1) * LANES];
                total.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
                add_window(simd, window, chunk, g, &mut features, &mut sums);
            }
            for (class, sums) in sums.chunks_exact(LANES).enumerate() {
                let at = class * self.padded + chunk * LANES;
                let out = &mut self.out[at..at + LANES];
                for ((out, sum), total) in out.iter_mut().zip(sums).zip(&total) {
                    *out = sum / total;
                }
            }
        }
    }
}

/// Adds a window's weighted probabilities in [`LANES`] voxels to the sums of all classes.
#[inline(always)]
fn add_window<S: Simd>(
    simd: S,
    window: &Covering<'_>,
    chunk: usize,
    g: &[f32],
    features: &mut [f32],
    sums: &mut [f32],
) {
    let channels = window.tile.steps.len();
    let length = channels * LANES;
    let stored = &window.tile.values[chunk * length..(chunk + 1) * length];
    for (feature, steps) in features.iter_mut().zip(stored) {
        *feature = f32::from(*steps);
    }
    let vectors = LANES / S::F32_LANES;
    let (features, _) = S::as_simd_f32s(&features[..length]);
    let (g, _) = S::as_simd_f32s(g);
    let (sums, _) = S::as_mut_simd_f32s(sums);
    let groups = sums.chunks_exact_mut(CLASSES * vectors);
    for (sums, embeddings) in groups.zip(window.embeddings.chunks_exact(channels.max(1))) {
        for v in 0..vectors {
            let mut logits = [simd.splat_f32s(0.0); CLASSES];
            for (feature, weights) in features[v..].iter().step_by(vectors).zip(embeddings) {
                for class in 0..CLASSES {
                    let weight = simd.splat_f32s(weights[class]);
                    logits[class] = simd.mul_add_e_f32s(*feature, weight, logits[class]);
                }
            }
            for class in 0..CLASSES {
                let sum = &mut sums[class * vectors + v];
                *sum = simd.mul_add_e_f32s(g[v], sigmoid(simd, logits[class]), *sum);
            }
        }
    }
}

/// 1 / (1 + exp(-x)), within 3e-7 of it: 2^t as a power of two times a polynomial on [-1/2, 1/2].
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let all = |value: f32| simd.splat_f32s(value);
    let t = simd.mul_f32s(x, all(-std::f32::consts::LOG2_E));
    let t = simd.max_f32s(simd.min_f32s(t, all(125.0)), all(-125.0));
    let whole = simd.add_f32s(t, all(ROUNDING));
    let r = simd.sub_f32s(t, simd.sub_f32s(whole, all(ROUNDING)));
    // Taylor coefficients of 2^r: ln(2)^n / n!.
    let mut power = all(1.540_353e-4);
    for coefficient in [
        1.333_356e-3,
        9.618_129e-3,
        5.550_411e-2,
        0.240_226_5,
        std::f32::consts::LN_2,
        1.0,
    ] {
        power = simd.mul_add_e_f32s(power, r, all(coefficient));
    }
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(whole), simd.splat_u32s(23));
    let scale = simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(1.0f32.to_bits())));
    simd.div_f32s(all(1.0), simd.mul_add_e_f32s(power, scale, all(1.0)))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// The sigmoid as this processor's vectors have it, and one number at a time.
    fn everywhere(x: f32) -> [(&'static str, f32); 2] {
        struct Of(f32);
        impl WithSimd for Of {
            type Output = f32;

            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> f32 {
                simd.reduce_max_f32s(sigmoid(simd, simd.splat_f32s(self.0)))
            }
        }
        [
            ("vectors", pulp::Arch::new().dispatch(Of(x))),
            ("one at a time", pulp::Arch::Scalar.dispatch(Of(x))),
        ]
    }

    proptest! {
        #[test]
        fn sigmoid_is_the_logistic_function(x in -200.0f32..200.0) {
            let exact = 1.0 / (1.0 + (-f64::from(x)).exp());
            for (name, value) in everywhere(x) {
                prop_assert!((f64::from(value) - exact).abs() < 3e-7, "{name}: {value} for {exact}");
            }
        }

        #[test]
        fn a_value_is_off_by_half_a_step_at_most(values in prop::collection::vec(-9.0f32..9.0, 1..70)) {
            let mut tile = vec![0; 3 * 80];
            let step = quantise(&values, 1, 3, &mut tile).unwrap();
            let largest = values.iter().fold(0.0f32, |a, v| a.max(v.abs()));
            for (n, value) in values.iter().enumerate() {
                let steps = tile[(n / LANES * 3 + 1) * LANES + n % LANES];
                prop_assert!((f32::from(steps) * step - value).abs() <= 0.51 * largest / STEPS);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_found_wherever_it_is() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 15, 16, 36] {
                let mut values = vec![1.0; 37];
                values[at] = bad;
                assert_eq!(quantise(&values, 0, 1, &mut [0; 48]), None);
            }
        }
        assert_eq!(quantise(&[0.0; 5], 0, 1, &mut [0; 16]), Some(0.0));
        assert_eq!(quantise(&[1e-42; 5], 0, 1, &mut [0; 16]), Some(0.0));
    }
}
