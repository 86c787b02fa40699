//! How the server ends.
#![cfg(unix)]

use crate::server::{Caller, PATIENCE, Server, answer_in};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn segment() -> Value {
    let arguments = json!({"image": "head.nii.gz", "modality": "mri", "targets": ["brainstem", "left thalamus"]});
    let params = json!({"name": "segment", "arguments": arguments, "_meta": {"progressToken": "p"}});
    json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params})
}

/// Asks for a segmentation, ends the server while it is under way, and returns what the caller hears.
async fn told_to_end_while_at_work(options: &[&str]) -> Value {
    let mut server = Server::alone(options).await;
    let caller = Caller::new(&server, None).begin().await;
    let listening = caller.request("GET", &caller.url).send().await.unwrap();
    let mut answer = caller.post(&segment()).await;
    let mut heard = String::new();
    while !heard.contains("notifications/progress") {
        let chunk = timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap();
        let chunk = chunk.unwrap_or_else(|| panic!("progress comes first: {heard}"));
        heard += std::str::from_utf8(&chunk).unwrap();
    }
    server.signal("TERM");
    while let Some(chunk) = timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap() {
        heard += std::str::from_utf8(&chunk).unwrap();
    }
    let ended = timeout(PATIENCE, server.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", server.log());
    assert!(TcpStream::connect(("127.0.0.1", server.port)).await.is_err());
    drop(listening);
    answer_in(&heard)
}

#[tokio::test]
async fn a_call_under_way_is_answered_before_the_server_ends() {
    let answer = told_to_end_while_at_work(&["--drain", "100"]).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    assert!(
        answer["result"]["structuredContent"]["masks"][0]["measurement"]["volume_ml"].is_number(),
        "{answer}"
    );
}

#[tokio::test]
async fn a_call_that_takes_too_long_hears_that_the_server_ends() {
    let answer = told_to_end_while_at_work(&["--drain", "0"]).await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    // A quick machine may be done before it is told.
    assert!(
        text.contains("shutting down") || answer["result"]["isError"] != true,
        "{answer}"
    );
}

#[tokio::test]
async fn a_server_with_nothing_to_do_ends_although_clients_listen() {
    let mut server = Server::alone(&["--drain", "1000"]).await;
    let caller = Caller::new(&server, None).begin().await;
    let mut listening = caller.request("GET", &caller.url).send().await.unwrap();
    let _silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    server.signal("TERM");
    let ended = timeout(PATIENCE, server.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", server.log());
    while let Ok(Some(_)) = timeout(PATIENCE, listening.chunk()).await.expect("the stream ends") {}
}

#[tokio::test]
async fn a_request_that_listens_holds_up_no_end_either() {
    let mut server = Server::alone(&["--drain", "1000"]).await;
    let caller = Caller::new(&server, None);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let wanted = json!({"resourcesListChanged": true});
    let params = json!({"notifications": wanted, "_meta": meta});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params});
    let request = caller
        .request("POST", &caller.url)
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen");
    let mut listening = request.body(message.to_string()).send().await.unwrap();
    assert_eq!(listening.status(), 200);
    let first = timeout(PATIENCE, listening.chunk()).await.unwrap().unwrap().unwrap();
    assert!(
        std::str::from_utf8(&first).unwrap().contains("data:"),
        "the stream is open"
    );
    server.signal("TERM");
    let ended = timeout(PATIENCE, server.child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0), "{}", server.log());
}
