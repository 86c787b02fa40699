//! Signs of life for a caller who waits.

use super::tasks::Voice;
use crate::service::Fault;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use std::time::{Duration, Instant};

/// A caller hears something at most this often.
const NOT_WITHIN: Duration = Duration::from_millis(100);
/// A task's record is written at most this often while it is at work.
const NOT_WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// How far one request is, for whoever wants to know.
pub(super) struct Beat {
    listener: Listener,
    every: Duration,
    said: Option<(Instant, f64)>,
}

enum Listener {
    /// Hears nothing until the answer.
    Deaf,
    /// Hears notifications.
    Caller(Peer<RoleServer>, ProgressToken),
    /// Is a record that may be looked at.
    Task(Voice),
}

impl Beat {
    /// For this request, to be heard at least `every` so long.
    pub(super) fn new(context: &RequestContext<RoleServer>, every: Duration) -> Beat {
        let listener = match context.meta.get_progress_token() {
            Some(token) => Listener::Caller(context.peer.clone(), token),
            None => Listener::Deaf,
        };
        Beat {
            listener,
            every,
            said: None,
        }
    }

    /// For the record of a task.
    pub(super) fn of_task(voice: Voice, every: Duration) -> Beat {
        Beat {
            listener: Listener::Task(voice),
            every,
            said: None,
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self.listener, Listener::Deaf)
    }

    /// Returns when it is time to be heard again.
    pub(super) async fn due(&self) {
        tokio::time::sleep(self.every).await;
    }

    /// One notification. The protocol wants `progress` to grow with each, so it does, if only by a thousandth.
    pub(super) async fn say(&mut self, progress: f64, total: Option<f64>, sentence: &str) {
        let not_within = match self.listener {
            Listener::Deaf => return,
            Listener::Caller(..) => NOT_WITHIN,
            Listener::Task(_) => NOT_WRITTEN_WITHIN,
        };
        let progress = match self.said {
            Some((when, _)) if when.elapsed() < not_within => return,
            Some((_, last)) => progress.max(last + 0.001),
            None => progress,
        };
        self.said = Some((Instant::now(), progress));
        match &self.listener {
            Listener::Deaf => {}
            Listener::Caller(peer, token) => {
                let mut notification = ProgressNotificationParam::new(token.clone(), progress).with_message(sentence);
                notification.total = total;
                // A caller who has gone needs no progress.
                let _ = peer.notify_progress(notification).await;
            }
            Listener::Task(voice) => voice.say(sentence).await,
        }
    }

    /// Says which result comes of the request: a task that is begun again must come to the same.
    pub(super) async fn makes(&self, result: &str) -> Result<(), Fault> {
        match &self.listener {
            Listener::Task(voice) => voice.makes(result).await,
            Listener::Deaf | Listener::Caller(..) => Ok(()),
        }
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
