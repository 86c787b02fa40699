//! A tool's arguments held against the schema that its caller saw.
//!
//! A model that gets its call wrong can mend it when told which parameter, what it gave and what would work. So every
//! fault is named at once, in those words. What is plainly meant is taken: null for a parameter left out, `CT` for
//! `ct`, 5.0 for 5.

use crate::service::{Code, Fault};
use crate::volume::Modality;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The arguments as the request type they describe.
pub(super) fn parse<T: DeserializeOwned>(tool: &str, schema: &JsonObject, arguments: JsonObject) -> Result<T, Fault> {
    let mut arguments = arguments;
    arguments.retain(|_, value| !value.is_null());
    let mut faults = Vec::new();
    check_object(tool, schema, &mut arguments, &mut faults);
    if !faults.is_empty() {
        return Err(fault(&faults));
    }
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        Fault::new(
            Code::InvalidArgument,
            format!("{tool} does not understand its arguments: {error}."),
        )
    })
}

/// One fault of the arguments: what is wrong, and what would work.
struct Wrong {
    what: String,
    instead: Option<String>,
}

fn fault(faults: &[Wrong]) -> Fault {
    match faults {
        [
            Wrong {
                what,
                instead: Some(instead),
            },
        ] => Fault::new(Code::InvalidArgument, what).hint(instead),
        several => {
            let pairs = several
                .iter()
                .flat_map(|wrong| [Some(wrong.what.as_str()), wrong.instead.as_deref()]);
            let said: Vec<_> = pairs.flatten().collect();
            Fault::new(Code::InvalidArgument, said.join(" "))
        }
    }
}

fn check_object(tool: &str, schema: &JsonObject, arguments: &mut JsonObject, faults: &mut Vec<Wrong>) {
    let nothing = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
    for required in strings(schema.get("required")).filter(|name| !arguments.contains_key(*name)) {
        faults.push(Wrong {
            what: format!("`{required}` is missing."),
            instead: known
                .get(required)
                .map(|schema| format!("`{required}` is {}", explain(schema))),
        });
    }
    for (name, value) in arguments.iter_mut() {
        match known.get(name) {
            Some(schema) => check(name, schema, value, faults),
            None => faults.push(unknown(tool, name, known)),
        }
    }
}

fn unknown(tool: &str, name: &str, known: &JsonObject) -> Wrong {
    let nearest = known
        .keys()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let guess = match nearest {
        Some((likeness, other)) if likeness > 0.8 => format!("Did you mean `{other}`? "),
        _ => String::new(),
    };
    let all: Vec<_> = known.keys().map(String::as_str).collect();
    Wrong {
        what: format!("{tool} has no parameter `{name}`."),
        instead: Some(format!("{guess}It takes {}.", all.join(", "))),
    }
}

fn check(path: &str, schema: &Value, value: &mut Value, faults: &mut Vec<Wrong>) {
    let wanted = schema["type"].as_str().unwrap_or_default();
    settle(wanted, schema, value);
    let fits = match wanted {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !fits {
        faults.push(Wrong {
            what: format!("`{path}` must be {}, not {}.", name_of(schema), kind_of(value)),
            instead: example(wanted, value),
        });
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        faults.push(Wrong {
            what: format!("`{path}` must be {}, not {value}.", name_of(schema)),
            instead: None,
        });
    }
    check_bounds(path, schema, value, faults);
    if let Value::Array(items) = value {
        for (index, item) in items.iter_mut().enumerate() {
            check(&format!("{path}[{index}]"), &schema["items"], item, faults);
        }
    }
}

/// Takes what is plainly meant: a word in capitals, a whole number written with a point.
fn settle(wanted: &str, schema: &Value, value: &mut Value) {
    if let (Some(words), Some(given)) = (schema["enum"].as_array(), value.as_str()) {
        // MR and PT are DICOM's words for what is mri and pet here
        let given = match Modality::from_word(given).map(Modality::as_str) {
            Some(word) if words.iter().any(|known| known == word) => word,
            _ => given,
        };
        let same = |word: &&Value| word.as_str().is_some_and(|word| word.eq_ignore_ascii_case(given));
        if let Some(word) = words.iter().find(same) {
            *value = word.clone();
        }
    }
    if wanted == "integer"
        && let Some(number) = value.as_f64()
        && number.fract() == 0.0
        && number.abs() < 9.0e15
    {
        *value = Value::from(number as i64);
    }
}

fn check_bounds(path: &str, schema: &Value, value: &Value, faults: &mut Vec<Wrong>) {
    let (measured, least, most, unit) = match value {
        Value::Array(items) => (items.len() as f64, "minItems", "maxItems", " entries"),
        Value::Number(number) => (number.as_f64().unwrap_or_default(), "minimum", "maximum", ""),
        Value::String(text) => (text.chars().count() as f64, "minLength", "maxLength", " characters"),
        _ => return,
    };
    let least = schema[least].as_f64().filter(|least| measured < *least);
    let most = schema[most].as_f64().filter(|most| measured > *most);
    let bound = match (least, most) {
        (Some(least), _) => format!("at least {least}"),
        (_, Some(most)) => format!("at most {most}"),
        _ => return,
    };
    let verb = if unit.is_empty() { "be" } else { "have" };
    faults.push(Wrong {
        what: format!("`{path}` must {verb} {bound}{unit}, not {measured}."),
        instead: None,
    });
}

/// "a list of strings", "one of ct, mri, pet".
fn name_of(schema: &Value) -> String {
    if schema["enum"].is_array() {
        return format!("one of {}", strings(schema.get("enum")).collect::<Vec<_>>().join(", "));
    }
    match schema["type"].as_str().unwrap_or_default() {
        "array" => match schema["items"]["type"].as_str() {
            Some(item) => format!("a list of {item}s"),
            None => "a list".into(),
        },
        "boolean" => "true or false".into(),
        "integer" => "a whole number".into(),
        "object" => "an object".into(),
        other => format!("a {other}"),
    }
}

fn explain(schema: &Value) -> String {
    match schema["description"].as_str() {
        Some(description) => format!("{}: {description}", name_of(schema)),
        None => format!("{}.", name_of(schema)),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The value as it was probably meant: `["liver"]` for `"liver"`.
fn example(wanted: &str, value: &Value) -> Option<String> {
    match (wanted, value) {
        ("array", Value::String(_)) => Some(format!("Write [{value}].")),
        ("boolean" | "integer" | "number", Value::String(text)) => {
            let meant: Value = serde_json::from_str(text)
                .ok()
                .filter(|meant: &Value| !meant.is_string())?;
            Some(format!("Write {meant} without quotes."))
        }
        _ => None,
    }
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::serve::schema;
    use crate::service::SegmentRequest;
    use crate::volume::Modality;
    use serde_json::json;

    fn segment(arguments: Value) -> Result<SegmentRequest, Fault> {
        parse(
            "segment",
            &schema::input::<SegmentRequest>(),
            arguments.as_object().unwrap().clone(),
        )
    }

    fn refusal(arguments: Value) -> String {
        let fault = segment(arguments).unwrap_err();
        assert_eq!(fault.code, Code::InvalidArgument);
        fault.to_string()
    }

    #[test]
    fn what_is_plainly_meant_is_taken() {
        let request =
            segment(json!({"image": "a.nii", "targets": ["liver"], "modality": "CT", "preview": null})).unwrap();
        assert_eq!((request.modality, request.preview), (Some(Modality::Ct), None));
    }

    #[test]
    fn a_string_for_a_list_is_refused_with_the_list_to_write() {
        let said = refusal(json!({"image": "a.nii", "targets": "liver"}));
        assert_eq!(
            said,
            "`targets` must be a list of strings, not a string. Write [\"liver\"]."
        );
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let said = refusal(json!({"imge": "a.nii", "targets": [3], "modality": "xray"}));
        for part in [
            "`image` is missing.",
            "segment has no parameter `imge`.",
            "Did you mean `image`?",
            "`targets[0]` must be a string, not a number.",
            "`modality` must be one of ct, mri, pet, not \"xray\".",
        ] {
            assert!(said.contains(part), "{part} not in: {said}");
        }
    }

    #[test]
    fn bounds_are_said_in_the_parameters_own_unit() {
        assert!(
            refusal(json!({"image": "a", "targets": []})).contains("`targets` must have at least 1 entries, not 0.")
        );
        let said = refusal(json!({"image": "a", "targets": ["x"], "preview": "true"}));
        assert_eq!(
            said,
            "`preview` must be true or false, not a string. Write true without quotes."
        );
    }
}
