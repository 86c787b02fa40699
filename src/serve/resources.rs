//! Results and the catalogue as MCP resources.

use super::desk::Desk;
use super::reply::resource;
use super::viewer;
use crate::anatomy::{Detail, ListRequest};
use crate::service::{Caller, Code, Fault};
use crate::volume::Modality;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::Value;

/// Resources on one page of `resources/list`.
const PAGE: usize = 100;

/// What a catalogue page may ask for at most.
const CATALOGUE_PAGE: i64 = 200;

const MODALITIES: [Modality; 3] = [Modality::Ct, Modality::Mri, Modality::Pet];

/// The addresses that can be made up from a name.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("sat://results/{result_id}/{file}", "result-file")
            .with_title("File of a segmentation result")
            .with_description(
                "A mask (.nii.gz), the label map, the preview picture or result.json; segment links them.",
            ),
        ResourceTemplate::new("sat://results/{result_id}/display/image.nii.gz", "result-scan")
            .with_title("Scan of a segmentation result, to be looked at")
            .with_description("One byte a voxel, windowed as the preview, in the scan's own axes; large scans coarser.")
            .with_mime_type("application/gzip"),
        ResourceTemplate::new("sat://anatomy/{modality}", "anatomy")
            .with_title("What can be segmented in ct, mri or pet")
            .with_description("The whole catalogue for one modality, as list_anatomy gives it, in one piece.")
            .with_mime_type("application/json"),
    ]
}

/// A page of the catalogue, the viewer and the files of all results, last used first. The cursor is a position.
pub(super) fn page(desk: &impl Desk, caller: &Caller, cursor: Option<&str>) -> Result<ListResourcesResult, ErrorData> {
    let from = match cursor {
        None => 0,
        Some(cursor) => cursor
            .parse::<usize>()
            .map_err(|_| ErrorData::invalid_params("No such cursor: list again without one.", None))?,
    };
    let mut all = catalogue();
    all.push(viewer::listed());
    for result in desk.results(caller).map_err(protocol_error)? {
        let targets = result.targets.join(", ");
        all.extend(result.files.iter().map(|file| {
            let title = format!("{} ({targets})", file.name);
            resource(&file.uri, &title)
                .with_mime_type(file.mime)
                .with_size(file.bytes)
        }));
    }
    let total = all.len();
    let mut page = ListResourcesResult::with_all_items(all.into_iter().skip(from).take(PAGE).collect());
    page.next_cursor = (from + PAGE < total).then(|| (from + PAGE).to_string());
    Ok(page)
}

/// One resource: JSON and tables as text, everything else as a blob.
pub(super) fn contents(
    desk: &impl Desk,
    caller: &Caller,
    limit: u64,
    uri: &str,
) -> Result<ResourceContents, ErrorData> {
    if let Some(modality) = uri.strip_prefix("sat://anatomy/") {
        let text = anatomy(desk, modality).map_err(protocol_error)?;
        return Ok(ResourceContents::text(text, uri).with_mime_type("application/json"));
    }
    if let Some(contents) = viewer::contents(desk, caller, limit, uri) {
        return contents;
    }
    let file = desk.resource(caller, uri).map_err(protocol_error)?;
    if file.bytes > limit {
        let message = format!(
            "{uri} has {} bytes, more than the {limit} that one message may carry.",
            file.bytes
        );
        let fault = Fault::new(Code::InvalidArgument, message).hint("Read the file at the `path` that segment gave.");
        return Err(protocol_error(fault));
    }
    let bytes = desk.read_resource(caller, uri).map_err(protocol_error)?;
    let readable = file.mime == "application/json" || file.mime.starts_with("text/");
    let contents = match String::from_utf8(bytes) {
        Ok(text) if readable => ResourceContents::text(text, uri),
        Ok(text) => ResourceContents::blob(BASE64_STANDARD.encode(text), uri),
        Err(raw) => ResourceContents::blob(BASE64_STANDARD.encode(raw.as_bytes()), uri),
    };
    Ok(contents.with_mime_type(file.mime))
}

fn catalogue() -> Vec<Resource> {
    let entry = |modality: Modality| {
        let uri = format!("sat://anatomy/{}", modality.as_str());
        let title = format!("What can be segmented in {}", modality.as_str().to_uppercase());
        resource(&uri, &title).with_mime_type("application/json")
    };
    MODALITIES.map(entry).into()
}

fn anatomy(desk: &impl Desk, modality: &str) -> Result<String, Fault> {
    let modality = MODALITIES
        .into_iter()
        .find(|known| known.as_str() == modality)
        .ok_or_else(|| {
            Fault::new(Code::NotFound, format!("There is no catalogue for `{modality}`."))
                .hint("Read one of ct, mri, pet.")
        })?;
    let mut request = ListRequest {
        modality: Some(modality),
        limit: Some(CATALOGUE_PAGE),
        detail: Some(Detail::Full),
        ..ListRequest::default()
    };
    let mut whole = desk.list_anatomy(&request)?;
    while let Some(cursor) = whole.next_cursor.take() {
        request.cursor = Some(cursor);
        let page = desk.list_anatomy(&request)?;
        whole.items.extend(page.items);
        whole.next_cursor = page.next_cursor;
    }
    serde_json::to_string(&whole).map_err(|error| Fault::new(Code::Internal, format!("The catalogue: {error}.")))
}

/// Reading a resource is not calling a tool: its faults are the protocol's own, with ours as data.
pub(super) fn protocol_error(fault: Fault) -> ErrorData {
    let data = serde_json::to_value(&fault).unwrap_or(Value::Null);
    let message = fault.to_string();
    match fault.code {
        Code::NotFound => ErrorData::resource_not_found(message, Some(data)),
        Code::Internal => ErrorData::internal_error(message, Some(data)),
        _ => ErrorData::invalid_params(message, Some(data)),
    }
}
