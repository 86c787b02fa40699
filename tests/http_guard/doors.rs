//! Names, origins, sizes and slow clients.

use crate::common::Place;
use crate::server::{Caller, PATIENCE, Server, initialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Status of a handshake with these headers.
async fn with(server: &Server, headers: &[(&str, &str)]) -> u16 {
    let caller = Caller::new(server, None);
    let mut request = caller
        .request("POST", &caller.url)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(initialize().to_string())
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn requests_under_foreign_names_and_from_foreign_pages_are_refused() {
    let server = Server::alone(&[]).await;
    let own = format!("localhost:{}", server.port);
    let page = format!("http://{own}");
    assert_eq!(with(&server, &[("host", &own)]).await, 200);
    assert_eq!(with(&server, &[("host", &own), ("origin", &page)]).await, 200);
    for host in ["evil.example", "sat.example.org", "127.0.0.1.evil.example", "10.1.2.3"] {
        assert_eq!(with(&server, &[("host", host)]).await, 403, "{host}");
    }
    for origin in ["http://evil.example", "http://localhost:1", "null"] {
        assert_eq!(
            with(&server, &[("host", &own), ("origin", origin)]).await,
            403,
            "{origin}"
        );
    }
    // Every route, not the protocol's alone.
    for path in ["/results/x/y", "/images", "/metrics"] {
        let caller = Caller::new(&server, None);
        let answer = caller
            .request("GET", &server.url(path))
            .header("host", "evil.example")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
}

#[tokio::test]
async fn names_and_origins_that_were_allowed_are_taken() {
    let options = [
        ["--public-url", "https://sat.example.org/mcp"],
        ["--allowed-host", "other.example:8443"],
        ["--allowed-origin", "https://app.example.org"],
    ];
    let server = Server::alone(&options.concat()).await;
    assert_eq!(with(&server, &[("host", "sat.example.org")]).await, 200);
    assert_eq!(with(&server, &[("host", "other.example:8443")]).await, 200);
    assert_eq!(with(&server, &[("host", "other.example")]).await, 403);
    assert_eq!(with(&server, &[("origin", "https://app.example.org")]).await, 200);
    assert_eq!(with(&server, &[("origin", "http://app.example.org")]).await, 403);
}

#[tokio::test]
async fn a_browser_hears_that_an_allowed_page_may_call() {
    let place = Place::new();
    let file = crate::ann_and_bob(&place);
    let page = "https://app.example.org";
    let options = ["--token-file", file.to_str().unwrap(), "--allowed-origin", page];
    let server = Server::start(&place, &options).await;
    let nobody = Caller::new(&server, None);
    let preflight = nobody
        .request("OPTIONS", &nobody.url)
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,mcp-param-target");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], page);
    let allowed = answer.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        allowed.contains("authorization") && allowed.contains("mcp-param-target"),
        "{allowed}"
    );
    // A page may read why it was refused, and the id of its session.
    let answer = nobody
        .request("POST", &nobody.url)
        .header("origin", page)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["access-control-allow-origin"], page);
    let exposed = answer.headers()["access-control-expose-headers"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        exposed.contains("mcp-session-id") && exposed.contains("www-authenticate"),
        "{exposed}"
    );
    let answer = nobody
        .request("OPTIONS", &nobody.url)
        .header("origin", "https://evil.example");
    assert_eq!(answer.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_message_beyond_four_mebibytes_is_refused() {
    let server = Server::alone(&[]).await;
    let mut message = initialize();
    message["params"]["clientInfo"]["name"] = "x".repeat((4 << 20) + 1).into();
    assert_eq!(Caller::new(&server, None).post(&message).await.status(), 413);
    assert_eq!(Caller::new(&server, None).status().await, 200);
}

#[tokio::test]
async fn what_is_no_message_gets_the_protocols_own_error() {
    let server = Server::alone(&[]).await;
    let caller = Caller::new(&server, None).begin().await;
    for (body, code, id) in [
        ("{not json", -32700, Value::Null),
        ("", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        (r#"{"id":3,"method":"ping"}"#, -32600, json!(3)),
        (r#"{"jsonrpc":"2.0","id":4}"#, -32600, json!(4)),
        ("7", -32600, Value::Null),
        (
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":["x"]}}"#,
            -32602,
            json!(5),
        ),
    ] {
        let request = caller
            .request("POST", &caller.url)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        // One with parameters that nothing knows is an answer like any other in a session.
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| crate::server::answer_in(&text));
        assert_eq!(
            (&told["error"]["code"], &told["id"]),
            (&json!(code), &id),
            "{status} {body}: {text}"
        );
        assert!(told["error"]["message"].as_str().unwrap().len() > 10, "{text}");
    }
    assert_eq!(caller.status().await, 200);
}

/// Reads until the server closes; what it has said until then.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = vec![];
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .expect("the client is cut");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let server = Server::alone(&["--client-timeout", "0.3"]).await;
    let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    assert_eq!(until_closed(&mut silent).await, "");
    assert_eq!(Caller::new(&server, None).status().await, 200);
}

#[tokio::test]
async fn a_client_that_sends_its_headers_byte_by_byte_is_cut() {
    let server = Server::alone(&["--client-timeout", "0.3"]).await;
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let _ = writer
            .write_all(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            .await;
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut said = vec![];
    let _ = timeout(PATIENCE, reader.read_to_end(&mut said))
        .await
        .expect("the client is cut");
    assert_eq!(said, b"");
    timeout(PATIENCE, trickle)
        .await
        .expect("nobody reads any more")
        .unwrap();
}

#[tokio::test]
async fn a_client_that_sends_its_body_byte_by_byte_is_told_and_cut() {
    let server = Server::alone(&["--client-timeout", "0.3"]).await;
    let stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\n\
            content-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
        let _ = writer.write_all(head.as_bytes()).await;
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut said = [0; 12];
    timeout(PATIENCE, reader.read_exact(&mut said))
        .await
        .expect("the client is told")
        .unwrap();
    assert_eq!(&said, b"HTTP/1.1 408");
    timeout(PATIENCE, trickle)
        .await
        .expect("nobody reads any more")
        .unwrap();
}

#[tokio::test]
async fn a_stream_that_only_listens_is_left_alone_while_silent_clients_are_cut() {
    let server = Server::alone(&["--client-timeout", "0.3"]).await;
    let caller = Caller::new(&server, None).begin().await;
    let mut listening = caller.request("GET", &caller.url).send().await.unwrap();
    assert_eq!(listening.status(), 200);
    for _ in 0..4 {
        let mut silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        until_closed(&mut silent).await;
    }
    // Read what there is; the stream has not ended.
    while let Ok(chunk) = timeout(Duration::from_millis(1), listening.chunk()).await {
        assert!(chunk.unwrap().is_some(), "the stream has ended");
    }
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_told_so() {
    let server = Server::alone(&["--max-connections", "2"]).await;
    let connect = || TcpStream::connect(("127.0.0.1", server.port));
    let (first, _second) = (connect().await.unwrap(), connect().await.unwrap());
    let mut third = connect().await.unwrap();
    let mut said = vec![];
    timeout(PATIENCE, third.read_buf(&mut said))
        .await
        .expect("an answer")
        .unwrap();
    assert!(said.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&said));
    drop((first, third));
    // The place of one that has gone is free again.
    let comes_in = async {
        loop {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            match client.get(server.url("/mcp")).send().await {
                Ok(answer) if answer.status() != 503 => return,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, comes_in).await.expect("a place");
}
