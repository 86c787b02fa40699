//! `sat-mcp segment`: the `segment` tool for people.

use super::arguments::{Common, Segment};
use super::{bar, print, print_json, settings, table};
use crate::service::text::warning_lines;
use crate::service::{Caller, Code, Detail, Fault, SegmentAnswer, SegmentRequest, Service};
use std::path::{Path, PathBuf};

pub(super) fn run(common: &Common, arguments: &Segment) -> Result<(), Fault> {
    let formats = arguments.formats.iter().map(|word| (*word).into()).collect::<Vec<_>>();
    let request = SegmentRequest {
        image: arguments.image.clone(),
        targets: arguments.targets.clone(),
        modality: arguments.modality.map(Into::into),
        orientation: arguments.orientation.map(Into::into),
        formats: (!formats.is_empty()).then_some(formats),
        allow_untrained: arguments.allow_untrained.then_some(true),
        detail: Some(Detail::Full),
        send_to: arguments.send_to.clone(),
        ..SegmentRequest::default()
    };
    let service = Service::open(settings::settings(common)?)?;
    let answer = segment(&service, &request, arguments.out.as_deref())?;
    match arguments.json {
        true => print_json(&answer),
        false => print(&for_people(&answer, arguments.out.as_deref())),
    }
}

/// Runs a request with a progress bar and copies the files to `out`.
pub(super) fn segment(service: &Service, request: &SegmentRequest, out: Option<&Path>) -> Result<SegmentAnswer, Fault> {
    let plan = service.plan(&Caller::person(), request)?;
    // Better to hear of a folder that can't be written now than after minutes of work.
    out.map(writable).transpose()?;
    let cancel = bar::cancel_on_interrupt();
    let bar = bar::Bar::new(&format!("{} targets with {}", plan.targets(), plan.model().name));
    let answer = service.run(plan, &bar, &cancel);
    bar.finish();
    let answer = answer?;
    if let Some(out) = out {
        copy(service, &answer, out)?;
    }
    Ok(answer)
}

/// The table, the warnings, and where the files are.
pub(super) fn for_people(answer: &SegmentAnswer, out: Option<&Path>) -> String {
    let mut text = table::volumes(answer);
    // The table says the others in a word.
    let told = answer
        .warnings
        .iter()
        .filter(|w| !["cut_off", "empty_mask"].contains(&w.code.as_str()));
    for line in warning_lines(&told.cloned().collect::<Vec<_>>(), &answer.names()) {
        text.push_str(&format!("\n! {line}"));
    }
    let execution = &answer.execution;
    let how = match execution.cached {
        true => "from the store".to_owned(),
        false => format!(
            "{} window{} on {} in {}",
            execution.windows,
            if execution.windows == 1 { "" } else { "s" },
            execution.provider,
            execution.precision
        ),
    };
    text.push_str(&format!(
        "\n\n{} {}, {how}, {:.1} s. Not a medical device.",
        answer.model.name, answer.model.version, execution.seconds
    ));
    text.push_str(&format!("\nresult   {}", answer.result_id));
    if let Some(sent) = answer.sent.as_ref().filter(|sent| !sent.instances.is_empty()) {
        text.push_str(&format!("\nsent     {} to {}", sent.in_words(), sent.server));
    }
    let folder = answer
        .labelmap
        .as_ref()
        .and_then(|labelmap| Path::new(labelmap.path.as_deref()?).parent());
    let folder = out.or(folder).map(Path::to_owned);
    if let Some(folder) = folder {
        text.push_str(&format!("\nmasks    {}", folder.display()));
        if let Some(preview) = answer
            .preview
            .as_ref()
            .and_then(|preview| preview.uri.rsplit('/').next())
        {
            text.push_str(&format!("\npreview  {}", folder.join(preview).display()));
        }
    }
    text
}

fn writable(out: &Path) -> Result<(), Fault> {
    std::fs::create_dir_all(out)
        .and_then(|()| tempfile::tempfile_in(out).map(drop))
        .map_err(|error| cannot_write(out, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        Code::Internal,
        format!("{}: cannot be written: {error}.", path.display()),
    )
    .hint("Name a folder that may be written with --out DIR.")
}

/// Copies a result's files, each whole or not at all.
fn copy(service: &Service, answer: &SegmentAnswer, out: &Path) -> Result<(), Fault> {
    let folder: PathBuf = service.store().root().join(&answer.result_id);
    for entry in std::fs::read_dir(&folder).map_err(|error| cannot_write(&folder, &error))? {
        let path = entry.map_err(|error| cannot_write(&folder, &error))?.path();
        let target = out.join(path.file_name().unwrap_or_default());
        let copied = tempfile::Builder::new()
            .prefix(".partial-")
            .permissions(permissions())
            .tempfile_in(out)
            .and_then(|mut file| {
                std::io::copy(&mut std::fs::File::open(&path)?, file.as_file_mut())?;
                file.persist(&target).map_err(|error| error.error)
            });
        copied.map_err(|error| cannot_write(&target, &error))?;
    }
    Ok(())
}

/// What any program's new file would have, the umask taken off; `tempfile`'s own are for their owner alone.
fn permissions() -> std::fs::Permissions {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(not(unix))]
    return tempfile::tempfile()
        .and_then(|file| file.metadata())
        .map(|data| data.permissions())
        .unwrap_or_else(|_| unreachable!());
}
