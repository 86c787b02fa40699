//! What `serve` needs of the service: the three tools as plain, blocking functions.
//!
//! A trait, so that the protocol's manners (who waits, who joins, who is told what and when) are tested without a
//! network and without waiting.

use crate::anatomy::{ListAnswer, ListRequest, Mentions};
use crate::segment::{Cancel, Progress};
use crate::service::{
    Caller, Fault, MeasureAnswer, MeasureRequest, ModelCard, ModelName, Place, ResourceFile, ResultFiles,
    SegmentAnswer, SegmentRequest, Service, Stamp, Standing, Underway, WaitingPlan,
};
use crate::store::{StoreError, TaskStore};
use crate::volume::Modality;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) trait Desk: Send + Sync + 'static {
    /// A request understood: image read, targets resolved. It may wait for its turn.
    type Plan: Send + 'static;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault>;
    /// The names that a report mentions.
    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault>;
    fn plan(&self, caller: &Caller, request: &SegmentRequest) -> Result<Self::Plan, Fault>;
    fn result_id(plan: &Self::Plan) -> String;
    /// What names the plan's run: those of one name may stand in for each other.
    fn run_id(plan: &Self::Plan) -> String {
        Self::result_id(plan)
    }
    /// Whether images may come from other machines, and results may go there.
    fn reaches_out(&self) -> bool {
        false
    }
    /// The answer, where it is already in the store.
    fn stored(&self, plan: &Self::Plan) -> Result<Option<SegmentAnswer>, Fault>;
    fn run(&self, plan: Self::Plan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault>;
    /// What to say while the run is under way.
    fn running(&self, plan: &Self::Plan) -> SegmentAnswer;
    fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault>;
    /// What a URI names, unread.
    fn resource(&self, caller: &Caller, uri: &str) -> Result<ResourceFile, Fault>;
    fn read_resource(&self, caller: &Caller, uri: &str) -> Result<Vec<u8>, Fault>;
    /// The file that an image's name means to this caller, where it means one.
    fn place_of(&self, caller: &Caller, image: &str) -> Option<PathBuf>;
    /// By what it would be seen that this file has changed.
    fn stamp(&self, caller: &Caller, image: &str) -> Option<Stamp>;
    /// The tasks of the store, for one server.
    fn tasks(&self) -> Result<TaskStore, StoreError>;
    /// The scan of a result as the viewer shows it: `.nii.gz`.
    fn display(&self, caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault>;
    /// The service itself, for what is no message of the protocol: files that come and go, health. A desk without one has
    /// none of these.
    fn service(self: &Arc<Self>) -> Option<Arc<Service>> {
        None
    }
    /// The slices that the query of a URI asks for, as a file of its own.
    fn read_slices(&self, caller: &Caller, uri: &str, query: &str, limit: u64) -> Result<Vec<u8>, Fault>;
    /// What to say of a file of more than `limit` bytes.
    fn too_large(&self, caller: &Caller, file: &ResourceFile, limit: u64) -> Fault;
    /// The newest first, unopened.
    fn result_places(&self, caller: &Caller) -> Result<Vec<Place>, Fault>;
    /// None where it has gone.
    fn result_files(&self, caller: &Caller, id: &str) -> Result<Option<ResultFiles>, Fault>;
    /// How a result stands that may still be in the making, here or elsewhere.
    fn standing(&self, caller: &Caller, id: &str) -> Result<Standing, Fault>;
    /// Notes where a run is, for all who share the store.
    fn note_underway(&self, caller: &Caller, state: &Underway) -> Result<(), Fault>;
    fn forget_underway(&self, id: &str) -> Result<(), Fault>;
    fn model_names(&self) -> Result<Vec<ModelName>, Fault>;
    fn model_card(&self, name: &str) -> Result<ModelCard, Fault>;
}

/// A fault as the caller may hear it.
fn told<T>(service: &Service, caller: &Caller, result: Result<T, Fault>) -> Result<T, Fault> {
    result.map_err(|fault| service.told(caller, fault))
}

impl Desk for Service {
    type Plan = WaitingPlan;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault> {
        self.list_anatomy(request)
    }

    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault> {
        self.mentions(report, modality)
    }

    fn plan(&self, caller: &Caller, request: &SegmentRequest) -> Result<WaitingPlan, Fault> {
        told(self, caller, self.plan(caller, request).map(|plan| self.put_by(plan)))
    }

    fn result_id(plan: &WaitingPlan) -> String {
        plan.result_id().to_owned()
    }

    fn run_id(plan: &WaitingPlan) -> String {
        plan.run_id()
    }

    fn reaches_out(&self) -> bool {
        self.reaches_out()
    }

    fn stored(&self, plan: &WaitingPlan) -> Result<Option<SegmentAnswer>, Fault> {
        told(self, plan.caller(), self.stored(plan))
    }

    fn run(&self, plan: WaitingPlan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault> {
        let caller = plan.caller().clone();
        told(self, &caller, self.run_waiting(plan, progress, cancel))
    }

    fn running(&self, plan: &WaitingPlan) -> SegmentAnswer {
        self.running(plan, None)
    }

    fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        told(self, caller, self.measure_volume(caller, request))
    }

    fn resource(&self, caller: &Caller, uri: &str) -> Result<ResourceFile, Fault> {
        told(self, caller, self.resource(caller, uri))
    }

    fn read_resource(&self, caller: &Caller, uri: &str) -> Result<Vec<u8>, Fault> {
        told(self, caller, self.read_resource(caller, uri).map(|(_, bytes)| bytes))
    }

    fn place_of(&self, caller: &Caller, image: &str) -> Option<PathBuf> {
        self.place_of(caller, image)
    }

    fn stamp(&self, caller: &Caller, image: &str) -> Option<Stamp> {
        self.stamp(caller, image)
    }

    fn tasks(&self) -> Result<TaskStore, StoreError> {
        self.store().tasks()
    }

    fn display(&self, caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault> {
        told(self, caller, self.display(caller, result_id))
    }

    fn read_slices(&self, caller: &Caller, uri: &str, query: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        told(self, caller, self.read_slices(caller, uri, query, limit))
    }

    fn too_large(&self, caller: &Caller, file: &ResourceFile, limit: u64) -> Fault {
        self.too_large(caller, file, limit)
    }

    fn result_places(&self, caller: &Caller) -> Result<Vec<Place>, Fault> {
        told(self, caller, self.result_places(caller))
    }

    fn result_files(&self, caller: &Caller, id: &str) -> Result<Option<ResultFiles>, Fault> {
        told(self, caller, self.result_files(caller, id))
    }

    fn standing(&self, caller: &Caller, id: &str) -> Result<Standing, Fault> {
        told(self, caller, self.standing(caller, id))
    }

    fn note_underway(&self, caller: &Caller, state: &Underway) -> Result<(), Fault> {
        told(self, caller, self.note_underway(caller, state))
    }

    fn forget_underway(&self, id: &str) -> Result<(), Fault> {
        self.forget_underway(id)
    }

    fn model_names(&self) -> Result<Vec<ModelName>, Fault> {
        self.model_names()
    }

    fn model_card(&self, name: &str) -> Result<ModelCard, Fault> {
        self.model_card(name)
    }

    fn service(self: &Arc<Self>) -> Option<Arc<Service>> {
        Some(self.clone())
    }
}
