//! Many windows' opinions to one probability a voxel (sat-inference sections 5 and 6).
//!
//! What is kept of a window is its features and one embedding a class, never a probability for all classes: memory
//! does not grow with the number of classes. A class's probability lives in one buffer that the next class reuses.

use super::importance::importance;
use crate::model::WindowOutput;
use ndarray::Array2;
use rayon::prelude::*;

/// The windows of one image after the network has seen them.
pub struct Blend {
    shape: [usize; 3],
    size: [usize; 3],
    importance: Vec<f32>,
    /// Sum of the importance of all windows at each voxel; the same for every class.
    total: Vec<f32>,
    windows: Vec<Seen>,
}

struct Seen {
    start: [usize; 3],
    output: WindowOutput,
    embeddings: Array2<f32>,
}

/// Where a class is above its threshold: a box of voxels with both corners inside, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// First voxel.
    pub min: [usize; 3],
    /// Last voxel.
    pub max: [usize; 3],
    /// Voxels above the threshold.
    pub voxels: u64,
    /// Mean probability of the voxels above the threshold.
    pub mean_probability: f64,
}

impl Blend {
    /// For a prepared volume of `shape` and windows of `size`.
    pub fn new(shape: [usize; 3], size: [usize; 3]) -> Blend {
        let voxels = shape.iter().product();
        Blend {
            shape,
            size,
            importance: importance(size),
            total: vec![0.0; voxels],
            windows: Vec::new(),
        }
    }

    /// Takes a window that starts at `start`, with the mask embeddings of all classes asked for.
    pub fn add(&mut self, start: [usize; 3], output: WindowOutput, embeddings: Array2<f32>) {
        let [_, ny, nz] = self.shape;
        let [cx, cy, cz] = self.covered(start);
        for x in 0..cx {
            for y in 0..cy {
                let from = (x * self.size[1] + y) * self.size[2];
                let to = ((start[0] + x) * ny + start[1] + y) * nz + start[2];
                let weights = &self.importance[from..from + cz];
                self.total[to..to + cz]
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(sum, weight)| *sum += weight);
            }
        }
        self.windows.push(Seen {
            start,
            output,
            embeddings,
        });
    }

    /// Writes the probability of class number `class` into `probability` (z fastest) and says where it is above
    /// `threshold`, if anywhere.
    pub fn probability(&self, class: usize, threshold: f32, probability: &mut Vec<f32>) -> Option<Found> {
        let [nx, ny, nz] = self.shape;
        probability.clear();
        probability.resize(nx * ny * nz, 0.0);
        let planes = probability.par_chunks_mut(ny * nz).enumerate().map(|(x, plane)| {
            let mut logits = vec![0.0f32; nz];
            for seen in &self.windows {
                self.add_window(seen, class, x, plane, &mut logits);
            }
            let total = &self.total[x * ny * nz..(x + 1) * ny * nz];
            plane.iter_mut().zip(total).for_each(|(sum, weight)| *sum /= weight);
            Extent::of_plane(x, plane, nz, threshold)
        });
        planes.reduce(Extent::default, Extent::merge).found()
    }

    fn add_window(&self, seen: &Seen, class: usize, x: usize, plane: &mut [f32], logits: &mut [f32]) {
        let [cx, cy, cz] = self.covered(seen.start);
        let [sx, sy, sz] = seen.start;
        if !(sx..sx + cx).contains(&x) {
            return;
        }
        let [_, wy, wz] = self.size;
        let features = seen.output.features();
        let channel = self.size.iter().product::<usize>();
        let embedding = seen.embeddings.row(class);
        let logits = &mut logits[..cz];
        for y in 0..cy {
            let from = ((x - sx) * wy + y) * wz;
            logits.fill(0.0);
            for (c, weight) in embedding.iter().enumerate() {
                let row = &features[c * channel + from..c * channel + from + cz];
                logits
                    .iter_mut()
                    .zip(row)
                    .for_each(|(logit, feature)| *logit += weight * feature);
            }
            let to = (sy + y) * self.shape[2] + sz;
            let weights = &self.importance[from..from + cz];
            for ((sum, logit), weight) in plane[to..to + cz].iter_mut().zip(logits.iter()).zip(weights) {
                *sum += weight / (1.0 + (-logit).exp());
            }
        }
    }

    /// How much of a window lies within the volume; the rest is padding.
    fn covered(&self, start: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| self.size[axis].min(self.shape[axis] - start[axis]))
    }
}

/// Box, count and sum of what is above the threshold.
#[derive(Clone, Copy)]
struct Extent {
    min: [usize; 3],
    max: [usize; 3],
    voxels: u64,
    sum: f64,
}

impl Default for Extent {
    fn default() -> Extent {
        Extent {
            min: [usize::MAX; 3],
            max: [0; 3],
            voxels: 0,
            sum: 0.0,
        }
    }
}

impl Extent {
    fn of_plane(x: usize, plane: &[f32], nz: usize, threshold: f32) -> Extent {
        let mut extent = Extent::default();
        for (y, row) in plane.chunks(nz).enumerate() {
            for (z, value) in row.iter().enumerate().filter(|(_, value)| **value > threshold) {
                let place = [x, y, z];
                extent.min = std::array::from_fn(|axis| extent.min[axis].min(place[axis]));
                extent.max = std::array::from_fn(|axis| extent.max[axis].max(place[axis]));
                extent.voxels += 1;
                extent.sum += f64::from(*value);
            }
        }
        extent
    }

    fn merge(self, other: Extent) -> Extent {
        Extent {
            min: std::array::from_fn(|axis| self.min[axis].min(other.min[axis])),
            max: std::array::from_fn(|axis| self.max[axis].max(other.max[axis])),
            voxels: self.voxels + other.voxels,
            sum: self.sum + other.sum,
        }
    }

    fn found(self) -> Option<Found> {
        let mean_probability = self.sum / self.voxels as f64;
        (self.voxels > 0).then_some(Found {
            min: self.min,
            max: self.max,
            voxels: self.voxels,
            mean_probability,
        })
    }
}

/// The part of a prepared volume (`shape`, z fastest) that a window of `size` at `start` sees, zero-padded at the high end.
pub fn patch(voxels: &[f32], shape: [usize; 3], start: [usize; 3], size: [usize; 3]) -> Vec<f32> {
    let mut patch = vec![0.0; size.iter().product()];
    let covered: [usize; 3] = std::array::from_fn(|axis| size[axis].min(shape[axis] - start[axis]));
    for x in 0..covered[0] {
        for y in 0..covered[1] {
            let from = ((start[0] + x) * shape[1] + start[1] + y) * shape[2] + start[2];
            let to = (x * size[1] + y) * size[2];
            patch[to..to + covered[2]].copy_from_slice(&voxels[from..from + covered[2]]);
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::windows::windows;

    /// Numbers that look random and are the same every time.
    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (state >> 40) as f32 / (1u64 << 24) as f32 * 2.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn the_blend_is_the_published_weighted_mean() {
        let (shape, size, width) = ([11, 4, 9], [8, 6, 6], 3);
        let mut blend = Blend::new(shape, size);
        let g = importance(size);
        let mut sum = vec![0.0f64; shape.iter().product()];
        let mut weight = sum.clone();
        for (i, start) in windows(shape, size).enumerate() {
            let features = noise(width * size.iter().product::<usize>(), i as u64 + 1);
            let embeddings = Array2::from_shape_vec((2, width), noise(2 * width, 77 + i as u64)).unwrap() * 4.0;
            for x in 0..size[0] {
                for y in 0..size[1] {
                    for z in 0..size[2] {
                        let [vx, vy, vz] = [start[0] + x, start[1] + y, start[2] + z];
                        if vx >= shape[0] || vy >= shape[1] || vz >= shape[2] {
                            continue;
                        }
                        let here = (x * size[1] + y) * size[2] + z;
                        let logit: f64 = (0..width)
                            .map(|c| f64::from(embeddings[[1, c]]) * f64::from(features[c * g.len() + here]))
                            .sum();
                        let voxel = (vx * shape[1] + vy) * shape[2] + vz;
                        sum[voxel] += f64::from(g[here]) / (1.0 + (-logit).exp());
                        weight[voxel] += f64::from(g[here]);
                    }
                }
            }
            blend.add(
                start,
                WindowOutput::from_parts(features, Array2::zeros((1, 1))),
                embeddings,
            );
        }
        let mut probability = Vec::new();
        let found = blend.probability(1, 0.5, &mut probability).unwrap();
        let mut above = 0;
        for (voxel, value) in probability.iter().enumerate() {
            let expected = sum[voxel] / weight[voxel];
            assert!(
                (f64::from(*value) - expected).abs() < 1e-5,
                "voxel {voxel}: {value} for {expected}"
            );
            above += u64::from(*value > 0.5);
        }
        assert_eq!(found.voxels, above);
        assert!(found.mean_probability > 0.5 && found.mean_probability < 1.0);
    }

    #[test]
    fn a_class_that_is_nowhere_above_its_threshold_is_not_found() {
        let size = [4, 4, 4];
        let mut blend = Blend::new(size, size);
        blend.add(
            [0; 3],
            WindowOutput::from_parts(vec![1.0; 64], Array2::zeros((1, 1))),
            Array2::from_elem((1, 1), -3.0),
        );
        assert_eq!(blend.probability(0, 0.5, &mut Vec::new()), None);
    }

    #[test]
    fn a_patch_past_the_end_is_padded_with_zeros() {
        let voxels: Vec<f32> = (1..=8).map(|i| i as f32).collect();
        let patch = patch(&voxels, [2, 2, 2], [0; 3], [2, 3, 3]);
        assert_eq!(
            patch,
            [1., 2., 0., 3., 4., 0., 0., 0., 0., 5., 6., 0., 7., 8., 0., 0., 0., 0.]
        );
    }
}
