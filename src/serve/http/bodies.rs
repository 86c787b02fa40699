//! Bodies: one that must keep moving, and one that holds something until it has been sent.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Bytes a second that a body has to bring, one patience taken with another. A client that trickles is as slow as one that
/// stands still.
const LEAST: f64 = (16 << 10) as f64;

/// A request's body that breaks off where it stands still. Only time spent waiting for the client counts, not ours.
pub(super) struct Paced {
    body: Body,
    patience: Duration,
    /// When the patience ends, while we wait.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Waited since the last step.
    waited: Duration,
    /// Bytes since the last step.
    brought: usize,
    late: Arc<AtomicBool>,
}

impl Paced {
    /// The body, and whether it has broken off.
    pub fn body(body: Body, patience: Duration) -> (Body, Arc<AtomicBool>) {
        let late = Arc::new(AtomicBool::new(false));
        let paced = Paced {
            body,
            patience,
            deadline: None,
            waited: Duration::ZERO,
            brought: 0,
            late: late.clone(),
        };
        (Body::new(paced), late)
    }

    /// What is left of the patience for this step.
    fn left(&self) -> Duration {
        self.patience.saturating_sub(self.waited)
    }

    /// Something has come.
    fn brought(&mut self, bytes: usize) {
        if let Some(deadline) = self.deadline.take() {
            let left = deadline.deadline().saturating_duration_since(Instant::now());
            self.waited = self.patience.saturating_sub(left);
        }
        self.brought += bytes;
        if self.brought as f64 >= LEAST * self.patience.as_secs_f64() {
            (self.brought, self.waited) = (0, Duration::ZERO);
        }
    }

    fn broken_off(&self) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        self.late.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err("the body stood still".into())))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.brought(frame.data_ref().map_or(0, Bytes::len));
                match self.left().is_zero() {
                    true => self.broken_off(),
                    false => Poll::Ready(Some(Ok(frame))),
                }
            }
            Poll::Ready(end) => Poll::Ready(end.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => {
                let left = self.left();
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
                match deadline.as_mut().poll(context) {
                    Poll::Ready(()) => self.broken_off(),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that keeps something until it has been sent or given up.
pub(super) struct Held<T> {
    body: Body,
    _held: T,
}

impl<T: Send + Unpin + 'static> Held<T> {
    pub fn body(body: Body, held: T) -> Body {
        Body::new(Held { body, _held: held })
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
