//! Results are there whole or not at all.
#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_result_is_there_only_when_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let draft = store.begin("abc123", None).unwrap();
    std::fs::write(draft.path().join("spleen.nii.gz"), b"mask").unwrap();
    assert_eq!(store.result("abc123").unwrap(), None);
    draft.keep("{}").unwrap();
    assert_eq!(
        Store::open(dir.path()).unwrap().result("abc123").unwrap().as_deref(),
        Some("{}")
    );
    assert_eq!(store.results().unwrap().len(), 1);
    assert!(store.file("abc123", "spleen.nii.gz").unwrap().is_file());
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    drop(store.begin("abc", None).unwrap());
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["masks"]);
}

#[test]
fn the_first_of_two_equal_results_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (first, second) = (store.begin("ab", None).unwrap(), store.begin("ab", None).unwrap());
    first.keep("first").unwrap();
    second.keep("second").unwrap();
    assert_eq!(store.result("ab").unwrap().as_deref(), Some("first"));
}

#[test]
fn a_result_that_was_damaged_makes_room_for_a_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let folder = store.begin("ab", None).unwrap().keep("first").unwrap();
    std::fs::write(folder.join("a.nii.gz"), b"").unwrap();
    std::fs::remove_file(folder.join(RESULT_FILE)).unwrap();
    store.begin("ab", None).unwrap().keep("second").unwrap();
    assert_eq!(store.result("ab").unwrap().as_deref(), Some("second"));
}

#[test]
fn a_draft_is_no_result() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let draft = store.begin("ab", None).unwrap();
    std::fs::write(draft.path().join(RESULT_FILE), "{}").unwrap();
    assert_eq!(store.results().unwrap(), []);
}

#[test]
fn an_id_never_leads_out_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for id in ["", "..", "../etc", "a/b", "masks"] {
        assert!(matches!(store.result(id), Err(StoreError::NoResult { .. })), "{id:?}");
    }
    store.begin("ab", None).unwrap().keep("{}").unwrap();
    for file in ["", ".", "..", "../ab/result.json", "nothing.png"] {
        assert!(
            matches!(store.file("ab", file), Err(StoreError::NoFile { .. })),
            "{file:?}"
        );
    }
}

#[test]
fn a_folder_that_is_not_there_is_empty_for_who_only_looks_and_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("results");
    let store = Store::as_it_is(&root);
    assert_eq!((store.results().unwrap().len(), store.places().unwrap().len()), (0, 0));
    assert_eq!(store.result("ab").unwrap(), None);
    assert!(!root.exists());
    Store::open(&root)
        .unwrap()
        .begin("ab", None)
        .unwrap()
        .keep("{}")
        .unwrap();
    assert_eq!(Store::as_it_is(&root).results().unwrap().len(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Store::open(&file.join("results")).unwrap_err();
    assert!(error.to_string().contains("cannot be written"), "{error}");
}
