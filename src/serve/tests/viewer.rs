//! The viewer as hosts find it, and the scan that it asks them for.

use super::{patient, served, served_by};
use crate::serve::Options;
use serde_json::{Value, json};

const URI: &str = "ui://sat-mcp/viewer.html";
const SCAN: &str = "sat://results/abc/display/image.nii.gz";

async fn read(wire: &mut super::Wire, uri: &str) -> Value {
    wire.request("resources/read", json!({ "uri": uri })).await
}

#[tokio::test]
async fn only_segment_names_the_viewer_and_the_page_names_no_other_address() {
    let mut served = served().await;
    let tools = served.wire.request("tools/list", json!({})).await["result"]["tools"].clone();
    for tool in tools.as_array().unwrap() {
        let named = tool["_meta"]["ui"]["resourceUri"] == URI;
        assert_eq!(named, tool["name"] == "segment", "{tool}");
    }
    let listed = served.wire.request("resources/list", json!({})).await["result"]["resources"].clone();
    let listed = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["uri"] == URI)
        .unwrap()
        .clone();
    let page = read(&mut served.wire, URI).await["result"]["contents"][0].clone();
    for one in [&listed, &page] {
        assert_eq!(one["mimeType"], "text/html;profile=mcp-app");
        let csp = one["_meta"]["ui"]["csp"].as_object().unwrap();
        assert!(
            csp.len() == 4 && csp.values().all(|addresses| *addresses == json!([])),
            "{csp:?}"
        );
    }
    assert_eq!(listed["size"], page["text"].as_str().unwrap().len());
}

#[tokio::test]
async fn the_scan_of_a_result_is_a_blob_within_the_limit() {
    let mut served = served().await;
    let scan = read(&mut served.wire, SCAN).await["result"]["contents"][0].clone();
    assert_eq!(
        (&scan["blob"], &scan["mimeType"]),
        (&json!("H4v/"), &json!("application/gzip"))
    );
    let unknown = read(&mut served.wire, &SCAN.replace("abc", "abd")).await["error"].clone();
    assert_eq!(unknown["code"], -32002, "{unknown}");

    let narrow = Options {
        resource_limit: 2,
        ..patient()
    };
    let mut served = served_by(narrow, "2025-11-25").await;
    let error = read(&mut served.wire, SCAN).await["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("sat-mcp view"), "{error}");
}
