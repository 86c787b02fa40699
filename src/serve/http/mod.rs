//! Streamable HTTP as the transport: the protocol at `/mcp`, for clients of every revision.
//!
//! Clients of 2026-07-28 are served without sessions; older ones get a session each. What lasts longer than a request, results
//! and tasks, lies in the store, where another replica finds it too.

mod beside;
mod bodies;
mod connections;
mod files;
mod guard;
mod health;
mod hosts;
mod images;
mod issuer;
mod lately;
mod messages;
mod metrics;
mod oauth;
mod sessions;
mod tokens;

pub use connections::ConnectionLimits;
pub use guard::GuardError;
pub use hosts::{host as allowed_host, origin as allowed_origin};
pub use issuer::IssuerError;
pub use oauth::OAuthOptions;
pub use tokens::TokenError;

use super::desk::Desk;
#[cfg(feature = "fixtures")]
use super::fixtures::Fixtures;
use super::server::Server;
use super::stdio::hear_signals;
use super::{Options, ServeError};
use crate::service::Service;
use crate::store::Store;
use axum::routing::{get, put};
use axum::{Json, Router, middleware};
use beside::Beside;
use connections::Connections;
use guard::Guard;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use sessions::OnDisk;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use url::Url;

/// Where the protocol is.
const ENDPOINT: &str = "/mcp";
/// Bytes of one message.
const MESSAGE: usize = 4 << 20;
/// How long callers who are told that the server ends may take to hear it, and the last run to notice.
const LAST_WORDS: Duration = Duration::from_millis(1000);

/// How the server meets the network.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether answers say where files lie on the server's disk.
    pub expose_paths: bool,
    /// Whether all callers see all results.
    pub shared_results: bool,
    /// File of callers and their tokens.
    pub token_file: Option<PathBuf>,
    /// Whose access tokens are taken.
    pub oauth: Option<OAuthOptions>,
    /// What clients call the server, without `/mcp`: its proxy's address.
    pub public_url: Option<Url>,
    /// Names under which it answers besides its own, as [`allowed_host`] reads them.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may call, as [`allowed_origin`] reads them.
    pub allowed_origins: Vec<String>,
    /// What clients may take.
    pub limits: ConnectionLimits,
    /// Bytes of the largest image that may be sent.
    pub max_upload: u64,
    /// Whether anybody may read `/metrics`, also where callers must show who they are.
    pub open_metrics: bool,
}

/// Serves clients on `http.address` until the process is told to end.
pub fn run_http(service: Arc<Service>, options: Options, http: HttpOptions) -> Result<(), ServeError> {
    let guard = Guard::open(&http)?;
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
        let store = service.store().clone();
        serve(service, store, options, http, guard, listener).await
    });
    // What does not heed its cancellation in time must not hold up the exit.
    runtime.shutdown_background();
    end
}

/// Serves clients on a listener.
async fn serve<D: Desk>(
    desk: Arc<D>,
    store: Store,
    options: Options,
    http: HttpOptions,
    guard: Guard,
    listener: TcpListener,
) -> Result<(), ServeError> {
    let limits = http.limits;
    let address = listener.local_addr()?;
    let server = Server::new(desk, options)?;
    let (runs, tasks) = (server.runs.clone(), server.tasks.clone());
    let meter = server.meter.clone();
    let service = server.desk.service();
    let (told_to_end, closing) = (CancellationToken::new(), CancellationToken::new());
    // The guard has looked at Host and Origin, for this route as for all.
    let mut config = StreamableHttpServerConfig::default()
        .with_cancellation_token(closing.clone())
        .with_max_request_body_bytes(MESSAGE)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    config.session_store = Some(Arc::new(OnDisk::new(store)));
    let protocol = protocol(server, guard.sessions.manager.clone(), config);
    let guard = Arc::new(guard);
    let beside = service.map(|service| {
        let ending = told_to_end.clone();
        Beside::new(service, meter, runs.clone(), http.max_upload, ending)
    });
    let routes = protocol
        .layer(middleware::from_fn(messages::read))
        .merge(beside.map(rest).unwrap_or_default())
        .merge(metadata(&guard));
    let routes = guarded(routes, guard);

    let signals = hear_signals(told_to_end.clone());
    tracing::info!("listening on http://{address}{ENDPOINT}");
    let connections = Connections::new(limits);
    connections.accept(listener, routes, &told_to_end).await;
    signals.abort();
    tracing::info!("told to end: answers under way have {} s", limits.drain.as_secs_f64());
    let hurry = CancellationToken::new();
    let signals = hear_signals(hurry.clone());
    tokio::select! {
        () = connections.answered() => {}
        () = tokio::time::sleep(limits.drain) => {}
        () = hurry.cancelled() => {}
    }
    runs.stop();
    // Whoever still waits hears why there is no answer; then streams end that only listen.
    let _ = timeout(LAST_WORDS, connections.answered()).await;
    closing.cancel();
    let stopped = tokio::task::spawn_blocking(move || runs.wait_stopped(LAST_WORDS));
    let (closed, at_rest) = (
        timeout(LAST_WORDS, connections.closed()),
        timeout(LAST_WORDS, tasks.at_rest()),
    );
    let (stopped, ..) = tokio::join!(stopped, closed, at_rest);
    signals.abort();
    if !stopped.unwrap_or(false) {
        tracing::info!("ending inside a window");
    }
    Ok(())
}

/// Whether a path is the protocol's.
fn is_endpoint(path: &str) -> bool {
    path.strip_prefix(ENDPOINT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is served besides the protocol. `/healthz` and `/readyz` are for anybody, `/metrics` for whom the guard lets; the others
/// serve what the caller may see.
fn rest(beside: Beside) -> Router {
    Router::new()
        .route("/images", put(images::receive))
        .route("/images/{sha256}", get(images::look).delete(images::delete))
        .route("/results/{id}", get(files::whole))
        .route("/results/{id}/{file}", get(files::fetch))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .with_state(Arc::new(beside))
}

/// Where clients find out where to get a token, if from an OAuth issuer.
fn metadata(guard: &Arc<Guard>) -> Router {
    let Some(oauth) = &guard.oauth else {
        return Router::new();
    };
    let document = oauth.document();
    let fetch = guard.clone();
    tokio::spawn(async move {
        if let Some(oauth) = &fetch.oauth {
            oauth.warm_up().await;
        }
    });
    let answer = get(move || async move { Json(document) });
    Router::new()
        .route(oauth::METADATA, answer.clone())
        .route(&format!("{}{ENDPOINT}", oauth::METADATA), answer)
}

/// The routes behind the guard. What is asked first stands last: names and origins, then what browsers ask before they call,
/// then who calls.
fn guarded(routes: Router, guard: Arc<Guard>) -> Router {
    let routes = routes.layer(middleware::from_fn_with_state(guard.clone(), guard::check));
    let routes = match guard.hosts.any_origin() {
        true => routes.layer(cross_origin(guard.clone())),
        false => routes,
    };
    routes.layer(middleware::from_fn_with_state(guard, guard::addressed))
}

/// What browsers have to hear so that pages of the allowed origins may call.
fn cross_origin(guard: Arc<Guard>) -> CorsLayer {
    use axum::http::{HeaderName, Method, header};
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| guard.hosts.allows(origin)))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        // The protocol may name headers after a tool's arguments.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            HeaderName::from_static("mcp-session-id"),
            HeaderName::from_static("mcp-protocol-version"),
            header::WWW_AUTHENTICATE,
            header::RETRY_AFTER,
            header::ACCEPT_RANGES,
            header::CONTENT_RANGE,
            header::ETAG,
        ])
        .max_age(Duration::from_secs(3600))
}

/// The protocol's route: the server, or in the test build the conformance suites' fixtures beside it.
fn protocol<D: Desk>(
    server: Server<D>,
    sessions: Arc<LocalSessionManager>,
    config: StreamableHttpServerConfig,
) -> Router {
    #[cfg(feature = "fixtures")]
    if server.options.fixtures {
        let handler = Fixtures::beside(server);
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
        return Router::new().nest_service(ENDPOINT, service);
    }
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    Router::new().nest_service(ENDPOINT, service)
}
