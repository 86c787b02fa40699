//! Tasks of several servers with one results folder.
#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn folder() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn a_task_is_found_by_every_server_of_the_folder() {
    let (_dir, store) = folder();
    let (one, two) = (store.tasks().unwrap(), store.tasks().unwrap());
    let made = one.begin(Some("ann"), json!({"tool": "segment"}), "waiting").unwrap();
    assert_eq!(two.get(&made.id).unwrap(), Some(made.clone()));
    assert!(one.is_mine(&made) && !two.is_mine(&made));
    assert_eq!(made.ttl_ms(), None, "no limit while it runs");
}

#[test]
fn only_a_task_whose_server_is_gone_is_taken_over_and_only_once() {
    let (_dir, store) = folder();
    let (one, two, three) = (store.tasks().unwrap(), store.tasks().unwrap(), store.tasks().unwrap());
    let made = one.begin(None, json!({}), "waiting").unwrap();
    assert_eq!(two.adopt(&made).unwrap(), None);
    drop(one);
    let taken = two.adopt(&made).unwrap().unwrap();
    assert!(two.is_mine(&taken) && taken.attempts == 2);
    assert_eq!(three.adopt(&made).unwrap(), None);
}

#[test]
fn an_end_is_an_end() {
    let (_dir, store) = folder();
    let tasks = store.tasks().unwrap();
    let made = tasks.begin(None, json!({}), "waiting").unwrap();
    tasks.ask_to_cancel(&made.id).unwrap();
    assert!(tasks.is_to_be_cancelled(&made.id));
    let ended = tasks
        .note(&made.id, TaskState::Cancelled, "cancelled")
        .unwrap()
        .unwrap();
    assert!(ended.ttl_ms() >= Some(KEPT_AFTER_END.as_millis() as u64));
    assert!(!tasks.is_to_be_cancelled(&made.id));
    assert_eq!(
        tasks.note(&made.id, TaskState::Completed(json!(1)), "done").unwrap(),
        None
    );
    assert_eq!(tasks.get(&made.id).unwrap().unwrap().state, TaskState::Cancelled);
}

#[test]
fn records_that_are_too_many_go_the_first_that_ended_before_others_and_none_that_has_not_ended() {
    let (_dir, store) = folder();
    let tasks = store.tasks().unwrap();
    let made: Vec<_> = (0..3).map(|_| tasks.begin(None, json!({}), "").unwrap().id).collect();
    for (id, age) in made.iter().zip([30, 20, 10]) {
        if age != 30 {
            tasks.note(id, TaskState::Completed(json!(1)), "done").unwrap();
        }
        let used = SystemTime::now() - Duration::from_secs(age);
        let file = File::open(tasks.path(id, "json").unwrap()).unwrap();
        file.set_modified(used).unwrap();
    }
    let bytes = tasks.path(&made[2], "json").unwrap().metadata().unwrap().len();
    tasks.forget_beyond(bytes);
    let left: Vec<bool> = made.iter().map(|id| tasks.get(id).unwrap().is_some()).collect();
    assert_eq!(left, [true, false, true]);
}

#[test]
fn a_task_makes_one_result_however_often_it_is_begun() {
    let (_dir, store) = folder();
    let tasks = store.tasks().unwrap();
    let made = tasks.begin(None, json!({}), "").unwrap();
    assert!(tasks.note_result(&made.id, "aa").unwrap());
    assert!(tasks.note_result(&made.id, "aa").unwrap());
    assert!(!tasks.note_result(&made.id, "bb").unwrap());
}

#[test]
fn an_id_never_leads_out_of_the_folder() {
    let (_dir, store) = folder();
    let tasks = store.tasks().unwrap();
    for id in ["", "..", "../x", "not-a-task", "a/b"] {
        assert_eq!(tasks.get(id).unwrap(), None, "{id:?}");
        tasks.ask_to_cancel(id).unwrap();
    }
}
