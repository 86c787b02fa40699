//! Calls that are answered with a handle, and what becomes of them when clients, runs and servers go.

use super::fake::FakeDesk;
use super::{Served, patient, serving};
use crate::serve::desk::Desk;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

async fn served_with(desk: &Arc<FakeDesk>) -> Served {
    serving(patient(), desk.clone())
}

async fn served() -> Served {
    served_with(&Arc::default()).await
}

/// A request of a client of 2026-07-28 that declares `extensions`.
async fn asked(served: &mut Served, method: &str, mut params: Value, extensions: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
    });
    served.wire.request(method, params).await
}

async fn ask(served: &mut Served, method: &str, params: Value) -> Value {
    asked(served, method, params, json!({"io.modelcontextprotocol/tasks": {}})).await
}

async fn begun(served: &mut Served, image: &str) -> String {
    let call = json!({"name": "segment", "arguments": {"image": image, "targets": ["liver"]}});
    let made = ask(served, "tools/call", call).await["result"].clone();
    assert_eq!(
        (&made["resultType"], &made["status"]),
        (&json!("task"), &json!("working")),
        "{made}"
    );
    assert_eq!(made.get("ttlMs"), Some(&Value::Null), "no limit while it runs: {made}");
    made["taskId"].as_str().unwrap().to_owned()
}

async fn look(served: &mut Served, id: &str) -> Value {
    ask(served, "tasks/get", json!({"taskId": id})).await
}

async fn ended(served: &mut Served, id: &str) -> Value {
    loop {
        let task = look(served, id).await["result"].clone();
        if task["status"] != "working" {
            return task;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A task whose server has gone while it was at work.
async fn left_at_work(desk: &Arc<FakeDesk>) -> String {
    let mut served = served_with(desk).await;
    let id = begun(&mut served, "a-20x50.nii").await;
    while desk.started.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served.wire.hang_up();
    served.server.await.unwrap().unwrap();
    id
}

#[tokio::test]
async fn a_client_that_knows_tasks_gets_a_handle_at_once_and_finds_the_answer_behind_it() {
    let mut served = served().await;
    let id = begun(&mut served, "a-4x100.nii").await;
    let task = ended(&mut served, &id).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["result"]["structuredContent"]["status"], "done", "{task}");
    assert!(task["ttlMs"].as_u64().unwrap() > 3_600_000, "{task}");
    let links = task["result"]["content"].as_array().unwrap();
    assert!(links.iter().any(|block| block["type"] == "resource_link"), "{task}");
}

#[tokio::test]
async fn what_cannot_be_done_ends_completed_with_the_fault() {
    let mut served = served().await;
    for (image, code) in [("missing-1x1.nii", "bad_image"), ("broken-1x1.nii", "internal")] {
        let id = begun(&mut served, image).await;
        let task = ended(&mut served, &id).await;
        assert_eq!(
            (&task["status"], &task["result"]["isError"]),
            (&json!("completed"), &json!(true)),
            "{task}"
        );
        assert_eq!(task["result"]["_meta"]["sat-mcp/error"]["code"], code);
    }
}

#[tokio::test]
async fn a_cancelled_task_stops_its_run_and_stays_cancelled() {
    let mut served = served().await;
    let id = begun(&mut served, "a-200x50.nii").await;
    while served.desk.started.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let answer = ask(&mut served, "tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(answer["error"], Value::Null, "{answer}");
    assert_eq!(ended(&mut served, &id).await["status"], "cancelled");
    while served.desk.cancelled.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ask(&mut served, "tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(look(&mut served, &id).await["result"]["status"], "cancelled");
}

#[tokio::test]
async fn a_task_whose_server_went_is_begun_again_by_the_next() {
    let desk = Arc::default();
    let id = left_at_work(&desk).await;
    let mut second = served_with(&desk).await;
    let task = ended(&mut second, &id).await;
    assert_eq!(task["result"]["structuredContent"]["status"], "done", "{task}");
    assert_eq!(desk.started.load(SeqCst), 2);
}

#[tokio::test]
async fn a_task_that_another_server_works_on_is_told_of_and_can_be_cancelled_here() {
    let desk = Arc::default();
    let (mut first, mut second) = (served_with(&desk).await, served_with(&desk).await);
    let id = begun(&mut first, "a-400x50.nii").await;
    assert_eq!(look(&mut second, &id).await["result"]["status"], "working");
    ask(&mut second, "tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(ended(&mut second, &id).await["status"], "cancelled");
    assert_eq!(look(&mut first, &id).await["result"]["status"], "cancelled");
}

#[tokio::test]
async fn a_task_that_ends_its_server_each_time_fails_with_the_reason() {
    let desk: Arc<FakeDesk> = Arc::default();
    let mut served = served_with(&desk).await;
    let id = begun(&mut served, "a-4000x50.nii").await;
    served.wire.hang_up();
    served.server.await.unwrap().unwrap();
    // Servers that take it on and are gone before they can say a word. That the first was told to end does not count.
    let mut deaths = 0;
    while deaths < 3 {
        // The first server's lock goes a moment after it.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let store = desk.tasks().unwrap();
        let record = store.get(&id).unwrap().unwrap();
        deaths += u32::from(store.adopt(&record).unwrap().is_some());
    }
    let mut last = served_with(&desk).await;
    let task = ended(&mut last, &id).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert!(task["error"]["message"].as_str().unwrap().contains("3 times"), "{task}");
}

#[tokio::test]
async fn an_unknown_task_is_an_invalid_parameter_and_a_client_without_tasks_is_told_what_it_lacks() {
    let mut served = served().await;
    let unknown = json!({"taskId": "6ba7b810-9dad-41d1-80b4-00c04fd430c8"});
    for method in ["tasks/get", "tasks/cancel"] {
        let answer = ask(&mut served, method, unknown.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let answer = asked(&mut served, "tasks/get", unknown, json!({})).await;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
}

#[tokio::test]
async fn a_client_that_shook_hands_gets_the_answer_itself_whatever_it_declares() {
    let mut served = served().await;
    let knows = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    served.wire.introduce("2025-11-25", knows).await;
    let scan = json!({"image": "a-1x1.nii", "targets": ["liver"]});
    let made = served.wire.call("segment", scan).await;
    assert_eq!(made["structuredContent"]["status"], "done", "{made}");
}

#[tokio::test]
async fn a_caller_has_only_so_many_tasks_at_work() {
    let desk: Arc<FakeDesk> = Arc::default();
    let mut served = serving(super::impatient(), desk.clone());
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(begun(&mut served, &format!("a{n}-400x50.nii")).await);
    }
    let call = json!({"name": "segment", "arguments": {"image": "b-1x1.nii", "targets": ["liver"]}});
    let refused = ask(&mut served, "tools/call", call).await["result"].clone();
    assert_eq!(refused["_meta"]["sat-mcp/error"]["code"], "busy", "{refused}");
    ask(&mut served, "tasks/cancel", json!({"taskId": ids[2]})).await;
    assert_eq!(ended(&mut served, &ids[2]).await["status"], "cancelled");
    begun(&mut served, "b-1x1.nii").await;
}

#[tokio::test]
async fn a_task_that_is_begun_again_does_not_take_a_changed_image_for_its_own() {
    let desk = Arc::default();
    let id = left_at_work(&desk).await;
    desk.changed.fetch_add(1, SeqCst);
    let mut second = served_with(&desk).await;
    let task = ended(&mut second, &id).await;
    assert_eq!(task["result"]["isError"], true, "{task}");
    let told = task["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        told.contains("has changed meanwhile") && told.contains("Call segment again"),
        "{told}"
    );
    assert_eq!(desk.started.load(SeqCst), 1);
}
