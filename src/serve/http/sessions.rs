//! Sessions of clients from before 2026-07-28: whose they are, where they are kept, and how many are live.
//!
//! The id that a client gets is rmcp's own with a seal over it and the caller. Whoever shows an id is asked for the seal of
//! themselves over it, so that an id is worth nothing to anybody else, on any replica and after any restart.

use super::bodies::Held;
use crate::store::Store;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use rmcp::transport::streamable_http_server::SessionManager;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::session::{SessionState, SessionStore, SessionStoreError};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The header that carries a session's id.
const HEADER: &str = "mcp-session-id";
/// Characters of an id: a UUID with its hyphens, as rmcp makes it.
const ID: usize = 36;
/// An id that no session has.
const NONE: HeaderValue = HeaderValue::from_static("none");
/// Sessions in memory; beyond, the least recently used rests on disk.
const LIVE: usize = 1024;
/// One that is silent for so long rests on disk, too.
const SILENT: Duration = Duration::from_secs(1800);
/// Bytes of what is kept of one session.
const LARGEST: usize = 64 << 10;
/// Old sessions are looked for once in so many new ones.
const PRUNE_EVERY: usize = 128;

/// The sessions of one server.
pub(super) struct Sessions {
    pub manager: Arc<LocalSessionManager>,
    live: Mutex<HashMap<Arc<str>, Live>>,
}

struct Live {
    used: Instant,
    /// Requests that wait for an answer.
    open: usize,
}

impl Sessions {
    pub fn new() -> Arc<Sessions> {
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = Some(SILENT);
        Arc::new(Sessions {
            manager: Arc::new(manager),
            live: Mutex::default(),
        })
    }

    /// Turns the id that `caller` shows into rmcp's own. `None` where it is a session of nobody's or of somebody else's and the
    /// request is one about a session and nothing else.
    pub fn enter(
        self: &Arc<Sessions>,
        headers: &mut HeaderMap,
        method: &Method,
        caller: &str,
    ) -> Option<Option<Visit>> {
        let shown = headers.get_all(HEADER).iter().collect::<Vec<_>>();
        let id = match shown[..] {
            [] => return Some(None),
            [one] => one
                .to_str()
                .ok()
                .and_then(|shown| own(shown, caller))
                .map(Arc::<str>::from),
            _ => None,
        };
        let Some(id) = id else {
            // A request of today's revision has no session, whatever it says; rmcp tells which it is.
            headers.insert(HEADER, NONE);
            return (*method == Method::POST).then_some(None);
        };
        headers.insert(HEADER, HeaderValue::from_str(&id).ok()?);
        let listens = *method == Method::GET;
        let mut live = self.lock();
        let entry = live.entry(id.clone()).or_insert(Live {
            used: Instant::now(),
            open: 0,
        });
        entry.used = Instant::now();
        entry.open += usize::from(!listens);
        Some(Some(Visit {
            sessions: self.clone(),
            id,
            counted: !listens,
        }))
    }

    /// Seals the id of a session that has begun.
    pub async fn leave(self: &Arc<Sessions>, mut answer: Response, caller: &str, visit: Option<Visit>) -> Response {
        let begun = answer
            .headers()
            .get(HEADER)
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        if let Some(id) = begun
            && let Ok(sealed) = HeaderValue::from_str(&format!("{id}.{}", seal(&id, caller)))
        {
            answer.headers_mut().insert(HEADER, sealed);
            self.lock().entry(id.into()).or_insert(Live {
                used: Instant::now(),
                open: 0,
            });
            self.make_room().await;
        }
        match visit {
            Some(visit) => answer.map(|body| Held::body(body, visit)),
            None => answer,
        }
    }

    /// Lets the least recently used sessions rest. They wake where they were when their clients call.
    async fn make_room(&self) {
        loop {
            let there: HashSet<Arc<str>> = self.manager.sessions.read().await.keys().cloned().collect();
            let resting = {
                let mut live = self.lock();
                live.retain(|id, session| session.open > 0 || there.contains(id));
                if there.len() <= LIVE {
                    return;
                }
                let idle = live.iter().filter(|(_, session)| session.open == 0);
                let oldest = idle.min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
                oldest.inspect(|id| {
                    live.remove(id);
                })
            };
            // Where all have answers under way, the number of connections bounds them.
            let Some(id) = resting else { return };
            // One that has ended already is gone as well.
            let _ = self.manager.close_session(&id).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request within a session; dropped, it is over.
pub(super) struct Visit {
    sessions: Arc<Sessions>,
    id: Arc<str>,
    counted: bool,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut live = self.sessions.lock();
        let Some(session) = live.get_mut(&self.id) else { return };
        session.open -= usize::from(self.counted);
        session.used = Instant::now();
        // An id that anybody could make up leaves nothing behind.
        let there = self.sessions.manager.sessions.try_read();
        if session.open == 0 && there.is_ok_and(|there| !there.contains_key(&*self.id)) {
            live.remove(&self.id);
        }
    }
}

/// What a session that is not there is answered with: word for word what rmcp says.
pub(super) fn not_found() -> Response {
    let mut answer = Response::new(Body::from("Not Found: Session not found"));
    *answer.status_mut() = axum::http::StatusCode::NOT_FOUND;
    answer
}

/// rmcp's id of a session of `caller`'s.
fn own<'a>(shown: &'a str, caller: &str) -> Option<&'a str> {
    let (id, sealed) = shown.rsplit_once('.')?;
    let is_id = id.len() == ID && uuid::Uuid::try_parse(id).is_ok();
    (is_id && seal(id, caller) == sealed).then_some(id)
}

/// Says that a session is a caller's. It is no secret: who could make it up would have to be that caller to use it.
fn seal(id: &str, caller: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("sat-mcp session of a caller");
    hasher.update(caller.as_bytes()).update(b"\n").update(id.as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Sessions on the store's disk, as rmcp asks for them.
pub(super) struct OnDisk {
    store: Store,
    begun: AtomicUsize,
}

impl OnDisk {
    pub fn new(store: Store) -> OnDisk {
        OnDisk {
            store,
            begun: AtomicUsize::new(0),
        }
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, SessionStoreError> {
        let store = self.store.clone();
        Ok(tokio::task::spawn_blocking(move || work(&store)).await??)
    }
}

#[async_trait::async_trait]
impl SessionStore for OnDisk {
    async fn load(&self, id: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let id = id.to_owned();
        let text = self.aside(move |store| store.session(&id)).await?;
        // One that cannot be read any more is one that is not there: its client begins another.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    async fn store(&self, id: &str, state: &SessionState) -> Result<(), SessionStoreError> {
        let (id, text) = (id.to_owned(), serde_json::to_string(state)?);
        if text.len() > LARGEST {
            return Err("it is too large to be kept".into());
        }
        let prune = self.begun.fetch_add(1, Ordering::Relaxed).is_multiple_of(PRUNE_EVERY);
        self.aside(move |store| {
            if prune {
                store.prune_sessions();
            }
            store.keep_session(&id, &text)
        })
        .await
    }

    async fn delete(&self, id: &str) -> Result<(), SessionStoreError> {
        let id = id.to_owned();
        self.aside(move |store| store.forget_session(&id)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shows(sessions: &Arc<Sessions>, id: &str, method: &Method, caller: &str) -> (bool, String) {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, id.parse().unwrap());
        let entered = sessions.enter(&mut headers, method, caller);
        (entered.is_some(), headers[HEADER].to_str().unwrap().to_owned())
    }

    #[test]
    fn an_id_is_good_for_the_caller_who_got_it_and_for_no_other() {
        let sessions = Sessions::new();
        let id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
        let shown = format!("{id}.{}", seal(id, "ann"));
        assert_eq!(shows(&sessions, &shown, &Method::DELETE, "ann"), (true, id.into()));
        assert_eq!(shows(&sessions, &shown, &Method::DELETE, "bob"), (false, "none".into()));
        assert_eq!(shows(&sessions, &shown, &Method::GET, ""), (false, "none".into()));
        // rmcp says what becomes of a message: today's revision knows no sessions.
        assert_eq!(shows(&sessions, &shown, &Method::POST, "bob"), (true, "none".into()));
        assert_eq!(shows(&sessions, id, &Method::GET, "ann"), (false, "none".into()));
        // Nor is one that was made up in another form, and one that was made up well leaves nothing behind.
        let long = "x".repeat(5000);
        let made_up = format!("{long}.{}", seal(&long, "ann"));
        assert_eq!(shows(&sessions, &made_up, &Method::GET, "ann"), (false, "none".into()));
        assert!(sessions.lock().is_empty());
    }
}
