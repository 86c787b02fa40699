//! What the image shows inside a mask.
//!
//! The image's values are looked at where they lie, twice, and never copied: first for sums, extremes and a histogram of
//! the upper half of each value's bits, then for squares and a histogram of the lower half where a wanted rank lies. Percentiles are
//! exact all the same, and a mask of the whole body takes no more memory than one of an organ.

use rayon::prelude::*;

use super::Intensity;
use super::numbers;
use super::rows::{Rows, Span};
use crate::volume::{Modality, Volume, from_key, to_key};

/// Slabs that are summed up apart, at most: sums are of the same parts on every machine.
const MOST_SLABS: usize = 32;
/// Values that share the upper half of their bits.
const HALF: usize = 1 << 16;
/// Percentiles that are reported.
const SHARES: [f64; 3] = [0.05, 0.5, 0.95];

/// Words for what a voxel's value means. CT is calibrated; an MR scan's numbers compare only within that scan; a PET
/// file may hold Bq/mL or SUV, which NIfTI does not say.
pub(crate) fn unit(modality: Option<Modality>) -> &'static str {
    match modality {
        Some(Modality::Ct) => "HU",
        Some(Modality::Mri) => "a.u.",
        Some(Modality::Pet) | None => "as stored",
    }
}

/// What a first look at the values finds.
#[derive(Debug, Clone, Copy)]
struct Sums {
    count: u64,
    sum: f64,
    /// Keys of the lowest and the highest value ([`to_key`]).
    min: u32,
    max: u32,
}

/// The image's values in a mask, in numbers.
#[derive(Debug)]
pub(crate) struct Statistics {
    /// Voxels of the mask where the image holds no number; they are in none of the figures.
    pub lost: u64,
    /// Arithmetic mean, not rounded; nothing where no voxel holds a number.
    pub mean: Option<f64>,
    /// As it is told.
    pub intensity: Option<Intensity>,
}

/// Statistics of the image in a mask that lies on its grid.
///
/// `sd` is that of the population (divided by n, `numpy.std`), percentiles interpolate linearly between ranks
/// (`numpy.percentile`'s default).
pub(crate) fn statistics(rows: &Rows, image: &Volume, unit: &str) -> Statistics {
    let slabs = rows.slabs(MOST_SLABS);
    let voxels: u64 = rows.spans().iter().map(Span::len).sum();
    let (sums, upper) = each_slab(&slabs, HALF, |slab, histogram| {
        let mut sums = Sums {
            count: 0,
            sum: 0.0,
            min: u32::MAX,
            max: 0,
        };
        for_values(rows, image, slab, |value| {
            let key = to_key(value);
            sums.count += 1;
            sums.sum += f64::from(value);
            (sums.min, sums.max) = (sums.min.min(key), sums.max.max(key));
            histogram[key as usize >> 16] += 1;
        });
        sums
    });
    let count: u64 = sums.iter().map(|part| part.count).sum();
    let lost = voxels - count;
    if count == 0 {
        return Statistics {
            lost,
            mean: None,
            intensity: None,
        };
    }
    let mean = sums.iter().map(|part| part.sum).sum::<f64>() / count as f64;
    let ranks = Ranks::new(count, &upper);
    let (squares, lower) = each_slab(&slabs, HALF * ranks.uppers.len(), |slab, histogram| {
        let mut squares = 0.0;
        for_values(rows, image, slab, |value| {
            squares += (f64::from(value) - mean).powi(2);
            let key = to_key(value) as usize;
            let place = usize::from(ranks.place_of[key >> 16]);
            if place > 0 {
                histogram[(place - 1) * HALF + (key & 0xffff)] += 1;
            }
        });
        squares
    });
    let variance = squares.iter().sum::<f64>() / count as f64;
    let [p05, p50, p95] = ranks.percentiles(&lower);
    let least = sums.iter().map(|part| part.min).min().map(from_key);
    let most = sums.iter().map(|part| part.max).max().map(from_key);
    let told = |value: Option<f32>| numbers::intensity(value?.into());
    let intensity = || {
        Some(Intensity {
            unit: unit.to_owned(),
            mean: numbers::intensity(mean)?,
            sd: numbers::intensity(variance.sqrt())?,
            min: told(least)?,
            p05: numbers::intensity(p05),
            p50: numbers::intensity(p50),
            p95: numbers::intensity(p95),
            max: told(most)?,
        })
    };
    Statistics {
        lost,
        mean: Some(mean),
        intensity: intensity(),
    }
}

/// Does `work` for every slab with a histogram at hand; the results in the slabs' order, and the histograms' sum.
fn each_slab<T: Send>(
    slabs: &[std::ops::Range<usize>],
    bins: usize,
    work: impl Fn(&std::ops::Range<usize>, &mut [u64]) -> T + Sync,
) -> (Vec<T>, Vec<u64>) {
    // A histogram for each processor and not for each slab: of a small mask they cost more than its voxels.
    let share = slabs.len().div_ceil(rayon::current_num_threads()).max(1);
    let pieces = slabs.par_chunks(share).map(|slabs| {
        let mut histogram = vec![0; bins];
        let results: Vec<T> = slabs.iter().map(|slab| work(slab, &mut histogram)).collect();
        (results, histogram)
    });
    let none = || (Vec::new(), Vec::new());
    pieces.reduce(none, |(mut results, mut histogram), (more, counts)| {
        results.extend(more);
        match histogram.is_empty() {
            true => histogram = counts,
            false => histogram.iter_mut().zip(counts).for_each(|(sum, more)| *sum += more),
        }
        (results, histogram)
    })
}

/// Calls `each` with the image's values in some slices of the mask, those that are no number left out.
fn for_values(rows: &Rows, image: &Volume, slab: &std::ops::Range<usize>, mut each: impl FnMut(f32)) {
    for line in rows.lines_of(slab.clone()) {
        let row = row(image, line.j, line.k);
        for span in line.spans {
            let values = &row[span.start as usize..span.end as usize];
            values
                .iter()
                .copied()
                .filter(|value| value.is_finite())
                .for_each(&mut each);
        }
    }
}

/// The image's values along row (j, k).
pub(crate) fn row(image: &Volume, j: u32, k: u32) -> &[f32] {
    let [ni, nj, _] = image.grid().shape();
    let start = (k as usize * nj + j as usize) * ni;
    &image.voxels()[start..start + ni]
}

/// Sum of the values that are numbers, and how many.
pub(crate) fn sum(values: &[f32]) -> (f64, u64) {
    let finite = values.iter().filter(|value| value.is_finite());
    finite.fold((0.0, 0), |(sum, n), &value| (sum + f64::from(value), n + 1))
}

/// Where the ranks lie that the percentiles stand between.
struct Ranks {
    count: u64,
    /// Upper halves of the keys with a wanted rank, and how many values come before them.
    uppers: Vec<(usize, u64)>,
    /// Place among `uppers` of every upper half, from 1; 0 of those that are not wanted.
    place_of: Vec<u8>,
}

impl Ranks {
    fn new(count: u64, upper: &[u64]) -> Ranks {
        let mut wanted = SHARES.iter().flat_map(|&share| {
            let (below, above, _) = between(share, count);
            [below, above]
        });
        // Ranks rise with the shares, so one walk through the histogram meets them all.
        let mut next = wanted.next();
        let (mut before, mut uppers, mut place_of) = (0, Vec::new(), vec![0; HALF]);
        for (half, &values) in upper.iter().enumerate() {
            while next.is_some_and(|rank| rank < before + values) {
                if place_of[half] == 0 {
                    uppers.push((half, before));
                    place_of[half] = uppers.len() as u8;
                }
                next = wanted.next();
            }
            before += values;
        }
        Ranks {
            count,
            uppers,
            place_of,
        }
    }

    /// The percentiles, given how many values have each lower half, for each of the upper halves.
    fn percentiles(&self, lower: &[u64]) -> [f64; 3] {
        SHARES.map(|share| {
            let (below, above, part) = between(share, self.count);
            let [low, high] = [below, above].map(|rank| f64::from(from_key(self.key(rank, lower))));
            low + (high - low) * part
        })
    }

    /// The key of a rank.
    fn key(&self, rank: u64, lower: &[u64]) -> u32 {
        let after = self.uppers.partition_point(|&(_, before)| before <= rank);
        let place = after.saturating_sub(1);
        let (half, mut before) = self.uppers[place];
        let counts = &lower[place * HALF..(place + 1) * HALF];
        let found = counts.iter().position(|values| {
            before += values;
            rank < before
        });
        (half << 16 | found.unwrap_or_default()) as u32
    }
}

/// The ranks that a share of `count` values lies between, and how far towards the upper one.
fn between(share: f64, count: u64) -> (u64, u64, f64) {
    let place = share * (count - 1) as f64;
    let below = place.floor() as u64;
    (below, (below + 1).min(count - 1), place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_of, noise};

    fn of(values: &[f32]) -> Statistics {
        let mask = mask_of([values.len(), 1, 1], |_, _, _| true);
        let image = Volume::new(mask.shared_grid(), values.to_vec(), None);
        statistics(&Rows::new(&mask), &image, "HU")
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [5, 50, 95]) = [1. , 3.5, 7.95]
        let got = of(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]).intensity.unwrap();
        assert_eq!((got.p05, got.p50, got.p95), (Some(1.0), Some(3.5), Some(7.95)));
    }

    #[test]
    fn percentiles_are_those_of_sorted_values_whatever_the_values_are() {
        let shape = [13, 7, 50];
        for (seed, offset, scale) in [(1, 0.0, 1.0), (2, -3e4, 1e-2), (3, 1e7, 20.0), (4, 0.0, 1e-30)] {
            let bits = noise(seed, 13 * 7 * 50, 0.4);
            let mask = mask_of(shape, |i, j, k| bits[i + 13 * (j + 7 * k)]);
            let values: Vec<f32> = (0..bits.len())
                .map(|n| ((n * 7919 % 4001) as f32 - 2000.25) * scale + offset)
                .collect();
            let image = Volume::new(mask.shared_grid(), values.clone(), None);
            let got = statistics(&Rows::new(&mask), &image, "a.u.").intensity.unwrap();
            let mut sorted: Vec<f32> = (0..bits.len()).filter(|&n| bits[n]).map(|n| values[n]).collect();
            sorted.sort_by(f32::total_cmp);
            for (share, got) in SHARES.iter().zip([got.p05, got.p50, got.p95]) {
                let (below, above, part) = between(*share, sorted.len() as u64);
                let [low, high] = [below, above].map(|rank| f64::from(sorted[rank as usize]));
                assert_eq!(got, numbers::intensity(low + (high - low) * part), "seed {seed}");
            }
            assert_eq!(got.max, numbers::intensity(sorted[sorted.len() - 1].into()).unwrap());
        }
    }

    #[test]
    fn one_value_is_all_its_own_percentiles_and_none_has_no_intensity() {
        let s = of(&[-7.25]).intensity.unwrap();
        assert_eq!(
            (s.min, s.p05, s.p50, s.p95, s.max),
            (-7.25, Some(-7.25), Some(-7.25), Some(-7.25), -7.25)
        );
        assert_eq!(s.sd, 0.0);
        let none = of(&[f32::NAN, f32::INFINITY]);
        assert!(none.intensity.is_none() && none.mean.is_none() && none.lost == 2);
    }

    #[test]
    fn the_standard_deviation_is_that_of_the_population() {
        let s = of(&[1.0, 3.0]).intensity.unwrap();
        assert_eq!((s.mean, s.sd), (2.0, 1.0));
    }

    #[test]
    fn a_spread_far_from_zero_keeps_its_digits() {
        let s = of(&[1e6 + 0.5, 1e6 + 1.5]).intensity.unwrap();
        assert_eq!((s.mean, s.sd), (1_000_001.0, 0.5));
    }
}
