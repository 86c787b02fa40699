//! Signs of life for a caller who waits.

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use std::time::{Duration, Instant};

/// A caller hears something at most this often.
const NOT_WITHIN: Duration = Duration::from_millis(100);

/// Progress notifications of one request, if its caller wants them.
pub(super) struct Beat {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    every: Duration,
    said: Option<(Instant, f64)>,
}

impl Beat {
    /// For this request, to be heard at least `every` so long.
    pub(super) fn new(context: &RequestContext<RoleServer>, every: Duration) -> Beat {
        Beat {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token(),
            every,
            said: None,
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self) -> bool {
        self.token.is_some()
    }

    /// Returns when it is time to be heard again.
    pub(super) async fn due(&self) {
        tokio::time::sleep(self.every).await;
    }

    /// One notification. The protocol wants `progress` to grow with each, so it does, if only by a thousandth.
    pub(super) async fn say(&mut self, progress: f64, total: Option<f64>, sentence: &str) {
        let Some(token) = &self.token else { return };
        let progress = match self.said {
            Some((when, _)) if when.elapsed() < NOT_WITHIN => return,
            Some((_, last)) => progress.max(last + 0.001),
            None => progress,
        };
        self.said = Some((Instant::now(), progress));
        let mut notification = ProgressNotificationParam::new(token.clone(), progress).with_message(sentence);
        notification.total = total;
        // A caller who has gone needs no progress.
        let _ = self.peer.notify_progress(notification).await;
    }

    /// Awaits `work`, with a beat saying `sentence` for as long as it takes.
    pub(super) async fn during<T>(&mut self, sentence: &str, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.due() => self.say(0.0, None, sentence).await,
            }
        }
    }
}
