//! Numbers about a mask: volume, place, shape, pieces, intensity, agreement with another mask.
//!
//! [`measure`] walks over the mask's runs, so it costs what the mask costs and not what the image does. Conventions:
//! millimetres are RAS+, 1 mL is 1000 mm3, voxel indices count from 0 in the stored order. A figure that can't be computed is
//! absent and a warning says why; nothing is ever NaN, infinite or a stand-in zero. How many digits are kept: `numbers`.
//!
//! [`compare`] holds a mask against a reference, [`side`] and [`agreement`] ask whether an answer is plausible, and
//! [`Measurement::sentence`] says it all in a line for a reader of text.

mod checks;
mod compare;
mod components;
mod diameter;
mod intensity;
mod numbers;
mod rows;
mod sentence;
mod shape;
mod surface;
mod surfels;
#[cfg(test)]
mod testing;
mod types;

pub use checks::{agreement, side};
pub use compare::{CompareError, compare};
pub use types::{
    BoundingBox, Check, Comparison, Face, Intensity, Laterality, MeasureWarning, Measurement, Part, Status,
};

use components::Components;
use rows::{Rows, Span};
use shape::Moments;

use crate::volume::{Mask, Modality, Volume};

/// Pieces smaller than this aren't listed.
const LEAST_PART_ML: f64 = 0.02;
/// No more pieces than this are listed.
const MOST_PARTS: usize = 50;

/// What is known besides the mask itself.
#[derive(Clone, Copy, Default)]
pub struct Measuring<'a> {
    /// The image, for intensities. It must lie on the mask's grid.
    pub image: Option<&'a Volume>,
    /// What made the image, for the unit of its intensities.
    pub modality: Option<Modality>,
    /// The unit of the image's intensities where the file said it (PET: `Bq/mL`, `SUVbw`); otherwise by modality.
    pub unit: Option<&'a str>,
    /// The side that the structure's name claims, to check it.
    pub laterality: Option<Laterality>,
    /// The same structure of the other side, which tells where the midline is.
    pub counterpart: Option<&'a Mask>,
    /// The model's mean probability over the mask.
    pub mean_probability: Option<f64>,
}

/// All that can be said about one mask. An empty mask has no place and no size but is an answer.
pub fn measure(name: &str, mask: &Mask, with: &Measuring) -> Measurement {
    let grid = mask.grid();
    let rows = Rows::new(mask);
    let spans = rows.spans();
    let mut warnings = Vec::new();
    let mut out = Measurement {
        name: name.to_owned(),
        voxels: mask.count(),
        volume_ml: millilitres(mask.count(), mask).unwrap_or_default(),
        centroid_mm: None,
        bounding_box_voxel: None,
        bounding_box_mm: None,
        extent_mm: None,
        longest_diameter_mm: None,
        components: 0,
        largest_component_ml: None,
        truncated_at: Vec::new(),
        intensity: None,
        mean_probability: with.mean_probability.and_then(numbers::share),
        status: Status::Empty,
        parts: Vec::new(),
        checks: Vec::new(),
        comparison: None,
        warnings: Vec::new(),
    };
    let (Some(voxels), Some(world)) = (shape::voxel_box(spans), shape::world_box(spans, grid)) else {
        out.mean_probability = None;
        warnings.push(MeasureWarning::new(
            "empty_mask",
            format!("{name}: the mask has no voxels, so position, size and intensity are undefined."),
        ));
        out.warnings = warnings;
        return out;
    };
    let mut moments = Moments::default();
    spans.iter().for_each(|s| moments.add(s));
    out.centroid_mm = moments.centroid(grid).and_then(numbers::point);
    out.bounding_box_voxel = Some(voxels);
    out.bounding_box_mm = numbers::point(world.min)
        .zip(numbers::point(world.max))
        .map(|(min, max)| BoundingBox { min, max });
    out.extent_mm = numbers::point(std::array::from_fn(|a| world.max[a] - world.min[a]));
    let axis = head_foot_axis(mask);
    out.longest_diameter_mm = diameter::longest(spans.iter(), grid.affine(), axis).and_then(numbers::mm);
    out.truncated_at = shape::faces(&voxels, grid);
    out.status = if out.truncated_at.is_empty() {
        Status::Present
    } else {
        Status::CutOff
    };

    let image = usable_image(name, mask, with, &mut warnings);
    if let Some(image) = image {
        let unit = with.unit.unwrap_or_else(|| intensity::unit(with.modality));
        let (values, lost) = intensity::gather(&rows, image);
        out.intensity = intensity::statistics(values, unit);
        if lost > 0 {
            warnings.push(MeasureWarning::new(
                "not_finite",
                format!(
                    "{name}: {lost} voxels of the image inside the mask hold no number and were left out of intensity."
                ),
            ));
        }
    }
    let pieces = Components::new(&rows);
    out.components = pieces.voxels.len() as u64;
    out.largest_component_ml = pieces.voxels.iter().max().and_then(|&n| millilitres(n, mask));
    out.parts = parts(&rows, &pieces, mask, axis, image);
    out.checks.extend(
        with.laterality
            .and_then(|laterality| side(mask, laterality, with.counterpart)),
    );
    out.warnings = warnings;
    out
}

/// The image if it lies on the mask's grid; a warning otherwise.
fn usable_image<'a>(
    name: &str,
    mask: &Mask,
    with: &Measuring<'a>,
    warnings: &mut Vec<MeasureWarning>,
) -> Option<&'a Volume> {
    let image = with.image?;
    if image.grid().agrees_with(mask.grid()) {
        return Some(image);
    }
    warnings.push(MeasureWarning::new(
        "image_grid_differs",
        format!(
            "{name}: the image does not lie on the mask's grid (shape or affine differs), so intensity is left out."
        ),
    ));
    None
}

/// The larger pieces, one by one.
fn parts(rows: &Rows, pieces: &Components, mask: &Mask, axis: usize, image: Option<&Volume>) -> Vec<Part> {
    let mut listed: Vec<usize> = (0..pieces.voxels.len()).collect();
    let volume = |n: u64| n as f64 * mask.grid().voxel_volume() / 1000.0;
    listed.retain(|&p| volume(pieces.voxels[p]) > LEAST_PART_ML);
    listed.sort_by_key(|&p| std::cmp::Reverse(pieces.voxels[p])); // stable: equals stay in stored order
    listed.truncate(MOST_PARTS);
    let mut place = vec![usize::MAX; pieces.voxels.len()];
    listed.iter().enumerate().for_each(|(n, &p)| place[p] = n);
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); listed.len()];
    for (span, &piece) in rows.spans().iter().zip(&pieces.of_span) {
        if let Some(of_part) = spans.get_mut(place[piece as usize]) {
            of_part.push(*span);
        }
    }
    spans
        .iter()
        .filter_map(|spans| part(spans, mask, axis, image))
        .collect()
}

fn part(spans: &[Span], mask: &Mask, axis: usize, image: Option<&Volume>) -> Option<Part> {
    let mut moments = Moments::default();
    spans.iter().for_each(|s| moments.add(s));
    let mean = image.and_then(|image| {
        let sums = spans.iter().map(|s| intensity::sum(s, image));
        let (sum, n) = sums.fold((0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        (n > 0).then(|| sum / n as f64)
    });
    Some(Part {
        volume_ml: millilitres(moments.voxels, mask)?,
        centroid_mm: moments.centroid(mask.grid()).and_then(numbers::point)?,
        longest_diameter_mm: diameter::longest(spans.iter(), mask.grid().affine(), axis).and_then(numbers::mm)?,
        mean_intensity: mean.and_then(numbers::intensity),
    })
}

fn millilitres(voxels: u64, mask: &Mask) -> Option<f64> {
    numbers::ml(voxels as f64 * mask.grid().voxel_volume() / 1000.0)
}

/// The stored axis nearest to head-foot: slices across it are the ones that a radiologist measures in.
fn head_foot_axis(mask: &Mask) -> usize {
    mask.grid().axis_code().stored_axis(2)
}

#[cfg(test)]
mod tests;
