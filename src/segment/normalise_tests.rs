#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

/// numpy's `percentile`, by sorting.
fn by_sorting(values: &[f32], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let place = (sorted.len() - 1) as f64 * percent / 100.0;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    f64::from(low) + (f64::from(high) - f64::from(low)) * place.fract()
}

#[test]
fn percentiles_of_one_to_a_thousand_are_those_of_numpy() {
    let values: Vec<f32> = (1..=1000).rev().map(|n| n as f32).collect();
    let [low, high] = percentiles(&values, [0.5, 99.5]);
    // numpy.percentile(numpy.arange(1., 1001), [0.5, 99.5])
    assert!(
        (low - 5.995).abs() < 1e-9 && (high - 995.005).abs() < 1e-9,
        "{low} {high}"
    );
}

#[test]
fn a_constant_image_has_nothing_to_normalise() {
    assert_eq!(normalise(&mut vec![0.1; 100_003], [-500.0, 1000.0]), None);
    assert_eq!(normalise(&mut [1500.0, 2000.0], [-500.0, 1000.0]), None);
}

#[test]
fn a_small_spread_on_a_large_value_is_kept() {
    let mut values = [100_000.0, 100_000.01];
    normalise(&mut values, [-1e9, 1e9]).unwrap();
    assert!(
        (values[0] + 1.0).abs() < 1e-4 && (values[1] - 1.0).abs() < 1e-4,
        "{values:?}"
    );
}

proptest! {
    #[test]
    fn percentiles_agree_with_sorting(
        values in prop::collection::vec(prop_oneof![-1e3_f32..1e3, -1e-3_f32..1e-3, Just(0.0), Just(-0.0)], 1..300),
        low in 0.0_f64..=100.0,
        high in 0.0_f64..=100.0,
    ) {
        let found = percentiles(&values, [low, high]);
        prop_assert!((found[0] - by_sorting(&values, low)).abs() < 1e-9);
        prop_assert!((found[1] - by_sorting(&values, high)).abs() < 1e-9);
    }

    #[test]
    fn normalised_values_have_mean_zero_and_deviation_one(values in prop::collection::vec(-900.0_f32..2000.0, 2..400)) {
        let mut normalised = values.clone();
        if normalise(&mut normalised, [-500.0, 1000.0]).is_some() {
            let count = values.len() as f64;
            let mean = normalised.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            let sd = (normalised.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
            prop_assert!(mean.abs() < 1e-4 && (sd - 1.0).abs() < 1e-4, "{} {}", mean, sd);
        }
    }
}
