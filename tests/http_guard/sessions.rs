//! Sessions of clients from before 2026-07-28.

use crate::common::Place;
use crate::server::{Caller, Server};
use crate::{ANN, BOB, ann_and_bob};
use serde_json::json;

/// Bob, with Ann's session.
fn thief(server: &Server, ann: &Caller) -> Caller {
    Caller {
        session: ann.session.clone(),
        ..Caller::new(server, Some(BOB))
    }
}

async fn is_shut_out(thief: &Caller) {
    let tools = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {}});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    let unknown = Caller {
        session: Some("a-session-that-never-was".into()),
        ..thief.clone()
    };
    for message in [&tools, &cancel] {
        let (theirs, nobodys) = (thief.post(message).await, unknown.post(message).await);
        assert_eq!((theirs.status().as_u16(), nobodys.status().as_u16()), (404, 404));
        assert_eq!(theirs.text().await.unwrap(), nobodys.text().await.unwrap());
    }
    for method in ["GET", "DELETE"] {
        let (theirs, nobodys) = (
            thief.request(method, &thief.url).send().await.unwrap(),
            unknown.request(method, &thief.url).send().await.unwrap(),
        );
        assert_eq!((theirs.status().as_u16(), nobodys.status().as_u16()), (404, 404));
        assert_eq!(theirs.text().await.unwrap(), nobodys.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_session_is_of_no_use_to_another_caller_and_survives_the_server() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let options = ["--token-file", file.to_str().unwrap()];
    let mut server = Server::start(&place, &options).await;
    let ann = Caller::new(&server, Some(ANN)).begin().await;
    assert!(ann.ask("tools/list", json!({})).await["result"]["tools"].is_array());
    is_shut_out(&thief(&server, &ann)).await;
    assert!(ann.ask("tools/list", json!({})).await["result"]["tools"].is_array());

    server.child.kill().await.unwrap(); // SIGKILL: nothing is put in order
    let server = Server::start(&place, &options).await;
    let ann = Caller {
        session: ann.session,
        ..Caller::new(&server, Some(ANN))
    };
    is_shut_out(&thief(&server, &ann)).await;
    assert!(ann.ask("tools/list", json!({})).await["result"]["tools"].is_array());
    is_shut_out(&thief(&server, &ann)).await;

    // What its caller ends is over, in the store, too.
    let ended = ann.request("DELETE", &ann.url).send().await.unwrap();
    assert_eq!(ended.status(), 202);
    let tools = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {}});
    assert_eq!(ann.post(&tools).await.status(), 404);
}

#[tokio::test]
async fn a_second_replica_knows_a_session_of_the_first() {
    let place = Place::new();
    let (first, second) = (Server::start(&place, &[]).await, Server::start(&place, &[]).await);
    let here = Caller::new(&first, None).begin().await;
    let there = Caller {
        session: here.session,
        ..Caller::new(&second, None)
    };
    let found = there.call("list_anatomy", json!({"query": "spleen"})).await;
    assert_eq!(found["structuredContent"]["items"][0]["name"], "spleen");
    // The store holds no id that somebody who reads it could use.
    let kept = std::fs::read_dir(place.folder.path().join("results/sessions")).unwrap();
    let id = there.session.unwrap();
    let id = id.split('.').next().unwrap();
    let mut files = 0;
    for file in kept.map(|file| file.unwrap().path()) {
        files += 1;
        assert!(!file.to_string_lossy().contains(id));
        assert!(!std::fs::read_to_string(&file).unwrap().contains(id));
    }
    assert_eq!(files, 1);
}

#[tokio::test]
async fn todays_revision_has_no_sessions_whatever_a_request_says() {
    let server = Server::alone(&[]).await;
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let caller = Caller::new(&server, None);
    let request = caller
        .request("POST", &caller.url)
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/list")
        .header("mcp-session-id", "a-session-that-never-was");
    let answer = request.body(message.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("mcp-session-id"));
}
