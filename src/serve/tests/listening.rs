//! Subscriptions: who hears of a result that is being made, and when.

use super::{Served, impatient, served_by, served_without_handshake};
use crate::service::{Underway, UnderwayStatus};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

const RESULT: &str = "sat://results/a-12x100.nii:liver/result.json";

/// Starts a run and returns once its id is told.
async fn begun(served: &mut Served, image: &str) {
    let answer = served
        .wire
        .call("segment", json!({"image": image, "targets": ["liver"]}))
        .await;
    assert_eq!(answer["structuredContent"]["status"], "running", "{answer}");
}

async fn state(served: &mut Served, uri: &str) -> Value {
    let answer = served.wire.request("resources/read", json!({"uri": uri})).await;
    serde_json::from_str(
        answer["result"]["contents"][0]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}")),
    )
    .unwrap()
}

/// Waits for the next word of `uri`.
async fn updated(served: &mut Served, uri: &str) -> Value {
    loop {
        let told =
            |heard: &Value| heard["method"] == "notifications/resources/updated" && heard["params"]["uri"] == uri;
        if let Some(at) = served.wire.heard.iter().position(told) {
            return served.wire.heard.remove(at);
        }
        let message = served.wire.next().await.expect("the server lives");
        served.wire.heard.push(message);
    }
}

async fn subscribe(served: &mut Served, uri: &str) -> Value {
    served.wire.request("resources/subscribe", json!({"uri": uri})).await
}

#[tokio::test]
async fn who_subscribes_hears_of_each_step_and_of_the_end() {
    let mut served = served_by(impatient(), "2025-11-25").await;
    begun(&mut served, "a-12x100.nii").await;
    assert_eq!(subscribe(&mut served, RESULT).await["result"], json!({}));
    let mut told = 0;
    let mut windows = vec![];
    loop {
        updated(&mut served, RESULT).await;
        told += 1;
        let state = state(&mut served, RESULT).await;
        match state["status"].as_str() {
            Some("running") => {
                assert_eq!(
                    (&state["windows"], state["result_id"].as_str()),
                    (&json!(12), Some("a-12x100.nii:liver"))
                );
                windows.push(state["windows_done"].as_u64().unwrap());
            }
            // The fake's result.json is empty.
            _ => break,
        }
    }
    assert!(windows.windows(2).all(|pair| pair[0] < pair[1]), "{windows:?}");
    assert!(told >= 3, "told {told} times");
    assert_eq!(served.desk.finished.load(SeqCst), 1);
}

#[tokio::test]
async fn who_unsubscribes_hears_no_more() {
    let mut served = served_by(impatient(), "2025-06-18").await;
    begun(&mut served, "a-12x100.nii").await;
    subscribe(&mut served, RESULT).await;
    updated(&mut served, RESULT).await;
    served
        .wire
        .request("resources/unsubscribe", json!({"uri": RESULT}))
        .await;
    served.wire.heard.clear();
    let call = json!({"image": "a-12x100.nii", "targets": ["liver"]});
    let id = served.wire.ask_tool("segment", call, "p").await;
    served.wire.answer(id).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    served.wire.request("ping", json!({})).await;
    let updates = served
        .wire
        .heard
        .iter()
        .filter(|heard| heard["method"] == "notifications/resources/updated");
    assert_eq!(updates.count(), 0);
}

#[tokio::test]
async fn a_run_that_fails_or_is_cancelled_is_told_and_says_so() {
    let mut served = served_by(impatient(), "2025-11-25").await;
    begun(&mut served, "broken-8x100.nii").await;
    let uri = "sat://results/broken-8x100.nii:liver/result.json";
    subscribe(&mut served, uri).await;
    let mut last = state(&mut served, uri).await;
    while last["status"] == "running" {
        updated(&mut served, uri).await;
        last = state(&mut served, uri).await;
    }
    assert_eq!(
        (&last["status"], &last["error"]["code"]),
        (&json!("failed"), &json!("internal")),
        "{last}"
    );

    let call = json!({"image": "b-50x100.nii", "targets": ["liver"]});
    let id = served.wire.ask_tool("segment", call, "p").await;
    let uri = "sat://results/b-50x100.nii:liver/result.json";
    // The note is there before anything else is heard of the run.
    while served.desk.notes.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    subscribe(&mut served, uri).await;
    served
        .wire
        .notify("notifications/cancelled", json!({"requestId": id}))
        .await;
    let mut last = state(&mut served, uri).await;
    while last["status"] == "running" {
        updated(&mut served, uri).await;
        last = state(&mut served, uri).await;
    }
    assert_eq!(last["status"], "cancelled", "{last}");
}

/// A run that another process has noted in the store.
fn elsewhere(id: &str, windows_done: u32) -> Underway {
    let identity = json!({"name": "fake", "version": "1", "sha256": "00"});
    let image = json!({"uri": "file:///s.nii", "sha256": "00", "shape": [2, 2, 2], "spacing_mm": [1.0, 1.0, 1.0],
        "orientation": "RAS", "modality": "ct"});
    let state = json!({"status": "running", "result_id": id, "model": identity, "image": image,
        "windows_done": windows_done, "windows": 9});
    serde_json::from_value(state).unwrap()
}

#[tokio::test]
async fn a_result_that_another_process_makes_is_followed_through_the_store() {
    let mut served = served_by(impatient(), "2025-11-25").await;
    let uri = "sat://results/far/result.json";
    assert_eq!(subscribe(&mut served, uri).await["error"]["code"], -32002);
    let note = |done| {
        served
            .desk
            .notes
            .lock()
            .unwrap()
            .insert("far".into(), elsewhere("far", done))
    };
    note(1);
    assert_eq!(elsewhere("far", 1).status, UnderwayStatus::Running);
    assert_eq!(subscribe(&mut served, uri).await["result"], json!({}));
    served
        .desk
        .notes
        .lock()
        .unwrap()
        .insert("far".into(), elsewhere("far", 2));
    updated(&mut served, uri).await;
    assert_eq!(state(&mut served, uri).await["windows_done"], 2);
    served.desk.finish_elsewhere("far");
    updated(&mut served, uri).await;
}

#[tokio::test]
async fn what_cannot_be_read_cannot_be_subscribed_to_and_a_session_has_only_so_many() {
    let mut served = served_by(impatient(), "2025-11-25").await;
    for uri in [
        "sat://results/beef/result.json",
        "sat://results/abc/none.nii.gz",
        "file:///etc/passwd",
    ] {
        assert_eq!(subscribe(&mut served, uri).await["error"]["code"], -32002, "{uri}");
    }
    // What never changes is taken, and stays silent.
    for uri in [
        "sat://anatomy/ct",
        "sat://results/abc/result.json",
        "skill://segment-radiology/SKILL.md",
    ] {
        assert_eq!(subscribe(&mut served, uri).await["result"], json!({}), "{uri}");
    }
    for n in 0..=64 {
        let id = format!("far{n}");
        served.desk.notes.lock().unwrap().insert(id.clone(), elsewhere(&id, 0));
        let answer = subscribe(&mut served, &format!("sat://results/{id}/result.json")).await;
        assert_eq!(answer.get("error").is_some(), n == 64, "{n}: {answer}");
    }
}

#[tokio::test]
async fn a_client_without_a_handshake_listens_with_one_request() {
    let mut served = served_without_handshake(impatient()).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let call = json!({"name": "segment", "arguments": {"image": "a-12x100.nii", "targets": ["liver"]}, "_meta": meta});
    served.wire.request("tools/call", call).await;
    let filter = |uri: &str| json!({"notifications": {"resourceSubscriptions": [uri]}, "_meta": meta});
    let listening = served.wire.ask("subscriptions/listen", filter(RESULT)).await;
    let first = updated(&mut served, RESULT).await;
    assert_eq!(
        first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        listening
    );
    let acknowledged = |heard: &Value| heard["method"] == "notifications/subscriptions/acknowledged";
    assert!(served.wire.heard.iter().any(acknowledged), "{:?}", served.wire.heard);
    while served.desk.finished.load(SeqCst) == 0 {
        updated(&mut served, RESULT).await;
    }
    // Nobody may listen to what is not there.
    let refused = served
        .wire
        .request("subscriptions/listen", filter("sat://results/beef/result.json"))
        .await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert_eq!(
        served
            .wire
            .request("resources/subscribe", json!({"uri": RESULT, "_meta": meta}))
            .await["error"]["code"],
        -32601
    );
}
