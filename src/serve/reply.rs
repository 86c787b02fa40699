//! Answers and faults as tool results.

use crate::service::{Code, Detail, Fault, FileAnswer, Format, RunStatus, SegmentAnswer, mime_of};
use chrono::{DateTime, Utc};
use rmcp::ErrorData;
use rmcp::model::{Annotations, CallToolResult, ContentBlock, ErrorCode, MetaObject, ProtocolVersion, Resource, Role};
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;

/// JSON-RPC's code for a server's own errors: nothing was wrong with the request.
const BUSY: ErrorCode = ErrorCode(-32000);
/// Where a fault lies as JSON in a tool result.
pub(super) const ERROR_KEY: &str = "sat-mcp/error";

/// An answer: structured for programs, the same in words for models that read only text.
pub(super) fn answer(answer: &impl Serialize, text: String) -> CallToolResult {
    match serde_json::to_value(answer) {
        Ok(structured) => {
            let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
            result.structured_content = Some(structured);
            result
        }
        Err(error) => fault(&Fault::new(
            Code::Internal,
            format!("The answer cannot be written: {error}."),
        )),
    }
}

/// A fault of the caller's making or ours: words to read, and the fault itself beside them. No structured content,
/// because clients hold that against the output schema.
pub(super) fn fault(fault: &Fault) -> CallToolResult {
    let mut meta = MetaObject::new();
    meta.0
        .insert(ERROR_KEY.into(), serde_json::to_value(fault).unwrap_or(Value::Null));
    CallToolResult::error(vec![ContentBlock::text(fault.to_string())]).with_meta(Some(meta))
}

/// A segmentation, with its files as links, or as plain text for clients too old to know links.
pub(super) fn segmented(segmented: &SegmentAnswer, detail: Detail, links: bool) -> CallToolResult {
    let text = segmented.text();
    let result = match detail {
        Detail::Full => answer(segmented, text),
        Detail::Summary => answer(&segmented.summary(), text),
    };
    with_files(result, segmented, links)
}

/// Whether a client of this revision knows links to resources.
pub(super) fn knows_links(version: Option<&ProtocolVersion>) -> bool {
    version.is_some_and(|version| *version >= ProtocolVersion::V_2025_06_18)
}

fn with_files(mut result: CallToolResult, answer: &SegmentAnswer, links: bool) -> CallToolResult {
    if answer.status != RunStatus::Done {
        return result;
    }
    let files = files(answer);
    if links {
        result
            .content
            .extend(files.into_iter().map(ContentBlock::resource_link));
    } else {
        let lines: Vec<_> = files
            .iter()
            .map(|file| format!("{}: {}", file.title.as_deref().unwrap_or(&file.name), file.uri))
            .collect();
        result
            .content
            .push(ContentBlock::text(format!("Files:\n{}", lines.join("\n"))));
    }
    result
}

fn files(answer: &SegmentAnswer) -> Vec<Resource> {
    let mut files: Vec<Resource> = Vec::new();
    for mask in &answer.masks {
        for file in &mask.files {
            // Targets of one class share their files.
            if files.iter().all(|known| known.uri != file.uri) {
                files.push(resource(&file.uri, &title(&mask.name, file)).with_size(file.bytes));
            }
        }
    }
    if let Some(labelmap) = &answer.labelmap {
        files.push(resource(&labelmap.uri, "All masks in one label map"));
    }
    if let Some(report) = &answer.report {
        files.push(resource(&report.uri, "Measurements as DICOM SR").with_size(report.bytes));
    }
    if let Some(preview) = &answer.preview {
        files.push(resource(&preview.uri, "Preview: three planes with outlines"));
    }
    files.push(resource(
        &format!("sat://results/{}/result.json", answer.result_id),
        "The whole result as JSON",
    ));
    files
}

fn title(name: &str, file: &FileAnswer) -> String {
    match file.format {
        Format::Nifti => format!("Mask of {name}"),
        Format::DicomSeg => "Masks as DICOM SEG".into(),
        Format::DicomSr => "Measurements as DICOM SR".into(), // of all masks, not of one
    }
}

/// A fault as the protocol's own error.
pub(super) fn protocol_error(fault: Fault) -> ErrorData {
    let data = serde_json::to_value(&fault).unwrap_or(Value::Null);
    let message = fault.to_string();
    match fault.code {
        Code::NotFound => ErrorData::resource_not_found(message, Some(data)),
        Code::Internal => ErrorData::internal_error(message, Some(data)),
        Code::Busy => ErrorData::new(BUSY, message, Some(data)),
        _ => ErrorData::invalid_params(message, Some(data)),
    }
}

/// For whom a resource is, how much it matters there, and when it was made.
pub(super) fn notes(audience: &[Role], priority: f32, made: Option<SystemTime>) -> Annotations {
    let notes = Annotations::default()
        .with_audience(audience.to_vec())
        .with_priority(priority);
    match made {
        Some(made) => notes.with_timestamp(DateTime::<Utc>::from(made)),
        None => notes,
    }
}

/// A resource named after the last part of its URI.
pub(super) fn resource(uri: &str, title: &str) -> Resource {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    Resource::new(uri, name).with_title(title).with_mime_type(mime_of(name))
}
