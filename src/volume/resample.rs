//! Trilinear interpolation from one grid to another.
//!
//! Between grids whose axes lie along each other (all but sheared ones, since preparation keeps the rotation) a voxel's
//! place along one axis does not depend on the others: [`Sampling::neighbours`] tables it once for each axis.

use rayon::prelude::*;

use super::axes::{Affine, Reorientation};
use super::grid::{Grid, transform};
use super::places::Places;

/// Axes count as lying along each other when nowhere in the image they drift apart by more than this: an affine in single
/// precision is sheared by a few parts in ten million.
const DRIFT_VOXELS: f64 = 2e-4;
/// On the way back a place this close to a voxel's centre is on it: what an affine and its inverse lose to rounding is
/// far less.
const SNAP_VOXELS: f64 = 1e-6;
/// Planes of the first axis computed together, so that a cache line that was read is used.
const SLAB: usize = 16;

/// Where the voxels of a new grid lie in an old one.
#[derive(Debug, Clone)]
pub(crate) struct Sampling {
    matrix: Affine,
    from: [usize; 3],
    old_shape: [usize; 3],
    new_shape: [usize; 3],
    /// Where MONAI would look; see [`Sampling::published`].
    published: Option<Published>,
}

#[derive(Debug, Clone)]
struct Published {
    places: Places,
    /// Which of the new axes run against the old ones.
    flipped: [bool; 3],
}

/// The two old voxels that a new one lies between along an axis, and how far towards the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Neighbour {
    pub low: usize,
    pub high: usize,
    pub weight: f64,
}

impl Sampling {
    /// From `old` to `new`, whose axes `n` runs along old axis `from[n]`, whichever way round.
    pub fn new(old: &Grid, new: &Grid, from: [usize; 3]) -> Sampling {
        let matrix = old.inverse() * new.affine();
        Sampling {
            matrix,
            from,
            old_shape: old.shape(),
            new_shape: new.shape(),
            published: None,
        }
    }

    /// From `old`, turned by `turn`, to `new`, as MONAI's `Spacing` samples: the same places to the last bit where the axes
    /// run along the patient's.
    ///
    /// They miss the voxels that they should hit by some 1e-14, and that is seen: a plane of zeros beside the foreground
    /// gets a trace of it, and MONAI's crop keeps the plane.
    pub fn published(old: &Grid, turn: &Reorientation, turned: &Grid, new: &Grid) -> Sampling {
        Sampling {
            published: Some(Published {
                places: Places::new(turned, new),
                flipped: turn.flipped(),
            }),
            ..Sampling::new(old, new, turn.from())
        }
    }

    /// `source` at one voxel of the new grid, by its own place and not by its axes': where axes lean towards one another, by as
    /// little as the rounding of a single-precision affine, [`resample`] misses traces of neighbours that MONAI sees. None
    /// where none lean.
    pub fn leaning<'a>(&'a self, source: &'a [f32]) -> Option<impl Fn([usize; 3]) -> f32 + Sync + 'a> {
        let published = self
            .published
            .as_ref()
            .filter(|published| !published.places.is_straight())?;
        Some(move |voxel| {
            let places = published.places.of(voxel);
            let mut found = [between(0.0, 1); 3];
            for (axis, place) in places.into_iter().enumerate() {
                found[self.from[axis]] = self.turned(place, axis, published.flipped[axis]);
            }
            trilinear(source, self.old_shape, found)
        })
    }

    /// The neighbours of a place along a new axis that may run against its old one.
    fn turned(&self, place: f64, axis: usize, flipped: bool) -> Neighbour {
        let length = self.old_shape[self.from[axis]];
        match flipped {
            true => between(place, length).flipped(length),
            false => between(place, length),
        }
    }

    /// For each new axis, the old axis that it runs along.
    pub fn from(&self) -> [usize; 3] {
        self.from
    }

    /// Whether each axis can be interpolated by itself.
    pub fn is_separable(&self) -> bool {
        (0..3).all(|new| {
            let old = self.from[new];
            let drift: f64 = (0..3)
                .filter(|&other| other != new)
                .map(|other| self.matrix[(old, other)].abs() * (self.new_shape[other] as f64 - 1.0).max(0.0))
                .sum();
            drift <= DRIFT_VOXELS
        })
    }

    /// Where each voxel along new axis `new` lies along its old axis; past the ends, the end itself.
    pub fn neighbours(&self, new: usize) -> Vec<Neighbour> {
        if let Some(published) = &self.published {
            let along = published.places.along(new).into_iter();
            return along
                .map(|place| self.turned(place, new, published.flipped[new]))
                .collect();
        }
        let old = self.from[new];
        let (scale, offset) = (self.matrix[(old, new)], self.matrix[(old, 3)]);
        (0..self.new_shape[new])
            .map(|n| neighbour(n as f64 * scale + offset, self.old_shape[old]))
            .collect()
    }

    /// Where new voxels lie along each old axis, from `start` on along new axis `along`: what works for sheared grids,
    /// too.
    pub fn line(&self, start: [usize; 3], along: usize) -> impl Iterator<Item = [Neighbour; 3]> + '_ {
        let first = transform(&self.matrix, start.map(|n| n as f64));
        let step = [0, 1, 2].map(|axis| self.matrix[(axis, along)]);
        (0..).map(move |n| {
            [0, 1, 2].map(|axis| neighbour(first[axis] + f64::from(n) * step[axis], self.old_shape[axis]))
        })
    }
}

fn neighbour(place: f64, length: usize) -> Neighbour {
    let mut found = between(place, length);
    if found.weight > 1.0 - SNAP_VOXELS {
        found = between(found.high as f64, length);
    } else if found.weight < SNAP_VOXELS {
        found.weight = 0.0;
    }
    found
}

/// The voxels that a place lies between; past the ends, the end.
fn between(place: f64, length: usize) -> Neighbour {
    let last = length.saturating_sub(1);
    let place = place.clamp(0.0, last as f64);
    // Truncated rather than rounded: without SSE4 in the target, rounding is a call.
    let low = place as usize;
    Neighbour {
        low,
        high: (low + 1).min(last),
        weight: place - low as f64,
    }
}

impl Neighbour {
    /// The same along an axis that runs the other way.
    fn flipped(self, length: usize) -> Neighbour {
        Neighbour {
            low: length - 1 - self.low,
            high: length - 1 - self.high,
            weight: self.weight,
        }
    }
}

/// `source` (first axis fastest) at every voxel of the new grid, in an array whose *last* axis is fastest, as networks
/// take it. Past the edge of the source its border is repeated.
pub(crate) fn resample(source: &[f32], sampling: &Sampling) -> Vec<f32> {
    let [nx, ny, nz] = sampling.new_shape;
    let mut out = vec![0.0; nx * ny * nz];
    if out.is_empty() {
        return out;
    }
    let slabs = out.par_chunks_mut(SLAB * ny * nz).enumerate();
    if sampling.is_separable() {
        let strides = strides(sampling.old_shape);
        let tables = [0, 1, 2].map(|axis| Table::new(&sampling.neighbours(axis), strides[sampling.from[axis]]));
        let contiguous = (0..3).find(|&axis| sampling.from[axis] == 0).unwrap_or(2);
        slabs.for_each(|(n, slab)| fill_slab(slab, [n * SLAB, ny, nz], &tables, contiguous, source));
    } else {
        slabs.for_each(|(n, slab)| {
            let planes = slab.len() / (ny * nz);
            // The source is read plane by plane: for nearly all images its planes are the last axis of the new grid.
            for (z, y) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
                let line = sampling.line([n * SLAB, y, z], 0);
                for (x, place) in line.take(planes).enumerate() {
                    slab[(x * ny + y) * nz + z] = trilinear(source, sampling.old_shape, place);
                }
            }
        });
    }
    out
}

/// The neighbours along an axis as offsets into the source.
struct Table {
    low: Vec<usize>,
    high: Vec<usize>,
    weight: Vec<f64>,
}

impl Table {
    fn new(neighbours: &[Neighbour], stride: usize) -> Table {
        Table {
            low: neighbours.iter().map(|n| n.low * stride).collect(),
            high: neighbours.iter().map(|n| n.high * stride).collect(),
            weight: neighbours.iter().map(|n| n.weight).collect(),
        }
    }
}

/// Some planes of the output, walked so that the source is read along its contiguous axis.
fn fill_slab(slab: &mut [f32], [first, ny, nz]: [usize; 3], tables: &[Table; 3], contiguous: usize, source: &[f32]) {
    let planes = slab.len() / (ny * nz);
    let [x, y, z] = tables;
    match contiguous {
        0 => {
            let x = Part::of(x, first, planes);
            // Line after line of a plane of the source; what is written stays in the cache until the next plane.
            for (c, b) in (0..nz).flat_map(|c| (0..ny).map(move |b| (c, b))) {
                let row = Row::new(source, y, b, z, c);
                row.interpolate(x, slab[b * nz + c..].iter_mut().step_by(ny * nz));
            }
        }
        1 => {
            let y = Part::of(y, 0, ny);
            for (a, plane) in slab.chunks_mut(ny * nz).enumerate() {
                for c in 0..nz {
                    Row::new(source, x, first + a, z, c).interpolate(y, plane[c..].iter_mut().step_by(nz));
                }
            }
        }
        _ => {
            let z = Part::of(z, 0, nz);
            for (n, line) in slab.chunks_mut(nz).enumerate() {
                Row::new(source, x, first + n / ny, y, n % ny).interpolate(z, line.iter_mut());
            }
        }
    }
}

/// A stretch of a table.
#[derive(Clone, Copy)]
struct Part<'a> {
    low: &'a [usize],
    high: &'a [usize],
    weight: &'a [f64],
}

impl<'a> Part<'a> {
    fn of(table: &'a Table, start: usize, len: usize) -> Part<'a> {
        let range = start..start + len;
        Part {
            low: &table.low[range.clone()],
            high: &table.high[range.clone()],
            weight: &table.weight[range],
        }
    }

    fn interpolate<'o>(self, out: impl Iterator<Item = &'o mut f32>, at: impl Fn(usize) -> f64) {
        for (((&low, &high), &weight), value) in self.low.iter().zip(self.high).zip(self.weight).zip(out) {
            *value = if weight == 0.0 {
                at(low)
            } else {
                lerp(at(low), at(high), weight)
            } as f32;
        }
    }
}

/// The four source lines that a line of output lies between.
struct Row<'a> {
    lines: [&'a [f32]; 4],
    weights: [f64; 2],
}

impl<'a> Row<'a> {
    fn new(source: &'a [f32], p: &Table, a: usize, q: &Table, b: usize) -> Row<'a> {
        let line = |p: usize, q: usize| &source[p + q..];
        Row {
            lines: [
                line(p.low[a], q.low[b]),
                line(p.high[a], q.low[b]),
                line(p.low[a], q.high[b]),
                line(p.high[a], q.high[b]),
            ],
            weights: [p.weight[a], q.weight[b]],
        }
    }

    fn interpolate<'o>(&self, along: Part<'_>, out: impl Iterator<Item = &'o mut f32>) {
        let [p, q] = self.weights;
        let [a, b, c, d] = self.lines;
        // Many images need no interpolation along one axis or two; what has no weight is not read.
        match (p == 0.0, q == 0.0) {
            (true, true) => along.interpolate(out, |n| f64::from(a[n])),
            (false, true) => along.interpolate(out, |n| lerp(f64::from(a[n]), f64::from(b[n]), p)),
            (true, false) => along.interpolate(out, |n| lerp(f64::from(a[n]), f64::from(c[n]), q)),
            (false, false) => along.interpolate(out, |n| {
                let [a, b, c, d] = [a, b, c, d].map(|line| f64::from(line[n]));
                lerp(lerp(a, b, p), lerp(c, d, p), q)
            }),
        }
    }
}

/// Both products, since `a + (b - a) * weight` would lose a trace of `a` beside a zero.
fn lerp(a: f64, b: f64, weight: f64) -> f64 {
    a * (1.0 - weight) + b * weight
}

fn strides(shape: [usize; 3]) -> [usize; 3] {
    [1, shape[0], shape[0] * shape[1]]
}

fn trilinear(source: &[f32], shape: [usize; 3], [x, y, z]: [Neighbour; 3]) -> f32 {
    let [_, sy, sz] = strides(shape);
    let along_x = |base: usize| {
        lerp(
            f64::from(source[base + x.low]),
            f64::from(source[base + x.high]),
            x.weight,
        )
    };
    let along_y = |base: usize| lerp(along_x(base + y.low * sy), along_x(base + y.high * sy), y.weight);
    lerp(along_y(z.low * sz), along_y(z.high * sz), z.weight) as f32
}
