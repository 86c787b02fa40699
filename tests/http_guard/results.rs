//! One caller's results before another.

use crate::common::Place;
use crate::server::{Caller, Server};
use crate::{ANN, BOB, ann_and_bob};
use serde_json::{Value, json};

fn head() -> Value {
    json!({"image": "head.nii.gz", "modality": "mri", "targets": ["brainstem"]})
}

/// The result of a segmentation, once it is there.
async fn segmented(caller: &Caller) -> Value {
    loop {
        let result = caller.call("segment", head()).await;
        assert_ne!(result["isError"], true, "{result}");
        if result["structuredContent"]["status"] != "running" {
            return result["structuredContent"].clone();
        }
    }
}

async fn listed(caller: &Caller) -> String {
    caller.ask("resources/list", json!({})).await.to_string()
}

#[tokio::test]
async fn results_belong_to_their_callers() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    let ann = Caller::new(&server, Some(ANN)).begin().await;
    let bob = Caller::new(&server, Some(BOB)).begin().await;
    let result = segmented(&ann).await;
    let id = result["result_id"].as_str().unwrap();
    assert!(
        !result.to_string().contains(place.folder.path().to_str().unwrap()),
        "{result}"
    );

    assert_eq!(result["image"]["uri"], "head.nii.gz");
    for elsewhere in ["/etc/passwd", "../results", "nothing.nii.gz"] {
        let mut request = head();
        request["image"] = json!(elsewhere);
        let refused = ann.call("segment", request).await;
        assert_eq!(refused["isError"], true, "{refused}");
        assert!(
            !refused.to_string().contains(place.folder.path().to_str().unwrap()),
            "{refused}"
        );
    }

    let uri = json!({"uri": format!("sat://results/{id}/result.json")});
    assert!(ann.ask("resources/read", uri.clone()).await["result"]["contents"].is_array());
    assert!(listed(&ann).await.contains(id));
    let measured = ann.call("measure_volume", json!({"result_id": id})).await;
    assert_ne!(measured["isError"], true, "{measured}");

    // For Bob there is no such result, in the very words that he hears of one that never was.
    let never = "0".repeat(id.len());
    let theirs = bob.ask("resources/read", uri).await;
    let none = bob
        .ask(
            "resources/read",
            json!({"uri": format!("sat://results/{never}/result.json")}),
        )
        .await;
    assert!(theirs["error"].is_object(), "{theirs}");
    assert_eq!(theirs.to_string().replace(id, &never), none.to_string());
    let theirs = bob.call("measure_volume", json!({"result_id": id})).await;
    let none = bob.call("measure_volume", json!({"result_id": never})).await;
    assert_eq!(theirs["isError"], true, "{theirs}");
    assert_eq!(theirs.to_string().replace(id, &never), none.to_string());
    assert!(!listed(&bob).await.contains(id));

    // Bob asks the same and gets his own.
    let own = segmented(&bob).await;
    assert!(own["masks"][0]["measurement"]["volume_ml"].is_number(), "{own}");
    assert_eq!(
        own["masks"][0]["measurement"]["volume_ml"],
        result["masks"][0]["measurement"]["volume_ml"]
    );
    assert_ne!(own["result_id"], result["result_id"]);
}

/// Where the results folder lies among the scans, its files are known by their paths.
#[tokio::test]
async fn results_among_the_scans_belong_to_their_callers_all_the_same() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let whole = place.folder.path().to_str().unwrap();
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap(), "--data-root", whole]).await;
    let ann = Caller::new(&server, Some(ANN)).begin().await;
    let bob = Caller::new(&server, Some(BOB)).begin().await;
    let result = segmented(&ann).await;
    let mask = result["masks"][0]["files"][0]["uri"].as_str().unwrap();
    let mask = mask.replace("sat://results", "../results");
    let scan = std::fs::read(place.scans().join("head.nii.gz")).unwrap();
    let sent = ann.request("PUT", &server.url("/images")).body(scan).send().await;
    assert_eq!(sent.unwrap().status(), 201);
    let images = place.folder.path().join("results/images");
    let owner = std::fs::read_dir(&images).unwrap().next().unwrap().unwrap().path();
    let image = std::fs::read_dir(owner).unwrap().next().unwrap().unwrap().path();
    let image = image.to_str().unwrap();

    let measured = async |caller: &Caller, key: &str, path: &str| {
        let mut request = json!({"mask": "head.nii.gz", "label": 80});
        request[key] = json!(path);
        caller.call("measure_volume", request).await
    };
    for (key, path) in [
        ("mask", mask.as_str()),
        ("reference", mask.as_str()),
        ("image", image),
        ("mask", image),
    ] {
        let theirs = measured(&ann, key, path).await;
        assert_ne!(theirs["isError"], true, "{key} {path}: {theirs}");
        let refused = measured(&bob, key, path).await;
        assert_eq!(refused["_meta"]["sat-mcp/error"]["code"], "outside_roots", "{refused}");
        let elsewhere = measured(&bob, key, "/etc/passwd").await;
        assert_eq!(refused.to_string().replace(path, "/etc/passwd"), elsewhere.to_string());
    }
    let mut request = head();
    request["image"] = json!(image);
    let refused = bob.call("segment", request).await;
    assert_eq!(refused["_meta"]["sat-mcp/error"]["code"], "outside_roots", "{refused}");
    // What the store keeps for itself is not even Ann's.
    for own in ["result.json", ".owner"] {
        let path = mask.replace("brainstem.nii.gz", own);
        let refused = measured(&ann, "mask", &path).await;
        let expected = if own == ".owner" { "outside_roots" } else { "bad_mask" };
        assert_eq!(refused["_meta"]["sat-mcp/error"]["code"], expected, "{refused}");
    }
}

#[tokio::test]
async fn results_are_everybodys_where_that_was_said() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let options = [
        "--token-file",
        file.to_str().unwrap(),
        "--shared-results",
        "--expose-paths",
    ];
    let server = Server::start(&place, &options).await;
    let ann = Caller::new(&server, Some(ANN)).begin().await;
    let bob = Caller::new(&server, Some(BOB)).begin().await;
    let result = segmented(&ann).await;
    let id = result["result_id"].as_str().unwrap();
    assert!(listed(&bob).await.contains(id));
    let uri = json!({"uri": format!("sat://results/{id}/result.json")});
    let read = bob.ask("resources/read", uri).await;
    assert!(read["result"]["contents"].is_array(), "{read}");
    let results = place.folder.path().join("results").canonicalize().unwrap();
    assert!(result.to_string().contains(results.to_str().unwrap()), "{result}");
    // A session is still its own caller's alone.
    let thief = Caller {
        session: ann.session,
        ..Caller::new(&server, Some(BOB))
    };
    let tools = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {}});
    assert_eq!(thief.post(&tools).await.status(), 404);
}
