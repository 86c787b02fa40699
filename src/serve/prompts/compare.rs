//! `measure_and_compare`: the same structures in two studies of one patient.

use super::marks::marked;
use super::{Given, invalid};
use crate::anatomy::ListRequest;
use crate::serve::desk::Desk;
use crate::serve::reply::protocol_error;
use crate::volume::Modality;
use rmcp::ErrorData;
use serde_json::json;
use std::fmt::Write;

/// Bytes of a path, or of the list of targets.
const LONGEST: usize = 4096;
/// Targets: two studies of them have to be read side by side.
const MOST: usize = 64;
/// From here on a phrase is taken by `segment`.
const TAKEN: f64 = 0.8;

pub(super) fn filled(desk: &impl Desk, given: &Given<'_>) -> Result<String, ErrorData> {
    let study = "the scan's path or a result_id";
    let before = given.required("image_before", study, LONGEST)?;
    let after = given.required("image_after", study, LONGEST)?;
    if before == after {
        return Err(invalid(
            "image_before and image_after are the same: give two studies.".to_owned(),
        ));
    }
    let modality = given.modality()?;
    let targets = split(given.required("targets", "names separated by commas", LONGEST)?);
    if targets.len() > MOST {
        return Err(invalid(format!(
            "targets has {} names, more than {MOST}: compare fewer at a time.",
            targets.len()
        )));
    }
    let asked = json!({
        "before": study_of(before),
        "after": study_of(after),
        "modality": modality.as_str(),
        "targets": targets,
    });
    let mut text = format!(
        "Measure the same structures in two studies of one patient with the tools of sat-mcp, and say what has changed.\n\n{}\n",
        marked("request", &format!("{asked:#}")),
    );
    for target in &targets {
        if let Some(line) = doubt(desk, target, modality)? {
            let _ = writeln!(text, "{line}");
        }
    }
    text.push_str(STEPS);
    Ok(text)
}

/// Names between semicolons or lines where there are any, else between commas.
fn split(text: &str) -> Vec<String> {
    let by: &[char] = if text.contains([';', '\n']) {
        &[';', '\n']
    } else {
        &[',']
    };
    let names = text.split(by).map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// A scan, or a result of `segment`.
fn study_of(given: &str) -> serde_json::Value {
    let id = given
        .strip_prefix("sat://results/")
        .unwrap_or(given)
        .split('/')
        .next()
        .unwrap_or_default();
    match id.len() >= 16 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => json!({ "result_id": id }),
        false => json!({ "image": given }),
    }
}

/// What to know of a phrase that `segment` would not take as it stands.
fn doubt(desk: &impl Desk, target: &str, modality: Modality) -> Result<Option<String>, ErrorData> {
    let request = ListRequest {
        query: Some(target.to_owned()),
        modality: Some(modality),
        limit: Some(3),
        ..ListRequest::default()
    };
    let quoted = json!(target);
    let found = desk.list_anatomy(&request).map_err(protocol_error)?;
    let taken = |score: Option<f64>| score.is_some_and(|score| score >= TAKEN);
    let doubt = match found.items.first() {
        Some(best) if taken(best.score) && best.available => None,
        Some(best) if taken(best.score) => Some(format!(
            "{quoted}: SAT knows it, the loaded model does not have it in {}.",
            modality.as_str()
        )),
        _ => {
            let near: Vec<&str> = found.items.iter().map(|item| item.name.as_str()).collect();
            let near = match near.is_empty() {
                true => "nothing is near".to_owned(),
                false => format!("near are {}", json!(near)),
            };
            Some(format!("{quoted}: segment does not take it as it stands; {near}."))
        }
    };
    Ok(doubt)
}

const STEPS: &str = "\n\
1. Settle the names first: put right what is doubted above with list_anatomy, and use the same targets, in the same order, for both \
studies. A structure that one study cannot have is left out of both, and said.\n\
2. For a study given as an image call segment with the targets; for one given as result_id call measure_volume with it, or segment \
again with its image where it lacks a target. If an answer says status running, call again with the same arguments. Both studies \
must be answered by the same model and version: say so where they were not.\n\
3. Compare volumes only, target by target: before and after in mL, the difference in mL and in % of the earlier one. Two studies lie \
on two grids, so Dice, surface distances and comparing voxel by voxel mean nothing across them: do not ask measure_volume for a \
reference from the other study.\n\
4. Say beside each difference what limits it. If either side is cut_off, its volume is a lower bound and the difference is no \
figure. If either is empty, say that nothing of the name was found there, not that it is gone. Other scanners, contrast phases, slice \
thicknesses (image.spacing_mm) or sequences move volumes by themselves. Even a good tool does not repeat itself exactly: abdominal organs \
were reproduced within about 1.7 % between contrast phases of one examination (doi 10.1007/s10278-024-01265-w), and small structures, lesions and \
targets with a warning or a low Dice in trust do worse. A difference within such noise is no change that was shown.\n\
5. Give a table, then a sentence a target, then what could not be had. Give both preview pictures to look at: a difference that a \
wrong outline explains is no change.\n\
6. Never call it growth, progression, response or a diagnosis: these are automatic measurements, and what they mean is for whoever \
reads the scans. Say so.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_their_writer_split_them() {
        assert_eq!(split("liver, spleen,"), ["liver", "spleen"]);
        assert_eq!(split("kidney, left; spleen"), ["kidney, left", "spleen"]);
    }

    #[test]
    fn a_result_is_told_from_a_path() {
        let id = "44f3218c129f7b961ee6";
        assert_eq!(study_of(id), json!({ "result_id": id }));
        assert_eq!(
            study_of(&format!("sat://results/{id}/result.json")),
            json!({ "result_id": id })
        );
        assert_eq!(study_of("/data/ct.nii.gz"), json!({"image": "/data/ct.nii.gz"}));
        let image = format!("sat://images/{id}");
        assert_eq!(study_of(&image), json!({ "image": image }));
    }
}
