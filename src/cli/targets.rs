//! `sat-mcp targets`: which names a report mentions, ready for `segment`.

use super::arguments::{Common, Targets};
use super::{print, print_json, settings};
use crate::anatomy::{Mentions, ReportError, report_text};
use crate::service::{Code, Fault, report_mentions};
use std::io::Read;
use std::path::Path;

pub(super) fn run(common: &Common, arguments: &Targets) -> Result<(), Fault> {
    let report = read(&arguments.report)?;
    let (settings, asked) = settings::with_model_asked_for(common)?;
    let mentions: Mentions = report_mentions(&settings, asked, &report, arguments.modality.into())?;
    match arguments.json {
        true => print_json(&mentions),
        false => print(&mentions.text()),
    }
}

/// The report's text, from stdin where the name is `-`.
fn read(path: &Path) -> Result<String, Fault> {
    let name = if path.as_os_str() == "-" {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    let unreadable = |error: std::io::Error| {
        Fault::new(
            match error.kind() {
                std::io::ErrorKind::NotFound => Code::NotFound,
                _ => Code::InvalidArgument,
            },
            format!("{name}: the report cannot be read: {error}."),
        )
        .hint("Give a text file, or - to read the report from stdin.")
    };
    let mut bytes = Vec::new();
    let read = match name.as_str() {
        "stdin" => std::io::stdin()
            .lock()
            .take(ReportError::limit())
            .read_to_end(&mut bytes),
        _ => std::fs::File::open(path).and_then(|file| file.take(ReportError::limit()).read_to_end(&mut bytes)),
    };
    read.map_err(unreadable)?;
    Ok(report_text(&name, bytes)?)
}
