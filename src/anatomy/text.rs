//! The list as text, for models that read only text and for the terminal.

use super::list::{ListAnswer, ListItem};
use super::resolve::said;
use super::{Kind, TrainingScans};
use std::fmt::Write;

impl ListAnswer {
    /// One line a name, grouped by whether the loaded model has it; what `segment` takes the query for comes first.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let shown = self.items.len();
        let classes = if self.total == 1 { "name" } else { "names" };
        let page = if shown < self.total { format!(", {shown} shown") } else { String::new() };
        let _ = writeln!(text, "{} {classes}{page}. Model {}.", self.total, self.model);
        if self.items.is_empty() {
            text.push_str("Nothing near. Try a shorter or more common name, or leave out modality or region.\n");
            return text;
        }
        let mut heading = "";
        let mut region = "";
        for item in &self.items {
            let next = match item.score {
                Some(score) if score >= 0.8 => "segment takes the query for:",
                Some(_) => "Near (ask by these names):",
                None => "",
            };
            if next != heading {
                heading = next;
                let _ = writeln!(text, "{heading}");
            }
            if item.score.is_none() && item.region != region {
                region = &item.region;
                let _ = writeln!(text, "{region}:");
            }
            let _ = writeln!(text, "- {}", line(item));
        }
        if let Some(cursor) = &self.next_cursor {
            let _ = writeln!(text, "More: cursor {cursor:?}.");
        }
        text
    }
}

fn line(item: &ListItem) -> String {
    let mut text = item.name.clone();
    if !item.synonyms.is_empty() {
        let _ = write!(text, " ({})", item.synonyms.join(", "));
    }
    let mut notes: Vec<String> = vec![where_taught(item)];
    if item.kind == Kind::Abnormality {
        notes.push("abnormality".into());
    }
    if item.score.is_some() {
        notes.push(item.region.clone());
    }
    if let Some(parts) = &item.parts {
        notes.push(format!("parts: {}", parts.join(" + ")));
    }
    match (&item.composed_of, item.available) {
        (Some(parts), _) => notes.push(format!("joined from {}", parts.join(" + "))),
        (None, true) => {}
        (None, false) => notes.push("not in this model".into()),
    }
    if item.experimental {
        notes.push("experimental".into());
    }
    let _ = write!(text, ": {}", notes.join("; "));
    text
}

/// "CT (2265 scans), MR (120)": how much SAT was taught says something about how far to trust it.
fn where_taught(item: &ListItem) -> String {
    let TrainingScans { ct, mri, pet } = item.training_scans;
    let modalities = item.modalities.iter().map(|modality| {
        let scans = match modality {
            crate::volume::Modality::Ct => ct,
            crate::volume::Modality::Mri => mri,
            crate::volume::Modality::Pet => pet,
        };
        scans.map_or(said(*modality).to_owned(), |scans| format!("{} {scans}", said(*modality)))
    });
    let modalities: Vec<String> = modalities.collect();
    let unit = if ct.or(mri).or(pet).is_some() { " scans" } else { "" };
    modalities.join(", ") + unit
}
