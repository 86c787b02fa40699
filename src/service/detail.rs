//! Short answers: what a reader of the summary can do without. All of it stays in `result.json`.

use super::budget::{Cut, cut, cut_where, fit};
use super::text::grouped;
use crate::anatomy::{ListAnswer, ListRequest};
use crate::service::{MeasureAnswer, SegmentAnswer, Warning};
use serde::Serialize;
use serde_json::Value;

/// Tokens that a summary may have, whatever it is of; many targets have as much each as twenty of them.
const MOST: usize = 1950;
/// Targets beyond which the limit grows with them.
const MANY: usize = 20;
/// Tokens of a page of the list that is meant to be read by a model: one of at most this many items.
const MOST_LISTED: usize = 740;
const PAGE: i64 = 20;

/// What a long summary of a segmentation leaves out, the least missed first: hashes, what is said twice and what is plain before
/// any figure. The text tells the figures all the same.
const OF_SEGMENT: &[Cut] = &[
    cut("image.sha256"),
    cut("model.sha256"),
    cut("labelmap.labels"),
    cut("masks[].measurement.name"),
    cut_where("masks[].measurement.truncated_at", |faces, _| {
        faces.as_array().is_some_and(Vec::is_empty)
    }),
    // the warnings say them
    cut("masks[].measurement.checks"),
    cut("masks[].measurement.warnings"),
    cut("masks[].files[].bytes"),
    cut_where("masks[].measurement.components", |count, _| *count == 1),
    cut("masks[].measurement.largest_component_ml"),
    cut("masks[].measurement.intensity.min"),
    cut("masks[].measurement.intensity.max"),
    // the folder that the label map's path names holds them all, under the names that the URIs end with
    cut("masks[].files[].path"),
    cut("masks[].measurement.intensity"),
    cut("masks[].trust"),
    cut_where("masks[].measurement.status", |status, _| status == "present"),
    cut("masks[].files[].format"),
    cut("masks[].measurement.longest_diameter_mm"),
    cut("masks[].measurement.voxels"),
    cut("masks[].measurement.components"),
    cut("masks[].composed_of"),
    cut("masks[].includes"),
    cut("masks[].measurement.centroid_mm"),
    cut("masks[].measurement.truncated_at"),
    cut("labelmap.path"),
    // a phrase that is the class's own name
    cut_where("masks[].name", |name, mask| mask.get("target") == Some(name)),
    cut("masks[].measurement.mean_probability"),
];

/// The same of measurements.
const OF_MEASURE: &[Cut] = &[
    cut("measurements[].intensity.min"),
    cut("measurements[].intensity.max"),
    cut("measurements[].largest_component_ml"),
    cut("measurements[].voxels"),
    cut("measurements[].centroid_mm"),
    cut("measurements[].intensity"),
    cut("measurements[].longest_diameter_mm"),
];

/// The same of a page of names; what the caller asked for by a parameter stays.
fn of_list(request: &ListRequest) -> Vec<Cut> {
    let mut cuts = vec![
        cut("items[].laterality"),
        cut_where("items[].kind", |kind, _| kind == "structure"),
    ];
    cuts.extend(request.region.is_none().then(|| cut("items[].region")));
    cuts.extend(request.modality.is_none().then(|| cut("items[].modalities")));
    cuts.extend([
        cut("items[].training_scans"),
        cut("items[].region"),
        cut("items[].modalities"),
    ]);
    cuts
}

/// What summaries may leave out, tool by tool, as paths into the answers.
#[derive(Debug)]
pub struct Omissions;

impl Omissions {
    /// Of `list_anatomy`.
    pub fn of_list() -> Vec<&'static str> {
        paths(&of_list(&ListRequest::default()))
    }

    /// Of `segment`.
    pub fn of_segment() -> Vec<&'static str> {
        paths(OF_SEGMENT)
    }

    /// Of `measure_volume`.
    pub fn of_measure() -> Vec<&'static str> {
        paths(OF_MEASURE)
    }
}

fn paths(cuts: &[Cut]) -> Vec<&'static str> {
    cuts.iter().map(|cut| cut.path).collect()
}

impl SegmentAnswer {
    /// Without file hashes, and with the short form of each measurement; shorter still where there are many.
    pub fn summary(&self) -> Value {
        let mut short = self.clone();
        for mask in &mut short.masks {
            mask.measurement = mask.measurement.summary();
            for file in &mut mask.files {
                file.sha256 = None;
            }
        }
        short.warnings = in_groups(&self.warnings, &self.names());
        fitted(&short, OF_SEGMENT, short.masks.len())
    }
}

impl MeasureAnswer {
    /// With the short form of each measurement; shorter still where there are many.
    pub fn summary(&self) -> Value {
        let mut short = self.clone();
        for measurement in &mut short.measurements {
            *measurement = measurement.summary();
        }
        short.warnings = in_groups(&self.warnings, &self.names());
        fitted(&short, OF_MEASURE, short.measurements.len())
    }
}

fn in_groups(warnings: &[Warning], names: &[(&str, &str)]) -> Vec<Warning> {
    let groups = grouped(warnings, names).into_iter();
    groups.map(|group| group.into_warning(names.len())).collect()
}

fn fitted(answer: &impl Serialize, cuts: &[Cut], parts: usize) -> Value {
    let mut value = serde_json::to_value(answer).unwrap_or_default();
    fit(&mut value, cuts, MOST * parts.max(MANY) / MANY);
    value
}

/// A page of names as it goes to a caller.
pub fn page(answer: &ListAnswer, request: &ListRequest) -> Value {
    let mut value = serde_json::to_value(answer).unwrap_or_default();
    let for_a_model = request.limit.is_some_and(|limit| limit <= PAGE);
    if for_a_model && request.detail.unwrap_or_default() == super::Detail::Summary {
        fit(&mut value, &of_list(request), MOST_LISTED);
    }
    value
}
