//! `completion/complete`: what an argument of a prompt or a part of a resource's address may be, given what stands there so far.
//!
//! What begins with it comes first, then what list_anatomy's matcher finds near it.

use super::desk::Desk;
use super::prompts;
use super::reply::protocol_error;
use super::resources::{MODALITIES, in_uri, templates};
use crate::anatomy::{Catalogue, ListRequest};
use crate::service::{Caller, Fault};
use crate::volume::Modality;
use rmcp::ErrorData;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference};

const MOST: usize = CompletionInfo::MAX_VALUES;
/// Names that the catalogue gives at a time.
const NAMES: i64 = 200;
/// Characters of an argument that are looked at.
const LONGEST: usize = 200;

/// The values for an argument, at most a hundred.
pub(super) fn complete(
    desk: &impl Desk,
    caller: &Caller,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let argument = request.argument.name.as_str();
    let known = match &request.r#ref {
        Reference::Prompt(prompt) => arguments_of(&prompt.name)?,
        Reference::Resource(template) => variables_of(&template.uri)?,
        _ => return Err(invalid("A reference is to a prompt or to a resource template.".into())),
    };
    if !known.iter().any(|name| name == argument) {
        return Err(invalid(format!(
            "There is no argument {argument:?}. There are {}.",
            known.join(", ")
        )));
    }
    let before: String = request.argument.value.chars().take(LONGEST).collect();
    let given = |name: &str| request.context.as_ref()?.get_argument(name).map(String::as_str);
    let values = match argument {
        "modality" => begun(&before, MODALITIES.map(|modality| modality.as_str().to_owned())),
        "region" => begun(&before, Catalogue::regions().iter().map(|region| in_uri(region))),
        "audience" => begun(&before, prompts::AUDIENCES.map(str::to_owned)),
        "targets" => targets(desk, &before, given("modality")).map_err(protocol_error)?,
        "result_id" | "image_before" | "image_after" => begun(&before, ids(desk, caller).map_err(protocol_error)?),
        "file" => match given("result_id") {
            Some(id) => begun(&before, files(desk, caller, id).map_err(protocol_error)?),
            None => Vec::new(),
        },
        "model" => {
            let models = desk.model_names().map_err(protocol_error)?;
            begun(&before, models.into_iter().map(|model| model.name))
        }
        // Free text, and paths: what lies on the server's disk is nobody's business.
        _ => Vec::new(),
    };
    let total = u32::try_from(values.len()).ok();
    let more = values.len() > MOST;
    let shown = values.into_iter().take(MOST).collect();
    let info =
        CompletionInfo::with_pagination(shown, total, more).map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(info))
}

fn arguments_of(prompt: &str) -> Result<Vec<String>, ErrorData> {
    let all = prompts::all();
    let known = all.iter().find(|known| known.name == prompt);
    let known = known.ok_or_else(|| prompts::unknown(prompt))?;
    Ok(known
        .arguments
        .iter()
        .flatten()
        .map(|argument| argument.name.clone())
        .collect())
}

fn variables_of(uri: &str) -> Result<Vec<String>, ErrorData> {
    if !templates().iter().any(|template| template.uri_template == uri) {
        let all: Vec<String> = templates().into_iter().map(|template| template.uri_template).collect();
        return Err(invalid(format!(
            "Unknown resource template: {uri}. There are {}.",
            all.join(", ")
        )));
    }
    let names = uri.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    Ok(names.map(|name| name.trim_start_matches('?').to_owned()).collect())
}

/// Those of `all` that begin with `text`, whatever its case, in their order.
fn begun(text: &str, all: impl IntoIterator<Item = String>) -> Vec<String> {
    let text = text.trim().to_lowercase();
    all.into_iter()
        .filter(|value| value.to_lowercase().starts_with(&text))
        .collect()
}

/// The newest first, of this caller alone.
fn ids(desk: &impl Desk, caller: &Caller) -> Result<Vec<String>, Fault> {
    Ok(desk.result_places(caller)?.into_iter().map(|place| place.id).collect())
}

fn files(desk: &impl Desk, caller: &Caller, id: &str) -> Result<Vec<String>, Fault> {
    let result = desk.result_files(caller, id)?;
    Ok(result
        .into_iter()
        .flat_map(|result| result.files)
        .map(|file| file.name)
        .collect())
}

/// Names for the last of a list of targets, with what stands before it.
fn targets(desk: &impl Desk, text: &str, modality: Option<&str>) -> Result<Vec<String>, Fault> {
    let (before, last) = match text.rfind([',', ';', '\n']) {
        Some(at) => text.split_at(at + 1),
        None => ("", text),
    };
    let gap = if before.is_empty() { "" } else { " " };
    let names = names(desk, last.trim(), modality.and_then(Modality::from_word))?;
    Ok(names.into_iter().map(|name| format!("{before}{gap}{name}")).collect())
}

fn names(desk: &impl Desk, text: &str, modality: Option<Modality>) -> Result<Vec<String>, Fault> {
    let request = ListRequest {
        modality,
        limit: Some(NAMES),
        ..ListRequest::default()
    };
    let mut names = begun(text, every_name(desk, request.clone())?);
    if text.chars().any(char::is_alphanumeric) {
        let query = Some(text.to_owned());
        let near = desk.list_anatomy(&ListRequest { query, ..request })?;
        for item in near.items {
            if !names.contains(&item.name) {
                names.push(item.name);
            }
        }
    }
    Ok(names)
}

/// What the model has first.
fn every_name(desk: &impl Desk, mut request: ListRequest) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    loop {
        let page = desk.list_anatomy(&request)?;
        names.extend(page.items.into_iter().map(|item| item.name));
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => return Ok(names),
        }
    }
}

fn invalid(message: String) -> ErrorData {
    ErrorData::invalid_params(message, None)
}
