//! Connections: how many there may be, how long one may keep us waiting, and how they end.
//!
//! A connection without an open request may stand idle for a while and is then closed, however many bytes of a header it has
//! trickled. While an answer is open nothing is asked of the client but that it reads: an event stream may be silent for hours.
//! Slow bodies are `bodies`' affair.

use super::bodies;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What one connection may have open at once over HTTP/2.
const STREAMS: u32 = 64;
/// Bytes of one request's headers.
const HEADERS: usize = 64 << 10;
/// Between two requests a connection may rest this many times longer than before its first: proxies keep theirs for a minute or two.
const REST: u32 = 5;
/// Of the connections, one in so many is out of reach of a single other machine.
const RESERVE: usize = 4;
/// How long a connection that is to go may take to notice.
const GOING: Duration = Duration::from_secs(1);
/// How long to rest when the system has no file descriptor left.
const NONE_LEFT: Duration = Duration::from_millis(200);
/// Connections beyond the limit that are told so at a time; others are just closed.
const TURNED_AWAY: usize = 64;
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 50\r\nretry-after: 5\r\n\
    connection: close\r\n\r\nToo many connections are open. Try again in 5 s.\r\n";

/// What clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections open at once.
    pub connections: usize,
    /// How long a client may take over its first request's headers, or leave a body or an answer standing still.
    pub patience: Duration,
    /// How long answers that are under way may take to end once the process is told to end.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            connections: 1024,
            patience: Duration::from_secs(30),
            // With the last words after it less than the ten seconds that `docker stop` waits.
            drain: Duration::from_secs(7),
        }
    }
}

/// Connections by where they are from.
type Held = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One of the connections; dropped, another may come.
struct Place {
    held: Held,
    address: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = of.get_mut(&self.address) {
            *held -= 1;
            if *held == 0 {
                of.remove(&self.address);
            }
        }
    }
}

/// The connections of one server.
pub(super) struct Connections {
    limits: ConnectionLimits,
    places: Arc<Semaphore>,
    held: Held,
    turned_away: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Answers that a client waits for; streams that only listen do not count.
    answers: Arc<Tally>,
}

impl Connections {
    pub fn new(limits: ConnectionLimits) -> Connections {
        Connections {
            limits,
            places: Arc::new(Semaphore::new(limits.connections)),
            held: Arc::default(),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
            tasks: TaskTracker::new(),
            answers: Arc::default(),
        }
    }

    /// Takes connections until the process is told to end; those that are open then end after their answers.
    pub async fn accept(&self, listener: TcpListener, routes: Router, told_to_end: &CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = told_to_end.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // One that went away before it was taken is no trouble of ours; anything else may pass.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::error!("no connection can be taken: {error}");
                    tokio::time::sleep(NONE_LEFT).await;
                    continue;
                }
            };
            // Small messages that somebody waits for.
            let _ = stream.set_nodelay(true);
            let Some(place) = self.place(peer.ip().to_canonical()) else {
                tracing::warn!(%peer, status = 503, "refused: too many connections are open");
                if let Ok(held) = self.turned_away.clone().try_acquire_owned() {
                    self.tasks.spawn(async move {
                        let _ = timeout(GOING, turn_away(stream)).await;
                        drop(held);
                    });
                }
                continue;
            };
            // One that is gone already has no address.
            let Ok(reached) = stream.local_addr() else { continue };
            let service = Counted {
                routes: TowerToHyperService::new(routes.clone()),
                peer,
                reached: reached.ip().to_canonical(),
                here: Arc::default(),
                answers: self.answers.clone(),
            };
            let (patience, ending) = (self.limits.patience, told_to_end.clone());
            self.tasks.spawn(async move {
                attend(stream, service, patience, ending).await;
                drop(place);
            });
        }
    }

    /// A place for a connection from `address`, where there is one for it.
    fn place(&self, address: IpAddr) -> Option<Place> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let most = self.limits.connections - self.limits.connections / RESERVE;
        let mut of = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = of.entry(address).or_default();
        // A proxy on this machine brings everybody.
        if *held >= most && !address.is_loopback() {
            return None;
        }
        *held += 1;
        Some(Place {
            held: self.held.clone(),
            address,
            _permit: place,
        })
    }

    /// Returns when no answer is under way.
    pub async fn answered(&self) {
        self.answers.none().await;
    }

    /// Returns when every connection has closed.
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// One connection from its beginning to its end.
async fn attend(stream: TcpStream, service: Counted, patience: Duration, ending: CancellationToken) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    let here = service.here.clone();
    let mut builder = Builder::new(TokioExecutor::new());
    // hyper's own limit on headers would also cut a connection that rests between two requests.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS as u32)
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience);
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = ending.cancelled() => {}
        () = here.idle(patience, patience * REST) => {}
    }
    // Whatever comes before the client has noticed is still answered.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = here.idle(GOING, GOING) => {}
    }
}

/// Says that there is no place and waits until the client has read it.
async fn turn_away(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(FULL).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The routes, with a count of what is open.
#[derive(Clone)]
struct Counted {
    routes: TowerToHyperService<Router>,
    peer: SocketAddr,
    reached: IpAddr,
    here: Arc<Tally>,
    answers: Arc<Tally>,
}

/// Which of our addresses a request came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached(pub IpAddr);

impl Service<Request<Incoming>> for Counted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(Reached(self.reached));
        let method = request.headers().get(super::messages::METHOD);
        let listens = request.method() == Method::GET || method.is_some_and(|method| method == super::messages::LISTEN);
        let listens = listens && super::is_endpoint(request.uri().path());
        let held = (Tally::hold(&self.here), (!listens).then(|| Tally::hold(&self.answers)));
        let answer = self.routes.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| bodies::Held::body(body, held))) })
    }
}

/// How many are open. Every change is seen, also that of one which opened and closed at once.
#[derive(Default)]
struct Tally(watch::Sender<usize>);

impl Tally {
    fn hold(tally: &Arc<Tally>) -> Open {
        tally.0.send_modify(|open| *open += 1);
        Open(tally.clone())
    }

    async fn none(&self) {
        // The sender lives in self, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open == 0).await;
    }

    /// Returns when none has been open for `first`, or for `between` once there has been one.
    async fn idle(&self, first: Duration, between: Duration) {
        let mut seen = self.0.subscribe();
        let mut limit = first;
        loop {
            let _ = seen.wait_for(|open| *open == 0).await;
            match timeout(limit, seen.changed()).await {
                Ok(_) => limit = between,
                Err(_) => return,
            }
        }
    }
}

/// One that is open; dropped, it is not.
struct Open(Arc<Tally>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}
