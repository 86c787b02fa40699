//! `/healthz`: the process answers. `/readyz`: it can take work.

use super::beside::{Beside, aside};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// Whoever reads this has been answered.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Whether a segmentation could begin now, and if not, why: 503 then, so that a balancer sends callers elsewhere.
pub(super) async fn ready(State(beside): State<Arc<Beside>>) -> (StatusCode, Json<Value>) {
    // Without paths and names: anybody may ask.
    let reasons = aside(move || Ok(reasons(&beside)))
        .await
        .unwrap_or_else(|_| vec!["the check itself broke off"]);
    match reasons.is_empty() {
        true => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        false => {
            let said = json!({ "status": "not ready", "reasons": reasons });
            (StatusCode::SERVICE_UNAVAILABLE, Json(said))
        }
    }
}

fn reasons(beside: &Beside) -> Vec<&'static str> {
    let service = &beside.service;
    let ending = beside.ending.is_cancelled() || beside.runs.census().stopping;
    let (model, store) = beside.readiness.get(|| {
        let model = service.model().is_ok_and(|folder| folder.check_unchanged().is_ok());
        (model, service.store().check_writable().is_ok())
    });
    [
        (ending, "the server is ending"),
        (!model, "the model's files are not those that were opened"),
        (!store, "the results folder cannot be written"),
    ]
    .into_iter()
    .filter_map(|(so, reason)| so.then_some(reason))
    .collect()
}
