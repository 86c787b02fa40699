//! Callers by a token file.

use crate::common::Place;
use crate::server::{Caller, PATIENCE, Server};
use crate::{ANN, BOB, ann_and_bob, token_file};

#[tokio::test]
async fn loopback_asks_nobody_until_there_is_a_token_file() {
    let place = Place::new();
    let open = Server::start(&place, &[]).await;
    assert_eq!(Caller::new(&open, None).status().await, 200);

    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    assert_eq!(Caller::new(&server, Some(ANN)).status().await, 200);
    assert_eq!(Caller::new(&server, Some(BOB)).status().await, 200);

    let without = Caller::new(&server, None).post(&crate::server::initialize()).await;
    assert_eq!(without.status(), 401);
    let challenge = without.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer ") && !challenge.contains("error="),
        "{challenge}"
    );

    let wrong = Caller::new(&server, Some("0123456789abcdef-eve"))
        .post(&crate::server::initialize())
        .await;
    assert_eq!(wrong.status(), 401);
    let challenge = wrong.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains("error=\"invalid_token\"") && challenge.contains("error_description="),
        "{challenge}"
    );
    let log = server.log();
    assert!(
        log.contains("refused") && log.contains("401") && !log.contains("-eve"),
        "{log}"
    );
}

#[tokio::test]
async fn everything_but_health_is_guarded_and_a_token_counts_in_its_header_alone() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    let nobody = Caller::new(&server, None);
    for path in [
        "/mcp",
        "/mcp/",
        "/metrics",
        "/results/x/y",
        "/images",
        "/",
        "/nothing",
        "/healthz/",
        "//healthz",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = nobody.request(method, &server.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {path}");
        }
    }
    for query in [format!("/mcp?access_token={ANN}"), format!("/mcp?token={ANN}")] {
        let answer = nobody.request("POST", &server.url(&query)).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    for header in [
        ANN.to_owned(),
        format!("Basic {ANN}"),
        format!("Bearer{ANN}"),
        "Bearer ".to_owned(),
    ] {
        let answer = nobody
            .request("POST", &server.url("/mcp"))
            .header("authorization", header);
        assert_eq!(answer.send().await.unwrap().status(), 401);
    }
    let two = Caller::new(&server, Some(ANN))
        .request("POST", &server.url("/mcp"))
        .header("authorization", "Bearer x");
    assert_eq!(two.send().await.unwrap().status(), 400);
}

/// Asks until the answer is the wanted one.
async fn comes_to(caller: &Caller, wanted: u16) {
    let asking = async {
        while caller.status().await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("the file is read again");
}

#[tokio::test]
async fn a_token_is_given_out_and_revoked_by_editing_the_file() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    let (ann, bob) = (Caller::new(&server, Some(ANN)), Caller::new(&server, Some(BOB)));
    let eve = Caller::new(&server, Some("0123456789abcdef-eve"));
    assert_eq!(
        (ann.status().await, bob.status().await, eve.status().await),
        (200, 200, 401)
    );

    token_file(&place, &format!("ann {ANN}\neve 0123456789abcdef-eve\n"));
    comes_to(&bob, 401).await;
    assert_eq!((ann.status().await, eve.status().await), (200, 200));

    // A broken version changes nothing, and the log says so.
    token_file(&place, "ann\n");
    let told = async {
        while !server.log().contains("stay in force") {
            assert_eq!(ann.status().await, 200);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the fault is told");
    assert_eq!((ann.status().await, bob.status().await), (200, 401));

    // One without callers is whole: nobody may call any more.
    token_file(&place, "# closed\n");
    comes_to(&ann, 401).await;
}

#[tokio::test]
async fn while_the_file_is_gone_nobody_is_let_in() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    let ann = Caller::new(&server, Some(ANN));
    assert_eq!(ann.status().await, 200);
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).unwrap();
    comes_to(&ann, 401).await;
    assert!(server.log().contains("nobody is let in"), "{}", server.log());
    // The very same file, by its time, too.
    std::fs::rename(&aside, &file).unwrap();
    comes_to(&ann, 200).await;
}
