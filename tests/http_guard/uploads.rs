//! Images that arrive slowly.

use crate::common::Place;
use crate::server::{Caller, PATIENCE, Server};
use crate::{ANN, BOB, ann_and_bob};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The first bytes of an image on their way, with more promised.
async fn begun(server: &Server, token: &str, image: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let head = format!(
        "PUT /images HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: 1000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&image[..1000]).await.unwrap();
    stream
}

async fn put(caller: &Caller, url: &str, image: &[u8]) -> reqwest::Response {
    caller.request("PUT", url).body(image.to_vec()).send().await.unwrap()
}

/// Waits until so many images are arriving.
async fn arriving(caller: &Caller, metrics: &str, count: usize) {
    let line = format!("sat_mcp_uploads_active {count}\n");
    let looking = async {
        loop {
            let answer = caller.request("GET", metrics).send().await.unwrap();
            if answer.text().await.unwrap().contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("the count is reached");
}

#[tokio::test]
async fn slow_uploads_of_one_caller_keep_no_other_out() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let server = Server::start(&place, &["--token-file", file.to_str().unwrap()]).await;
    let (ann, bob) = (Caller::new(&server, Some(ANN)), Caller::new(&server, Some(BOB)));
    let image = std::fs::read(place.scans().join("head.nii.gz")).unwrap();
    let (images, metrics) = (server.url("/images"), server.url("/metrics"));
    let mut slow = vec![];
    for _ in 0..4 {
        slow.push(begun(&server, ANN, &image).await);
    }
    arriving(&ann, &metrics, 4).await;
    let refused = put(&ann, &images, &image).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let said = refused.text().await.unwrap();
    assert!(said.contains("\"busy\""), "{said}");
    assert_eq!(put(&bob, &images, &image).await.status(), 201);
    drop(slow);
    arriving(&ann, &metrics, 0).await;
    assert_eq!(put(&ann, &images, &image).await.status(), 201);
}

#[tokio::test]
async fn an_upload_that_trickles_is_told_and_cut_though_it_never_stands_still() {
    let place = Place::new();
    let file = ann_and_bob(&place);
    let options = ["--token-file", file.to_str().unwrap(), "--client-timeout", "2"];
    let server = Server::start(&place, &options).await;
    let image = std::fs::read(place.scans().join("head.nii.gz")).unwrap();
    let (mut reader, mut writer) = begun(&server, ANN, &image).await.into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(&[0; 1024]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut said = vec![];
    // A reset is an end, too.
    let _ = timeout(PATIENCE, reader.read_to_end(&mut said))
        .await
        .expect("it is cut");
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("did not come in time"),
        "{said}"
    );
    timeout(PATIENCE, trickle)
        .await
        .expect("nobody reads any more")
        .unwrap();
}
