//! `sat-mcp anatomy`: the `list_anatomy` tool for people.

use super::arguments::{Anatomy, Common};
use super::{print, print_json, settings};
use crate::anatomy::ListRequest;
use crate::service::{Detail, Fault, Service};

pub(super) fn run(common: &Common, arguments: &Anatomy) -> Result<(), Fault> {
    let request = ListRequest {
        query: arguments.query.clone(),
        modality: arguments.modality.map(Into::into),
        region: arguments.region.clone(),
        laterality: arguments.laterality.map(Into::into),
        limit: arguments.limit,
        cursor: arguments.cursor.clone(),
        detail: Some(if arguments.json { Detail::Full } else { Detail::Summary }),
    };
    let service = Service::for_names(settings::settings(common)?)?;
    let answer = service.list_anatomy(&request)?;
    match arguments.json {
        true => print_json(&answer),
        false => print(&answer.text()),
    }
}
