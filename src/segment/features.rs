//! Per-pixel features of windows, waiting for their neighbours.
//!
//! They are kept in sixteen bits, as whole numbers of a step that each tile has for each channel: the largest value of a
//! tile is 32,767 steps. Half precision would take the same room and be ten times coarser where it matters, near the
//! largest values: here a feature is off by at most 1/65,534 of the largest beside it. A logit moves by at most the sum over the
//! channels of |mask embedding| times that: some 1e-3 with SAT-Nano's width and range, which turns no voxel whose probability
//! is further than 3e-4 from its threshold.

use rayon::prelude::*;

use super::kernel::{self, LANES, StoredTile};
use super::tiles::{Tile, Tiling, WindowIndex};
use crate::model::FeatureValues;

/// A window's features in one layer, tile by tile.
#[derive(Debug)]
pub struct StoredLayer {
    values: Vec<i16>,
    /// Size of a step for each tile and channel.
    steps: Vec<f32>,
    /// Where each tile begins in `values`.
    begins: Vec<usize>,
    width: usize,
}

/// A feature that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFinite;

impl StoredLayer {
    /// Takes what `window` shows in `layer`.
    pub fn new(
        tiling: &Tiling,
        window: WindowIndex,
        layer: usize,
        features: FeatureValues<'_>,
        width: usize,
    ) -> Result<StoredLayer, NotFinite> {
        let tiles = tiling.tiles_of(window, layer);
        let mut begins = Vec::with_capacity(tiles.len());
        let mut length = 0;
        for tile in &tiles {
            begins.push(length);
            length += padded(tile) * width;
        }
        let mut stored = StoredLayer {
            values: vec![0; length],
            steps: vec![0.0; tiles.len() * width],
            begins,
            width,
        };
        let mut rest = stored.values.as_mut_slice();
        let mut places = Vec::with_capacity(tiles.len());
        for tile in &tiles {
            let (values, after) = rest.split_at_mut(padded(tile) * width);
            places.push(values);
            rest = after;
        }
        let source = Source {
            features,
            start: tiling.start(window),
            size: tiling.size(),
        };
        let tiles = tiles
            .par_iter()
            .zip(places)
            .zip(stored.steps.par_chunks_mut(width.max(1)));
        tiles.try_for_each_init(Vec::new, |row, ((tile, values), steps)| {
            for (channel, step) in steps.iter_mut().enumerate() {
                row.clear();
                source.read(channel, tile, row);
                *step = kernel::quantise(row, channel, width, values).ok_or(NotFinite)?;
            }
            Ok(())
        })?;
        Ok(stored)
    }

    /// The tile at a place that [`Tiling::place_in`] gave.
    pub(super) fn tile(&self, place: usize) -> StoredTile<'_> {
        let end = self.begins.get(place + 1).copied().unwrap_or(self.values.len());
        StoredTile {
            values: &self.values[self.begins[place]..end],
            steps: &self.steps[place * self.width..(place + 1) * self.width],
        }
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.values.len() * 2 + self.steps.len() * 4 + self.begins.len() * 8
    }
}

/// Voxels of a tile, rounded up to whole vectors.
pub(super) fn padded(tile: &Tile) -> usize {
    tile.voxels().next_multiple_of(LANES)
}

/// Features as the network gave them: `[channel][x][y][z]` of a window.
struct Source<'a> {
    features: FeatureValues<'a>,
    start: [usize; 3],
    size: [usize; 3],
}

impl Source<'_> {
    /// Adds a tile's values of one channel to `out`, last axis fastest.
    fn read(&self, channel: usize, tile: &Tile, out: &mut Vec<f32>) {
        let [_, wy, wz] = self.size;
        let base = channel * self.size.iter().product::<usize>();
        let [z, length] = [tile.ranges[2].start - self.start[2], tile.ranges[2].len()];
        for x in tile.ranges[0].clone() {
            for y in tile.ranges[1].clone() {
                let at = base + ((x - self.start[0]) * wy + y - self.start[1]) * wz + z;
                match self.features {
                    FeatureValues::Single(values) => out.extend_from_slice(&values[at..at + length]),
                    FeatureValues::Half(values) => out.extend(values[at..at + length].iter().map(|v| v.to_f32())),
                }
            }
        }
    }
}
