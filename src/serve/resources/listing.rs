//! `resources/list`: what is always there, then the files of results, the newest first.
//!
//! A page opens as many results as it shows. Its cursor is a place between two files, so that results that come or go
//! meanwhile move nothing.

use super::address::MODALITIES;
use crate::serve::desk::Desk;
use crate::serve::reply::{notes, protocol_error, resource};
use crate::serve::{skill, viewer};
use crate::service::{Caller, Place, ResultFiles};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rmcp::ErrorData;
use rmcp::model::{ListResourcesResult, Resource, Role};
use std::time::{Duration, SystemTime};

/// Resources on one page.
const PAGE: usize = 100;

/// A page of everything that `caller` may read.
pub(in crate::serve) fn page(
    desk: &impl Desk,
    caller: &Caller,
    cursor: Option<&str>,
) -> Result<ListResourcesResult, ErrorData> {
    let from = cursor.map(Cursor::read).transpose()?;
    let mut all = match from {
        None => fixed(desk)?,
        Some(_) => Vec::new(),
    };
    let places = desk.result_places(caller).map_err(protocol_error)?;
    let start = from
        .as_ref()
        .map_or(0, |from| places.partition_point(|place| from.is_after(place)));
    let mut next = None;
    'results: for (opened, place) in places[start..].iter().enumerate() {
        let done = from.as_ref().map_or(0, |from| from.done_of(place));
        if opened == PAGE {
            next = Some(Cursor::at(place, done));
            break;
        }
        // Pruned since, or written by another version.
        let Some(result) = desk.result_files(caller, &place.id).map_err(protocol_error)? else {
            continue;
        };
        for (at, file) in files(&result, place.made).into_iter().enumerate().skip(done) {
            if all.len() >= PAGE {
                next = Some(Cursor::at(place, at));
                break 'results;
            }
            all.push(file);
        }
    }
    let mut page = ListResourcesResult::with_all_items(all);
    page.next_cursor = next.map(|cursor| cursor.write());
    Ok(page)
}

/// What does not depend on results.
fn fixed(desk: &impl Desk) -> Result<Vec<Resource>, ErrorData> {
    let json = |uri: &str, title: &str, words: &str| {
        resource(uri, title)
            .with_mime_type("application/json")
            .with_description(words)
            .with_annotations(notes(&[Role::Assistant], 0.4, None))
    };
    let mut all: Vec<Resource> = MODALITIES
        .into_iter()
        .map(|modality| {
            json(
                &format!("sat://anatomy/{}", modality.as_str()),
                &format!("What can be segmented in {}", modality.as_str().to_uppercase()),
                "Names, synonyms, regions and whether the loaded model has them. One region: …/{region}.",
            )
        })
        .collect();
    all.push(json("sat://models", "Models", "The models that a request may name."));
    for model in desk.model_names().map_err(protocol_error)? {
        all.push(json(
            &format!("sat://models/{}", model.name),
            &format!("Model {}", model.name),
            "Its version, licence, classes, evaluation figures and limits.",
        ));
    }
    all.push(viewer::listed().with_annotations(notes(&[Role::User], 0.3, None)));
    all.extend(skill::resources());
    Ok(all)
}

/// A result's files, by name.
fn files(result: &ResultFiles, made: SystemTime) -> Vec<Resource> {
    let files = result.files.iter().map(|file| {
        let (title, audience, priority) = about(result, &file.name, &file.uri);
        resource(&file.uri, &title)
            .with_mime_type(file.mime)
            .with_size(file.bytes)
            .with_annotations(notes(audience, priority, Some(made)))
    });
    files.collect()
}

/// What a file is, for whom, and how much it matters.
fn about(result: &ResultFiles, name: &str, uri: &str) -> (String, &'static [Role], f32) {
    let scan = result.answer.image.uri.rsplit('/').next().unwrap_or_default();
    let both = &[Role::User, Role::Assistant];
    if name == "result.json" {
        return (format!("Measurements and warnings of {scan}"), both, 0.9);
    }
    let is = |known: Option<&str>| known == Some(uri);
    if is(result.answer.preview.as_ref().map(|preview| preview.uri.as_str())) {
        return (format!("Preview of {scan}: three planes with outlines"), both, 0.8);
    }
    if is(result.answer.labelmap.as_ref().map(|map| map.uri.as_str())) {
        return (format!("All masks of {scan} in one label map"), &[Role::User], 0.6);
    }
    let of = |mask: &&crate::service::MaskAnswer| mask.files.iter().any(|file| file.uri == uri);
    match result.answer.masks.iter().find(of) {
        Some(mask) => (format!("Mask of {} in {scan}", mask.name), &[Role::User], 0.5),
        None => (
            format!("{name}, colours of the label map of {scan}"),
            &[Role::User],
            0.2,
        ),
    }
}

/// Before which file of which result a page begins.
#[derive(Debug, PartialEq)]
struct Cursor {
    made: Duration,
    id: String,
    file: usize,
}

impl Cursor {
    fn at(place: &Place, file: usize) -> Cursor {
        Cursor {
            made: since_1970(place.made),
            id: place.id.clone(),
            file,
        }
    }

    /// Whether `place` comes before this in the list: it is newer, or as new and named before.
    fn is_after(&self, place: &Place) -> bool {
        let made = since_1970(place.made);
        made > self.made || (made == self.made && place.id < self.id)
    }

    /// How many files of `place` earlier pages have shown.
    fn done_of(&self, place: &Place) -> usize {
        if place.id == self.id { self.file } else { 0 }
    }

    fn write(&self) -> String {
        let text = format!("{}/{}/{}", self.made.as_nanos(), self.id, self.file);
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn read(text: &str) -> Result<Cursor, ErrorData> {
        let parsed = || {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            let mut parts = text.rsplitn(2, '/');
            let file = parts.next()?.parse().ok()?;
            let (made, id) = parts.next()?.split_once('/')?;
            Some(Cursor {
                made: Duration::from_nanos(made.parse().ok()?),
                id: id.to_owned(),
                file,
            })
        };
        parsed().ok_or_else(|| ErrorData::invalid_params("No such cursor: list again without one.", None))
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
