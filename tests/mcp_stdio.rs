//! The built program over stdio, as rmcp's client sees it and line by line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Place;
use rmcp::model::{CallToolRequestParams, CallToolResult, ReadResourceRequestParams, ResourceContents};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use std::time::Duration;

type Client = RunningService<RoleClient, ()>;

async fn connect(place: &Place, options: &[&str]) -> Client {
    ().serve(TokioChildProcess::new(place.serve(options)).unwrap())
        .await
        .unwrap()
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> CallToolResult {
    let arguments = arguments.as_object().unwrap().clone();
    client
        .call_tool(CallToolRequestParams::new(tool).with_arguments(arguments))
        .await
        .unwrap()
}

fn head(targets: &[&str]) -> Value {
    json!({"image": "head.nii.gz", "modality": "mri", "targets": targets})
}

#[tokio::test]
async fn rmcps_client_does_the_whole_job() {
    let place = Place::new();
    let client = connect(&place, &[]).await;
    let names: Vec<_> = client
        .list_all_tools()
        .await
        .unwrap()
        .into_iter()
        .map(|tool| tool.name.into_owned())
        .collect();
    assert_eq!(names, ["list_anatomy", "segment", "measure_volume"]);

    let listed = call(
        &client,
        "list_anatomy",
        json!({"query": "brain stem", "modality": "mri"}),
    )
    .await;
    assert_eq!(listed.structured_content.unwrap()["items"][0]["name"], "brainstem");

    let result = call(&client, "segment", head(&["brainstem", "left thalamus"])).await;
    let answer = result
        .structured_content
        .clone()
        .unwrap_or_else(|| panic!("{result:?}"));
    assert_eq!(
        (&answer["status"], answer["masks"].as_array().unwrap().len()),
        (&json!("done"), 2)
    );
    let links: Vec<_> = result
        .content
        .iter()
        .filter_map(|block| block.as_resource_link())
        .collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        let read = client
            .read_resource(ReadResourceRequestParams::new(link.uri.clone()))
            .await
            .unwrap();
        match &read.contents[0] {
            ResourceContents::BlobResourceContents { blob, .. } => assert!(!blob.is_empty(), "{}", link.uri),
            ResourceContents::TextResourceContents { text, .. } => assert!(text.contains("result_id"), "{}", link.uri),
            other => panic!("{other:?}"),
        }
    }

    let measured = call(&client, "measure_volume", json!({"result_id": answer["result_id"]})).await;
    let measured = measured.structured_content.unwrap();
    assert_eq!(
        measured["measurements"][0]["voxels"],
        answer["masks"][0]["measurement"]["voxels"]
    );
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn an_unknown_target_comes_back_with_the_nearest_known_names() {
    let place = Place::new();
    let client = connect(&place, &[]).await;
    let result = call(&client, "segment", head(&["left hippocampal area"])).await;
    assert_eq!((result.is_error, &result.structured_content), (Some(true), &None));
    let fault = result.meta.unwrap().0["sat-mcp/error"].clone();
    assert_eq!(fault["code"], "unknown_target");
    let names: Vec<_> = fault["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|near| near["name"].clone())
        .collect();
    assert!(names.contains(&json!("left hippocampus")), "{fault}");
}

#[tokio::test]
async fn a_result_outlives_its_server() {
    let place = Place::new();
    let first = connect(&place, &[]).await;
    let made = call(&first, "segment", head(&["brainstem"]))
        .await
        .structured_content
        .unwrap();
    first.cancel().await.unwrap();
    let second = connect(&place, &[]).await;
    let again = call(&second, "segment", head(&["brainstem"]))
        .await
        .structured_content
        .unwrap();
    assert_eq!(
        (&again["result_id"], &again["execution"]["cached"]),
        (&made["result_id"], &json!(true))
    );
    second.cancel().await.unwrap();
}

#[tokio::test]
async fn who_hears_no_progress_is_answered_in_time_and_joins_when_asking_again() {
    let place = Place::new();
    let (mut wire, _child) = place.wire(&["--answer-within", "0.05"]);
    wire.initialize("2025-06-18").await;
    let first = wire.call("segment", head(&["cerebellum"])).await["structuredContent"].clone();
    assert_eq!(first["status"], "running", "{first}");
    let mut last = first.clone();
    while last["status"] == "running" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        last = wire.call("segment", head(&["cerebellum"])).await["structuredContent"].clone();
    }
    assert_eq!(
        (&last["status"], &last["result_id"]),
        (&json!("done"), &first["result_id"])
    );
}

#[tokio::test]
async fn closing_stdin_ends_the_program_with_0_even_inside_a_run() {
    let place = Place::new();
    let (mut wire, mut child) = place.wire(&[]);
    wire.initialize("2025-11-25").await;
    wire.ask_tool("segment", head(&["left putamen", "right putamen"]), "p")
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    wire.hang_up();
    // Far more than it needs: a server that hung would still be there.
    let ended = tokio::time::timeout(Duration::from_secs(120), child.wait()).await;
    assert_eq!(ended.expect("the server hangs").unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_client_without_handshake_is_served_by_what_each_message_says() {
    let place = Place::new();
    let (mut wire, _child) = place.wire(&[]);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "stateless", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = wire.request("server/discover", json!({"_meta": meta})).await["result"].clone();
    assert!(
        found["supportedVersions"]
            .as_array()
            .unwrap()
            .contains(&json!("2026-07-28")),
        "{found}"
    );
    let tools = wire.request("tools/list", json!({"_meta": meta})).await["result"].clone();
    assert_eq!(tools["tools"].as_array().unwrap().len(), 3);
    let call = json!({"name": "list_anatomy", "arguments": {"query": "liver"}, "_meta": meta});
    let answer = wire.request("tools/call", call).await["result"].clone();
    assert_eq!(
        (&answer["isError"], &answer["resultType"]),
        (&json!(false), &json!("complete"))
    );
}

#[tokio::test]
async fn a_told_end_is_a_good_end() {
    let place = Place::new();
    let (mut wire, mut child) = place.wire(&[]);
    wire.initialize("2025-11-25").await;
    let id = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}
