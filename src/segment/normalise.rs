//! Intensities as the model was taught on: clipped, then zero mean and unit standard deviation.
//!
//! Sums are in f64 and in a fixed order, so the same image gives the same numbers on any number of threads.

use crate::volume::{from_key, to_key};
use rayon::prelude::*;

/// Values summed by one thread at a time.
const CHUNK: usize = 1 << 16;

/// Clips to `window`, subtracts the mean and divides by the population standard deviation. `None` if nothing varies.
pub(super) fn normalise(values: &mut [f32], window: [f64; 2]) -> Option<()> {
    let [low, high] = window.map(|bound| bound as f32);
    values
        .par_chunks_mut(CHUNK)
        .for_each(|chunk| chunk.iter_mut().for_each(|value| *value = value.max(low).min(high)));
    let count = values.len() as f64;
    let mean = sum(values, |value| value) / count;
    let sd = (sum(values, |value| (value - mean) * (value - mean)) / count).sqrt();
    // Rounding leaves a constant image a deviation of some 1e-16 of its value.
    if !(sd > 1e-12 * mean.abs() && sd > 0.0) {
        return None;
    }
    values.par_chunks_mut(CHUNK).for_each(|chunk| {
        chunk
            .iter_mut()
            .for_each(|value| *value = ((f64::from(*value) - mean) / sd) as f32)
    });
    Some(())
}

fn sum(values: &[f32], term: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| {
            // Eight sums side by side: independent additions, which the processor does at once.
            let mut lanes = [0.0; 8];
            let (eights, rest) = chunk.as_chunks::<8>();
            for eight in eights {
                for (lane, &value) in lanes.iter_mut().zip(eight) {
                    *lane += term(f64::from(value));
                }
            }
            lanes.iter().sum::<f64>() + rest.iter().map(|&value| term(f64::from(value))).sum::<f64>()
        })
        .collect();
    parts.iter().sum()
}

/// Percentiles with numpy's linear interpolation, without copying or moving the values (which are finite).
///
/// Order statistics are found by counting: once by the upper sixteen bits of each value, then by the lower sixteen
/// among those that share the upper ones.
pub(super) fn percentiles(values: &[f32], wanted: [f64; 2]) -> [f64; 2] {
    let Some(last) = values.len().checked_sub(1) else {
        return [0.0; 2];
    };
    let places = wanted.map(|percent| last as f64 * (percent / 100.0).clamp(0.0, 1.0));
    let ranks = places.map(|place| [place.floor() as usize, (place.floor() as usize + 1).min(last)]);
    let found = order_statistics(values, [ranks[0][0], ranks[0][1], ranks[1][0], ranks[1][1]]);
    let between = |low: f32, high: f32, place: f64| f64::from(low) + (f64::from(high) - f64::from(low)) * place.fract();
    [
        between(found[0], found[1], places[0]),
        between(found[2], found[3], places[1]),
    ]
}

fn order_statistics(values: &[f32], ranks: [usize; 4]) -> [f32; 4] {
    let upper = count(values, |key| Some((key >> 16) as usize));
    let located = ranks.map(|rank| locate(&upper, rank));
    let mut found = [0.0; 4];
    let mut lower: Option<(usize, Vec<u64>)> = None;
    for (value, (bin, rest)) in found.iter_mut().zip(located) {
        let counts = match lower.take() {
            Some((counted, counts)) if counted == bin => counts,
            _ => count(values, |key| {
                ((key >> 16) as usize == bin).then_some((key & 0xffff) as usize)
            }),
        };
        *value = from_key((bin << 16 | locate(&counts, rest).0) as u32);
        lower = Some((bin, counts));
    }
    found
}

fn count(values: &[f32], bin: impl Fn(u32) -> Option<usize> + Sync) -> Vec<u64> {
    let share = values.len().div_ceil(rayon::current_num_threads()).max(CHUNK);
    let parts: Vec<Vec<u64>> = values
        .par_chunks(share)
        .map(|chunk| {
            let mut counts = vec![0; 1 << 16];
            for bin in chunk.iter().filter_map(|&value| bin(to_key(value))) {
                counts[bin] += 1;
            }
            counts
        })
        .collect();
    let mut total = vec![0; 1 << 16];
    for counts in parts {
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    total
}

/// The bin that holds the value of this rank, and the value's rank within it.
fn locate(counts: &[u64], rank: usize) -> (usize, usize) {
    let mut rest = rank as u64;
    for (bin, &count) in counts.iter().enumerate() {
        if rest < count {
            return (bin, rest as usize);
        }
        rest -= count;
    }
    (counts.len() - 1, 0)
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
