//! Who may call, and as whom.

use crate::serve::who::Who;
use crate::service::Caller;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the guard goes by.
pub(super) struct Guard {
    /// Whether answers say where files lie on the server's disk.
    pub expose_paths: bool,
}

/// Notes beside a request who sent it.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match guard.expose_paths {
        true => Caller::neighbour(),
        false => Caller::neighbour().without_paths(),
    };
    // Nobody has said who they are: a session counts as one caller, else a connection.
    let session = request
        .headers()
        .get("mcp-session-id")
        .map(|id| id.to_str().unwrap_or_default());
    let turn = session.map_or_else(|| peer.to_string(), str::to_owned);
    request.extensions_mut().insert(Who { caller, turn });
    next.run(request).await
}
