//! How much a window's opinion counts at each of its voxels (sat-inference section 6).
//!
//! A unit impulse at the window's middle, Gaussian filtered with sigma an eighth of the window (scipy's
//! `gaussian_filter`, truncated at four sigma, zero beyond the border), divided by its maximum, times ten, rounded to
//! half precision; zeros become the smallest value that is not zero.

use half::f16;

/// Weights of a window's voxels, z fastest.
pub fn importance(size: [usize; 3]) -> Vec<f32> {
    let axes = size.map(impulse_response);
    let peak: f64 = axes
        .iter()
        .map(|axis| axis.iter().copied().fold(0.0, f64::max))
        .product();
    let mut weights = Vec::with_capacity(size.iter().product());
    for x in &axes[0] {
        for y in &axes[1] {
            weights.extend(axes[2].iter().map(|z| f16::from_f64(x * y * z / peak * 10.0).to_f32()));
        }
    }
    let smallest = weights
        .iter()
        .copied()
        .filter(|weight| *weight > 0.0)
        .fold(f32::INFINITY, f32::min);
    weights
        .iter_mut()
        .filter(|weight| **weight == 0.0)
        .for_each(|weight| *weight = smallest);
    weights
}

/// A Gaussian-filtered unit impulse at `n / 2`.
fn impulse_response(n: usize) -> Vec<f64> {
    let sigma = n as f64 / 8.0;
    let radius = (4.0 * sigma + 0.5) as i64;
    let gauss = |offset: i64| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
    let total: f64 = (-radius..=radius).map(gauss).sum();
    (0..n as i64)
        .map(|i| i - (n / 2) as i64)
        .map(|offset| {
            if offset.abs() <= radius {
                gauss(offset) / total
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_ten_in_the_middle_and_nowhere_zero() {
        let weights = importance([16, 8, 12]);
        assert_eq!(weights[(8 * 8 + 4) * 12 + 6], 10.0);
        assert!(weights.iter().all(|weight| *weight > 0.0 && *weight <= 10.0));
    }

    /// scipy: `g = gaussian_filter(impulse, [2, 1, 1.5], mode="constant"); (g / g.max() * 10).astype("float16")`.
    #[test]
    fn weights_are_those_of_scipy() {
        let weights = importance([16, 8, 12]);
        let at = |x: usize, y: usize, z: usize| weights[(x * 8 + y) * 12 + z];
        for (place, expected) in SCIPY {
            assert_eq!(at(place[0], place[1], place[2]), expected, "at {place:?}");
        }
    }

    const SCIPY: [([usize; 3], f32); 8] = [
        ([8, 4, 6], 10.0),
        ([0, 0, 0], 0.000000059604645),
        ([15, 7, 11], 0.0000009536743),
        ([3, 2, 9], 0.008049011),
        ([8, 0, 6], 0.0033550262),
        ([8, 4, 0], 0.0033550262),
        ([1, 6, 2], 0.00008457899),
        ([0, 4, 6], 0.0033550262),
    ];
}
