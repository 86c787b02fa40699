//! What a reader of a result's numbers should know, target by target.

use super::Warning;
use super::found::Measured;
use super::plan::{Plan, Target};
use crate::measure::Status;
use std::collections::HashMap;

/// Warnings of a result, each once.
pub(super) fn warnings(plan: &Plan, found: &HashMap<&str, &Measured>) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = Vec::new();
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
        if target.untrained {
            let message = format!("SAT was never taught {name:?}: whatever was found is an experiment, not a finding.");
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
