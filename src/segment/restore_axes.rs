//! Restoring axis by axis, which is possible where the axes of image and model lie along each other.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::field::{Field, Planes, lerp};
use crate::volume::{Grid, Neighbour, Run};

/// Planes of the image that one thread takes at a time.
const SLAB: usize = 16;

/// The voxels of the image along one of its axes that the box reaches, and where in the padded box each lies: so far
/// from one place to the next.
struct Reach {
    start: usize,
    places: Vec<(usize, f32)>,
}

impl Reach {
    fn new(neighbours: &[Neighbour], field: &Field<'_>, model_axis: usize, planes: Planes) -> Reach {
        let inside = 1..field.shape[model_axis] + 1;
        let place = |n: &Neighbour| (field.padded(model_axis, n.low), n.weight as f32);
        let is_inside = |n: &Neighbour| {
            (model_axis != planes.sweep || planes.hold(n.high))
                && (inside.contains(&field.padded(model_axis, n.low))
                    || inside.contains(&field.padded(model_axis, n.high)))
        };
        let start = neighbours.iter().position(is_inside).unwrap_or(neighbours.len());
        let places = neighbours[start..]
            .iter()
            .take_while(|n| is_inside(n))
            .map(place)
            .collect();
        Reach { start, places }
    }
}

/// Axis by axis, which is possible where the axes of image and model lie along each other: a few planes of the box are
/// laid out as the image is stored, interpolated to each plane of the image, then to each line, then to each voxel.
pub(super) fn along_axes(
    grid: &Grid,
    from: [usize; 3],
    neighbours: &[Vec<Neighbour>; 3],
    field: &Field<'_>,
    threshold: f32,
    planes: Planes,
) -> Vec<Vec<Run>> {
    let [i, j, k] = [0, 1, 2].map(|axis| Reach::new(&neighbours[axis], field, from[axis], planes));
    let stride = grid.shape()[0] as u64;
    k.places
        .par_chunks(SLAB)
        .enumerate()
        .map(|(n, places)| {
            let first = places.iter().map(|place| place.0).min().unwrap_or(0);
            let last = places.iter().map(|place| place.0 + 1).max().unwrap_or(0);
            let (width, slab) = lay_out(field, from, first..last + 1);
            let planes = slab.chunks_exact(slab.len() / (last + 1 - first).max(1));
            let slab: Vec<Plane<'_>> = planes.map(|values| Plane::new(width, Cow::Borrowed(values))).collect();
            let mut runs = Vec::new();
            for (plane, &(depth, weight)) in places.iter().enumerate() {
                let (a, b) = (&slab[depth - first], &slab[depth + 1 - first]);
                if a.highest.max(b.highest) <= threshold {
                    continue;
                }
                let base = grid.index([i.start, j.start, k.start + n * SLAB + plane]) as u64;
                let between = (weight != 0.0).then(|| a.towards(b, weight));
                threshold_plane(
                    between.as_ref().unwrap_or(a),
                    &i.places,
                    &j.places,
                    threshold,
                    |line, start, end| {
                        let origin = base + line as u64 * stride;
                        runs.push(Run {
                            start: origin + start as u64,
                            end: origin + end as u64,
                        });
                    },
                );
            }
            runs
        })
        .collect()
}

/// A plane of the padded box, in the order in which the image is stored; its highest value, and each line's.
struct Plane<'a> {
    width: usize,
    values: Cow<'a, [f32]>,
    line_highest: Vec<f32>,
    highest: f32,
}

/// Planes `depths` of the padded box, one after the other. There is a margin of two zeros at the high end: one for what lies
/// outside, and one beyond it, which is read but has no weight.
fn lay_out(field: &Field<'_>, from: [usize; 3], depths: Range<usize>) -> (usize, Vec<f32>) {
    let [width, height] = [from[0], from[1]].map(|axis| field.shape[axis] + 3);
    let mut slab = vec![0.0; width * height * depths.len()];
    let strides = from.map(|axis| field.strides()[axis]);
    let to = [1, width, width * height];
    let inside = depths.start.max(1)..depths.end.min(field.shape[from[2]] + 1);
    let lengths = [field.shape[from[0]], field.shape[from[1]], inside.len()];
    let (first, begin) = (
        (inside.start - 1) * strides[2],
        to[0] + to[1] + (inside.start - depths.start) * to[2],
    );
    // The innermost loop runs along the axis in which probabilities lie one after the other.
    let inner = (0..3).find(|&axis| strides[axis] == 1).unwrap_or(2);
    let (outer, middle) = ((inner + 1) % 3, (inner + 2) % 3);
    for a in 0..lengths[outer] {
        for b in 0..lengths[middle] {
            let source = first + a * strides[outer] + b * strides[middle];
            let place = begin + a * to[outer] + b * to[middle];
            let values = &field.probability[source..source + lengths[inner]];
            let places = slab[place..].iter_mut().step_by(to[inner]);
            places.zip(values).for_each(|(place, value)| *place = *value);
        }
    }
    (width, slab)
}

impl<'a> Plane<'a> {
    fn new(width: usize, values: Cow<'a, [f32]>) -> Plane<'a> {
        let line_highest: Vec<f32> = values.chunks_exact(width).map(highest).collect();
        Plane {
            width,
            highest: highest(&line_highest),
            values,
            line_highest,
        }
    }

    fn line(&self, n: usize) -> &[f32] {
        &self.values[n * self.width..(n + 1) * self.width]
    }

    /// The plane that lies `weight` of the way from this one to another, which is not at hand where it has no weight.
    fn towards(&self, other: &Plane<'_>, weight: f32) -> Plane<'static> {
        let pairs = self.values.iter().zip(other.values.iter());
        let values = pairs.map(|(&a, &b)| lerp(a, b, weight)).collect();
        Plane::new(self.width, Cow::Owned(values))
    }
}

/// Calls `found` with (line, start, end) for each run above the threshold, counted from the first voxels reached.
fn threshold_plane(
    plane: &Plane<'_>,
    along: &[(usize, f32)],
    across: &[(usize, f32)],
    threshold: f32,
    mut found: impl FnMut(usize, usize, usize),
) {
    let mut between = vec![0.0; plane.width];
    let mut values = vec![0.0; along.len()];
    // Where each voxel lies on one of the plane's own, there is nothing to interpolate.
    let own = along.first().filter(|first| {
        let steps = along.iter().zip(first.0..);
        steps
            .clone()
            .all(|(&(place, weight), own)| place == own && weight == 0.0)
    });
    for (row, &(place, weight)) in across.iter().enumerate() {
        // An average is nowhere above the highest of what it is made of.
        let highest = match weight == 0.0 {
            true => plane.line_highest[place],
            false => plane.line_highest[place].max(plane.line_highest[place + 1]),
        };
        if highest <= threshold {
            continue;
        }
        let mut line = plane.line(place);
        if weight != 0.0 {
            let pairs = line.iter().zip(plane.line(place + 1));
            between
                .iter_mut()
                .zip(pairs)
                .for_each(|(value, (&a, &b))| *value = lerp(a, b, weight));
            line = &between;
        }
        let values = match own {
            Some(&(first, _)) => &line[first..first + along.len()],
            None => {
                let places = values.iter_mut().zip(along);
                places.for_each(|(value, &(place, weight))| *value = lerp(line[place], line[place + 1], weight));
                &values
            }
        };
        runs_above(values, threshold, |start, end| found(row, start, end));
    }
}

/// Calls `found` with the start and the end of each run of values above the threshold.
fn runs_above(values: &[f32], threshold: f32, mut found: impl FnMut(usize, usize)) {
    let mut start = None;
    for (n, chunk) in values.chunks(64).enumerate() {
        let above = chunk.iter().filter(|value| **value > threshold).count();
        // Most stretches are wholly in or wholly out, as the one before was.
        if (above == 0 && start.is_none()) || (above == chunk.len() && start.is_some()) {
            continue;
        }
        for (n, value) in (n * 64..).zip(chunk) {
            if (*value > threshold) != start.is_some() {
                match start.take() {
                    None => start = Some(n),
                    Some(first) => found(first, n),
                }
            }
        }
    }
    if let Some(first) = start {
        found(first, values.len());
    }
}

fn highest(values: &[f32]) -> f32 {
    // Sixteen at a time, which the processor compares at once.
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(0.0, |highest, &value| if value > highest { value } else { highest })
}
