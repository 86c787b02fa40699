//! What a call is answered with.

use super::{patient, served, served_by};
use serde_json::{Value, json};

#[tokio::test]
async fn a_segmentation_is_answered_with_structure_words_and_links_to_its_files() {
    let mut served = served().await;
    let result = served
        .wire
        .call("segment", json!({"image": "scan.nii", "targets": ["liver", "spleen"]}))
        .await;
    assert_eq!(result["isError"], false);
    assert_eq!(result["structuredContent"]["status"], "done");
    let blocks = result["content"].as_array().unwrap();
    assert_eq!(blocks[0]["type"], "text");
    let links: Vec<_> = blocks[1..]
        .iter()
        .map(|block| (block["type"].as_str().unwrap(), block["uri"].as_str().unwrap()))
        .collect();
    let base = "sat://results/scan.nii:liver,spleen";
    let files = [
        "liver.nii.gz",
        "spleen.nii.gz",
        "labels.nii.gz",
        "preview.png",
        "result.json",
    ];
    let wanted: Vec<_> = files.iter().map(|file| format!("{base}/{file}")).collect();
    assert!(links.iter().all(|(kind, _)| *kind == "resource_link"));
    assert_eq!(links.iter().map(|(_, uri)| *uri).collect::<Vec<_>>(), wanted);
    assert_eq!(
        (&blocks[1]["mimeType"], &blocks[1]["size"]),
        (&json!("application/gzip"), &json!(42))
    );
}

#[tokio::test]
async fn clients_older_than_links_get_the_addresses_as_text() {
    for version in ["2024-11-05", "2025-03-26"] {
        let mut served = served_by(patient(), version).await;
        let result = served
            .wire
            .call("segment", json!({"image": "scan.nii", "targets": ["liver"]}))
            .await;
        let blocks = result["content"].as_array().unwrap();
        assert!(blocks.iter().all(|block| block["type"] == "text"));
        assert!(
            blocks[1]["text"]
                .as_str()
                .unwrap()
                .contains("sat://results/scan.nii:liver/liver.nii.gz")
        );
    }
}

#[tokio::test]
async fn the_summary_leaves_out_what_the_contract_says_and_full_gives_it() {
    let mut served = served().await;
    let mut ask = json!({"image": "scan.nii", "targets": ["liver"]});
    let short = served.wire.call("segment", ask.clone()).await["structuredContent"]["masks"][0].clone();
    ask["detail"] = json!("full");
    let full = served.wire.call("segment", ask).await["structuredContent"]["masks"][0].clone();

    assert!(short["files"][0].get("sha256").is_none() && full["files"][0]["sha256"].is_string());
    for field in ["parts", "bounding_box_voxel", "bounding_box_mm", "extent_mm"] {
        assert!(short["measurement"].get(field).is_none(), "{field} in the summary");
        assert!(full["measurement"].get(field).is_some(), "{field} not in full");
    }
    assert!(
        short["measurement"]["intensity"].get("p50").is_none() && full["measurement"]["intensity"]["p50"].is_number()
    );
    let failing = |measurement: &Value| measurement["checks"].as_array().unwrap().len();
    assert_eq!((failing(&short["measurement"]), failing(&full["measurement"])), (1, 2));

    let measured = served.wire.call("measure_volume", json!({"result_id": "abc"})).await;
    assert!(
        measured["structuredContent"]["measurements"][0]
            .get("extent_mm")
            .is_none()
    );
}

#[tokio::test]
async fn a_fault_is_a_result_with_words_and_a_code_and_no_structure() {
    let mut served = served().await;
    let result = served
        .wire
        .call("segment", json!({"image": "missing.nii", "targets": ["liver"]}))
        .await;
    assert_eq!(result["isError"], true);
    assert!(result.get("structuredContent").is_none());
    assert_eq!(
        result["content"][0]["text"],
        "missing.nii: no such file. Give the path of a scan."
    );
    let fault =
        json!({"code": "bad_image", "message": "missing.nii: no such file.", "hint": "Give the path of a scan."});
    assert_eq!(result["_meta"]["sat-mcp/error"], fault);
}

#[tokio::test]
async fn wrong_arguments_are_a_result_that_names_them() {
    let mut served = served().await;
    let result = served
        .wire
        .call("segment", json!({"image": "scan.nii", "target": ["liver"]}))
        .await;
    assert_eq!(result["isError"], true);
    assert_eq!(result["_meta"]["sat-mcp/error"]["code"], "invalid_argument");
    let said = result["content"][0]["text"].as_str().unwrap();
    assert!(
        said.contains("`targets` is missing") && said.contains("Did you mean `targets`?"),
        "{said}"
    );
    let result = served.wire.call("measure_volume", json!({})).await;
    assert_eq!(result["_meta"]["sat-mcp/error"]["hint"], "Give `result_id` or `mask`.");
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error() {
    let mut served = served().await;
    let answer = served
        .wire
        .request("tools/call", json!({"name": "diagnose", "arguments": {}}))
        .await;
    assert_eq!(answer["error"]["code"], -32602);
    assert!(answer["error"]["message"].as_str().unwrap().contains("diagnose"));
}

#[tokio::test]
async fn a_run_that_panics_is_a_fault_and_the_next_run_works() {
    let mut served = served().await;
    let result = served
        .wire
        .call("segment", json!({"image": "panic.nii", "targets": ["liver"]}))
        .await;
    assert_eq!(result["_meta"]["sat-mcp/error"]["code"], "internal");
    let result = served
        .wire
        .call("segment", json!({"image": "scan.nii", "targets": ["liver"]}))
        .await;
    assert_eq!(result["isError"], false);
}
