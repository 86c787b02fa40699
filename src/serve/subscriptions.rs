//! Subscriptions: word when a result that is being made has moved on, is there, or has failed.
//!
//! Clients with a handshake subscribe to a URI and hear until they unsubscribe or go; those of 2026-07-28 hold a request open for as
//! long as they listen. Both look at the store, where the run may be this server's or another's with the same results. Everything else that can be
//! read stays as it is while the server runs, so a subscription to it is taken and stays silent.

use super::desk::Desk;
use super::listeners::{MOST, MOST_OF_ALL, TaskIds};
use super::reply::protocol_error;
use super::resources::{self, Address};
use super::server::Server;
use super::who::Who;
use crate::service::{Caller, Code, Fault, Standing};
use rmcp::model::{NotificationMetaObject, ResourceUpdatedNotificationParam};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

impl<D: Desk> Server<D> {
    /// `resources/subscribe`.
    pub(super) async fn begin(&self, uri: String, context: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        let caller = Who::sent(&context).caller;
        let Some(watch) = self.watch(&uri, &caller).await? else {
            return Ok(());
        };
        let mut subscribed = self.subscriptions.lock();
        subscribed.retain(|_, running| !running.is_finished());
        if subscribed.contains_key(&uri) {
            return Ok(());
        }
        if subscribed.len() >= MOST {
            return Err(too_many(format!("This session has {MOST} subscriptions already.")));
        }
        let (peer, told) = (context.peer, uri.clone());
        let running = tokio::spawn(watch.run(async move || {
            let update = ResourceUpdatedNotificationParam::new(told.clone());
            !peer.is_transport_closed() && peer.notify_resource_updated(update).await.is_ok()
        }));
        subscribed.insert(uri, running.abort_handle());
        Ok(())
    }

    /// `resources/unsubscribe`. One that was never made has ended all the same.
    pub(super) fn end(&self, uri: &str) {
        if let Some(running) = self.subscriptions.lock().remove(uri) {
            running.abort();
        }
    }

    /// `subscriptions/listen`: until the client has had enough.
    pub(super) async fn tell(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let caller = Who::sent(context.request_context()).caller;
        let mut watches = JoinSet::new();
        for uri in context.accepted().resource_subscriptions.iter().flatten() {
            if let Some(watch) = self.watch(uri, &caller).await? {
                let (sink, uri) = (context.sink().clone(), uri.clone());
                watches.spawn(watch.run(async move || sink.notify_resource_updated(uri.clone()).await.is_ok()));
            }
        }
        for id in TaskIds::of(context.request_context()) {
            let look = self.look()?;
            let (server, peer, caller) = (self.clone(), context.request_context().peer.clone(), caller.clone());
            let mut meta = NotificationMetaObject::new();
            meta.set_subscription_id(context.request_context().id.clone());
            watches.spawn(async move {
                server.tell_of_task(caller, id, peer, meta).await;
                drop(look);
            });
        }
        // Dropping the set ends the watches.
        context.cancelled().await;
        Ok(())
    }

    /// Room for one more look at the store.
    fn look(&self) -> Result<OwnedSemaphorePermit, ErrorData> {
        let full = || too_many(format!("The server has {MOST_OF_ALL} subscriptions already."));
        self.looks.room().ok_or_else(full)
    }

    /// What to look at for a subscription to `uri`; nothing where it stays as it is.
    async fn watch(&self, uri: &str, caller: &Caller) -> Result<Option<Watch<D>>, ErrorData> {
        let (asked, who) = (uri.to_owned(), caller.clone());
        let checked = self.aside(move |desk| Ok(resources::exists(desk, &who, &asked)));
        checked.await.map_err(protocol_error)??;
        let Address::File { result, .. } = Address::of(uri) else {
            return Ok(None);
        };
        let look = self.look()?;
        let mut watch = Watch {
            desk: self.desk.clone(),
            caller: caller.clone(),
            result: result.to_owned(),
            seen: Standing::Unknown,
            every: self.options.look_every,
            _look: look,
        };
        watch.seen = watch.standing().await;
        Ok((watch.seen != Standing::Done).then_some(watch))
    }
}

fn too_many(message: String) -> ErrorData {
    protocol_error(
        Fault::new(Code::Busy, message).hint("Unsubscribe from what is done, or read the resource now and then."),
    )
}

/// A result that is looked at again and again until it is there.
struct Watch<D> {
    desk: Arc<D>,
    caller: Caller,
    result: String,
    /// How it stood when the subscription was taken: what has changed since is news.
    seen: Standing,
    every: Duration,
    _look: OwnedSemaphorePermit,
}

impl<D: Desk> Watch<D> {
    /// Tells of every change, at most once an interval, until the result is there or gone, or nobody hears it.
    async fn run(mut self, mut tell: impl AsyncFnMut() -> bool) {
        // Where it went between two looks before this one, that is told at once.
        let mut news = !matches!(self.seen, Standing::Underway(_));
        loop {
            if news && !tell().await {
                return;
            }
            if !matches!(self.seen, Standing::Underway(_)) {
                return;
            }
            tokio::time::sleep(self.every).await;
            let now = self.standing().await;
            news = match (&self.seen, &now) {
                (Standing::Underway(seen), Standing::Underway(now)) => !seen.says_as(now),
                _ => true,
            };
            self.seen = now;
        }
    }

    /// A store that cannot be read now may be again.
    async fn standing(&self) -> Standing {
        let (desk, caller, result) = (self.desk.clone(), self.caller.clone(), self.result.clone());
        let standing = tokio::task::spawn_blocking(move || desk.standing(&caller, &result)).await;
        standing.ok().and_then(Result::ok).unwrap_or(Standing::Unknown)
    }
}
