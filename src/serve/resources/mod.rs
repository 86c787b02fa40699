//! Results, the catalogue, the models and the skill as MCP resources.

mod address;
mod listing;

pub(super) use address::{Address, MODALITIES, in_uri};
pub(super) use listing::page;

use super::desk::Desk;
use super::hints::Keep;
use super::reply::{notes, protocol_error};
use super::{skill, viewer};
use crate::anatomy::{Detail, ListRequest};
use crate::service::{Caller, Code, Fault, ResourceFile, Standing};
use crate::volume::Modality;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::ErrorData;
use rmcp::model::{ResourceContents, ResourceTemplate, Role};
use serde_json::{Value, json};

/// What a catalogue page may ask for at most.
const CATALOGUE_PAGE: i64 = 200;
const JSON: &str = "application/json";
const RESULT: &str = "result.json";
/// Bytes of the longest URI that an error repeats as data.
const MOST_REPEATED: usize = 4096;

/// The addresses that can be made up from a name.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |uri: &str, name: &str, title: &str, words: &str| {
        ResourceTemplate::new(uri, name)
            .with_title(title)
            .with_description(words)
    };
    vec![
        template(
            "sat://results/{result_id}/{file}",
            "result-file",
            "File of a segmentation result",
            "A mask (.nii.gz), the label map and its colour tables, the preview picture or result.json; segment links them. While \
             the result is being made, result.json says how far it is, and can be subscribed to.",
        )
        .with_annotations(notes(&[Role::User, Role::Assistant], 0.8, None)),
        template(
            "sat://results/{result_id}/{file}{?slices}",
            "result-slices",
            "Slices of a mask or label map",
            "For a file that is too large for one message: slices along the stored third axis, as in slices=40-79 (from 0, both \
             included), as a NIfTI file that lies where they do.",
        )
        .with_mime_type("application/gzip")
        .with_annotations(notes(&[Role::User], 0.5, None)),
        template(
            "sat://anatomy/{modality}",
            "anatomy",
            "What can be segmented in ct, mri or pet",
            "The whole catalogue for one modality, as list_anatomy gives it, in one piece.",
        )
        .with_mime_type(JSON)
        .with_annotations(notes(&[Role::Assistant], 0.4, None)),
        template(
            "sat://anatomy/{modality}/{region}",
            "anatomy-region",
            "What can be segmented in one region of the body",
            "The catalogue for one modality and region, as in sat://anatomy/ct/abdomen or sat://anatomy/mri/head-and-neck.",
        )
        .with_mime_type(JSON)
        .with_annotations(notes(&[Role::Assistant], 0.5, None)),
        template(
            "sat://models/{model}",
            "model",
            "What a model is",
            "Version, licence, modalities, classes with thresholds and evaluation figures, and limits.",
        )
        .with_mime_type(JSON)
        .with_annotations(notes(&[Role::Assistant], 0.4, None)),
    ]
}

/// One resource, and how long it may be kept: JSON and tables as text, everything else as a blob.
pub(super) fn contents(
    desk: &impl Desk,
    caller: &Caller,
    limit: u64,
    uri: &str,
) -> Result<(ResourceContents, Keep), ErrorData> {
    if let Some(contents) = viewer::contents(desk, caller, limit, uri) {
        return contents.map_err(|fault| about(uri, fault));
    }
    let text = |text: String| ResourceContents::text(text, uri).with_mime_type(JSON);
    match Address::of(uri) {
        Address::Anatomy { modality, region } => {
            anatomy(desk, modality, region).map(|list| (text(list), Keep::WhileServed))
        }
        Address::Models => models(desk).map(|list| (text(list), Keep::Not)),
        Address::Model(name) => desk
            .model_card(&name)
            .and_then(|card| written(&card))
            .map(|card| (text(card), Keep::WhileServed)),
        Address::File {
            result, name, query, ..
        } if name == RESULT && query.is_none() => match desk.standing(caller, result) {
            Ok(Standing::Underway(state)) => written(&state).map(|state| (text(state), Keep::Not)),
            _ => whole(desk, caller, limit, uri),
        },
        Address::File { query: None, .. } => whole(desk, caller, limit, uri),
        Address::File {
            uri: file,
            query: Some(query),
            ..
        } => desk.read_slices(caller, file, query, limit).map(|bytes| {
            let blob = ResourceContents::blob(BASE64_STANDARD.encode(bytes), uri);
            (blob.with_mime_type("application/gzip"), Keep::Result)
        }),
        Address::Skill => skill::file(uri).map(|file| (file, Keep::WhileServed)),
        Address::Unknown => Err(unknown(uri)),
    }
    .map_err(|fault| about(uri, fault))
}

/// Whether reading `uri` takes no memory to speak of, so that it need not wait for those whose reading does.
pub(super) fn is_light(uri: &str) -> bool {
    match Address::of(uri) {
        Address::File { name, query, .. } => name == RESULT && query.is_none(),
        _ => true,
    }
}

/// Whether there is anything to read under `uri`, now or while it is being made.
pub(super) fn exists(desk: &impl Desk, caller: &Caller, uri: &str) -> Result<(), ErrorData> {
    match Address::of(uri) {
        Address::Anatomy { .. } | Address::Models => Ok(()),
        Address::Model(name) => match desk.model_names() {
            Ok(names) if names.iter().any(|known| known.name == name) => Ok(()),
            Ok(_) => Err(unknown(uri)),
            Err(fault) => Err(fault),
        },
        Address::File { result, name, .. } if name == RESULT => match desk.standing(caller, result) {
            Ok(Standing::Unknown) => Err(unknown(uri)),
            Ok(_) => Ok(()),
            Err(fault) => Err(fault),
        },
        Address::File { uri, .. } => desk.resource(caller, uri).map(|_| ()),
        Address::Skill => skill::file(uri).map(|_| ()),
        Address::Unknown => Err(unknown(uri)),
    }
    .map_err(|fault| about(uri, fault))
}

fn whole(desk: &impl Desk, caller: &Caller, limit: u64, uri: &str) -> Result<(ResourceContents, Keep), Fault> {
    let file = desk.resource(caller, uri)?;
    if file.bytes > limit {
        return Err(desk.too_large(caller, &file, limit));
    }
    let bytes = desk.read_resource(caller, uri)?;
    Ok((shown(&file, bytes), Keep::Result))
}

fn shown(file: &ResourceFile, bytes: Vec<u8>) -> ResourceContents {
    let readable = file.mime == JSON || file.mime.starts_with("text/");
    let contents = match String::from_utf8(bytes) {
        Ok(text) if readable => ResourceContents::text(text, &file.uri),
        Ok(text) => ResourceContents::blob(BASE64_STANDARD.encode(text), &file.uri),
        Err(raw) => ResourceContents::blob(BASE64_STANDARD.encode(raw.as_bytes()), &file.uri),
    };
    contents.with_mime_type(file.mime)
}

fn anatomy(desk: &impl Desk, modality: Modality, region: Option<&str>) -> Result<String, Fault> {
    let mut request = ListRequest {
        modality: Some(modality),
        region: region.map(str::to_owned),
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
    written(&whole)
}

fn models(desk: &impl Desk) -> Result<String, Fault> {
    let models = desk.model_names()?.into_iter().map(|model| {
        let uri = format!("sat://models/{}", model.name);
        json!({"name": model.name, "default": model.default, "uri": uri})
    });
    Ok(json!({ "models": models.collect::<Vec<_>>() }).to_string())
}

fn written(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::new(Code::Internal, format!("It cannot be written: {error}.")))
}

fn unknown(uri: &str) -> Fault {
    let fault = Fault::new(Code::NotFound, format!("{uri}: no such resource."));
    match uri {
        uri if uri.starts_with("sat://anatomy") => {
            let regions: Vec<String> = crate::anatomy::Catalogue::regions()
                .iter()
                .map(|region| in_uri(region))
                .collect();
            fault.hint(format!(
                "Read sat://anatomy/{{modality}} of ct, mri, pet, or with one region: {}.",
                regions.join(", ")
            ))
        }
        uri if uri.starts_with("sat://results") => fault
            .hint("Results are sat://results/{result_id}/{file}, as segment returns them; they may have been pruned."),
        _ => fault.hint("resources/list has them all."),
    }
}

/// Reading a resource is not calling a tool: its faults are the protocol's own, with ours as data and the URI beside it.
fn about(uri: &str, fault: Fault) -> ErrorData {
    let mut error = protocol_error(fault);
    if uri.len() <= MOST_REPEATED
        && let Some(Value::Object(data)) = &mut error.data
    {
        data.insert("uri".into(), uri.into());
    }
    error
}
