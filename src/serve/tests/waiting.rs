//! Who waits, who joins, who is told what and when.

use super::{Served, impatient, patient, served_by};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

async fn served() -> Served {
    served_by(impatient(), "2025-11-25").await
}

fn scan(name: &str) -> Value {
    json!({"image": name, "targets": ["liver"]})
}

async fn until(count: &AtomicUsize, reached: usize) {
    let began = Instant::now();
    while count.load(SeqCst) < reached {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until so many runs have taken their places.
async fn noted(served: &Served, runs: usize) {
    let began = Instant::now();
    while served.desk.notes.lock().unwrap().len() < runs {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn progress_counts_windows_and_always_grows() {
    let mut served = served().await;
    let id = served.wire.ask_tool("segment", scan("a-4x200.nii"), "p").await;
    assert_eq!(
        served.wire.answer(id).await["result"]["structuredContent"]["status"],
        "done"
    );
    let heard = served.wire.progress("p");
    assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0), "{heard:?}");
    let told: Vec<_> = heard
        .iter()
        .map(|(_, _, words)| words.split(" (").next().unwrap())
        .collect();
    assert!(
        told.contains(&"Window 2 of 4.") && told.contains(&"Window 4 of 4."),
        "{told:?}"
    );
    assert!(
        heard
            .iter()
            .all(|(progress, total, _)| *progress < 4.0 && total.is_none_or(|total| total == 4.0))
    );
}

#[tokio::test]
async fn a_beat_is_heard_inside_a_long_window() {
    let mut served = served().await;
    let id = served.wire.ask_tool("segment", scan("a-1x1000.nii"), "p").await;
    served.wire.answer(id).await;
    let heard = served.wire.progress("p");
    assert!((5..=9).contains(&heard.len()), "{heard:?}");
    assert!(
        heard.windows(2).all(|pair| pair[0].0 < pair[1].0) && heard.last().unwrap().0 < 1.0,
        "{heard:?}"
    );
}

#[tokio::test]
async fn many_windows_do_not_flood_the_caller() {
    let mut served = served().await;
    let id = served.wire.ask_tool("segment", scan("a-500x1.nii"), "p").await;
    served.wire.answer(id).await;
    assert!(served.wire.progress("p").len() < 20);
}

#[tokio::test]
async fn a_cancelled_call_stops_between_windows_and_is_not_answered() {
    let mut served = served().await;
    let id = served.wire.ask_tool("segment", scan("a-100x50.nii"), "p").await;
    until(&served.desk.started, 1).await;
    served
        .wire
        .notify("notifications/cancelled", json!({"requestId": id, "reason": "enough"}))
        .await;
    until(&served.desk.cancelled, 1).await;
    // The server lives on, and what comes next is the answer to the next question.
    let next = served.wire.ask("tools/list", json!({})).await;
    loop {
        let message = served.wire.next().await.unwrap();
        if message.get("id").is_some() {
            assert_eq!(message["id"], next);
            break;
        }
    }
    assert_eq!(served.desk.finished.load(SeqCst), 0);
}

#[tokio::test]
async fn who_hears_no_progress_is_told_to_come_back_and_then_joins_the_run() {
    let mut served = served().await;
    let first = served.wire.call("segment", scan("a-10x100.nii")).await["structuredContent"].clone();
    assert_eq!(served.desk.finished.load(SeqCst), 0);
    assert_eq!((&first["status"], &first["masks"]), (&json!("running"), &json!([])));
    let eta = first["eta_s"].as_f64().unwrap();
    assert!(eta > 0.0, "{eta}");

    let (mut last, mut calls) = (first.clone(), 1);
    while last["status"] == "running" {
        calls += 1;
        last = served.wire.call("segment", scan("a-10x100.nii")).await["structuredContent"].clone();
        assert_eq!(last["result_id"], first["result_id"]);
    }
    // Its image is not read again for each call, but perhaps for one that came after the end.
    let read = served.desk.planned.load(SeqCst);
    assert!(calls > 2 && read <= 2, "{calls} calls, {read} times read");
    assert_eq!(last["masks"].as_array().unwrap().len(), 1);
    assert_eq!(
        (served.desk.started.load(SeqCst), served.desk.finished.load(SeqCst)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_caller_who_hears_progress_waits_to_the_end() {
    let mut served = served().await;
    let id = served.wire.ask_tool("segment", scan("a-8x100.nii"), "p").await;
    assert_eq!(
        served.wire.answer(id).await["result"]["structuredContent"]["status"],
        "done"
    );
}

#[tokio::test]
async fn equal_requests_share_one_run_that_outlives_the_first_to_go() {
    let mut served = served().await;
    let first = served.wire.ask_tool("segment", scan("a-8x100.nii"), "p").await;
    let second = served.wire.ask_tool("segment", scan("a-8x100.nii"), "q").await;
    until(&served.desk.started, 1).await;
    served
        .wire
        .notify("notifications/cancelled", json!({"requestId": first}))
        .await;
    let answer = served.wire.answer(second).await;
    assert_eq!(answer["result"]["structuredContent"]["status"], "done");
    assert_eq!(
        (served.desk.started.load(SeqCst), served.desk.cancelled.load(SeqCst)),
        (1, 0)
    );
    assert!(served.wire.progress("q").len() > 3);
}

#[tokio::test]
async fn who_comes_back_with_an_image_that_was_written_to_gets_a_run_of_the_new_one() {
    let mut served = served().await;
    let first = served.wire.call("segment", scan("a-100x50.nii")).await["structuredContent"].clone();
    served.desk.changed.fetch_add(1, SeqCst);
    let second = served.wire.call("segment", scan("a-100x50.nii")).await["structuredContent"].clone();
    assert_ne!(first["result_id"], second["result_id"]);
    assert_eq!(served.desk.planned.load(SeqCst), 2);
}

#[tokio::test]
async fn who_has_come_back_and_then_cancels_ends_the_run() {
    let mut served = served().await;
    served.wire.call("segment", scan("a-100x50.nii")).await;
    let again = served.wire.ask_tool("segment", scan("a-100x50.nii"), "p").await;
    let heard = served.wire.next().await.unwrap();
    assert_eq!(heard["method"], "notifications/progress", "{heard}");
    served
        .wire
        .notify("notifications/cancelled", json!({"requestId": again}))
        .await;
    until(&served.desk.cancelled, 1).await;
    assert_eq!(served.desk.finished.load(SeqCst), 0);
}

#[tokio::test]
async fn who_asks_for_a_run_that_was_just_cancelled_gets_a_new_one() {
    let mut served = served().await;
    let first = served.wire.ask_tool("segment", scan("a-5x200.nii"), "p").await;
    until(&served.desk.started, 1).await;
    served
        .wire
        .notify("notifications/cancelled", json!({"requestId": first}))
        .await;
    let second = served.wire.ask_tool("segment", scan("a-5x200.nii"), "q").await;
    assert_eq!(
        served.wire.answer(second).await["result"]["structuredContent"]["status"],
        "done"
    );
    assert_eq!(served.desk.started.load(SeqCst), 2);
}

#[tokio::test]
async fn the_failure_of_a_run_is_told_to_who_comes_back() {
    let mut served = served().await;
    let first = served.wire.call("segment", scan("broken-6x100.nii")).await;
    assert_eq!(first["structuredContent"]["status"], "running");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let second = served.wire.call("segment", scan("broken-6x100.nii")).await;
    let told = second["content"][0]["text"].as_str().unwrap();
    assert!(told.starts_with("The network gave up. Call again;"), "{told}");
    assert_eq!(served.desk.started.load(SeqCst), 1);
}

#[tokio::test]
async fn a_full_queue_says_when_to_try_again_and_who_waits_is_told_so() {
    let mut served = served().await;
    served.wire.ask_tool("segment", scan("a-30x100.nii"), "a").await;
    until(&served.desk.started, 1).await;
    let second = served.wire.ask_tool("segment", scan("b-1x10.nii"), "b").await;
    noted(&served, 2).await;
    served.wire.ask_tool("segment", scan("c-1x10.nii"), "c").await;
    noted(&served, 3).await;
    let refused = served.wire.call("segment", scan("d-1x10.nii")).await;
    assert_eq!(refused["_meta"]["sat-mcp/error"]["code"], "busy");
    assert!(
        refused["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Try again in "),
        "{refused}"
    );
    served.wire.answer(second).await;
    let told = served.wire.progress("b");
    assert!(
        told.iter()
            .any(|(_, _, words)| words == "waiting for 1 other segmentation"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_finished_result_does_not_wait_behind_a_run() {
    let mut served = served().await;
    let first = served.wire.ask_tool("segment", scan("done.nii"), "done").await;
    served.wire.answer(first).await;
    served.wire.ask_tool("segment", scan("a-20x100.nii"), "a").await;
    until(&served.desk.started, 2).await;
    let again = served.wire.call("segment", scan("done.nii")).await;
    assert_eq!(again["structuredContent"]["status"], "done");
    assert_eq!(served.desk.finished.load(SeqCst), 1, "it waited for the run");
}

#[tokio::test]
async fn closing_stdin_cancels_the_run_and_ends_the_server_well() {
    let mut served = served_by(patient(), "2025-11-25").await;
    served
        .wire
        .ask(
            "tools/call",
            json!({"name": "segment", "arguments": scan("a-100x100.nii")}),
        )
        .await;
    until(&served.desk.started, 1).await;
    let began = Instant::now();
    served.wire.hang_up();
    served.server.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(
        (served.desk.cancelled.load(SeqCst), served.desk.finished.load(SeqCst)),
        (1, 0)
    );
}

#[tokio::test]
async fn who_waits_when_stdin_closes_is_told_at_once_even_inside_a_window() {
    let mut served = served_by(patient(), "2025-11-25").await;
    let id = served.wire.ask_tool("segment", scan("a-2x4000.nii"), "p").await;
    until(&served.desk.started, 1).await;
    let began = Instant::now();
    served.wire.hang_up();
    let answer = served.wire.answer(id).await;
    assert_eq!(answer["result"]["_meta"]["sat-mcp/error"]["code"], "cancelled");
    served.server.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_millis(3000), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_asked_before_stdin_closed_is_still_answered() {
    let mut served = served().await;
    let id = served
        .wire
        .ask("tools/call", json!({"name": "list_anatomy", "arguments": {}}))
        .await;
    served.wire.hang_up();
    assert_eq!(served.wire.answer(id).await["result"]["isError"], false);
    assert!(served.wire.next().await.is_none());
    served.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_asks_for_a_preview_gets_one_whatever_others_asked_for() {
    let mut served = served().await;
    let mut bare = scan("a-3x100.nii");
    bare["preview"] = json!(false);
    let first = served.wire.ask_tool("segment", bare, "p").await;
    until(&served.desk.started, 1).await;
    let second = served.wire.ask_tool("segment", scan("a-3x100.nii"), "q").await;
    assert!(
        served.wire.answer(first).await["result"]["structuredContent"]
            .get("preview")
            .is_none()
    );
    assert!(served.wire.answer(second).await["result"]["structuredContent"]["preview"].is_object());
    assert_eq!(served.desk.started.load(SeqCst), 1, "one run is enough for both");
}

#[tokio::test]
async fn who_holds_the_places_for_images_keeps_nobody_from_what_needs_none() {
    let mut served = served().await;
    // Each of them takes a second to read its scan, and four may at once.
    for n in 0..12 {
        served
            .wire
            .ask_tool("segment", scan(&format!("plodding{n}-1x1.nii")), "p")
            .await;
    }
    for uri in ["sat://anatomy/ct", "sat://models", "sat://results/abc/result.json"] {
        let read = served.wire.request("resources/read", json!({"uri": uri})).await;
        assert!(read["result"]["contents"].is_array(), "{read}");
        assert!(served.desk.plodded.load(SeqCst) < 12, "{uri} waited for all scans");
    }
}

#[tokio::test]
async fn a_caller_leaves_only_so_much_that_it_does_not_fetch() {
    let mut served = served().await;
    for n in 0..12 {
        let told = served
            .wire
            .call(
                "measure_volume",
                json!({"result_id": "plodding", "targets": [n.to_string()]}),
            )
            .await;
        assert_eq!(told["_meta"]["sat-mcp/error"]["code"], "busy", "{told}");
    }
    until(&served.desk.plodded, 8).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    // What was left first is gone, and what was left last is there.
    let first = json!({"result_id": "plodding", "targets": ["0"]});
    let first = served.wire.call("measure_volume", first).await;
    assert_eq!(first["_meta"]["sat-mcp/error"]["code"], "busy", "{first}");
    let last = served
        .wire
        .call("measure_volume", json!({"result_id": "plodding", "targets": ["11"]}))
        .await;
    assert_eq!(
        last["structuredContent"]["measurements"][0]["name"], "plodding",
        "{last}"
    );
}

/// Calls until the answer is no longer to call again; how often that was said.
async fn persistently(served: &mut Served, tool: &str, arguments: Value) -> (Value, usize) {
    for again in 0.. {
        let result = served.wire.call(tool, arguments.clone()).await;
        let fault = &result["_meta"]["sat-mcp/error"];
        if fault["code"] != "busy" {
            return (result, again);
        }
        assert!(fault["hint"].as_str().unwrap().contains("same arguments"), "{fault}");
    }
    unreachable!()
}

#[tokio::test]
async fn who_hears_no_progress_is_answered_in_time_while_a_scan_is_read_or_a_mask_measured_and_nothing_is_done_twice() {
    let mut served = served().await;
    let (result, told) = persistently(&mut served, "segment", scan("plodding-1x1.nii")).await;
    assert_eq!(result["structuredContent"]["status"], "done", "{result}");
    assert!(told > 0);
    let (result, told) = persistently(&mut served, "measure_volume", json!({"result_id": "plodding"})).await;
    assert_eq!(
        result["structuredContent"]["measurements"][0]["name"], "plodding",
        "{result}"
    );
    assert!(told > 0);
    assert_eq!(served.desk.plodded.load(SeqCst), 2);
}
