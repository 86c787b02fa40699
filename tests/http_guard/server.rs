//! The built program over HTTP, and the requests that tests send it.

use crate::common::Place;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// Long enough for any answer of a test, short enough to fail before the runner loses patience.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// `sat-mcp serve --http` on a free port of this machine.
pub struct Server {
    pub child: Child,
    pub port: u16,
    /// Where it reads and writes, if that is nobody else's.
    _place: Option<Place>,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// One with a place of its own.
    pub async fn alone(options: &[&str]) -> Server {
        let place = Place::new();
        let server = Server::start(&place, options).await;
        Server {
            _place: Some(place),
            ..server
        }
    }

    pub async fn start(place: &Place, options: &[&str]) -> Server {
        let mut command = place.serve(&["--http", "127.0.0.1:0"]);
        command.args(options).stderr(std::process::Stdio::piped());
        for proxy in [
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(proxy);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, (found, mut port)) = (log.clone(), tokio::sync::mpsc::channel(1));
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(port) = line.split("listening on http://127.0.0.1:").nth(1) {
                    let _ = found.send(port.split('/').next().unwrap().parse().unwrap()).await;
                }
                kept.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let port = tokio::time::timeout(PATIENCE, port.recv()).await.unwrap();
        let port = port.unwrap_or_else(|| panic!("the server did not start: {}", log.lock().unwrap()));
        Server {
            child,
            port,
            _place: None,
            log,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it has written to stderr.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends it a signal, as `kill` does.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

/// Somebody who calls a server.
#[derive(Clone)]
pub struct Caller {
    pub url: String,
    pub token: Option<String>,
    pub session: Option<String>,
    pub client: reqwest::Client,
}

impl Caller {
    pub fn new(server: &Server, token: Option<&str>) -> Caller {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Caller {
            url: server.url("/mcp"),
            token: token.map(str::to_owned),
            session: None,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// A request with what every request of this caller has.
    pub fn request(&self, method: &str, url: &str) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .request(method.parse().unwrap(), url)
            .header("accept", "application/json, text/event-stream");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        request
    }

    pub async fn post(&self, message: &Value) -> reqwest::Response {
        let request = self
            .request("POST", &self.url)
            .header("content-type", "application/json");
        request.body(message.to_string()).send().await.unwrap()
    }

    /// The status of a request that needs nothing but leave to call.
    pub async fn status(&self) -> u16 {
        self.post(&initialize()).await.status().as_u16()
    }

    /// The handshake of a client from before 2026-07-28.
    pub async fn begin(mut self) -> Caller {
        let answer = self.post(&initialize()).await;
        assert_eq!(answer.status(), 200);
        self.session = Some(answer.headers()["mcp-session-id"].to_str().unwrap().to_owned());
        answer.text().await.unwrap();
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(self.post(&ready).await.status(), 202);
        self
    }

    /// A request's answer, whole.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self
            .post(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))
            .await;
        assert_eq!(answer.status(), 200);
        answer_in(&answer.text().await.unwrap())
    }

    /// A tool's result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let answer = self
            .ask("tools/call", json!({"name": tool, "arguments": arguments}))
            .await;
        answer["result"].clone()
    }
}

/// The answer in the text of an event stream.
pub fn answer_in(stream: &str) -> Value {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    let messages = data.filter_map(|data| serde_json::from_str::<Value>(data.trim()).ok());
    let mut answers = messages.filter(|message| message.get("id").is_some());
    answers.next().unwrap_or_else(|| panic!("no answer in {stream}"))
}

pub fn initialize() -> Value {
    let client = json!({"name": "test", "version": "1"});
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client},
    })
}
