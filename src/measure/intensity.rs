//! What the image shows inside a mask.

use super::Intensity;
use super::numbers;
use super::rows::{Rows, Span};
use crate::volume::{Modality, Volume, from_key, to_key};

/// Words for what a voxel's value means. CT is calibrated; an MR scan's numbers compare only within that scan; a PET
/// file may hold Bq/mL or SUV, which NIfTI does not say.
pub(crate) fn unit(modality: Option<Modality>) -> &'static str {
    match modality {
        Some(Modality::Ct) => "HU",
        Some(Modality::Mri) => "a.u.",
        Some(Modality::Pet) | None => "as stored",
    }
}

/// Values of the image in the mask and how many voxels held no number.
pub(crate) fn gather(rows: &Rows, image: &Volume) -> (Vec<f32>, u64) {
    let total: u64 = rows.spans().iter().map(Span::len).sum();
    let mut values = Vec::with_capacity(total as usize);
    for span in rows.spans() {
        values.extend(voxels(span, image).iter().copied().filter(|v| v.is_finite()));
    }
    let lost = total - values.len() as u64;
    (values, lost)
}

/// Sum over a span of the voxels that hold numbers, and how many.
pub(crate) fn sum(span: &Span, image: &Volume) -> (f64, u64) {
    let finite = voxels(span, image).iter().filter(|v| v.is_finite());
    finite.fold((0.0, 0), |(sum, n), &v| (sum + f64::from(v), n + 1))
}

fn voxels<'a>(span: &Span, image: &'a Volume) -> &'a [f32] {
    let [ni, nj, _] = image.grid().shape();
    let row = (span.k as usize * nj + span.j as usize) * ni;
    &image.voxels()[row + span.start as usize..row + span.end as usize]
}

/// Statistics of the values, which must be finite; nothing without a value.
///
/// `sd` is that of the population (divided by n), percentiles interpolate linearly between ranks: numpy's defaults.
pub(crate) fn statistics(values: Vec<f32>, unit: &str) -> Option<Intensity> {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let min = values.iter().copied().reduce(f32::min)?;
    let max = values.iter().copied().reduce(f32::max)?;
    let [p05, p50, p95] = percentiles(values, [0.05, 0.5, 0.95]);
    Some(Intensity {
        unit: unit.to_owned(),
        mean: numbers::intensity(mean)?,
        sd: numbers::intensity(variance.sqrt())?,
        min: numbers::intensity(min.into())?,
        p05: numbers::intensity(p05),
        p50: numbers::intensity(p50),
        p95: numbers::intensity(p95),
        max: numbers::intensity(max.into())?,
    })
}

/// Quantiles at rising shares, found by partitioning: each search begins where the last one ended.
///
/// Floats are put into whole numbers of the same order first, which compare several times faster.
fn percentiles<const N: usize>(values: Vec<f32>, shares: [f64; N]) -> [f64; N] {
    let mut keys: Vec<u32> = values.into_iter().map(to_key).collect(); // in place: no second copy
    let last = keys.len() - 1;
    let mut sorted_to = 0;
    shares.map(|share| {
        let place = share * last as f64;
        let below = place.floor() as usize;
        if below >= sorted_to {
            keys[sorted_to..].select_nth_unstable(below - sorted_to);
            sorted_to = below + 1;
        }
        // All keys after this rank are at least as large, so the next rank is the least of them.
        let low = f64::from(from_key(keys[below]));
        let high = keys[below + 1..]
            .iter()
            .min()
            .map_or(low, |&key| f64::from(from_key(key)));
        low + (high - low) * (place - below as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [5, 50, 95]) = [1. , 3.5, 7.95]
        let values = vec![3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        let got = percentiles(values, [0.05, 0.5, 0.95]);
        for (got, expected) in got.iter().zip([1.0, 3.5, 7.95]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn one_value_is_all_its_own_percentiles() {
        let s = statistics(vec![-7.25], "HU").unwrap();
        assert_eq!(
            (s.min, s.p05, s.p50, s.p95, s.max),
            (-7.25, Some(-7.25), Some(-7.25), Some(-7.25), -7.25)
        );
        assert_eq!(s.sd, 0.0);
        assert_eq!(statistics(Vec::new(), "HU"), None);
    }

    #[test]
    fn the_standard_deviation_is_that_of_the_population() {
        let s = statistics(vec![1.0, 3.0], "a.u.").unwrap();
        assert_eq!((s.mean, s.sd), (2.0, 1.0));
    }
}
