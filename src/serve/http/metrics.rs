//! `/metrics`: the counters, as Prometheus reads them.

use super::beside::{Beside, Refusal, aside};
use crate::serve::meter::{CONTENT_TYPE, Vitals};
use crate::service::{Code, Fault};
use axum::extract::State;
use axum::http::{HeaderName, header};
use std::sync::Arc;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// All counters at this moment.
pub(super) async fn scrape(
    State(beside): State<Arc<Beside>>,
) -> Result<([(HeaderName, &'static str); 1], String), Refusal> {
    let text = aside(move || {
        let vitals = Vitals {
            store: beside.stored.get(|| beside.service.store().bytes().ok()),
            memory: memory(),
            runs: beside.runs.census(),
        };
        beside
            .meter
            .text(&vitals)
            .map_err(|error| Fault::new(Code::Internal, format!("The metrics cannot be written: {error}.")))
    });
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text.await?))
}

/// Bytes of memory that this process holds.
fn memory() -> Option<u64> {
    let me = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[me]), false, memory);
    Some(system.process(me)?.memory())
}
