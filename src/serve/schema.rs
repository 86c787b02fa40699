//! JSON Schemas as function-calling hosts accept them.
//!
//! schemars describes Rust types exactly; hosts that hand a tool to a model want less: no `$ref`, no null types, no
//! formats of Rust's own (`uint32`, `double`). What is optional is simply not required.

use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// What a tool accepts.
pub(super) fn input<T: JsonSchema>() -> JsonObject {
    plain(SchemaSettings::draft2020_12().into_schema::<T>())
}

/// What a tool answers. Nothing that a summary may leave out (`left_out`, as paths) is required.
pub(super) fn output<T: JsonSchema>(left_out: &[&str]) -> JsonObject {
    let mut schema = plain(SchemaSettings::draft2020_12().for_serialize().into_schema::<T>());
    for path in left_out {
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().unwrap_or_default();
        let within = names.iter().try_fold(&mut schema, |schema, name| within(schema, name));
        if let Some(Value::Array(required)) = within.and_then(|schema| schema.get_mut("required")) {
            required.retain(|name| name != last);
        }
    }
    schema
}

/// The schema of a property, or with `[]` of its elements.
fn within<'a>(schema: &'a mut JsonObject, name: &str) -> Option<&'a mut JsonObject> {
    let (name, list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let property = schema.get_mut("properties")?.get_mut(name)?;
    match list {
        true => property.get_mut("items")?,
        false => property,
    }
    .as_object_mut()
}

trait IntoSchema {
    fn into_schema<T: JsonSchema>(self) -> Schema;
}

impl IntoSchema for SchemaSettings {
    fn into_schema<T: JsonSchema>(self) -> Schema {
        self.with(|settings| settings.inline_subschemas = true)
            .into_generator()
            .into_root_schema_for::<T>()
    }
}

fn plain(schema: Schema) -> JsonObject {
    let mut schema = schema.to_value();
    simplify(&mut schema);
    let mut object = match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    };
    // The Rust type's own name and doc: the tool has a better title and description.
    for noise in ["$schema", "title", "description"] {
        object.shift_remove(noise);
    }
    object
}

/// Walks schemas, not names: a property may well be called `format`.
fn simplify(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.shift_remove("format");
    if object.get("default") == Some(&Value::Null) {
        object.shift_remove("default");
    }
    for union in ["anyOf", "oneOf"] {
        drop_null_branch(object, union);
    }
    drop_null_type(object);
    words_as_enum(object);
    for (keyword, value) in object.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(fields)) => fields.values_mut().for_each(simplify),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(simplify)
            }
            ("items" | "additionalProperties" | "propertyNames", schema) => simplify(schema),
            _ => {}
        }
    }
}

/// `anyOf: [X, null]` is X.
fn drop_null_branch(object: &mut JsonObject, union: &str) {
    let Some(Value::Array(branches)) = object.get_mut(union) else {
        return;
    };
    branches.retain(|branch| branch.get("type") != Some(&Value::from("null")));
    if branches.len() != 1 {
        return;
    }
    let Some(Value::Object(only)) = branches.pop() else {
        return;
    };
    object.shift_remove(union);
    for (keyword, value) in only {
        object.entry(keyword).or_insert(value);
    }
}

/// `type: [X, null]` is `type: X`, and null leaves the list of values with it.
fn drop_null_type(object: &mut JsonObject) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if types.len() == 1
            && let Some(only) = types.pop()
        {
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// `oneOf` constant words with a comment each becomes one `enum`: the comments are for readers of the Rust code.
fn words_as_enum(object: &mut JsonObject) {
    let Some(Value::Array(branches)) = object.get("oneOf") else {
        return;
    };
    let mut words = Vec::new();
    for branch in branches {
        match (branch.get("const"), branch.get("enum")) {
            (Some(word @ Value::String(_)), _) => words.push(word.clone()),
            (None, Some(Value::Array(several))) => words.extend(several.iter().cloned()),
            _ => return,
        }
    }
    object.shift_remove("oneOf");
    object.insert("type".into(), "string".into());
    object.insert("enum".into(), Value::Array(words));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::json;

    /// Doc of the type.
    #[derive(Serialize, JsonSchema)]
    struct Example {
        /// How many.
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<Kind>,
        #[serde(skip_serializing_if = "Option::is_none")]
        nested: Option<Inner>,
        corner: [f64; 3],
        format: Kind,
    }

    /// Doc of the enum.
    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)] // only its schema is looked at
    enum Kind {
        /// With a comment.
        One,
        Two,
    }

    #[derive(Serialize, JsonSchema)]
    struct Inner {
        label: Option<String>,
    }

    #[derive(Serialize, JsonSchema)]
    struct List {
        total: u32,
        list: Vec<Item>,
    }

    #[derive(Serialize, JsonSchema)]
    struct Item {
        count: u32,
        kind: Kind,
    }

    #[test]
    fn optional_fields_keep_their_plain_type_and_are_not_required() {
        let schema = output::<Example>(&[]);
        assert_eq!(
            schema["properties"]["count"],
            json!({"description": "How many.", "type": "integer", "minimum": 0})
        );
        assert_eq!(schema["required"], json!(["corner", "format"]));
        assert_eq!(schema["properties"]["nested"]["properties"]["label"]["type"], "string");
    }

    #[test]
    fn what_a_summary_may_leave_out_is_not_required() {
        let schema = output::<List>(&["total", "list[].kind", "no.such"]);
        assert_eq!(schema["required"], json!(["list"]));
        assert_eq!(schema["properties"]["list"]["items"]["required"], json!(["count"]));
    }

    #[test]
    fn words_become_an_enum_and_a_property_called_format_stays() {
        let schema = output::<Example>(&[]);
        let words = json!({"description": "Doc of the enum.", "type": "string", "enum": ["one", "two"]});
        let mut found = schema["properties"]["format"].clone();
        found["enum"]
            .as_array_mut()
            .unwrap()
            .sort_by_key(|word| word.to_string());
        assert_eq!(found, words);
        assert!(schema.get("title").is_none() && schema.get("description").is_none());
    }
}
