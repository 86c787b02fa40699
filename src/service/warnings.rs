//! What a reader of a result's numbers should know, target by target.

use super::Warning;
use super::faults::sentence;
use super::found::Measured;
use super::plan::{Plan, Target};
use crate::measure::Status;
use std::collections::HashMap;

/// An image shorter than this share of a window along one of its axes is mostly padding to the network.
const LITTLE: f64 = 1.0 / 8.0;

/// Warnings of a result, each once.
pub(super) fn warnings(plan: &Plan, found: &HashMap<&str, &Measured>) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = small_image(plan).into_iter().collect();
    let mut warn = |target: &Target, code: &str, message: String| {
        let warning = Warning {
            code: code.into(),
            message,
            target: Some(target.asked.clone()),
        };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    };
    for target in &plan.targets {
        let name = &target.name;
        if let Some(why) = &target.untrained {
            let message = format!(
                "{} Whatever was found is an experiment, not a finding.",
                sentence(why.clone())
            );
            warn(target, "untrained_target", message);
        }
        for piece in &target.pieces {
            if let Some(dice) = piece.experimental {
                let figure = dice
                    .map(|dice| format!(" (Dice {dice:.3} in its own evaluation)"))
                    .unwrap_or_default();
                let model = &plan.folder.manifest().name;
                let message = format!(
                    "{model} finds {:?} poorly{figure}: do not rely on this mask or its volume.",
                    piece.name
                );
                warn(target, super::text::EXPERIMENTAL, message);
            }
        }
        let measurement = &found[name.as_str()].measurement;
        match measurement.status {
            Status::Present => {}
            Status::Empty => {
                warn(
                    target,
                    "empty_mask",
                    format!("{name}: nothing was found. It may be absent, outside the scan, or missed."),
                );
            }
            Status::CutOff => {
                let faces: Vec<&str> = measurement.truncated_at.iter().map(|face| face.as_str()).collect();
                let message = format!(
                    "{name}: the mask reaches the image's edge ({}), so the volume is at least this.",
                    faces.join(", ")
                );
                warn(target, "cut_off", message);
            }
        }
        for check in measurement.checks.iter().filter(|check| !check.ok) {
            let message = format!("{name}: {} is only {:.0} %.", check.note, check.value * 100.0);
            warn(target, "check_failed", message);
        }
        for warning in measurement
            .warnings
            .iter()
            .filter(|warning| warning.code != "empty_mask")
        {
            warn(target, &warning.code, warning.message.clone());
        }
    }
    warnings
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
    })
}
