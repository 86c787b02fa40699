//! Results as tables for people.

use crate::measure::{Measurement, Status};
use crate::service::SegmentAnswer;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// A table with one line, under its header, which reads well in a terminal and in a log.
pub(super) fn plain(header: &[&str], right_aligned: &[usize]) -> Table {
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    let mut table = Table::new();
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for column in right_aligned {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Volumes of an answer's masks, one line a target.
pub(super) fn volumes(answer: &SegmentAnswer) -> String {
    let mut table = plain(
        &["structure", "mL", "longest mm", "pieces", "probability", "note"],
        &[1, 2, 3, 4],
    );
    for mask in &answer.masks {
        let measurement = &mask.measurement;
        let optional = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        table.add_row([
            mask.name.clone(),
            format!("{:.2}", measurement.volume_ml),
            optional(measurement.longest_diameter_mm, 1),
            measurement.components.to_string(),
            optional(measurement.mean_probability, 2),
            note(answer, &mask.target, measurement),
        ]);
    }
    table.trim_fmt()
}

fn note(answer: &SegmentAnswer, target: &str, measurement: &Measurement) -> String {
    let mut notes = Vec::new();
    match measurement.status {
        Status::Present => {}
        Status::Empty => notes.push("nothing found".to_owned()),
        Status::CutOff => {
            let faces: Vec<&str> = measurement.truncated_at.iter().map(|face| face.as_str()).collect();
            notes.push(format!("reaches the edge: {}", faces.join(", ")));
        }
    }
    let of_target = answer
        .warnings
        .iter()
        .filter(|warning| warning.target.as_deref() == Some(target));
    for warning in of_target {
        match warning.code.as_str() {
            "experimental_class" => notes.push("experimental".to_owned()),
            "untrained_target" => notes.push("never taught".to_owned()),
            _ => {}
        }
    }
    notes.dedup();
    notes.join("; ")
}
