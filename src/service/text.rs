//! The answers in a few lines, for models that read only text and for people at a terminal.

use super::{MaskAnswer, MeasureAnswer, RunStatus, SegmentAnswer, Warning};
use std::fmt::Write;

/// Code of the warning that a class's accuracy is low.
pub(super) const EXPERIMENTAL: &str = "experimental_class";

impl SegmentAnswer {
    /// A line a target, then the warnings, then where the files are.
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
            "Found with {} {} in {} ({i} x {j} x {k} voxels of {x} x {y} x {z} mm, {}):",
            self.model.name,
            self.model.version,
            file_name(&self.image.uri),
            self.image.modality.as_str(),
        );
        for mask in &self.masks {
            let _ = writeln!(text, "- {}{}", asked_as(mask), mask.measurement.sentence());
            if let Some(parts) = &mask.composed_of {
                let _ = writeln!(text, "  (the union of {})", parts.join(" and "));
            }
        }
        write_warnings(&mut text, &self.warnings);
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

/// A line a warning; warnings that say the same of several targets are one line.
pub(crate) fn warning_lines(warnings: &[Warning]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let experimental: Vec<&str> = warnings
        .iter()
        .filter(|warning| warning.code == EXPERIMENTAL)
        .filter_map(|warning| warning.target.as_deref())
        .collect();
    for warning in warnings {
        let line = match experimental.len() > 1 && warning.code == EXPERIMENTAL {
            true => format!(
                "Experimental, found poorly by this model: {}. Do not rely on these masks or their volumes.",
                experimental.join(", ")
            ),
            false => warning.message.clone(),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn write_warnings(text: &mut String, warnings: &[Warning]) {
    for line in warning_lines(warnings) {
        let _ = writeln!(text, "! {line}");
    }
}

fn file_name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}
