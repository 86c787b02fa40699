//! Numbers about a mask: volume, place, shape, pieces, intensity, agreement with another mask.
//!
//! [`measure`] walks over the mask's runs, so it costs what the mask costs and not what the image does; what it takes in memory is
//! bounded for the worst of masks, and no figure is an estimate. Conventions:
//! millimetres are RAS+, 1 mL is 1000 mm3, voxel indices count from 0 in the stored order. A figure that can't be computed is
//! absent and a warning says why; nothing is ever NaN, infinite or a stand-in zero. How many digits are kept: `numbers`.
//!
//! [`compare`] holds a mask against a reference, [`side`] and [`agreement`] ask whether an answer is plausible, and
//! [`Measurement::sentence`] says it all in a line for a reader of text.

mod checks;
mod compare;
mod components;
mod diameter;
mod far;
mod intensity;
mod lattice;
mod nearest;
mod numbers;
mod parts;
mod rings;
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
use diameter::LineEnds;
use rows::Rows;
use shape::Moments;

use crate::volume::{Mask, Modality, Volume};

/// What is known besides the mask itself.
#[derive(Clone, Copy, Default)]
pub struct Measuring<'a> {
    /// The image, for intensities. It must lie on the mask's grid.
    pub image: Option<&'a Volume>,
    /// What made the image, for the unit of its intensities where the image does not know it ([`Volume::unit`]).
    pub modality: Option<Modality>,
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
    let (Some(voxels), Some(world)) = (rows.voxel_box(), shape::world_box(&rows, grid)) else {
        out.mean_probability = None;
        warnings.push(MeasureWarning::new(
            "empty_mask",
            format!("{name}: the mask has no voxels, so position, size and intensity are undefined."),
        ));
        out.warnings = warnings;
        return out;
    };
    out.centroid_mm = Moments::of(&rows).centroid(grid).and_then(numbers::point);
    out.bounding_box_voxel = Some(voxels);
    out.bounding_box_mm = numbers::point(world.min)
        .zip(numbers::point(world.max))
        .map(|(min, max)| BoundingBox { min, max });
    out.extent_mm = numbers::point(std::array::from_fn(|a| world.max[a] - world.min[a]));
    let axis = head_foot_axis(mask);
    let mut ends = LineEnds::new(&voxels, axis);
    rows.lines().for_each(|line| ends.add_line(&line));
    out.longest_diameter_mm = numbers::mm(ends.longest(grid.affine()));
    drop(ends);
    out.truncated_at = shape::faces(&voxels, grid);
    out.status = if out.truncated_at.is_empty() {
        Status::Present
    } else {
        Status::CutOff
    };

    let image = usable_image(name, mask, with, &mut warnings);
    let mut mean = None;
    if let Some(image) = image {
        let unit = image
            .unit()
            .map_or(intensity::unit(with.modality), |unit| unit.as_str());
        let found = intensity::statistics(&rows, image, unit);
        (out.intensity, mean) = (found.intensity, found.mean);
        warnings.extend(not_finite(name, found.lost, mean.is_some()));
    }
    let pieces = Components::new(&rows);
    out.components = pieces.voxels.len() as u64;
    out.largest_component_ml = pieces.voxels.iter().max().and_then(|&n| millilitres(n, mask));
    out.parts = match out.components {
        1 => parts::only(&out, grid, mean),
        _ => parts::listed(&rows, &pieces, grid, axis, image),
    };
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

/// What is to be said of voxels whose values are no numbers, some of them or all.
fn not_finite(name: &str, lost: u64, some_are: bool) -> Option<MeasureWarning> {
    let message = match (lost, some_are) {
        (0, _) => return None,
        (_, true) => {
            format!("{name}: {lost} voxels of the image inside the mask hold no number and were left out of intensity.")
        }
        (_, false) => {
            format!("{name}: no voxel of the image inside the mask holds a number, so intensity is left out.")
        }
    };
    Some(MeasureWarning::new("not_finite", message))
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
