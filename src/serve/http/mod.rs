//! Streamable HTTP as the transport: the protocol at `/mcp`, for clients of every revision.
//!
//! Clients of 2026-07-28 are served without sessions; older ones get a session each. What lasts longer than a request, results
//! and tasks, lies in the store, where another replica finds it too.

mod beside;
mod files;
mod guard;
mod health;
mod images;
mod metrics;

use super::desk::Desk;
use super::server::Server;
use super::stdio::on_signal;
use super::{Options, ServeError};
use crate::service::Service;
use axum::Router;
use beside::Beside;
use guard::Guard;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long answers that are under way may take to end once the process is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// How the server meets the network.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether answers say where files lie on the server's disk.
    pub expose_paths: bool,
    /// Bytes of the largest image that may be sent.
    pub max_upload: u64,
    /// Whether anybody may read `/metrics`, also where callers must show who they are.
    pub open_metrics: bool,
}

/// Serves clients on `http.address` until the process is told to end.
pub fn run_http(service: Arc<Service>, options: Options, http: HttpOptions) -> Result<(), ServeError> {
    if !http.address.ip().is_loopback() {
        return Err(ServeError::Unguarded { address: http.address });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        let listener = TcpListener::bind(http.address)
            .await
            .map_err(|source| ServeError::Listen {
                address: http.address,
                source,
            })?;
        serve(service, options, http, listener).await
    });
    // What does not heed its cancellation in time must not hold up the exit.
    runtime.shutdown_background();
    end
}

/// Serves clients on a listener.
pub(super) async fn serve<D: Desk>(
    desk: Arc<D>,
    options: Options,
    http: HttpOptions,
    listener: TcpListener,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let server = Server::new(desk, options)?;
    let runs = server.runs.clone();
    let meter = server.meter.clone();
    let service = server.desk.service();
    let told_to_end = CancellationToken::new();
    let config = StreamableHttpServerConfig::default()
        .with_cancellation_token(told_to_end.child_token())
        .with_allowed_hosts(["localhost", "127.0.0.1", "::1"])
        .enforce_origin_validation();
    let protocol = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let guard = Arc::new(Guard {
        expose_paths: http.expose_paths,
    });
    let beside = service.map(|service| {
        let ending = told_to_end.clone();
        Beside::new(service, meter, runs.clone(), http.max_upload, ending).routes()
    });
    let routes = Router::new()
        .nest_service("/mcp", protocol)
        .merge(beside.unwrap_or_default())
        .layer(axum::middleware::from_fn_with_state(guard, guard::check));
    let signals = tokio::spawn(on_signal(told_to_end.clone()));
    tracing::info!("listening on http://{address}/mcp");
    let ending = told_to_end.clone();
    let stopping = runs.clone();
    let end = axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            ending.cancelled().await;
            stopping.stop();
        })
        .await;
    signals.abort();
    runs.stop();
    let stopped = tokio::task::spawn_blocking(move || runs.wait_stopped(DRAIN)).await;
    if !stopped.unwrap_or(false) {
        tracing::info!("ending inside a window");
    }
    Ok(end?)
}
