//! Resources: listed, read, and how long they may be kept; and the skill among them.

use super::{Served, patient, served, served_by};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;

async fn read(served: &mut Served, uri: &str) -> Value {
    served.wire.request("resources/read", json!({"uri": uri})).await
}

async fn page(served: &mut Served, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
    let answer = served.wire.request("resources/list", json!({"cursor": cursor})).await["result"].clone();
    let uris = answer["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["uri"].as_str().unwrap().to_owned());
    (uris.collect(), answer["nextCursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn results_are_listed_page_by_page_each_once_while_others_come() {
    let mut served = served().await;
    for id in 0..60 {
        served.desk.keep(&format!("{id:04x}"), 1000 + id, 5);
    }
    served.desk.keep("ffff", 5000, 150);
    let (first, mut cursor) = page(&mut served, None).await;
    assert!(first.contains(&"sat://anatomy/ct".to_owned()) && first.contains(&"sat://models".to_owned()));
    assert_eq!(first.len(), 100);
    let opened = served.desk.opened.swap(0, SeqCst);
    assert!(opened <= 100, "{opened} results opened for one page");
    let mut uris = first;
    let mut pages = 1;
    while let Some(at) = cursor {
        // Results that are made meanwhile do not move what is being listed.
        served.desk.keep(&format!("a{pages:04x}"), 9000 + pages, 7);
        let (more, next) = page(&mut served, Some(&at)).await;
        assert!(more.len() <= 100 && served.desk.opened.swap(0, SeqCst) <= 100);
        uris.extend(more);
        (cursor, pages) = (next, pages + 1);
    }
    let results: Vec<_> = uris.iter().filter(|uri| uri.starts_with("sat://results/")).collect();
    assert_eq!(results.len(), 60 * 5 + 150);
    assert_eq!(
        results.iter().collect::<std::collections::HashSet<_>>().len(),
        results.len()
    );
    // The newest first, and of one result by name.
    assert_eq!(*results[0], "sat://results/ffff/000.nii.gz");
    assert_eq!(*results[150], "sat://results/003b/000.nii.gz");
    for bad in ["x", "3", "", "bm9uc2Vuc2U"] {
        let error = served.wire.request("resources/list", json!({"cursor": bad})).await["error"].clone();
        assert_eq!(error["code"], -32602, "{bad}: {error}");
    }
}

#[tokio::test]
async fn what_is_listed_says_for_whom_it_is_and_when_it_was_made() {
    let mut served = served().await;
    served.desk.keep("cafe", 86_400, 1);
    let listed = served.wire.request("resources/list", json!({})).await["result"]["resources"].clone();
    for resource in listed.as_array().unwrap() {
        assert!(
            resource["title"].is_string() && resource["mimeType"].is_string(),
            "{resource}"
        );
        let priority = resource["annotations"]["priority"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&priority) && resource["annotations"]["audience"].is_array());
    }
    let file = listed.as_array().unwrap().last().unwrap();
    assert_eq!((&file["name"], &file["size"]), (&json!("000.nii.gz"), &json!(3)));
    assert_eq!(file["annotations"]["lastModified"], "1970-01-02T00:00:00+00:00");

    let templates = served.wire.request("resources/templates/list", json!({})).await["result"].clone();
    let templates = templates["resourceTemplates"].as_array().unwrap();
    let uris: Vec<_> = templates
        .iter()
        .map(|template| template["uriTemplate"].as_str().unwrap())
        .collect();
    let wanted = [
        "sat://results/{result_id}/{file}",
        "sat://results/{result_id}/{file}{?slices}",
        "sat://anatomy/{modality}",
        "sat://anatomy/{modality}/{region}",
        "sat://models/{model}",
    ];
    assert_eq!(uris, wanted);
    assert!(
        templates
            .iter()
            .all(|template| template["title"].is_string() && template["description"].is_string())
    );
}

#[tokio::test]
async fn resources_are_read_as_what_they_are() {
    let mut served = served().await;
    let json = read(&mut served, "sat://results/abc/result.json").await["result"]["contents"][0].clone();
    assert_eq!(
        (&json["text"], &json["mimeType"]),
        (&json!("{}"), &json!("application/json"))
    );
    let mask = read(&mut served, "sat://results/abc/liver.nii.gz").await["result"]["contents"][0].clone();
    assert_eq!(
        (&mask["blob"], &mask["mimeType"]),
        (&json!("H4v/"), &json!("application/gzip"))
    );
    let slices = read(&mut served, "sat://results/abc/liver.nii.gz?slices=0-1").await["result"]["contents"][0].clone();
    assert_eq!(
        (&slices["blob"], &slices["mimeType"]),
        (&json!("H4s="), &json!("application/gzip"))
    );
    assert_eq!(slices["uri"], "sat://results/abc/liver.nii.gz?slices=0-1");

    let list = async |served: &mut Served, uri: &str| {
        let contents = read(served, uri).await["result"]["contents"][0].clone();
        serde_json::from_str::<Value>(contents["text"].as_str().unwrap()).unwrap()
    };
    let whole = list(&mut served, "sat://anatomy/mri").await;
    let brain = list(&mut served, "sat://anatomy/mri/brain").await;
    assert_eq!(
        whole["items"].as_array().unwrap().len() as u64,
        whole["total"].as_u64().unwrap()
    );
    assert!(brain["total"].as_u64() < whole["total"].as_u64());
    assert!(
        brain["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|item| item["region"] == "brain")
    );
    let models = list(&mut served, "sat://models").await;
    assert_eq!(
        models["models"][0],
        json!({"name": "fake", "default": true, "uri": "sat://models/fake"})
    );
}

#[tokio::test]
async fn resources_that_are_missing_or_too_large_are_protocol_errors_that_help() {
    let mut served = served().await;
    for (uri, code, words) in [
        ("sat://results/abc/other.nii.gz", -32002, "no such resource"),
        ("sat://results/beef/result.json", -32002, "no such resource"),
        ("sat://anatomy/ultrasound", -32002, "ct, mri, pet"),
        ("sat://anatomy/ct/tail", -32002, "head-and-neck"),
        ("sat://models/none", -32002, "no model"),
        ("skill://other/SKILL.md", -32002, "skill://segment-radiology/SKILL.md"),
        ("http://example.org/", -32002, "no such resource"),
        (
            "sat://results/abc/huge.nii.gz",
            -32602,
            "sat://results/abc/huge.nii.gz?slices=0-1",
        ),
        (
            "sat://results/abc/liver.nii.gz?slices=9-1",
            -32602,
            "does not say which slices",
        ),
    ] {
        let error = read(&mut served, uri).await["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["data"]["uri"], uri);
    }
}

/// What every request of 2026-07-28 carries.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

#[tokio::test]
async fn new_clients_are_told_how_long_to_keep_and_another_code_for_what_is_missing() {
    let mut served = super::served_without_handshake(patient()).await;
    served.desk.keep("cafe", 1, 1);
    let hour = 3_600_000;
    for (method, params, ttl, scope) in [
        ("tools/list", json!({}), hour, "public"),
        ("prompts/list", json!({}), hour, "public"),
        ("resources/templates/list", json!({}), hour, "public"),
        ("resources/list", json!({}), 5000, "private"),
        ("skills/list", json!({}), hour, "public"),
        ("resources/read", json!({"uri": "sat://anatomy/ct"}), hour, "public"),
        (
            "resources/read",
            json!({"uri": "sat://results/abc/result.json"}),
            24 * hour,
            "private",
        ),
        (
            "resources/read",
            json!({"uri": "skill://segment-radiology/SKILL.md"}),
            hour,
            "public",
        ),
    ] {
        let mut params = params;
        params["_meta"] = meta();
        let result = served.wire.request(method, params).await["result"].clone();
        assert_eq!(
            (&result["ttlMs"], &result["cacheScope"]),
            (&json!(ttl), &json!(scope)),
            "{method}"
        );
    }
    let missing = json!({"uri": "sat://results/beef/result.json", "_meta": meta()});
    let error = served.wire.request("resources/read", missing).await["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");

    let mut old = served_by(patient(), "2025-11-25").await;
    let listed = old.wire.request("tools/list", json!({})).await["result"].clone();
    assert!(listed.get("ttlMs").is_none() && listed.get("cacheScope").is_none());
}

#[tokio::test]
async fn the_skill_is_listed_got_and_read_file_by_file() {
    let mut served = served().await;
    let skills = served.wire.request("skills/list", json!({})).await["result"]["skills"].clone();
    let skill = skills[0].clone();
    assert_eq!(skill["uri"], "skill://segment-radiology/SKILL.md");
    assert_eq!(skill["frontmatter"]["name"], "segment-radiology");
    let got = served.wire.request("skills/get", json!({"uri": skill["uri"]})).await["result"]["skill"].clone();
    assert_eq!(got, skill);
    for file in skill["resources"].as_array().unwrap() {
        let contents = read(&mut served, file["uri"].as_str().unwrap()).await["result"]["contents"][0].clone();
        let text = contents["text"].as_str().unwrap();
        assert_eq!(
            rmcp::model::sha256_digest(text.as_bytes()),
            file["digest"].as_str().unwrap()
        );
        assert_eq!(contents["mimeType"], "text/markdown");
    }
    let directory = async |served: &mut Served, uri: &str| {
        served
            .wire
            .request("resources/directory/read", json!({"uri": uri}))
            .await
    };
    let root = directory(&mut served, "skill://segment-radiology").await["result"]["resources"].clone();
    assert_eq!(root[0]["name"], "SKILL.md");
    assert_eq!(
        (&root[1]["name"], &root[1]["mimeType"]),
        (&json!("references"), &json!("inode/directory"))
    );
    let below = directory(&mut served, "skill://segment-radiology/references").await["result"]["resources"].clone();
    assert_eq!(
        below.as_array().unwrap().len() + 1,
        skill["resources"].as_array().unwrap().len()
    );
    for bad in ["skill://segment-radiology/SKILL.md", "skill://other", "sat://anatomy"] {
        assert_eq!(directory(&mut served, bad).await["error"]["code"], -32602, "{bad}");
    }
    let error = served
        .wire
        .request("skills/get", json!({"uri": "skill://x/SKILL.md"}))
        .await["error"]
        .clone();
    assert_eq!(error["code"], -32602);
}
