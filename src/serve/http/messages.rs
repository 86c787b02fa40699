//! Messages before rmcp reads them. What it refuses in plain words is refused in the protocol's, and what a client that listens
//! wants to hear is noted as far as rmcp does not read it.

use super::MESSAGE;
use crate::serve::listeners::{MOST, TaskIds};
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use rmcp::ErrorData;
use rmcp::model::{ErrorCode, JsonRpcError, RequestId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::error::Error;

/// The request that is open for as long as its client listens.
pub(super) const LISTEN: &str = "subscriptions/listen";
/// The header in which clients of 2026-07-28 repeat the method.
pub(super) const METHOD: &str = "mcp-method";

/// Reads a message, hands it on and answers for what rmcp cannot make out.
pub(super) async fn read(request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !is_json(request.headers()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let bytes = match to_bytes(body, MESSAGE).await {
        Ok(bytes) => bytes,
        Err(error) if error.source().is_some_and(|why| why.is::<LengthLimitError>()) => {
            let words = format!("A message has at most {MESSAGE} bytes.\n");
            return (StatusCode::PAYLOAD_TOO_LARGE, words).into_response();
        }
        Err(_) => return (StatusCode::BAD_REQUEST, "The message broke off.\n").into_response(),
    };
    let Head { id, method, .. } = match head(&bytes) {
        Ok(head) => head,
        Err((id, code, why)) => return refused(id, code, why),
    };
    if method.as_deref() == Some(LISTEN) {
        parts.extensions.insert(TaskIds(task_ids(&bytes)));
    }
    let answer = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    match answer.status() {
        // Its kind was right, so it was its content.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let why = "The message is JSON-RPC, but its parameters are not what the protocol says for its method.";
            refused(id, ErrorCode::INVALID_PARAMS, why.to_owned())
        }
        _ => answer,
    }
}

/// What says what a message is. The rest is rmcp's to read: it may be megabytes.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    id: Option<RequestId>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// The head of a message of JSON-RPC 2.0, or what is wrong with it.
fn head(message: &[u8]) -> Result<Head<'_>, (Option<RequestId>, ErrorCode, String)> {
    let head = match serde_json::from_slice::<Head>(message) {
        Ok(head) => head,
        Err(error) if !error.is_data() => {
            return Err((None, ErrorCode::PARSE_ERROR, format!("The body is no JSON: {error}.")));
        }
        Err(_) if message.trim_ascii_start().starts_with(b"[") => {
            let why = "Batches are not taken: send each message in a request of its own.";
            return Err((None, ErrorCode::INVALID_REQUEST, why.to_owned()));
        }
        Err(error) => {
            let why = format!("The message is no JSON-RPC 2.0: {error}.");
            return Err((None, ErrorCode::INVALID_REQUEST, why));
        }
    };
    let why = match &head {
        Head { jsonrpc, .. } if jsonrpc.as_deref() != Some("2.0") => {
            "The message is no JSON-RPC 2.0: \"jsonrpc\": \"2.0\" is missing."
        }
        Head {
            method: None,
            result: None,
            error: None,
            ..
        } => "The message has neither a method nor a result.",
        _ => return Ok(head),
    };
    Err((head.id, ErrorCode::INVALID_REQUEST, why.to_owned()))
}

/// Tasks that a request to listen names (`params.notifications.taskIds`, SEP-2663).
fn task_ids(message: &[u8]) -> Vec<String> {
    #[derive(Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Listen {
        params: Params,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Params {
        notifications: Notifications,
    }
    #[derive(Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Notifications {
        task_ids: Vec<String>,
    }
    // rmcp says what is wrong with any other.
    let listen = serde_json::from_slice::<Listen>(message).unwrap_or_default();
    let mut ids = listen.params.notifications.task_ids;
    ids.truncate(MOST);
    ids
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// An error of the protocol's. Without an id where that could not be read, as 2026-07-28 has it.
fn refused(id: Option<RequestId>, code: ErrorCode, why: String) -> Response {
    let error = JsonRpcError::new(id, ErrorData::new(code, why, None));
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_told_why() {
        for (message, why) in [
            ("{not json", "no JSON"),
            ("", "no JSON"),
            ("[]", "Batches"),
            (" [{}]", "Batches"),
            ("\"x\"", "no JSON-RPC"),
            (r#"{"method": "ping"}"#, "is missing"),
            (r#"{"jsonrpc": "1.0", "method": "ping"}"#, "is missing"),
            (r#"{"jsonrpc": "2.0", "id": 1}"#, "neither"),
            (r#"{"jsonrpc": "2.0", "method": 7}"#, "no JSON-RPC"),
        ] {
            assert!(
                head(message.as_bytes()).is_err_and(|(.., said)| said.contains(why)),
                "{message}"
            );
        }
        for message in [
            r#"{"jsonrpc": "2.0", "method": "ping", "id": 1}"#,
            r#"{"jsonrpc": "2.0", "result": {}, "id": "a"}"#,
            r#"{"jsonrpc": "2.0", "method": "n\u006ftes"}"#,
        ] {
            assert!(head(message.as_bytes()).is_ok(), "{message}");
        }
    }

    #[test]
    fn the_tasks_that_a_client_listens_for_are_read_and_no_more_than_may_be() {
        let listen = |ids: &str| format!(r#"{{"params": {{"notifications": {{"taskIds": {ids}}}}}}}"#);
        assert_eq!(task_ids(listen(r#"["a", "b"]"#).as_bytes()), ["a", "b"]);
        assert!(task_ids(listen("7").as_bytes()).is_empty() && task_ids(b"{}").is_empty());
        let many = format!("[{}]", vec!["\"x\""; 100].join(","));
        assert_eq!(task_ids(listen(&many).as_bytes()).len(), MOST);
    }
}
