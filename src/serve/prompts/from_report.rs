//! `segment_from_report`: from a report's text to targets, masks and sentences.

use super::marks::marked;
use super::{Given, invalid};
use crate::anatomy::Mentions;
use crate::serve::desk::Desk;
use crate::service::Fault;
use crate::volume::Modality;
use rmcp::ErrorData;
use std::fmt::Write;

/// Bytes of a report at most: a model has to read it.
const LONGEST: usize = 100_000;

pub(super) fn filled(desk: &impl Desk, given: &Given<'_>) -> Result<String, ErrorData> {
    let report = given.text("report");
    if !report.chars().any(char::is_alphanumeric) {
        return Err(invalid(
            "report is missing or empty: give the report's text.".to_owned(),
        ));
    }
    if report.len() > LONGEST {
        return Err(invalid(format!(
            "report has {} bytes, more than {LONGEST}: give one report, without attachments.",
            report.len()
        )));
    }
    let modality = given.modality()?;
    let mentions = desk
        .mentions(report, modality)
        .map_err(|fault: Fault| ErrorData::internal_error(fault.to_string(), None))?;
    Ok(from_report(report, modality, given.text("image"), &mentions))
}

fn from_report(report: &str, modality: Modality, image: &str, mentions: &Mentions) -> String {
    let image = match image {
        "" => "the scan (ask me for its path if you don't know it)".to_owned(),
        path => serde_json::json!(path).to_string(),
    };
    let mut text = format!(
        "Find and measure in a scan what a radiology report speaks of, with the tools of sat-mcp.\n\n\
         Scan: {image}, modality {}.\n\n{}\n",
        modality.as_str(),
        marked("report", report),
    );
    match mentions.targets.is_empty() {
        true => text.push_str(
            "Candidates: none. Rules found no name in it that the loaded model takes for this kind of scan.\n",
        ),
        false => {
            let _ = writeln!(
                text,
                "Candidates, found by rules and taken by segment as they stand: {}",
                serde_json::json!(mentions.targets)
            );
        }
    }
    if !mentions.left_out.is_empty() {
        text.push_str("Mentioned, but no candidates:\n");
        for left_out in &mentions.left_out {
            let _ = writeln!(text, "- {}: {}", left_out.target, left_out.reason);
        }
    }
    text.push_str(STEPS);
    text
}

const STEPS: &str = "\n\
1. Choose the targets that the report makes worth measuring. The rules read words, you read sense: leave out what the report \
denies, what lies in the past and what was taken out, add what the rules missed (list_anatomy tells whether a phrase is \
known: score 0.8 or more). A lesion that nobody saw is not worth a search, unless I ask for one.\n\
2. Call segment once with all of them. If it refuses a name, its answer says what would work; never put another organ in \
its place without saying so.\n\
3. Write a sentence for each finding: its volume in mL, its longest diameter where that matters, and beside the number what \
limits it (at least, where the image cuts it off; nothing found; poorly found by this model; taught from few scans; a union; \
includes a tumour). Say what could not be had and why. Give the preview picture.\n\
4. These are automatic measurements, not a diagnosis: say so.\n";
