//! From the masks of pieces to a measured mask for each target.
//!
//! Masks stay packed; they are unpacked one at a time, so that what a request takes does not grow with its targets.

use super::plan::{Piece, Plan, Target};
use crate::anatomy::{Catalogue, other_side};
use crate::measure::{Measurement, Measuring, agreement, measure};
use crate::store::KeptMask;
use crate::volume::{Mask, Modality, PackedMask, Volume};
use rayon::prelude::*;
use std::collections::HashMap;

/// One target's mask and its numbers.
pub(super) struct Measured {
    pub mask: PackedMask,
    pub measurement: Measurement,
}

/// A target's mask and the model's mean probability over it.
type MaskOf<'a> = HashMap<&'a str, (PackedMask, Option<f64>)>;

/// What the network is to be asked for, each once.
pub(super) fn distinct_pieces(targets: &[Target]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for piece in targets.iter().flat_map(|target| &target.pieces) {
        if !pieces.iter().any(|there| there.name == piece.name) {
            pieces.push(piece.clone());
        }
    }
    pieces
}

/// One entry per distinct name, in the order first asked.
pub(super) fn measured(plan: &Plan, of_piece: &HashMap<String, KeptMask>) -> Vec<(String, Measured)> {
    let mut targets: Vec<&Target> = Vec::new();
    for target in &plan.targets {
        if !targets.iter().any(|there| there.name == target.name) {
            targets.push(target);
        }
    }
    let masks: MaskOf<'_> = targets
        .iter()
        .map(|target| (target.name.as_str(), union_of(target, of_piece, &plan.volume)))
        .collect();
    let found = targets
        .par_iter()
        .map(|target| (target.name.clone(), measured_target(plan, target, &masks)));
    found.collect()
}

fn measured_target(plan: &Plan, target: &Target, masks: &MaskOf<'_>) -> Measured {
    let (packed, mean_probability) = &masks[target.name.as_str()];
    let laterality = Catalogue::load().mirrored_side(&target.name);
    let other = laterality.and_then(|_| masks.get(other_side(&target.name).as_str()));
    let other = other.map(|(mask, _)| mask.unpack());
    let mask = packed.unpack();
    let with = Measuring {
        image: Some(&plan.volume),
        modality: Some(plan.image.modality),
        laterality,
        counterpart: other.as_ref(),
        mean_probability: *mean_probability,
    };
    let mut measurement = measure(&target.name, &mask, &with);
    if target.composed_of.is_none() {
        let parts = parts_at_hand(&target.name, plan.image.modality, masks);
        measurement
            .checks
            .extend(parts.and_then(|parts| agreement(&mask, &parts).ok()));
    }
    Measured {
        mask: packed.clone(),
        measurement,
    }
}

/// The masks of a class's parts, where all of one way to divide it were asked for too.
fn parts_at_hand<'a>(name: &str, modality: Modality, masks: &'a MaskOf<'_>) -> Option<Vec<&'a PackedMask>> {
    let divisions = &Catalogue::load().class(name)?.divisions;
    let masks_of = |parts: &[String]| parts.iter().map(|part| Some(&masks.get(part.as_str())?.0)).collect();
    divisions
        .iter()
        .filter(|division| division.modality == modality)
        .find_map(|division| masks_of(&division.parts))
}

/// The mask of a target. A union's mean probability is that of its pieces, weighted by their voxels.
fn union_of(target: &Target, of_piece: &HashMap<String, KeptMask>, volume: &Volume) -> (PackedMask, Option<f64>) {
    let pieces: Vec<&KeptMask> = target
        .pieces
        .iter()
        .filter_map(|piece| of_piece.get(&piece.name))
        .collect();
    if let [only] = pieces.as_slice() {
        return (only.mask.clone(), only.mean_probability);
    }
    let mut union = Mask::empty(volume.shared_grid());
    let (mut sum, mut voxels) = (0.0, 0u64);
    for piece in pieces {
        union = union.union(&piece.mask.unpack());
        if let Some(probability) = piece.mean_probability {
            sum += probability * piece.mask.count() as f64;
            voxels += piece.mask.count();
        }
    }
    (PackedMask::from(&union), (voxels > 0).then(|| sum / voxels as f64))
}
