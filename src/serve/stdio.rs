//! stdin and stdout as the transport. stdout carries the protocol and nothing else; logs go to stderr.

use super::desk::Desk;
use super::server::Server;
use super::{Options, ServeError};
use crate::service::Service;
use rmcp::service::{QuitReason, ServerInitializeError, serve_server_with_ct};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a run may take to notice that it is cancelled before the process ends under it. Clients kill what lives
/// longer than some two seconds after stdin closed.
const LAST_PATIENCE: Duration = Duration::from_millis(1500);

/// Serves one client on stdin and stdout until it closes stdin or the process is told to end.
pub async fn stdio(service: Arc<Service>, options: Options) -> Result<(), ServeError> {
    let (reader, writer) = rmcp::transport::io::stdio_pipes();
    serve(service, options, reader, writer).await
}

/// The same with a runtime of its own, which never outlives the client.
pub fn run_stdio(service: Arc<Service>, options: Options) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let end = runtime.block_on(stdio(service, options));
    // A read of stdin or of an image that is still under way must not hold up the exit.
    runtime.shutdown_background();
    end
}

pub(super) async fn serve<D: Desk>(
    desk: Arc<D>,
    options: Options,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<(), ServeError> {
    let server = Server::new(desk, options)?;
    let (runs, tasks) = (server.runs.clone(), server.tasks.clone());
    let closed = CancellationToken::new();
    let reader = UntilClosed {
        reader,
        closed: closed.clone(),
    };

    // rmcp answers what is under way after stdin has closed. What would take long is cancelled the moment it closes.
    let stopping = runs.clone();
    let watch = tokio::spawn(async move {
        closed.cancelled().await;
        stopping.stop();
    });
    let told_to_end = CancellationToken::new();
    let signals = hear_signals(told_to_end.clone());

    let end = match serve_server_with_ct(server, (reader, writer), told_to_end).await {
        Ok(running) => match running.waiting().await {
            Ok(QuitReason::JoinError(error)) | Err(error) => Err(ServeError::Loop(error)),
            Ok(_) => Ok(()),
        },
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(ServeError::Handshake(Box::new(error))),
    };
    signals.abort();
    watch.abort();
    runs.stop();
    let stopped = tokio::task::spawn_blocking(move || runs.wait_stopped(LAST_PATIENCE));
    let (stopped, _) = tokio::join!(stopped, timeout(LAST_PATIENCE, tasks.at_rest()));
    if !stopped.unwrap_or(false) {
        tracing::info!("ending inside a window");
    }
    end
}

/// Says when the process is told to end. A signal that comes after this has returned is heard.
pub(super) fn hear_signals(told: CancellationToken) -> JoinHandle<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let heard = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        tokio::spawn(async move {
            let (Ok(mut terminate), Ok(mut interrupt)) = heard else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.cancel();
        })
    }
    #[cfg(not(unix))]
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            told.cancel();
        }
    })
}

/// A reader that says when it has come to its end.
struct UntilClosed<R> {
    reader: R,
    closed: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for UntilClosed<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let room = buffer.remaining();
        let polled = Pin::new(&mut self.reader).poll_read(context, buffer);
        let ended = match &polled {
            Poll::Ready(Ok(())) => room > 0 && buffer.remaining() == room,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.closed.cancel();
        }
        polled
    }
}
