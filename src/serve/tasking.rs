//! Segmentations as tasks: taken on, looked at, begun again, told of.

use super::beat::Beat;
use super::desk::Desk;
use super::reply;
use super::server::Server;
use super::tasks::{End, Voice, json, shown, unreadable};
use super::who::Who;
use crate::service::{Caller, Fault, SegmentRequest};
use crate::store::TaskRecord;
use rmcp::model::{Notification, NotificationMetaObject, ServerNotification, TaskStatusNotificationParams};
use rmcp::service::Peer;
use rmcp::{ErrorData, RoleServer};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// How often a task is begun: a run that ends its server each time shall not end it for ever.
const MOST_ATTEMPTS: u32 = 3;

/// What a record holds of the call: enough to begin again.
#[derive(Debug, Serialize, Deserialize)]
struct Call {
    who: Who,
    /// Whether the client knows links to resources.
    links: bool,
    /// Which file the image's name meant, where it meant one.
    place: Option<PathBuf>,
    request: SegmentRequest,
}

impl<D: Desk> Server<D> {
    /// Takes a segmentation on as a task.
    pub(super) async fn segment_as_task(
        &self,
        request: SegmentRequest,
        who: Who,
        links: bool,
    ) -> Result<TaskRecord, Fault> {
        let server = self.clone();
        // Its own runtime's handle comes along to the blocking thread, so that work can be spawned from there.
        self.aside(move |_| {
            let place = server.desk.place_of(&who.caller, &request.image);
            let call = Call {
                who,
                links,
                place,
                request,
            };
            let tasks = server.tasks.clone();
            let kept = json(&call);
            let who = call.who.clone();
            tasks.begin(&who, kept, |voice| server.work_on(call, voice))
        })
        .await
    }

    /// Where a task is. One whose server is gone is begun again here.
    pub(super) async fn task(&self, caller: Caller, id: String) -> Result<TaskRecord, ErrorData> {
        let server = self.clone();
        let looked = self.aside(move |_| Ok(server.look_at(&caller, &id)));
        looked.await.map_err(reply::protocol_error)?
    }

    fn look_at(&self, caller: &Caller, id: &str) -> Result<TaskRecord, ErrorData> {
        let record = self.tasks.get(caller, id)?;
        if record.is_ended() {
            return Ok(record);
        }
        let Some(record) = self.tasks.take(&record).map_err(|error| unreadable(&error))? else {
            // Somebody works on it, or it has just ended.
            return self.tasks.get(caller, id);
        };
        match serde_json::from_value::<Call>(record.call.clone()) {
            Ok(call) if record.attempts <= MOST_ATTEMPTS && self.means_the_same(&call) => {
                tracing::info!(attempt = record.attempts, "a task whose server has gone is begun again");
                let server = self.clone();
                let turn = call.who.turn.clone();
                self.tasks.drive(&record, &turn, |voice| server.work_on(call, voice));
            }
            read => {
                let why = match read {
                    Ok(_) if record.attempts <= MOST_ATTEMPTS => {
                        "The server ended, and to this one the image's name means another \
                         file: it reads other folders. Call segment again."
                            .to_owned()
                    }
                    Ok(_) => format!("The server ended {MOST_ATTEMPTS} times while it worked on this task."),
                    Err(_) => "The server ended, and this version cannot begin the task again.".to_owned(),
                };
                let error = ErrorData::internal_error(why, None);
                self.tasks.fail(id, &error);
            }
        }
        self.tasks.get(caller, id)
    }

    /// Whether the image's name still leads where it led when the task was taken on.
    fn means_the_same(&self, call: &Call) -> bool {
        self.desk.place_of(&call.who.caller, &call.request.image) == call.place
    }

    /// Tells `peer` of each change of a task until its end, or until nobody hears it; `meta` goes with each. The task may be
    /// another server's, so it is the record that is looked at.
    pub(super) async fn tell_of_task(
        self,
        caller: Caller,
        id: String,
        peer: Peer<RoleServer>,
        meta: NotificationMetaObject,
    ) {
        let mut seen = None;
        while !peer.is_transport_closed()
            && let Ok(record) = self.task(caller.clone(), id.clone()).await
        {
            let now = (record.updated_ms, record.is_ended());
            if seen != Some(now) {
                let change = TaskStatusNotificationParams::new(shown(&record)).with_meta(meta.clone());
                let change = ServerNotification::TaskStatusNotification(Notification::new(change));
                if peer.send_notification(change).await.is_err() {
                    break;
                }
            }
            if record.is_ended() {
                break;
            }
            seen = Some(now);
            tokio::time::sleep(self.options.look_every).await;
        }
    }

    async fn work_on(self, call: Call, voice: Voice) -> End {
        let Call {
            who, links, request, ..
        } = call;
        let detail = request.detail.unwrap_or_default();
        let beat = Beat::of_task(voice, self.options.beat_every);
        let answered = self.segment(request, who, beat, CancellationToken::new()).await;
        match answered {
            Err(_) if self.runs.is_stopping() => End::CutOff,
            Err(fault) => End::Answered(Box::new(reply::fault(&fault))),
            Ok(answer) => End::Answered(Box::new(reply::segmented(&answer, detail, links))),
        }
    }
}
