//! Schemas that function-calling hosts accept: no `$ref`, no null types, no formats of Rust's own.

use schemars::Schema;
use serde_json::{Map, Value};

/// A schemars transform, `#[schemars(transform = plain_schema)]` on a container: an optional field is one that may be left
/// out, not one that may be null; an enum of documented words is a plain `enum`; `uint32` and its like are no formats.
///
/// References cannot be looked up from here: put `#[schemars(inline)]` on the types used, or generate with
/// `inline_subschemas`.
pub fn plain_schema(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        plain(object);
    }
}

fn plain(object: &mut Map<String, Value>) {
    for key in ["properties", "$defs", "patternProperties"] {
        if let Some(Value::Object(inner)) = object.get_mut(key) {
            inner.values_mut().filter_map(Value::as_object_mut).for_each(plain);
        }
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(Value::Object(inner)) = object.get_mut(key) {
            plain(inner);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(inner)) = object.get_mut(key) {
            inner.iter_mut().filter_map(Value::as_object_mut).for_each(plain);
        }
    }
    drop_null(object);
    collapse_words(object);
    if let Some(Value::String(format)) = object.get("format")
        && ["int", "uint", "float", "double"]
            .iter()
            .any(|own| format.starts_with(own))
    {
        object.remove("format");
    }
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
}

fn is_null(value: &Value) -> bool {
    value.get("type") == Some(&Value::from("null"))
}

fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(words)) = object.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(choices)) = object.get_mut(key) else {
            continue;
        };
        let before = choices.len();
        choices.retain(|choice| !is_null(choice));
        if choices.len() == before {
            continue;
        }
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove(key);
            for (name, value) in only {
                object.entry(name).or_insert(value); // the field's own description stays
            }
        }
    }
}

/// `oneOf: [{const: "a"}, {enum: ["b", "c"]}]`, as documented enums come, becomes `enum: ["a", "b", "c"]`.
fn collapse_words(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get("oneOf") else {
        return;
    };
    let mut words = Vec::new();
    for choice in choices {
        match (choice.get("const"), choice.get("enum")) {
            (Some(word @ Value::String(_)), _) => words.push(word.clone()),
            (None, Some(Value::Array(some))) if some.iter().all(Value::is_string) => words.extend(some.iter().cloned()),
            _ => return,
        }
    }
    object.remove("oneOf");
    object.insert("type".into(), "string".into());
    object.insert("enum".into(), Value::Array(words));
}

#[cfg(test)]
mod tests {
    use crate::anatomy::{ListAnswer, ListRequest};

    #[test]
    fn the_list_s_schemas_hold_no_references_nulls_or_formats() {
        for schema in [schemars::schema_for!(ListRequest), schemars::schema_for!(ListAnswer)] {
            let text = serde_json::to_string_pretty(&schema).unwrap();
            for unwanted in ["\"null\"", "\"format\"", "$ref", "$defs", "\"default\": null"] {
                assert!(!text.contains(unwanted), "{unwanted} in {text}");
            }
        }
    }

    #[test]
    fn an_optional_word_stays_a_list_of_words() {
        let schema = schemars::schema_for!(ListRequest);
        let modality = &schema.as_value()["properties"]["modality"];
        assert_eq!(modality["enum"], serde_json::json!(["ct", "mri", "pet"]));
        assert_eq!(modality["type"], "string");
        assert!(modality["description"].as_str().unwrap().starts_with("Only"));
        assert!(schema.as_value().get("required").is_none());
    }
}
