//! The answers in a few lines, for models that read only text and for people at a terminal.

use super::{MaskAnswer, MeasureAnswer, RunStatus, SegmentAnswer, Warning};
use crate::measure::Status;
use std::fmt::Write;

/// Code of the warning that a class's accuracy is low.
pub(super) const EXPERIMENTAL: &str = "experimental_class";

/// Answers of more masks than this say less of each.
const MANY: usize = 8;
/// Codes of warnings that a measurement's own sentence tells.
const TOLD: [&str; 3] = ["empty_mask", "cut_off", "check_failed"];

impl SegmentAnswer {
    /// What ran on what, a line a target with what to know of its number, and where the files are.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.status == RunStatus::Running {
            let eta = self
                .eta_s
                .map(|s| format!(" about {s:.0} s more"))
                .unwrap_or_else(|| " a while".into());
            let _ = write!(
                text,
                "Still running (result {}); it will take{eta}. Call segment again with the same arguments to get the result.",
                self.result_id
            );
            return text;
        }
        let [i, j, k] = self.image.shape;
        let [x, y, z] = self.image.spacing_mm;
        let _ = writeln!(
            text,
            "Found with {} {} in {} ({i} x {j} x {k} voxels of {x} x {y} x {z} mm, {}){}:",
            self.model.name,
            self.model.version,
            file_name(&self.image.uri),
            self.image.modality.as_str(),
            self.in_short()
        );
        for mask in &self.masks {
            let _ = writeln!(text, "- {}", self.line(mask));
        }
        if self.masks.len() > MANY {
            text.push_str(
                "Across: longest diameter within a slice; at: centre in mm RAS; probability: mean of the model's.\n",
            );
        }
        if let Some(source) = &self.model.published {
            let _ = writeln!(text, "Published Dice: {source}.");
        }
        for warning in self.warnings.iter().filter(|warning| warning.target.is_none()) {
            let _ = writeln!(text, "! {}", warning.message);
        }
        let files: Vec<&str> = [
            self.labelmap.as_ref().map(|l| l.path.as_deref().unwrap_or(&l.uri)),
            self.preview.as_ref().map(|p| p.path.as_deref().unwrap_or(&p.uri)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let _ = write!(text, "Result {}. ", self.result_id);
        if !files.is_empty() {
            let _ = write!(text, "Label map and preview: {}. ", files.join(", "));
        }
        let _ = write!(text, "Masks are linked below. Automatic measurements, not a diagnosis.");
        text
    }

    /// How many of the masks are not simply there.
    fn in_short(&self) -> String {
        let of = |status: Status| {
            self.masks
                .iter()
                .filter(|mask| mask.measurement.status == status)
                .count()
        };
        let mut counts = Vec::new();
        for (status, what) in [
            (Status::Empty, "not found"),
            (Status::CutOff, "cut off by the image's edge"),
        ] {
            if of(status) > 0 {
                counts.push(format!("{} {what}", of(status)));
            }
        }
        match counts.is_empty() || self.masks.len() == 1 {
            true => String::new(),
            false => format!("; of {} targets {}", self.masks.len(), counts.join(", ")),
        }
    }

    /// A mask's numbers, then what to know of them.
    fn line(&self, mask: &MaskAnswer) -> String {
        let measurement = &mask.measurement;
        let facts = if self.masks.len() > MANY {
            measurement.brief()
        } else {
            measurement.sentence()
        };
        let mut line = format!("{}{facts}", asked_as(mask));
        if let Some(parts) = &mask.composed_of {
            let _ = write!(line, " The union of {}.", parts.join(", "));
        }
        let inside = mask.includes.iter().flatten();
        let inside: Vec<&str> = inside.map(String::as_str).collect();
        let told = |code: &str| TOLD.contains(&code);
        for warning in self
            .warnings
            .iter()
            .filter(|warning| warning.target.as_ref() == Some(&mask.target))
        {
            if !told(&warning.code) {
                let _ = write!(line, " ! {}", capital(caveat(&mask.name, &warning.message)));
            }
        }
        let overlapping =
            |warning: &Warning| warning.code == "overlapping" && warning.target.as_ref() == Some(&mask.target);
        if !inside.is_empty() && measurement.status != Status::Empty && !self.warnings.iter().any(overlapping) {
            let _ = write!(line, " Any {} in it counts to it.", inside.join(" or "));
        }
        line
    }
}

/// A warning's message without the name before it.
fn caveat<'a>(name: &str, message: &'a str) -> &'a str {
    let rest = message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(message)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl MeasureAnswer {
    /// A line a measurement, then the warnings.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for measurement in &self.measurements {
            let _ = writeln!(text, "- {}", measurement.sentence());
        }
        write_warnings(&mut text, &self.warnings);
        text.truncate(text.trim_end().len());
        text
    }
}

fn asked_as(mask: &MaskAnswer) -> String {
    match mask.target.trim().eq_ignore_ascii_case(&mask.name) {
        true => String::new(),
        false => format!("{:?} = ", mask.target),
    }
}

/// A line a warning; what is said of several targets is said once.
pub(crate) fn warning_lines(warnings: &[Warning]) -> Vec<String> {
    let (weak, others): (Vec<_>, Vec<_>) = grouped(warnings)
        .into_iter()
        .partition(|warning| warning.code == EXPERIMENTAL);
    let mut lines: Vec<String> = Vec::new();
    match weak.as_slice() {
        [] => {}
        [only] => lines.push(only.message.clone()),
        several => {
            let names = several.iter().filter_map(|warning| warning.message.split_once(": "));
            let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
            names.dedup();
            lines.push(format!(
                "Experimental, found poorly by this model: {}. Do not rely on these masks or their volumes.",
                names.join(", ")
            ));
        }
    }
    lines.extend(others.into_iter().map(|warning| warning.message));
    lines
}

/// Warnings that say the same of several targets as one, which names them all.
pub(super) fn grouped(warnings: &[Warning]) -> Vec<Warning> {
    let mut groups: Vec<(Warning, Vec<&str>, &str)> = Vec::new();
    for warning in warnings {
        let (name, caveat) = match (&warning.target, warning.message.split_once(": ")) {
            (Some(_), Some(parts)) => parts,
            _ => ("", warning.message.as_str()),
        };
        let same = |(first, _, said): &&mut (Warning, Vec<&str>, &str)| first.code == warning.code && *said == caveat;
        match groups.iter_mut().find(same) {
            Some((_, names, _)) if names.contains(&name) => {}
            Some((_, names, _)) => names.push(name),
            None => groups.push((warning.clone(), vec![name], caveat)),
        }
    }
    let joined = groups.into_iter().map(|(first, names, caveat)| match names.len() {
        1 => first,
        _ => Warning {
            message: format!("{}: {caveat}", names.join(", ")),
            target: None,
            ..first
        },
    });
    joined.collect()
}

fn write_warnings(text: &mut String, warnings: &[Warning]) {
    for line in warning_lines(warnings) {
        let _ = writeln!(text, "! {line}");
    }
}

fn file_name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}
