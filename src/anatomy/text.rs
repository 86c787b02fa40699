//! The list as text, for models that read only text and for the terminal.

use super::refusal::said;
use super::{Kind, ListAnswer, ListItem, TrainingScans};
use crate::volume::Modality;
use std::fmt::Write;

impl ListAnswer {
    /// A line of totals, then a line a name: what the query means before what is near, or by region where nothing was asked.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let names = if self.total == 1 { "name" } else { "names" };
        let page = if self.items.len() < self.total {
            format!(", {} shown", self.items.len())
        } else {
            String::new()
        };
        let weak = match self.items.iter().any(|item| item.experimental) {
            true => " Experimental: the model is weak at it (Dice below 0.6).",
            false => "",
        };
        let _ = writeln!(
            text,
            "{} {names}{page}; model {}. Scans: how many SAT was taught it from.{weak}",
            self.total, self.model
        );
        if let Some(note) = &self.note {
            let _ = writeln!(text, "{note}");
        }
        if self.items.is_empty() {
            text.push_str("Nothing near. Try a shorter or more common name, or leave out modality or region.\n");
            return text;
        }
        let mut heading = String::new();
        for item in &self.items {
            let next = match (item.score, item.available) {
                (Some(score), _) if score >= 0.8 => "The query means:".to_owned(),
                (Some(_), _) => "Near (ask by these names):".to_owned(),
                (None, true) => format!("{}:", item.region),
                (None, false) => format!("{} (not in this model):", item.region),
            };
            if next != heading {
                let _ = writeln!(text, "{next}");
                heading = next;
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
    match (&item.composed_of, &item.parts) {
        (Some(joined), _) => notes.push(format!("joined from {}", joined.join(" + "))),
        (None, Some(parts)) => notes.push(format!("parts: {}", parts.join(" + "))),
        (None, None) => {}
    }
    if item.score.is_some() && !item.available {
        notes.push("not in this model".into());
    }
    if item.experimental {
        notes.push("experimental".into());
    }
    let _ = write!(text, ": {}", notes.join("; "));
    if let Some(definition) = &item.definition {
        let _ = write!(text, ". {definition}");
    }
    text
}

/// "CT 2265 scans, MR 120": how much SAT was taught says something about how far to trust it.
fn where_taught(item: &ListItem) -> String {
    let TrainingScans { ct, mri, pet } = item.training_scans;
    let mut unit = " scans";
    let modalities = item.modalities.iter().map(|modality| {
        let scans = match modality {
            Modality::Ct => ct,
            Modality::Mri => mri,
            Modality::Pet => pet,
        };
        match scans {
            Some(scans) => format!("{} {scans}{}", said(*modality), std::mem::take(&mut unit)),
            None => said(*modality).to_owned(),
        }
    });
    modalities.collect::<Vec<_>>().join(", ")
}
