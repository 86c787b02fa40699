//! What a client that listens wants to hear, as far as rmcp does not read it.

use super::MESSAGE;
use crate::serve::listeners::{MOST, TaskIds};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// Notes beside a request for `subscriptions/listen` which tasks it names (`params.notifications.taskIds`, SEP-2663).
/// Clients of 2026-07-28 say the method in a header, so no other body is touched.
pub(super) async fn note_task_ids(request: Request, next: Next) -> Response {
    if request
        .headers()
        .get("mcp-method")
        .is_none_or(|method| method != "subscriptions/listen")
    {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MESSAGE).await else {
        return (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("A message has at most {MESSAGE} bytes.\n"),
        )
            .into_response();
    };
    let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let named = message
        .pointer("/params/notifications/taskIds")
        .and_then(Value::as_array);
    let ids = named.into_iter().flatten().filter_map(Value::as_str).take(MOST);
    parts.extensions.insert(TaskIds(ids.map(str::to_owned).collect()));
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}
