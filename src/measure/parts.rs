//! The larger pieces of a mask, one by one: a list of lesions.

use super::components::Components;
use super::diameter::LineEnds;
use super::rows::Rows;
use super::shape::Moments;
use super::types::{BoundingBox, Measurement, Part};
use super::{intensity, numbers};
use crate::volume::{Grid, Volume};

/// Pieces smaller than this aren't listed.
const LEAST_ML: f64 = 0.02;
/// No more pieces than this are listed.
const MOST: usize = 50;
/// Place of a piece that isn't listed.
const UNLISTED: u8 = u8::MAX;

/// What is added up for a piece.
struct Piece {
    moments: Moments,
    around: BoundingBox<u32>,
    sum: f64,
    numbers: u64,
}

/// The list of a mask that is one piece: what is known of the mask, and the mean of the image in it.
pub(crate) fn only(whole: &Measurement, grid: &Grid, mean: Option<f64>) -> Vec<Part> {
    let part = || {
        Some(Part {
            volume_ml: (volume(whole.voxels, grid) > LEAST_ML).then_some(whole.volume_ml)?,
            centroid_mm: whole.centroid_mm?,
            longest_diameter_mm: whole.longest_diameter_mm?,
            mean_intensity: mean.and_then(numbers::intensity),
        })
    };
    part().into_iter().collect()
}

fn volume(voxels: u64, grid: &Grid) -> f64 {
    voxels as f64 * grid.voxel_volume() / 1000.0
}

/// Pieces over 0.02 mL, largest first (equals in stored order), at most 50.
pub(crate) fn listed(rows: &Rows, pieces: &Components, grid: &Grid, axis: usize, image: Option<&Volume>) -> Vec<Part> {
    let mut chosen: Vec<usize> = (0..pieces.voxels.len()).collect();
    chosen.retain(|&piece| volume(pieces.voxels[piece], grid) > LEAST_ML);
    chosen.sort_by_key(|&piece| std::cmp::Reverse(pieces.voxels[piece])); // stable: equals stay in stored order
    chosen.truncate(MOST);
    let mut place = vec![UNLISTED; pieces.voxels.len()];
    chosen.iter().enumerate().for_each(|(n, &piece)| place[piece] = n as u8);
    let place_of_span = |span: usize| usize::from(place[pieces.of_span[span] as usize]);

    let none = BoundingBox {
        min: [u32::MAX; 3],
        max: [0; 3],
    };
    let mut sums: Vec<Piece> = Vec::new();
    sums.resize_with(chosen.len(), || Piece {
        moments: Moments::default(),
        around: none,
        sum: 0.0,
        numbers: 0,
    });
    for line in rows.lines() {
        let values = image.map(|image| intensity::row(image, line.j, line.k));
        for (n, span) in line.spans.iter().enumerate() {
            let Some(piece) = sums.get_mut(place_of_span(line.first + n)) else {
                continue;
            };
            piece.moments.add(line.j, line.k, span);
            let bounds = [(span.start, span.end - 1), (line.j, line.j), (line.k, line.k)];
            for (a, (low, high)) in bounds.into_iter().enumerate() {
                piece.around.min[a] = piece.around.min[a].min(low);
                piece.around.max[a] = piece.around.max[a].max(high);
            }
            if let Some(values) = values {
                let (sum, numbers) = intensity::sum(&values[span.start as usize..span.end as usize]);
                piece.sum += sum;
                piece.numbers += numbers;
            }
        }
    }
    let mut ends: Vec<LineEnds> = sums.iter().map(|piece| LineEnds::new(&piece.around, axis)).collect();
    for line in rows.lines() {
        for (n, span) in line.spans.iter().enumerate() {
            if let Some(ends) = ends.get_mut(place_of_span(line.first + n)) {
                ends.add(line.j, line.k, *span);
            }
        }
    }
    let parts = sums.iter().zip(&ends).filter_map(|(piece, ends)| {
        let mean = (piece.numbers > 0).then(|| piece.sum / piece.numbers as f64);
        Some(Part {
            volume_ml: numbers::ml(volume(piece.moments.voxels, grid))?,
            centroid_mm: piece.moments.centroid(grid).and_then(numbers::point)?,
            longest_diameter_mm: numbers::mm(ends.longest(grid.affine()))?,
            mean_intensity: mean.and_then(numbers::intensity),
        })
    });
    parts.collect()
}
