//! How an image is cut into tiles, and in which order windows come so that tiles can be finished early.
//!
//! Along each axis the image is cut wherever a window begins or ends, and then into short intervals. A *tile* is a box of
//! one interval an axis, so the windows that cover a tile cover all of it. Windows come in rows across the *sweep* axis; what
//! lies before the next row's start is seen by no window that is still to come and can be closed. A *layer* is all tiles of
//! one interval along the sweep.

use std::ops::Range;

use super::windows::starts;

/// Longest interval along each axis: a thousand voxels a tile, whose features stay in a core's own cache, with the last
/// axis longest because features lie along it.
const LONGEST: [usize; 3] = [8, 8, 16];

/// The cuts of one image, and the windows that see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tiling {
    shape: [usize; 3],
    size: [usize; 3],
    sweep: usize,
    axes: [Axis; 3],
}

/// One axis: where windows start, where the intervals lie, and which windows cover which interval.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    starts: Vec<usize>,
    intervals: Vec<Range<usize>>,
    /// For each interval, the windows (as indices into `starts`) that cover it.
    covering: Vec<Vec<usize>>,
}

/// A window by its place in the order of starts along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowIndex(pub [usize; 3]);

/// A tile: an interval of each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Voxels along each axis.
    pub ranges: [Range<usize>; 3],
    /// Which interval of each axis.
    pub index: [usize; 3],
}

impl Tile {
    /// Voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.ranges[axis].len())
    }

    /// Number of voxels.
    pub fn voxels(&self) -> usize {
        self.shape().iter().product()
    }
}

impl Tiling {
    /// For an image of `shape` and windows of `size`, swept along the axis that keeps the fewest features waiting.
    pub fn new(shape: [usize; 3], size: [usize; 3]) -> Tiling {
        let sweep = (0..3)
            .min_by_key(|&sweep| {
                let tiling = Tiling::along(shape, size, sweep);
                // Of equals the last axis, along which most images have their slices.
                (tiling.most_open(), 2 - sweep)
            })
            .unwrap_or(2);
        Tiling::along(shape, size, sweep)
    }

    pub(super) fn along(shape: [usize; 3], size: [usize; 3], sweep: usize) -> Tiling {
        let axes = [0, 1, 2].map(|axis| Axis::new(shape[axis], size[axis], LONGEST[axis], axis == sweep));
        Tiling {
            shape,
            size,
            sweep,
            axes,
        }
    }

    /// Voxels of the image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Voxels of a window.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The axis along which tiles are finished.
    pub fn sweep(&self) -> usize {
        self.sweep
    }

    /// All windows, in the order in which they are to be seen: row by row along the sweep.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = WindowIndex> + Clone + use<> {
        let (sweep, [a, b]) = (self.sweep, self.across());
        let [ns, na, nb] = [sweep, a, b].map(|axis| self.axes[axis].starts.len());
        (0..ns * na * nb).map(move |n| {
            let mut index = [0; 3];
            (index[sweep], index[a], index[b]) = (n / (na * nb), n / nb % na, n % nb);
            WindowIndex(index)
        })
    }

    /// The two axes that are not swept.
    pub fn across(&self) -> [usize; 2] {
        match self.sweep {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        }
    }

    /// First voxel of a window.
    pub fn start(&self, window: WindowIndex) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.axes[axis].starts[window.0[axis]])
    }

    /// Whether a window is the last of its row along the sweep.
    pub fn ends_row(&self, window: WindowIndex) -> bool {
        let last = |axis: usize| window.0[axis] + 1 == self.axes[axis].starts.len();
        self.across().into_iter().all(last)
    }

    /// Layers that no window after the row of `window` will see any more, counted from the first.
    pub fn closed_after(&self, window: WindowIndex) -> usize {
        let axis = &self.axes[self.sweep];
        match axis.starts.get(window.0[self.sweep] + 1) {
            Some(next) => axis.intervals.partition_point(|interval| interval.end <= *next),
            None => axis.intervals.len(),
        }
    }

    /// Number of layers.
    pub fn layers(&self) -> usize {
        self.axes[self.sweep].intervals.len()
    }

    /// The planes of a layer.
    pub fn planes(&self, layer: usize) -> Range<usize> {
        self.axes[self.sweep].intervals[layer].clone()
    }

    /// The layers that a window reaches.
    pub fn layers_of(&self, window: WindowIndex) -> Range<usize> {
        self.intervals_of(window, self.sweep)
    }

    /// The intervals along `axis` that a window covers.
    fn intervals_of(&self, window: WindowIndex, axis: usize) -> Range<usize> {
        let start = self.start(window)[axis];
        let end = start + self.size[axis];
        let intervals = &self.axes[axis].intervals;
        intervals.partition_point(|interval| interval.start < start)
            ..intervals.partition_point(|interval| interval.start < end)
    }

    /// The tiles of a layer.
    pub fn tiles(&self, layer: usize) -> Vec<Tile> {
        let [a, b] = self.across();
        let (na, nb) = (self.axes[a].intervals.len(), self.axes[b].intervals.len());
        self.tiles_within(layer, [0..na, 0..nb])
    }

    /// The tiles of a layer that a window covers, in the order of [`Tiling::tiles`].
    pub fn tiles_of(&self, window: WindowIndex, layer: usize) -> Vec<Tile> {
        self.tiles_within(layer, self.across().map(|axis| self.intervals_of(window, axis)))
    }

    fn tiles_within(&self, layer: usize, [of_a, of_b]: [Range<usize>; 2]) -> Vec<Tile> {
        let [a, b] = self.across();
        of_a.flat_map(|i| of_b.clone().map(move |j| (i, j)))
            .map(|(i, j)| {
                let mut index = [layer; 3];
                (index[a], index[b]) = (i, j);
                Tile {
                    ranges: [0, 1, 2].map(|axis| self.axes[axis].intervals[index[axis]].clone()),
                    index,
                }
            })
            .collect()
    }

    /// Which of a window's tiles in its layer a tile is.
    pub fn place_in(&self, window: WindowIndex, tile: &Tile) -> usize {
        let [a, b] = self.across();
        let (of_a, of_b) = (self.intervals_of(window, a), self.intervals_of(window, b));
        (tile.index[a] - of_a.start) * of_b.len() + tile.index[b] - of_b.start
    }

    /// The windows that cover a tile, in the order in which they are seen.
    pub fn covering(&self, tile: &Tile) -> Vec<WindowIndex> {
        let (sweep, [a, b]) = (self.sweep, self.across());
        let of = |axis: usize| &self.axes[axis].covering[tile.index[axis]];
        let mut windows = Vec::with_capacity(of(sweep).len() * of(a).len() * of(b).len());
        for &s in of(sweep) {
            for &i in of(a) {
                for &j in of(b) {
                    let mut index = [0; 3];
                    (index[sweep], index[a], index[b]) = (s, i, j);
                    windows.push(WindowIndex(index));
                }
            }
        }
        windows
    }

    /// The position of a window in [`Tiling::windows`].
    pub fn number(&self, window: WindowIndex) -> usize {
        let [a, b] = self.across();
        let [na, nb] = [a, b].map(|axis| self.axes[axis].starts.len());
        (window.0[self.sweep] * na + window.0[a]) * nb + window.0[b]
    }

    /// Most voxels of windows that wait at a time.
    fn most_open(&self) -> usize {
        let row: usize = self
            .across()
            .into_iter()
            .map(|axis| {
                let covered = self.size[axis].min(self.shape[axis]);
                self.axes[axis].starts.len() * covered
            })
            .product();
        let starts = &self.axes[self.sweep].starts;
        let covered = self.size[self.sweep].min(self.shape[self.sweep]);
        // When a row is complete, what waits is that row and what is left of those before it.
        let open = |row: usize| -> usize {
            (0..=row)
                .map(|earlier| (starts[earlier] + covered).saturating_sub(starts[row]))
                .sum()
        };
        row * (0..starts.len()).map(open).max().unwrap_or(0)
    }
}

impl Axis {
    fn new(length: usize, size: usize, longest: usize, is_swept: bool) -> Axis {
        let starts = starts(length, size);
        let mut cuts: Vec<usize> = starts
            .iter()
            .flat_map(|start| [*start, (start + size).min(length)])
            .collect();
        if is_swept {
            // The last plane before a row is a layer of its own: it is needed again when the next planes are closed.
            cuts.extend(starts.iter().filter(|start| **start > 0).map(|start| start - 1));
        }
        cuts.sort_unstable();
        cuts.dedup();
        let mut intervals = Vec::new();
        for pair in cuts.windows(2) {
            let (start, length) = (pair[0], pair[1] - pair[0]);
            let parts = length.div_ceil(longest);
            intervals.extend((0..parts).map(|n| start + n * length / parts..start + (n + 1) * length / parts));
        }
        let covers = |start: &usize, interval: &Range<usize>| *start <= interval.start && interval.end <= start + size;
        let covering = intervals
            .iter()
            .map(|interval| (0..starts.len()).filter(|n| covers(&starts[*n], interval)).collect())
            .collect();
        Axis {
            starts,
            intervals,
            covering,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_is_swept_from_foot_to_head() {
        assert_eq!(Tiling::new([410, 410, 200], [288, 288, 96]).sweep(), 2);
    }

    #[test]
    fn windows_are_the_published_ones_in_another_order() {
        let tiling = Tiling::new([410, 300, 200], [288, 288, 96]);
        let mut ours: Vec<_> = tiling.windows().map(|window| tiling.start(window)).collect();
        ours.sort_unstable();
        let mut published = Vec::new();
        for x in [0, 122] {
            for y in [0, 12] {
                published.extend([0, 48, 96, 104].map(|z| [x, y, z]));
            }
        }
        assert_eq!(ours, published);
    }

    proptest! {
        #[test]
        fn each_voxel_is_in_one_tile_and_tiles_close_after_their_last_window(
            shape in [1usize..40, 1usize..40, 1usize..40],
            half in [2usize..10, 2usize..10, 2usize..10],
        ) {
            let size = half.map(|n| 2 * n);
            let tiling = Tiling::new(shape, size);
            let mut seen = vec![0; shape.iter().product()];
            for tile in (0..tiling.layers()).flat_map(|layer| tiling.tiles(layer)) {
                for x in tile.ranges[0].clone() {
                    for y in tile.ranges[1].clone() {
                        for z in tile.ranges[2].clone() {
                            seen[(x * shape[1] + y) * shape[2] + z] += 1;
                        }
                    }
                }
                let covering = tiling.covering(&tile);
                let expected: Vec<_> = tiling
                    .windows()
                    .filter(|window| {
                        let start = tiling.start(*window);
                        (0..3).all(|a| start[a] < tile.ranges[a].end && tile.ranges[a].start < start[a] + size[a])
                    })
                    .collect();
                prop_assert_eq!(&covering, &expected);
                for window in &covering {
                    let layer = tile.index[tiling.sweep()];
                    prop_assert_eq!(&tiling.tiles_of(*window, layer)[tiling.place_in(*window, &tile)], &tile);
                    prop_assert!(tiling.layers_of(*window).contains(&layer));
                }
            }
            prop_assert!(seen.iter().all(|n| *n == 1));
            // What is closed after a row is covered by no later window.
            let windows: Vec<_> = tiling.windows().collect();
            for (n, window) in windows.iter().enumerate().filter(|(_, window)| tiling.ends_row(**window)) {
                prop_assert_eq!(tiling.number(*window), n);
                let closed = tiling.closed_after(*window);
                for later in &windows[n + 1..] {
                    prop_assert!(tiling.layers_of(*later).start >= closed);
                }
                prop_assert!(n + 1 < windows.len() || closed == tiling.layers());
            }
        }
    }
}
