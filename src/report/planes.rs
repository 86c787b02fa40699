//! Which planes a preview shows, and how much of the body around the targets.

use super::slices::{Frame, Profile, View};
use super::window::sorted_sample;
use crate::volume::{Modality, Volume};

/// A target counts as seen where a plane shows at least this part of what its best plane of that view would.
const SEEN: f64 = 0.35;
/// Above this part, more of a target is no reason to leave the place next to the main target's centre.
const ENOUGH: f64 = 0.8;

/// One row of a preview: a plane for each view, as coordinates across them (axial, coronal, sagittal).
pub(super) type Planes = [usize; 3];

/// Rows of planes, at most `rows`: each view takes the plane that shows most of the targets well, nearest to the centre of
/// the main target; what a row doesn't show, the next one looks for. Also says which targets are seen in any.
pub(super) fn choose(
    profiles: &[Profile],
    main: Option<usize>,
    frame: &Frame,
    rows: usize,
) -> (Vec<Planes>, Vec<bool>) {
    let mut seen: Vec<bool> = profiles.iter().map(|p| p.range(0).is_none()).collect(); // nothing to see
    let mut chosen: Vec<Planes> = Vec::new();
    let none: Vec<bool> = seen.clone();
    while chosen.len() < rows && (chosen.is_empty() || seen.contains(&false)) {
        let seen_counts = if chosen.is_empty() { 0.15 } else { 0.02 };
        let mut planes = [0; 3];
        for (n, view) in View::ALL.into_iter().enumerate() {
            let through = view.axes()[2];
            // A target that another plane shows already still counts a little, so that planes keep to where things are;
            // slivers and specks count less than organs.
            let weight = |(p, &seen): (&Profile, &bool)| {
                let ml = p.voxels() as f64 * frame.grid.voxel_volume() / 1000.0;
                (ml / (ml + 1.0)).sqrt() * if seen { seen_counts } else { 1.0 }
            };
            let weights: Vec<f64> = profiles.iter().zip(&seen).map(weight).collect();
            planes[n] = best_plane(profiles, &weights, main, through, frame.grid.shape()[through]);
            for (target, profile) in profiles.iter().enumerate() {
                seen[target] |= profile.shown(through, planes[n]) >= SEEN;
            }
        }
        chosen.push(planes);
    }
    let visible = seen.iter().zip(none).map(|(&seen, empty)| seen && !empty).collect();
    (chosen, visible)
}

fn best_plane(profiles: &[Profile], weights: &[f64], main: Option<usize>, axis: usize, length: usize) -> usize {
    let middle = (length as f64 - 1.0) / 2.0;
    let centre = main.map_or(middle, |n| profiles[n].centre(axis));
    let all = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let score = |at: usize| {
        let shown = |(p, w): (&Profile, &f64)| w * p.shown(axis, at).min(ENOUGH) / ENOUGH;
        let away = (at as f64 - centre).abs() / length as f64;
        profiles.iter().zip(weights).map(shown).sum::<f64>() / all - 0.2 * away
    };
    (0..length).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap_or(0)
}

/// First and last coordinate along each view axis that the pictures show.
///
/// The body without the air around it; where the targets take up little of it, up to 1.6 times closer.
pub(super) fn field(volume: &Volume, modality: Modality, profiles: &[Profile], frame: &Frame) -> [(usize, usize); 3] {
    let spacing = frame.grid.spacing();
    let shape = frame.grid.shape();
    let body = body(volume, modality, frame);
    std::array::from_fn(|axis| {
        let last = shape[axis] - 1;
        let margin = |mm: f64| (mm / spacing[axis]).ceil() as usize;
        let (mut low, mut high) = body[axis];
        let ranges: Vec<(usize, usize)> = profiles.iter().filter_map(|p| p.range(axis)).collect();
        let first = ranges.iter().map(|r| r.0).min();
        let end = ranges.iter().map(|r| r.1).max();
        if let (Some(first), Some(end)) = (first, end) {
            (low, high) = (low.min(first), high.max(end));
            let room = ((high - low + 1) as f64 / 1.6).ceil() as usize;
            let (near, far) = (
                first.saturating_sub(margin(35.0)).max(low),
                (end + margin(35.0)).min(high),
            );
            let missing = room.saturating_sub(far - near + 1);
            // Widen evenly, and where the body ends on one side, on the other.
            let below = (missing / 2).max(missing.saturating_sub(high - far)).min(near - low);
            let above = (missing - below.min(missing)).min(high - far);
            (low, high) = (near - below, far + above);
        }
        (low.saturating_sub(margin(4.0)), (high + margin(4.0)).min(last))
    })
}

/// Where there is more than air, along each view axis.
fn body(volume: &Volume, modality: Modality, frame: &Frame) -> [(usize, usize); 3] {
    let shape = frame.grid.shape();
    let threshold = match modality {
        Modality::Ct => -300.0,
        Modality::Mri | Modality::Pet => above_background(volume),
    };
    let mut counts: [Vec<u32>; 3] = shape.map(|n| vec![0; n]);
    let step = [0, 1, 2].map(|a| shape[a].div_ceil(160));
    for n in (0..shape[2]).step_by(step[2]) {
        let slice = frame.slice(volume, View::Axial, n);
        for y in (0..shape[1]).step_by(step[1]) {
            for x in (0..shape[0]).step_by(step[0]) {
                if f64::from(slice.values[x + slice.width * y]) > threshold {
                    counts[0][x] += 1;
                    counts[1][y] += 1;
                    counts[2][n] += 1;
                }
            }
        }
    }
    std::array::from_fn(|axis| {
        // A few bright specks or a table's edge are not the body.
        let most = counts[axis].iter().max().copied().unwrap_or(0);
        let full = |&n: &u32| n > 0 && f64::from(n) >= 0.03 * f64::from(most);
        match (counts[axis].iter().position(full), counts[axis].iter().rposition(full)) {
            (Some(low), Some(high)) => (
                low.saturating_sub(step[axis] - 1),
                (high + step[axis] - 1).min(shape[axis] - 1),
            ),
            _ => (0, shape[axis] - 1),
        }
    })
}

fn above_background(volume: &Volume) -> f64 {
    let values = sorted_sample(volume, 200_000);
    let at = |share: f64| {
        values
            .get((share * values.len() as f64) as usize)
            .map_or(0.0, |&v| f64::from(v))
    };
    let (low, high) = (at(0.01), at(0.99));
    low + 0.12 * (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Affine, Grid, Mask};
    use std::sync::Arc;

    fn box_mask(grid: &Arc<Grid>, low: [usize; 3], high: [usize; 3]) -> Mask {
        let shape = grid.clone();
        Mask::from_predicate(grid.clone(), move |n| {
            let v = shape.voxel(n);
            (0..3).all(|a| (low[a]..=high[a]).contains(&v[a]))
        })
    }

    #[test]
    fn a_second_row_looks_for_what_the_first_does_not_show() {
        let grid = Arc::new(Grid::new([40, 40, 40], Affine::identity()));
        let frame = Frame::new(&grid);
        let masks = [
            box_mask(&grid, [2, 2, 2], [20, 20, 20]),
            box_mask(&grid, [35, 35, 35], [36, 36, 36]),
            box_mask(&grid, [30, 1, 30], [31, 2, 31]),
            box_mask(&grid, [1, 30, 38], [2, 31, 39]),
            box_mask(&grid, [25, 25, 5], [26, 26, 6]),
            box_mask(&grid, [1, 1, 1], [0, 0, 0]),
        ];
        let profiles: Vec<Profile> = masks.iter().map(|m| Profile::new(m, &frame)).collect();
        let (rows, seen) = choose(&profiles, Some(0), &frame, 2);
        assert_eq!(rows.len(), 2);
        assert_eq!(seen, [true, true, true, true, true, false]);
        // A single target is cut through its centre.
        let (rows, _) = choose(&profiles[..1], Some(0), &frame, 2);
        assert_eq!(rows, [[28, 28, 28]]);
    }

    #[test]
    fn the_field_holds_the_targets_and_leaves_out_air() {
        let grid = Arc::new(Grid::new([60, 60, 60], Affine::identity() * 4.0));
        let body = box_mask(&grid, [10, 15, 5], [49, 44, 54]);
        let voxels = (0..grid.len())
            .map(|n| if body.contains(n as u64) { 40.0 } else { -1000.0 })
            .collect();
        let volume = Volume::new(grid.clone(), voxels, Some(Modality::Ct));
        let frame = Frame::new(&grid);
        let all = field(&volume, Modality::Ct, &[], &frame);
        assert_eq!(all, [(9, 50), (14, 45), (4, 55)]);
        let small = Profile::new(&box_mask(&grid, [12, 30, 20], [13, 31, 21]), &frame);
        let near = field(&volume, Modality::Ct, &[small], &frame);
        for axis in 0..3 {
            let (low, high) = near[axis];
            let (from, to) = (all[axis].0, all[axis].1);
            assert!(
                low >= from && high <= to && high - low + 1 >= (to - from) * 10 / 17,
                "{near:?}"
            );
        }
    }
}
