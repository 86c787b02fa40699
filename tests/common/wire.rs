//! A client that writes and reads the protocol's lines itself, so that a test sees what really went over the wire.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines};

/// Long enough for any answer of a test, short enough to fail before the runner loses patience.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Wire<R, W> {
    lines: Lines<BufReader<R>>,
    writer: Option<W>,
    last_id: i64,
    /// Notifications seen while waiting for answers.
    pub heard: Vec<Value>,
    /// Answers to requests other than the one waited for.
    answers: Vec<Value>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Wire<R, W> {
    pub fn new(reader: R, writer: W) -> Self {
        Wire {
            lines: BufReader::new(reader).lines(),
            writer: Some(writer),
            last_id: 0,
            heard: vec![],
            answers: vec![],
        }
    }

    /// The handshake, as a client of this revision does it; returns what the server said of itself.
    pub async fn initialize(&mut self, version: &str) -> Value {
        self.introduce(version, json!({})).await
    }

    /// The same by a client that can do more.
    pub async fn introduce(&mut self, version: &str, capabilities: Value) -> Value {
        let client = json!({"name": "wire", "version": "1"});
        let hello = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        let answer = self.request("initialize", hello).await;
        self.notify("notifications/initialized", json!({})).await;
        answer["result"].clone()
    }

    pub async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    pub async fn send_line(&mut self, line: &str) {
        let writer = self.writer.as_mut().expect("the wire is open");
        writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("the server reads");
        writer.flush().await.expect("the server reads");
    }

    /// Sends a request and returns its id.
    pub async fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.last_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}))
            .await;
        self.last_id
    }

    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }

    /// The next line, whatever it is; `None` when the server has closed its end.
    pub async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("an answer in time");
        let line = line.expect("the server writes lines")?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("not protocol: {line} ({error})")))
    }

    /// The answer to request `id`.
    pub async fn answer(&mut self, id: i64) -> Value {
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer["id"] == id) {
                return self.answers.remove(at);
            }
            let message = self.next().await.expect("the server answers before it goes");
            match message.get("id") {
                Some(_) => self.answers.push(message),
                None => self.heard.push(message),
            }
        }
    }

    pub async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// Calls a tool and returns its result.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self
            .request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Sends a tool call that wants progress and returns its id.
    pub async fn ask_tool(&mut self, tool: &str, arguments: Value, token: &str) -> i64 {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": token}});
        self.ask("tools/call", params).await
    }

    /// Progress heard for a token, in order: (progress, total, message).
    pub fn progress(&self, token: &str) -> Vec<(f64, Option<f64>, String)> {
        let mine = self
            .heard
            .iter()
            .filter(|heard| heard["params"]["progressToken"] == token);
        mine.map(|heard| {
            let params = &heard["params"];
            let progress = params["progress"].as_f64().expect("a number");
            (
                progress,
                params["total"].as_f64(),
                params["message"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
    }

    /// Closes the server's stdin.
    pub fn hang_up(&mut self) {
        self.writer = None;
    }
}
