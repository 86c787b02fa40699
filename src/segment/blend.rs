//! Many windows' opinions to one probability a voxel, and from there to masks, plane by plane (sat-inference sections 5 and 6).
//!
//! What is kept of a window is its features and one embedding a class, never a probability for all classes; and features are
//! kept only until no later window can see their place. Then those planes are *closed*: tile by tile the windows' opinions
//! are blended for a block of classes, the block's masks are carried on by the planes closed, and the features are let go. So
//! memory depends neither on the number of classes nor on the length of the scan.

use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;

use super::features::{NotFinite, StoredLayer, padded};
use super::field::{ModelBox, Planes};
use super::importance::importance;
use super::kernel::{self, CLASSES, Covering, LANES};
use super::progress::Cancel;
use super::restore::Restore;
use super::tiles::{Tile, Tiling, WindowIndex};
use crate::model::FeatureValues;
use crate::volume::{PackedMask, PackedMaskBuilder};

/// Bytes that the probabilities of a block of classes may take in one layer.
const BLOCK_BYTES: usize = 96 << 20;
/// Most classes in a block.
const MOST_IN_BLOCK: usize = 64;

/// The windows of one image that wait for their neighbours, and the masks as far as they are made.
pub struct Blend<'a> {
    tiling: &'a Tiling,
    restore: &'a Restore<'a>,
    importance: Vec<f32>,
    thresholds: Vec<f32>,
    windows: Vec<Option<Waiting>>,
    /// Layers closed so far.
    closed: usize,
    masks: Vec<Making>,
}

/// Features of one window: layer by layer, absent where they were let go.
pub type StoredWindow = Vec<Option<Arc<StoredLayer>>>;

struct Waiting {
    /// First layer that the window reaches.
    first: usize,
    layers: StoredWindow,
    /// Mask embeddings: classes times channels.
    embeddings: Array2<f32>,
}

/// A mask in the making.
struct Making {
    builder: PackedMaskBuilder,
    /// Voxels of the model's grid above the threshold, and the sum of their probabilities.
    voxels: u64,
    sum: f64,
}

/// A class's mask on the image's own grid.
#[derive(Debug, Clone)]
pub struct FoundMask {
    /// Its voxels.
    pub mask: PackedMask,
    /// Mean probability of the model grid's voxels above the threshold, where there are any.
    pub mean_probability: Option<f64>,
}

impl<'a> Blend<'a> {
    /// For classes with these thresholds.
    pub fn new(tiling: &'a Tiling, restore: &'a Restore<'a>, thresholds: Vec<f32>) -> Blend<'a> {
        let masks = thresholds.iter().map(|_| Making {
            builder: PackedMaskBuilder::new(restore.shared_grid()),
            voxels: 0,
            sum: 0.0,
        });
        Blend {
            importance: importance(tiling.size()),
            windows: tiling.windows().map(|_| None).collect(),
            closed: 0,
            masks: masks.collect(),
            thresholds,
            tiling,
            restore,
        }
    }

    /// Takes the next window of [`Tiling::windows`] with the mask embeddings of all classes, and closes what it completes.
    pub fn add(&mut self, window: WindowIndex, layers: StoredWindow, embeddings: Array2<f32>, cancel: &Cancel) {
        let number = self.tiling.number(window);
        self.windows[number] = Some(Waiting {
            first: self.tiling.layers_of(window).start,
            layers,
            embeddings,
        });
        if self.tiling.ends_row(window) {
            self.close(self.tiling.closed_after(window), cancel);
        }
    }

    /// The masks, in the order of the thresholds. All windows have been added.
    pub fn finish(self) -> Vec<FoundMask> {
        debug_assert_eq!(self.closed, self.tiling.layers());
        let finished = self.masks.into_par_iter().map(|making| FoundMask {
            mask: making.builder.finish(),
            mean_probability: (making.voxels > 0).then(|| making.sum / making.voxels as f64),
        });
        finished.collect()
    }

    /// Closes the layers before `end`.
    fn close(&mut self, end: usize, cancel: &Cancel) {
        if end == self.closed {
            return;
        }
        let [a, b] = self.tiling.across().map(|axis| self.tiling.shape()[axis]);
        let thickest = (self.closed..end).map(|layer| self.tiling.planes(layer).len()).max();
        let bytes_a_group = 4 * CLASSES * a * b * thickest.unwrap_or(1);
        let groups = (BLOCK_BYTES / bytes_a_group).clamp(1, MOST_IN_BLOCK / CLASSES);
        let mut masks = std::mem::take(&mut self.masks);
        for (n, block) in masks.chunks_mut(groups * CLASSES).enumerate() {
            if cancel.is_cancelled() {
                break;
            }
            self.close_block(n * groups * CLASSES, block, end);
        }
        self.masks = masks;
        self.closed = end;
        // The last plane is needed once more, for what lies between it and the next.
        let keep = end - usize::from(end < self.tiling.layers());
        for waiting in self.windows.iter_mut().flatten() {
            let passed = keep.saturating_sub(waiting.first).min(waiting.layers.len());
            waiting.layers[..passed].fill(None);
        }
        // Its embeddings go with its last layer: there are windows times classes of them.
        for window in &mut self.windows {
            if window
                .as_ref()
                .is_some_and(|waiting| waiting.layers.iter().all(Option::is_none))
            {
                *window = None;
            }
        }
    }

    fn close_block(&self, first: usize, block: &mut [Making], end: usize) {
        let classes = first..first + block.len();
        let mut below = match self.closed {
            0 => Layer::default(),
            closed => self.layer(closed - 1, classes.clone()),
        };
        for number in self.closed..end {
            let layer = self.layer(number, classes.clone());
            let last = number + 1 == self.tiling.layers();
            block.par_iter_mut().enumerate().for_each(|(n, making)| {
                layer.tiles.iter().for_each(|tile| {
                    making.voxels += tile.found[n].voxels;
                    making.sum += tile.found[n].sum;
                });
                let runs = self.restore_layer(n, self.thresholds[first + n], &below, &layer, last);
                making.builder.push(&runs);
            });
            below = layer;
        }
    }

    /// The runs of a class that lie within a layer, or between it and the plane below.
    fn restore_layer(
        &self,
        n: usize,
        threshold: f32,
        below: &Layer,
        layer: &Layer,
        last: bool,
    ) -> Vec<crate::volume::Run> {
        let sweep = self.tiling.sweep();
        let shape = self.tiling.shape();
        let planes = layer.planes.clone();
        // Where an interpolated value can be above the threshold: one of the eight voxels around it must be.
        let mut reach: Option<ModelBox> = None;
        for tile in below.tiles.iter().chain(&layer.tiles) {
            if tile.found[n].voxels > 0 {
                let part = ModelBox {
                    min: [0, 1, 2].map(|axis| tile.tile.ranges[axis].start),
                    max: [0, 1, 2].map(|axis| tile.tile.ranges[axis].end - 1),
                };
                reach = Some(reach.map_or(part, |reach| reach.joined(&part)));
            }
        }
        let Some(mut part) = reach.map(|reach| reach.grown(shape)) else {
            return Vec::new();
        };
        part.min[sweep] = part.min[sweep].max(planes.start.saturating_sub(1));
        part.max[sweep] = part.max[sweep].min(planes.end - 1);
        if part.min[sweep] > part.max[sweep] {
            return Vec::new();
        }
        let mut probability = vec![0.0; part.len()];
        for tile in below.tiles.iter().chain(&layer.tiles) {
            tile.copy_into(n, &part, &mut probability);
        }
        let from = (planes.start > 0).then_some(planes.start);
        let to = (!last).then_some(planes.end);
        self.restore
            .within(part, &probability, threshold, Planes { sweep, from, to })
    }

    /// Blended probabilities of some classes in a layer.
    fn layer(&self, number: usize, classes: std::ops::Range<usize>) -> Layer {
        let tiles = self.tiling.tiles(number);
        let tiles = tiles.into_par_iter().map(|tile| self.tile(tile, classes.clone()));
        Layer {
            planes: self.tiling.planes(number),
            tiles: tiles.collect(),
        }
    }

    fn tile(&self, tile: Tile, classes: std::ops::Range<usize>) -> BlendedTile {
        let padded = padded(&tile);
        let layer = tile.index[self.tiling.sweep()];
        let groups = classes.len().div_ceil(CLASSES);
        let covering: Vec<Covering<'_>> = self
            .tiling
            .covering(&tile)
            .into_iter()
            .filter_map(|window| {
                let waiting = self.windows[self.tiling.number(window)].as_ref()?;
                let stored = waiting.layers[layer - waiting.first].as_ref()?;
                let stored = stored.tile(self.tiling.place_in(window, &tile));
                let mut embeddings = vec![[0.0; CLASSES]; groups * stored.steps.len()];
                for (n, class) in classes.clone().enumerate() {
                    let of_group = &mut embeddings[n / CLASSES * stored.steps.len()..];
                    let row = waiting.embeddings.row(class);
                    for ((weights, weight), step) in of_group.iter_mut().zip(row).zip(stored.steps) {
                        weights[n % CLASSES] = weight * step;
                    }
                }
                Some(Covering {
                    importance: self.importance_in(window, &tile, padded),
                    tile: stored,
                    embeddings,
                })
            })
            .collect();
        let mut probability = Vec::new();
        kernel::blend(&covering, groups, padded, &mut probability);
        let found = classes
            .enumerate()
            .map(|(n, class)| {
                Found::in_values(
                    &probability[n * padded..n * padded + tile.voxels()],
                    self.thresholds[class],
                )
            })
            .collect();
        BlendedTile {
            tile,
            padded,
            probability,
            found,
        }
    }

    /// How much a window counts at each voxel of a tile, padded with zeros.
    fn importance_in(&self, window: WindowIndex, tile: &Tile, padded: usize) -> Vec<f32> {
        let start = self.tiling.start(window);
        let [_, wy, wz] = self.tiling.size();
        let [z, length] = [tile.ranges[2].start - start[2], tile.ranges[2].len()];
        let mut values = Vec::with_capacity(padded);
        for x in tile.ranges[0].clone() {
            for y in tile.ranges[1].clone() {
                let at = ((x - start[0]) * wy + y - start[1]) * wz + z;
                values.extend_from_slice(&self.importance[at..at + length]);
            }
        }
        values.resize(padded, 0.0);
        values
    }
}

/// Keeps a window's features until their place is closed.
///
/// # Errors
/// When one of them is no number.
pub fn store(
    tiling: &Tiling,
    window: WindowIndex,
    features: FeatureValues<'_>,
    width: usize,
) -> Result<StoredWindow, NotFinite> {
    tiling
        .layers_of(window)
        .map(|layer| StoredLayer::new(tiling, window, layer, features, width).map(|layer| Some(Arc::new(layer))))
        .collect()
}

/// A layer's probabilities for a block of classes.
#[derive(Default)]
struct Layer {
    planes: std::ops::Range<usize>,
    tiles: Vec<BlendedTile>,
}

struct BlendedTile {
    tile: Tile,
    padded: usize,
    /// For each class of the block, for each voxel, padded.
    probability: Vec<f32>,
    found: Vec<Found>,
}

/// What of a class is above its threshold in a tile.
#[derive(Clone, Copy)]
struct Found {
    voxels: u64,
    sum: f64,
}

impl Found {
    fn in_values(values: &[f32], threshold: f32) -> Found {
        // Most tiles have nothing of most classes: say so before anything is added up.
        let mut highest = [0.0f32; LANES];
        for chunk in values.chunks(LANES) {
            highest.iter_mut().zip(chunk).for_each(|(a, b)| *a = a.max(*b));
        }
        if highest.iter().all(|value| *value <= threshold) {
            return Found { voxels: 0, sum: 0.0 };
        }
        let above = values.iter().filter(|value| **value > threshold);
        above.fold(Found { voxels: 0, sum: 0.0 }, |found, value| Found {
            voxels: found.voxels + 1,
            sum: found.sum + f64::from(*value),
        })
    }
}

impl BlendedTile {
    /// Copies what lies in `part` to its place there (last axis fastest).
    fn copy_into(&self, class: usize, part: &ModelBox, out: &mut [f32]) {
        let ranges = [0, 1, 2].map(|axis| {
            let range = &self.tile.ranges[axis];
            range.start.max(part.min[axis])..range.end.min(part.max[axis] + 1)
        });
        if ranges.iter().any(|range| range.is_empty()) {
            return;
        }
        let (shape, of_part) = (self.tile.shape(), part.shape());
        let values = &self.probability[class * self.padded..];
        let first = [0, 1, 2].map(|axis| self.tile.ranges[axis].start);
        for x in ranges[0].clone() {
            for y in ranges[1].clone() {
                let from = ((x - first[0]) * shape[1] + y - first[1]) * shape[2] + ranges[2].start - first[2];
                let to =
                    ((x - part.min[0]) * of_part[1] + y - part.min[1]) * of_part[2] + ranges[2].start - part.min[2];
                out[to..to + ranges[2].len()].copy_from_slice(&values[from..from + ranges[2].len()]);
            }
        }
    }
}

#[cfg(test)]
#[path = "blend_tests.rs"]
mod tests;
