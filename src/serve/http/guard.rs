//! Who may call, and as whom.
//!
//! Two checks stand before every route: whether the request is for us at all ([`addressed`]), and who sends it ([`check`]).

use super::bodies::Paced;
use super::connections::Reached;
use super::hosts::{Foreign, Hosts};
use super::issuer::IssuerError;
use super::oauth::{METADATA, OAuth, Refused};
use super::sessions::{self, Sessions};
use super::tokens::{TokenError, Tokens};
use super::{HttpOptions, is_endpoint};
use crate::serve::who::Who;
use crate::service::Caller;
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use url::Url;

/// What anybody may ask, since it says nothing of anybody.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
/// What may be opened to anybody.
const METRICS: &str = "/metrics";

/// RFC 6750's word for a good token that does not reach so far.
const NO_SCOPE: &str = "insufficient_scope";

/// Why the guard cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Nobody would be asked who they are.
    #[error(
        "{address}: this address can be reached from other machines, so callers must show who they are: give --token-file FILE \
         or an OAuth set-up (--oauth-issuer URL), or listen on 127.0.0.1."
    )]
    Unguarded {
        /// As given.
        address: SocketAddr,
    },
    /// Tokens could not be told for whom they have to be made.
    #[error(
        "{address}: with OAuth, --public-url has to say what clients call this server, such as https://sat.example.org."
    )]
    NoPublicUrl {
        /// As given.
        address: SocketAddr,
    },
    /// The token file cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The issuer cannot be used.
    #[error(
        "--oauth-issuer: {0}. Give the issuer's https URL, and --oauth-jwks where its metadata do not name its keys."
    )]
    Issuer(#[from] IssuerError),
}

/// What the guard goes by.
pub(super) struct Guard {
    pub hosts: Hosts,
    tokens: Option<Arc<Tokens>>,
    pub oauth: Option<OAuth>,
    shared_results: bool,
    expose_paths: bool,
    open_metrics: bool,
    pub sessions: Arc<Sessions>,
    patience: Duration,
}

/// A request that goes no further.
struct Refusal {
    status: StatusCode,
    reason: String,
    /// What `WWW-Authenticate` says beside where to get a token.
    error: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl ToString) -> Refusal {
        Refusal {
            status,
            reason: reason.to_string(),
            error: None,
        }
    }

    fn token(status: StatusCode, error: &'static str, reason: impl ToString) -> Refusal {
        Refusal {
            error: Some(error),
            ..Refusal::new(status, reason)
        }
    }

    /// A line in the log that says neither token nor target.
    fn log(&self, peer: SocketAddr, path: &str) {
        let route = path.split('/').nth(1).unwrap_or_default();
        tracing::warn!(%peer, status = self.status.as_u16(), route, "refused: {}", self.reason);
    }

    /// The answer, with a challenge where another token would help.
    fn answer(self, guard: &Guard) -> Response {
        let mut answer = (self.status, format!("{}\n", self.reason)).into_response();
        let headers = answer.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED || self.error == Some(NO_SCOPE) {
            headers.insert(header::WWW_AUTHENTICATE, guard.challenge(self.error, &self.reason));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl Guard {
    /// Reads what the options name; refuses to leave an address unguarded that others can reach.
    pub fn open(options: &HttpOptions) -> Result<Guard, GuardError> {
        let address = options.address;
        if !address.ip().is_loopback() && options.token_file.is_none() && options.oauth.is_none() {
            return Err(GuardError::Unguarded { address });
        }
        let tokens = options
            .token_file
            .as_deref()
            .map(Tokens::open)
            .transpose()?
            .map(Arc::new);
        let oauth = match &options.oauth {
            None => None,
            Some(oauth) => Some(OAuth::new(oauth, &public_url(options)?)?),
        };
        Ok(Guard {
            hosts: Hosts::new(
                address,
                options.public_url.as_ref(),
                &options.allowed_hosts,
                &options.allowed_origins,
            ),
            tokens,
            oauth,
            shared_results: options.shared_results,
            expose_paths: options.expose_paths,
            open_metrics: options.open_metrics,
            sessions: Sessions::new(),
            patience: options.limits.patience,
        })
    }

    /// Whether everybody may ask for this. A page added here is read by whoever finds the server.
    fn is_open(&self, path: &str) -> bool {
        let metadata = path.strip_prefix(METADATA);
        OPEN.contains(&path)
            || path == METRICS && self.open_metrics
            || metadata.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether nobody is asked who they are.
    fn open_to_all(&self) -> bool {
        self.tokens.is_none() && self.oauth.is_none()
    }

    /// Who sends this: one and the same word for one and the same caller, empty where nobody has to say.
    async fn identity(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        if self.open_to_all() {
            return Ok(String::new());
        }
        let Some(token) = bearer(headers)? else {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "This server asks who calls: send a token, as Authorization: Bearer TOKEN.",
            ));
        };
        if let Some(tokens) = &self.tokens
            && let Some(name) = tokens.caller(token).await
        {
            return Ok(format!("token\n{name}"));
        }
        let Some(oauth) = &self.oauth else {
            return Err(Refusal::token(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The token is none that is known here.",
            ));
        };
        oauth.caller(token).await.map_err(|refused| match refused {
            Refused::Invalid(_) => Refusal::token(StatusCode::UNAUTHORIZED, "invalid_token", refused),
            Refused::Scope => Refusal::token(StatusCode::FORBIDDEN, NO_SCOPE, refused),
            Refused::Unknown(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, refused),
        })
    }

    /// RFC 6750's challenge.
    fn challenge(&self, error: Option<&str>, reason: &str) -> HeaderValue {
        let mut words = vec![("realm", "sat-mcp".to_owned())];
        if let Some(error) = error {
            words.push(("error", error.to_owned()));
            words.push(("error_description", reason.to_owned()));
        }
        words.extend(self.oauth.iter().flat_map(OAuth::challenge));
        let words: Vec<String> = words
            .into_iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        // Nothing in it comes from the request.
        HeaderValue::from_str(&format!("Bearer {}", words.join(", "))).unwrap_or(HeaderValue::from_static("Bearer"))
    }

    fn who(&self, identity: &str, peer: SocketAddr) -> Who {
        let named = (!identity.is_empty()).then(|| Caller::named(identity));
        let turn = match named.as_ref().and_then(Caller::owner) {
            Some(owner) => owner.to_owned(),
            // Nobody has said who they are: a machine counts as one caller, since one program may open any number of sessions
            // and connections.
            None => peer.ip().to_canonical().to_string(),
        };
        let caller = named.filter(|_| !self.shared_results).unwrap_or_else(Caller::neighbour);
        let caller = match self.expose_paths {
            true => caller,
            false => caller.without_paths(),
        };
        Who { caller, turn }
    }
}

/// What clients call us, without `/mcp`. On this machine that is the address itself, unless somebody said otherwise.
fn public_url(options: &HttpOptions) -> Result<Url, GuardError> {
    let address = options.address;
    let own = || {
        Url::parse(&format!("http://{address}"))
            .ok()
            .filter(|_| address.ip().is_loopback())
    };
    options
        .public_url
        .clone()
        .or_else(own)
        .ok_or(GuardError::NoPublicUrl { address })
}

/// The token of a request. It stands in one header and nowhere else: addresses end up in logs.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let wrong = || {
        Refusal::token(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "Authorization must be one header of plain characters.",
        )
    };
    if given.next().is_some() {
        return Err(wrong());
    }
    let (scheme, token) = match first.to_str().map_err(|_| wrong())?.split_once(' ') {
        Some((scheme, token)) => (scheme, token.trim()),
        None => return Ok(None),
    };
    Ok((scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token))
}

/// Turns away requests under a name that is not ours, and those of pages that may not call.
pub(super) async fn addressed(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(Reached(reached)): Extension<Reached>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    match guard.hosts.check(request.uri(), request.headers(), reached) {
        // Whoever looks after the server may know it by any name.
        Err(Foreign::Host | Foreign::NoHost) if OPEN.contains(&path) => next.run(request).await,
        Err(foreign) => {
            let status = match foreign {
                Foreign::NoHost => StatusCode::BAD_REQUEST,
                Foreign::Host | Foreign::Origin => StatusCode::FORBIDDEN,
            };
            let refusal = Refusal::new(status, foreign);
            refusal.log(peer, path);
            refusal.answer(&guard)
        }
        Ok(()) => next.run(request).await,
    }
}

/// Turns away whoever may not call, and notes beside a request who sent it.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let identity = match guard.is_open(&path) {
        true => Ok(String::new()),
        false => guard.identity(request.headers()).await,
    };
    let identity = match identity {
        Ok(identity) => identity,
        Err(refusal) => {
            refusal.log(peer, &path);
            return refusal.answer(&guard);
        }
    };
    let (mut parts, body) = request.into_parts();
    let visit = match is_endpoint(&path) {
        true => guard.sessions.enter(&mut parts.headers, &parts.method, &identity),
        false => Some(None),
    };
    let Some(visit) = visit else {
        Refusal::new(StatusCode::NOT_FOUND, "The session is none of this caller's.").log(peer, &path);
        return sessions::not_found();
    };
    parts.extensions.insert(guard.who(&identity, peer));
    let (body, late) = Paced::body(body, guard.patience);
    let answer = next.run(Request::from_parts(parts, body)).await;
    if late.load(Ordering::Relaxed) {
        let refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "The request's body did not come in time.");
        refusal.log(peer, &path);
        return refusal.answer(&guard);
    }
    match is_endpoint(&path) {
        true => guard.sessions.leave(answer, &identity, visit).await,
        false => answer,
    }
}
