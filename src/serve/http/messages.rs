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
use rmcp::ErrorData;
use rmcp::model::{ErrorCode, JsonRpcError, RequestId};
use serde_json::Value;

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
    let Ok(bytes) = to_bytes(body, MESSAGE).await else {
        let words = format!("The message broke off, or has more than {MESSAGE} bytes.\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, words).into_response();
    };
    let message = match serde_json::from_slice::<Value>(&bytes) {
        Ok(message) => message,
        Err(error) => return refused(None, ErrorCode::PARSE_ERROR, format!("The body is no JSON: {error}.")),
    };
    let id = message.get("id").cloned();
    let id = id.and_then(|id| serde_json::from_value::<RequestId>(id).ok());
    if let Err(why) = check(&message) {
        return refused(id, ErrorCode::INVALID_REQUEST, why.to_owned());
    }
    let method = message.get("method").and_then(Value::as_str);
    if method == Some(LISTEN) {
        parts.extensions.insert(TaskIds(task_ids(&message)));
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

/// Tasks that a request to listen names (`params.notifications.taskIds`, SEP-2663).
fn task_ids(message: &Value) -> Vec<String> {
    let named = message.pointer("/params/notifications/taskIds");
    let named = named.and_then(Value::as_array).into_iter().flatten();
    named.filter_map(Value::as_str).take(MOST).map(str::to_owned).collect()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether this is a message of JSON-RPC 2.0.
fn check(message: &Value) -> Result<(), &'static str> {
    match message {
        Value::Array(_) => Err("Batches are not taken: send each message in a request of its own."),
        Value::Object(fields) if fields.get("jsonrpc") != Some(&Value::from("2.0")) => {
            Err("The message is no JSON-RPC 2.0: \"jsonrpc\": \"2.0\" is missing.")
        }
        Value::Object(fields) => {
            let calls = fields.get("method").is_some_and(Value::is_string);
            match calls || fields.contains_key("result") || fields.contains_key("error") {
                true => Ok(()),
                false => Err("The message has neither a method nor a result."),
            }
        }
        _ => Err("A message is a JSON object."),
    }
}

/// An error of the protocol's. Without an id where that could not be read, as 2026-07-28 has it.
fn refused(id: Option<RequestId>, code: ErrorCode, why: String) -> Response {
    let error = JsonRpcError::new(id, ErrorData::new(code, why, None));
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_message_is_told_why() {
        for (message, why) in [
            (json!([]), "Batches"),
            (json!([{"jsonrpc": "2.0", "method": "ping", "id": 1}]), "Batches"),
            (json!("x"), "a JSON object"),
            (json!({"method": "ping"}), "jsonrpc"),
            (json!({"jsonrpc": "1.0", "method": "ping"}), "jsonrpc"),
            (json!({"jsonrpc": "2.0", "id": 1}), "neither"),
            (json!({"jsonrpc": "2.0", "method": 7}), "neither"),
        ] {
            assert!(check(&message).is_err_and(|said| said.contains(why)), "{message}");
        }
        assert_eq!(check(&json!({"jsonrpc": "2.0", "method": "ping", "id": 1})), Ok(()));
        assert_eq!(check(&json!({"jsonrpc": "2.0", "result": {}, "id": 1})), Ok(()));
    }
}
