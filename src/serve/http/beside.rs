//! What is served beside the protocol: files in and out, health and metrics. Handlers share one [`Beside`]; what they refuse,
//! they refuse with the tools' faults.

use super::lately::Lately;
use crate::serve::meter::Meter;
use crate::serve::runs::{Depth, Runs};
use crate::serve::shares::Shares;
use crate::service::{Code, Fault, SegmentAnswer, Service};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Images that may arrive at once, of all callers and of one.
const UPLOADS_AT_ONCE: usize = 16;
pub(super) const UPLOADS_EACH: usize = 4;

/// What the handlers need.
pub(super) struct Beside {
    pub service: Arc<Service>,
    pub meter: Arc<Meter>,
    pub runs: Arc<Runs<Arc<SegmentAnswer>>>,
    /// One place an image that is arriving.
    pub uploads: Shares,
    /// Bytes of the largest image that may be sent.
    pub max_upload: u64,
    /// Whether the model is as it was and the store can be written, and bytes of the store: found for all who ask within a
    /// while.
    pub readiness: Lately<(bool, bool)>,
    pub stored: Lately<Option<u64>>,
    /// Cancelled when the process has been told to end.
    pub ending: CancellationToken,
}

impl Beside {
    pub fn new(
        service: Arc<Service>,
        meter: Arc<Meter>,
        runs: Arc<Runs<Arc<SegmentAnswer>>>,
        max_upload: u64,
        ending: CancellationToken,
    ) -> Beside {
        Beside {
            max_upload: service.largest_image(max_upload),
            service,
            meter,
            runs,
            uploads: Shares::new(UPLOADS_AT_ONCE, Depth { all: 0, each: 0 }),
            readiness: Lately::default(),
            stored: Lately::default(),
            ending,
        }
    }
}

/// A fault as an answer over HTTP: `{"error": {code, message, hint}}`.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub fault: Fault,
}

impl Refusal {
    pub fn new(status: StatusCode, fault: Fault) -> Refusal {
        Refusal { status, fault }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        let status = match fault.code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::OutsideRoots => StatusCode::FORBIDDEN,
            Code::BadImage | Code::BadMask => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::Busy | Code::Cancelled | Code::ProviderUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Refusal { status, fault }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = axum::Json(serde_json::json!({ "error": self.fault }));
        let mut response = (self.status, body).into_response();
        if self.fault.code == Code::Busy {
            let seconds = HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// Blocking work, off the async threads.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let broke = |_| {
        Err(
            Fault::new(Code::Internal, "The request broke off by a fault of sat-mcp's own.")
                .hint("The server's log on stderr says where; please report it."),
        )
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(broke)
}
