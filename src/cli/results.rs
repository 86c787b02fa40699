//! `sat-mcp results`: what is kept, and letting it go.

use super::arguments::{Common, Results};
use super::settings::{self, limits};
use super::{print, print_json, table};
use crate::service::{Caller, Fault, Service, StoredResult};
use std::time::SystemTime;

pub(super) fn run(common: &Common, arguments: &Results) -> Result<(), Fault> {
    let settings = settings::settings(common)?;
    let mut limit = settings.limits;
    let service = Service::for_looking(settings)?;
    for id in &arguments.delete {
        service.store().delete(id)?;
    }
    let mut pruned = None;
    if arguments.prune {
        let asked = limits(arguments.max_gb, arguments.max_days)?;
        limit.max_bytes = asked.max_bytes.or(limit.max_bytes);
        limit.max_age = asked.max_age.or(limit.max_age);
        pruned = Some(service.store().prune(&limit, None)?);
    }
    let results = service.results(&Caller::person())?;
    if arguments.json {
        return print_json(&json(&service, &results, arguments, pruned));
    }
    let mut text = String::new();
    if !arguments.delete.is_empty() {
        text.push_str(&format!("deleted {}\n", arguments.delete.join(", ")));
    }
    if let Some(pruned) = pruned {
        text.push_str(&format!(
            "pruned {} entries, {:.1} MB\n",
            pruned.entries,
            pruned.bytes as f64 / 1e6
        ));
    }
    text.push_str(&match results.is_empty() {
        true => format!("no results in {}", service.store().root().display()),
        false => list(&service, &results),
    });
    print(&text)
}

fn list(service: &Service, results: &[StoredResult]) -> String {
    let mut lines = table::plain(&["result", "last used", "MB", "image", "targets"], &[2]);
    for result in results {
        let image = result.image.rsplit('/').next().unwrap_or(&result.image);
        let targets = match result.targets.as_slice() {
            [first, second, third, rest @ ..] if !rest.is_empty() => {
                format!("{first}, {second}, {third} and {} more", rest.len())
            }
            all => all.join(", "),
        };
        let row = [
            result.result_id.clone(),
            ago(result.used),
            format!("{:.1}", result.bytes as f64 / 1e6),
            image.to_owned(),
            targets,
        ];
        lines.add_row(row);
    }
    format!("{}\nin {}", lines.trim_fmt(), service.store().root().display())
}

fn ago(used: SystemTime) -> String {
    let minutes = SystemTime::now().duration_since(used).unwrap_or_default().as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

fn json(
    service: &Service,
    results: &[StoredResult],
    arguments: &Results,
    pruned: Option<crate::store::Pruned>,
) -> serde_json::Value {
    let since_1970 = |used: SystemTime| {
        used.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    };
    let results: Vec<serde_json::Value> = results
        .iter()
        .map(|result| {
            serde_json::json!({
                "result_id": result.result_id,
                "used": since_1970(result.used),
                "bytes": result.bytes,
                "image": result.image,
                "targets": result.targets,
                "path": service.store().root().join(&result.result_id),
            })
        })
        .collect();
    let mut answer = serde_json::json!({ "folder": service.store().root(), "results": results });
    if !arguments.delete.is_empty() {
        answer["deleted"] = arguments.delete.clone().into();
    }
    if let Some(pruned) = pruned {
        answer["pruned"] = serde_json::json!({ "entries": pruned.entries, "bytes": pruned.bytes });
    }
    answer
}
