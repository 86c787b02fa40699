//! Prompts: instructions that a person can start with a click, filled in for the scan and the report at hand.
//!
//! What comes from elsewhere, a report or a result, stands between marks and is data, whatever it says.

mod compare;
mod explain;
mod from_report;
mod marks;

pub(super) use explain::AUDIENCES;

use super::desk::Desk;
use crate::service::Caller;
use crate::volume::Modality;
use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

const SEGMENT_FROM_REPORT: &str = "segment_from_report";
const MEASURE_AND_COMPARE: &str = "measure_and_compare";
const EXPLAIN_RESULT: &str = "explain_result";

/// The prompts that there are, always in this order.
pub(super) fn all() -> Vec<Prompt> {
    let argument = |name: &str, title: &str, words: &str, required| {
        PromptArgument::new(name)
            .with_title(title)
            .with_description(words)
            .with_required(required)
    };
    let modality = || argument("modality", "Kind of scan", "ct, mri or pet.", true);
    let scan = |name: &str, title: &str| {
        let words =
            "Path of the scan, sat://images/… after PUT /images, or the id of a result that segment has made of it.";
        argument(name, title, words, true)
    };
    vec![
        Prompt::new(
            SEGMENT_FROM_REPORT,
            Some("From a radiology report to masks, volumes and a sentence each, with the names that SAT knows."),
            Some(vec![
                argument("report", "Report", "The report's text, in English.", true),
                modality(),
                argument(
                    "image",
                    "Scan",
                    "Path of the scan, or sat://images/… after PUT /images, where it is known.",
                    false,
                ),
            ]),
        )
        .with_title("Segment what a report speaks of"),
        Prompt::new(
            MEASURE_AND_COMPARE,
            Some("Measure the same structures in two studies of one patient, and say what has changed and what limits saying so."),
            Some(vec![
                scan("image_before", "Earlier study"),
                scan("image_after", "Later study"),
                modality(),
                argument(
                    "targets",
                    "Structures",
                    "What to measure in both, by name, separated by commas (or semicolons): liver, spleen.",
                    true,
                ),
            ]),
        )
        .with_title("Compare two studies"),
        Prompt::new(
            EXPLAIN_RESULT,
            Some("Tell what a segmentation found, with the limits of its numbers, for a patient, a clinician or an engineer."),
            Some(vec![
                argument("result_id", "Result", "The result_id that segment gave.", true),
                argument(
                    "audience",
                    "Audience",
                    "For whom: patient, clinician (default) or engineer.",
                    false,
                ),
            ]),
        )
        .with_title("Explain a result"),
    ]
}

/// A prompt, filled in.
pub(super) fn filled(
    desk: &impl Desk,
    caller: &Caller,
    name: &str,
    arguments: &JsonObject,
) -> Result<GetPromptResult, ErrorData> {
    let given = Given(arguments);
    let (words, description) = match name {
        SEGMENT_FROM_REPORT => (from_report::filled(desk, &given)?, "Segment what this report speaks of"),
        MEASURE_AND_COMPARE => (compare::filled(desk, &given)?, "Compare these two studies"),
        EXPLAIN_RESULT => (explain::filled(desk, caller, &given)?, "Explain this result"),
        other => return Err(unknown(other)),
    };
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, words)]).with_description(description))
}

pub(super) fn unknown(name: &str) -> ErrorData {
    invalid(format!(
        "Unknown prompt: {name}. There are {SEGMENT_FROM_REPORT}, {MEASURE_AND_COMPARE}, {EXPLAIN_RESULT}."
    ))
}

fn invalid(message: String) -> ErrorData {
    ErrorData::invalid_params(message, None)
}

/// What a prompt is asked with: texts by name.
struct Given<'a>(&'a JsonObject);

impl Given<'_> {
    /// Empty where it was not given.
    fn text(&self, key: &str) -> &str {
        let text = self.0.get(key).and_then(Value::as_str);
        text.map(str::trim).unwrap_or_default()
    }

    /// The same, where it must be given and be no longer than `most` bytes.
    fn required(&self, key: &str, what: &str, most: usize) -> Result<&str, ErrorData> {
        let text = self.text(key);
        if !text.chars().any(char::is_alphanumeric) {
            return Err(invalid(format!("{key} is missing or empty: give {what}.")));
        }
        if text.len() > most {
            return Err(invalid(format!(
                "{key} has {} bytes, more than {most}: give {what}.",
                text.len()
            )));
        }
        Ok(text)
    }

    fn modality(&self) -> Result<Modality, ErrorData> {
        Modality::from_word(self.text("modality"))
            .ok_or_else(|| invalid("modality is missing or unknown: give ct, mri or pet.".to_owned()))
    }
}
