//! `explain_result`: what a result says, for those who were not there.

use super::marks::marked;
use super::{Given, invalid};
use crate::serve::desk::Desk;
use crate::serve::reply::protocol_error;
use crate::service::{Caller, MaskAnswer, SegmentAnswer, Standing, UnderwayStatus};
use rmcp::ErrorData;
use serde_json::{Map, Value, json};

/// For whom a result may be told.
pub(in crate::serve) const AUDIENCES: [&str; 3] = ["patient", "clinician", "engineer"];

/// Masks that are told of one by one: a model has to read them.
const MOST: usize = 200;

pub(super) fn filled(desk: &impl Desk, caller: &Caller, given: &Given<'_>) -> Result<String, ErrorData> {
    let asked = given.required("result_id", "the result_id that segment gave", 200)?;
    let id = asked
        .strip_prefix("sat://results/")
        .unwrap_or(asked)
        .split('/')
        .next()
        .unwrap_or_default();
    let audience = match given.text("audience") {
        "" => "clinician",
        word => AUDIENCES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(word))
            .ok_or_else(|| invalid(format!("audience is unknown: give one of {}.", AUDIENCES.join(", "))))?,
    };
    match desk.standing(caller, id).map_err(protocol_error)? {
        Standing::Done => {}
        Standing::Underway(state) if state.status == UnderwayStatus::Running => {
            return Err(invalid(format!(
                "Result {id} is still being made: ask again when segment says done."
            )));
        }
        _ => {
            return Err(invalid(format!(
                "There is no result {id:?} here: give the result_id that segment gave, or run segment again if it was pruned."
            )));
        }
    }
    let result = desk.result_files(caller, id).map_err(protocol_error)?;
    let Some(result) = result else {
        return Err(invalid(format!(
            "Result {id} cannot be read: run segment again with the same arguments."
        )));
    };
    Ok(format!(
        "Explain to a {audience} what an automatic segmentation of a radiology scan found.\n\n{}\n{}{COMMON}",
        marked("result", &told(&result.answer).to_string()),
        match audience {
            "patient" => PATIENT,
            "engineer" => ENGINEER,
            _ => CLINICIAN,
        }
    ))
}

/// What bears on the numbers, without where the files lie.
fn told(answer: &SegmentAnswer) -> Value {
    let mut told = json!({
        "result_id": answer.result_id,
        "model": answer.model,
        "image": {
            "modality": answer.image.modality,
            "shape": answer.image.shape,
            "spacing_mm": answer.image.spacing_mm,
            "orientation": answer.image.orientation,
        },
        "masks": answer.masks.iter().take(MOST).map(mask).collect::<Vec<_>>(),
        "warnings": answer.summary()["warnings"],
        "execution": answer.execution,
        "preview": answer.preview.as_ref().map(|preview| preview.uri.as_str()),
    });
    if answer.masks.len() > MOST {
        told["masks_left_out"] = json!(answer.masks.len() - MOST);
    }
    told
}

fn mask(mask: &MaskAnswer) -> Value {
    let measurement = serde_json::to_value(mask.measurement.summary()).unwrap_or_default();
    let mut told = Map::new();
    told.insert("target".into(), json!(mask.target));
    if mask.name != mask.target {
        told.insert("name".into(), json!(mask.name));
    }
    for (key, value) in [
        ("composed_of", json!(mask.composed_of)),
        ("includes", json!(mask.includes)),
        ("trust", json!(mask.trust)),
    ] {
        if !value.is_null() {
            told.insert(key.into(), value);
        }
    }
    if let Value::Object(fields) = measurement {
        // its warnings stand among the result's
        told.extend(fields.into_iter().filter(|(key, _)| key != "name" && key != "warnings"));
    }
    Value::Object(told)
}

const PATIENT: &str = "\
Write for somebody without medical training, in short plain sentences. Say what was measured and roughly how large it is, compared with \
nothing but itself: you do not know what is normal for this person. No probabilities, no codes, no file names. Where nothing was found or a \
part is outside the picture, say just that. Do not comfort and do not alarm. End with: these are a computer's measurements, and the \
doctors who treat you can say what they mean.\n";

const CLINICIAN: &str = "\
Write for a physician: a sentence a structure with its volume in mL, its longest diameter in mm where that matters, and in the same sentence \
what limits it. Group what is alike. Name what was asked for and not found.\n";

const ENGINEER: &str = "\
Write for whoever runs or builds on this: model, version and precision, what the image was read as, windows and time, then each mask with \
voxels, volume, status, components and checks, what was joined (composed_of), thresholds where a probability bears on it, and every warning by \
its code. sat://models/{model} has the model's own figures.\n";

const COMMON: &str = "\n\
Reading it: volume_ml is in mL, millimetres are RAS+. status empty: the network found nothing of that name, which is no proof that there is \
none. cut_off: the structure leaves the image, so the volume is a lower bound. composed_of: a union of these classes. includes: lesions that \
count to this volume, so do not add theirs. trust: how many scans taught it and which Dice (1 is perfect overlap) it reached elsewhere; a low one \
or few scans mean an unsure outline. mean_probability is the model's own confidence, not a chance of disease. Every warning that bears on a \
number belongs beside that number.\n\
Add nothing that does not stand in the result: no normal ranges, no causes, no advice, no diagnosis. These are automatic measurements for \
research; say so once.\n";
