//! What the server says of itself and offers.

use super::{patient, served, served_by};
use crate::serve::tools;
use serde_json::{Value, json};

#[tokio::test]
async fn every_revision_with_a_handshake_is_answered_in_its_own_terms() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut served = served_by(patient(), version).await;
        let hello = served.wire.initialize(version).await;
        assert_eq!(hello["protocolVersion"], version);
        assert_eq!(hello["serverInfo"]["name"], "sat-mcp");
        let words = hello["instructions"].as_str().unwrap();
        assert!(
            words.contains("list_anatomy") && words.contains("not a medical device"),
            "{words}"
        );
        assert!(hello["capabilities"]["tools"].is_object() && hello["capabilities"]["completions"].is_object());
        assert_eq!(hello["capabilities"]["resources"]["subscribe"], true);
        assert_eq!(
            hello["capabilities"]["extensions"]["io.modelcontextprotocol/skills"],
            json!({"directoryRead": true})
        );
        assert!(hello["serverInfo"]["icons"].as_array().unwrap().len() == 2);
    }
}

#[tokio::test]
async fn three_tools_come_in_a_fixed_order_with_titles_words_and_hints() {
    let mut served = served().await;
    let listed = served.wire.request("tools/list", json!({})).await;
    let listed = listed["result"]["tools"].as_array().unwrap().clone();
    let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list_anatomy", "segment", "measure_volume"]);
    for tool in &listed {
        for icon in tool["icons"].as_array().unwrap() {
            assert!(icon["src"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
            assert!(["light", "dark"].contains(&icon["theme"].as_str().unwrap()));
        }
        assert!(tool["title"].is_string() && tool["description"].as_str().unwrap().len() > 100);
        let reads_only = tool["name"] != "segment";
        assert_eq!(
            tool["annotations"],
            json!({"readOnlyHint": reads_only, "idempotentHint": true, "destructiveHint": false, "openWorldHint": false})
        );
    }
}

#[test]
fn every_schema_is_one_that_function_calling_hosts_accept() {
    for tool in tools::all(false) {
        let input = Value::Object(tool.input_schema.as_ref().clone());
        let output = Value::Object(tool.output_schema.as_deref().unwrap().clone());
        assert_eq!(input["additionalProperties"], false, "{}", tool.name);
        for schema in [&input, &output] {
            assert_eq!(schema["type"], "object");
            assert_plain(&tool.name, schema);
        }
        for (name, property) in input["properties"].as_object().unwrap() {
            assert!(
                property["description"].is_string(),
                "{}: `{name}` is not described",
                tool.name
            );
            assert!(
                property["type"].is_string(),
                "{}: `{name}` has no single type",
                tool.name
            );
        }
    }
}

/// Every schema within, by the keywords that hold schemas; property names are not keywords.
fn assert_plain(path: &str, schema: &Value) {
    let schema = schema
        .as_object()
        .unwrap_or_else(|| panic!("{path}: {schema} is no schema object"));
    for keyword in schema.keys() {
        let known = [
            "type",
            "description",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "enum",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "default",
        ];
        assert!(
            known.contains(&keyword.as_str()),
            "{path}: {keyword} is more than hosts understand"
        );
    }
    if let Some(kind) = schema.get("type") {
        let kinds = ["object", "array", "string", "integer", "number", "boolean"];
        assert!(
            kind.as_str().is_some_and(|kind| kinds.contains(&kind)),
            "{path}: type {kind}"
        );
    }
    assert!(
        schema.get("default").is_none_or(|default| !default.is_null()),
        "{path}: default null"
    );
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        assert_plain(&format!("{path}.{name}"), property);
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(nested) = schema.get(nested).filter(|nested| nested.is_object()) {
            assert_plain(&format!("{path}[]"), nested);
        }
    }
}

#[test]
fn the_three_tools_cost_a_model_at_most_2500_tokens_and_the_instructions_1000() {
    let tokens = tiktoken_rs::o200k_base().unwrap();
    let count = |tool: &rmcp::model::Tool| {
        let schema = serde_json::to_string(tool.input_schema.as_ref()).unwrap();
        let words = format!("{} {} {schema}", tool.name, tool.description.as_deref().unwrap());
        tokens.encode_with_special_tokens(&words).len()
    };
    let counts: Vec<_> = tools::all(true).iter().map(count).collect();
    assert!(counts.iter().sum::<usize>() <= 2500, "{counts:?}");
    let instructions = tokens.encode_ordinary(include_str!("../instructions.md")).len();
    assert!(instructions <= 1000, "{instructions}");
    println!("tokens of list_anatomy, segment, measure_volume: {counts:?}; of the instructions: {instructions}");
}
