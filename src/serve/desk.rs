//! What `serve` needs of the service: the three tools as plain, blocking functions.
//!
//! A trait, so that the protocol's manners (who waits, who joins, who is told what and when) are tested without a
//! network and without waiting.

use crate::anatomy::{ListAnswer, ListRequest, Mentions};
use crate::segment::{Cancel, Progress};
use crate::service::{
    Caller, Fault, MeasureAnswer, MeasureRequest, Plan, ResourceFile, SegmentAnswer, SegmentRequest, Service,
    StoredResult,
};
use crate::store::{StoreError, TaskStore};
use crate::volume::Modality;
use std::sync::Arc;

pub(super) trait Desk: Send + Sync + 'static {
    /// A request understood: image read, targets resolved.
    type Plan: Send + 'static;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault>;
    /// The names that a report mentions.
    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault>;
    fn plan(&self, caller: &Caller, request: &SegmentRequest) -> Result<Self::Plan, Fault>;
    fn result_id(plan: &Self::Plan) -> String;
    /// The answer, where it is already in the store.
    fn stored(&self, plan: &Self::Plan) -> Result<Option<SegmentAnswer>, Fault>;
    fn run(&self, plan: Self::Plan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault>;
    /// What to say while the run is under way.
    fn running(&self, plan: &Self::Plan) -> SegmentAnswer;
    fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault>;
    /// What a URI names, unread.
    fn resource(&self, caller: &Caller, uri: &str) -> Result<ResourceFile, Fault>;
    fn read_resource(&self, caller: &Caller, uri: &str) -> Result<Vec<u8>, Fault>;
    /// The tasks of the store, for one server.
    fn tasks(&self) -> Result<TaskStore, StoreError>;
    /// The scan of a result as the viewer shows it: `.nii.gz`.
    fn display(&self, caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault>;
    /// Last used first.
    fn results(&self, caller: &Caller) -> Result<Vec<StoredResult>, Fault>;
    /// The service itself, for what is no message of the protocol: files that come and go, health. A desk without one has
    /// none of these.
    fn service(self: &Arc<Self>) -> Option<Arc<Service>> {
        None
    }
}

impl Desk for Service {
    type Plan = Plan;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault> {
        self.list_anatomy(request)
    }

    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault> {
        self.mentions(report, modality)
    }

    fn plan(&self, caller: &Caller, request: &SegmentRequest) -> Result<Plan, Fault> {
        self.plan(caller, request)
    }

    fn result_id(plan: &Plan) -> String {
        plan.result_id().to_owned()
    }

    fn stored(&self, plan: &Plan) -> Result<Option<SegmentAnswer>, Fault> {
        self.stored(plan)
    }

    fn run(&self, plan: Plan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault> {
        self.run(plan, progress, cancel)
    }

    fn running(&self, plan: &Plan) -> SegmentAnswer {
        self.running(plan, None)
    }

    fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        self.measure_volume(caller, request)
    }

    fn resource(&self, caller: &Caller, uri: &str) -> Result<ResourceFile, Fault> {
        self.resource(caller, uri)
    }

    fn read_resource(&self, caller: &Caller, uri: &str) -> Result<Vec<u8>, Fault> {
        self.read_resource(caller, uri).map(|(_, bytes)| bytes)
    }

    fn tasks(&self) -> Result<TaskStore, StoreError> {
        self.store().tasks()
    }

    fn display(&self, caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault> {
        self.display(caller, result_id)
    }

    fn results(&self, caller: &Caller) -> Result<Vec<StoredResult>, Fault> {
        self.results(caller)
    }

    fn service(self: &Arc<Self>) -> Option<Arc<Service>> {
        Some(self.clone())
    }
}
