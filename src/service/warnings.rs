//! What a reader of a result's numbers should know, target by target.

use super::plan::{Plan, Target};
use super::{MaskAnswer, Trust, Warning};
use crate::anatomy::Catalogue;
use crate::measure::{Measurement, Status};
use crate::volume::Volume;
use std::collections::HashSet;

/// An image shorter than this share of a window along one of its axes is mostly padding to the network.
const LITTLE: f64 = 1.0 / 8.0;

/// Below this many annotated scans, a class is one of the less taught third of SAT's.
const FEW_SCANS: u32 = 100;
/// Below this the model was unsure of a mask as a whole.
const UNSURE: f64 = 0.6;
/// A structure of one piece whose largest piece is less of it than this has voxels where it should have none.
const MOST_OF_IT: f64 = 0.9;

/// Warnings of a result, each once. Of a target's, the message begins with the mask's name.
/// `masks` are those of the plan's targets.
pub(super) fn warnings(plan: &Plan, masks: &[MaskAnswer]) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = of_reading(&plan.volume);
    warnings.extend(small_image(plan));
    let found: HashSet<&str> = masks
        .iter()
        .filter(|mask| mask.measurement.status != Status::Empty)
        .map(|mask| mask.name.as_str())
        .collect();
    for (target, mask) in plan.targets.iter().zip(masks) {
        let measurement = &mask.measurement;
        let before = known_before(plan, target, mask.trust.as_ref()).into_iter();
        for (code, caveat) in before
            .chain(seen(plan, target, measurement))
            .chain(shared(mask, &found))
        {
            let warning = Warning {
                code: code.into(),
                message: format!("{}: {caveat}.", target.name),
                target: Some(target.asked.clone()),
                targets: None,
            };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let others = measurement
            .warnings
            .iter()
            .filter(|warning| warning.code != "empty_mask");
        warnings.extend(others.map(|warning| Warning {
            code: warning.code.clone(),
            message: warning.message.clone(),
            target: Some(target.asked.clone()),
            targets: None,
        }));
    }
    warnings
}

/// What happened to a DICOM series on its way to an image.
pub(super) fn of_reading(volume: &Volume) -> Vec<Warning> {
    let notes = volume.series().map(|series| series.notes()).unwrap_or_default();
    let warnings = notes.iter().map(|note| Warning {
        code: note.code().into(),
        message: note.to_string(),
        target: None,
        targets: None,
    });
    warnings.collect()
}

type Caveat = (&'static str, String);

/// What could be said before the scan was looked at.
fn known_before(plan: &Plan, target: &Target, trust: Option<&Trust>) -> Vec<Caveat> {
    if let Some(why) = &target.untrained {
        let why = why.trim_end_matches('.');
        return vec![(
            "untrained_target",
            format!("{why}. Whatever was found is an experiment, not a finding"),
        )];
    }
    let mut caveats = Vec::new();
    let model = &plan.folder.manifest().name;
    for piece in target.pieces.iter().filter(|piece| piece.experimental) {
        let figure = piece
            .dice
            .map(|dice| format!(" (Dice {dice:.3} in its own evaluation)"));
        let figure = figure.unwrap_or_default();
        let what = match piece.name == target.name {
            true => String::new(),
            false => format!("its part {} is ", piece.name),
        };
        caveats.push((
            super::text::EXPERIMENTAL,
            format!("{what}found poorly by {model}{figure}: do not rely on this mask or its volume"),
        ));
    }
    let Some(trust) = trust else {
        return caveats;
    };
    if let Some(scans) = trust.training_scans.filter(|scans| *scans < FEW_SCANS) {
        let scans = if scans == 1 {
            "1 scan".to_owned()
        } else {
            format!("{scans} scans")
        };
        caveats.push(("long_tail", format!("taught from {scans} only, so trust it less")));
    }
    let fetal = |name: &str| Catalogue::load().class(name).is_some_and(|class| class.only_fetuses);
    if plan.folder.manifest().taught_as_sat() && target.pieces.iter().any(|piece| fetal(&piece.name)) {
        caveats.push((
            "fetuses_only",
            "taught on scans of fetuses only, so on anyone else it is an experiment".into(),
        ));
    }
    let lesion = |name: &str| Catalogue::load().is_finding(name);
    if let Some(dice) = trust
        .published_dice
        .filter(|_| target.pieces.iter().any(|piece| lesion(&piece.name)))
    {
        caveats.push((
            "lesion_accuracy",
            format!("masks of lesions by {model} have a published Dice of {dice:.2}: have it checked by eye"),
        ));
    }
    caveats
}

/// What the mask itself gives away.
fn seen(plan: &Plan, target: &Target, measurement: &Measurement) -> Vec<Caveat> {
    let mut caveats: Vec<Caveat> = Vec::new();
    match measurement.status {
        Status::Present => {}
        Status::Empty => caveats.push((
            "empty_mask",
            "nothing was found. It may be absent, outside the scan, or missed".into(),
        )),
        Status::CutOff => {
            let faces: Vec<&str> = measurement.truncated_at.iter().map(|face| face.as_str()).collect();
            caveats.push((
                "cut_off",
                format!(
                    "the mask reaches the image's edge ({}), so the volume is at least this",
                    faces.join(", ")
                ),
            ));
        }
    }
    if let Some(probability) = measurement.mean_probability.filter(|probability| *probability < UNSURE) {
        caveats.push((
            "low_probability",
            format!("the model was unsure of it (mean probability {probability:.2})"),
        ));
    }
    let largest = measurement.largest_component_ml.unwrap_or(measurement.volume_ml);
    let one_piece = target.pieces.len() == 1 && Catalogue::load().is_one_piece(&target.name, plan.image.modality);
    if one_piece && largest < MOST_OF_IT * measurement.volume_ml {
        let percent = 100.0 * largest / measurement.volume_ml;
        caveats.push((
            "scattered",
            format!(
                "in {} pieces, the largest {percent:.0} % of it, where one is expected",
                measurement.components
            ),
        ));
    }
    for check in measurement.checks.iter().filter(|check| !check.ok) {
        let percent = check.value * 100.0;
        caveats.push(("check_failed", format!("{} is only {percent:.0} %", check.note)));
    }
    caveats
}

/// What was asked for twice: a tumour as itself and within its organ.
fn shared(mask: &MaskAnswer, found: &HashSet<&str>) -> Option<Caveat> {
    let inside = mask.includes.iter().flatten().map(String::as_str);
    let asked: Vec<&str> = inside.filter(|name| found.contains(name)).collect();
    (!asked.is_empty()).then(|| {
        let names = asked.join(" and ");
        ("overlapping", format!("holds {names}, so do not add the volumes"))
    })
}

fn small_image(plan: &Plan) -> Option<Warning> {
    let manifest = plan.folder.manifest();
    let (grid, _) = plan.volume.grid().reoriented(plan.orientation);
    let (shape, spacing) = (grid.shape(), grid.spacing());
    let image = [0, 1, 2].map(|axis| shape[axis] as f64 * spacing[axis]);
    let window = [0, 1, 2].map(|axis| manifest.window.size[axis] as f64 * manifest.preparation.spacing_mm[axis]);
    let small = (0..3).any(|axis| image[axis] < LITTLE * window[axis]);
    let said = |mm: [f64; 3]| mm.map(|mm| format!("{mm:.0}")).join(" x ");
    small.then(|| Warning {
        code: "small_image".into(),
        message: format!(
            "The image reaches over {} mm only. The network looks at {} mm at a time and sees mostly padding here: masks may be \
             poor.",
            said(image),
            said(window)
        ),
        target: None,
        targets: None,
    })
}
