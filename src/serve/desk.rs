//! What `serve` needs of the service: the three tools as plain, blocking functions.
//!
//! A trait, so that the protocol's manners (who waits, who joins, who is told what and when) are tested without a
//! network and without waiting.

use crate::anatomy::{ListAnswer, ListRequest, Mentions};
use crate::segment::{Cancel, Progress};
use crate::service::{
    Fault, MeasureAnswer, MeasureRequest, Plan, ResourceFile, SegmentAnswer, SegmentRequest, Service, StoredResult,
};
use crate::volume::Modality;

pub(super) trait Desk: Send + Sync + 'static {
    /// A request understood: image read, targets resolved.
    type Plan: Send + 'static;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault>;
    /// The names that a report mentions.
    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault>;
    fn plan(&self, request: &SegmentRequest) -> Result<Self::Plan, Fault>;
    fn result_id(plan: &Self::Plan) -> String;
    /// The answer, where it is already in the store.
    fn stored(&self, plan: &Self::Plan) -> Result<Option<SegmentAnswer>, Fault>;
    fn run(&self, plan: Self::Plan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault>;
    /// What to say while the run is under way.
    fn running(&self, plan: &Self::Plan) -> SegmentAnswer;
    fn measure_volume(&self, request: &MeasureRequest) -> Result<MeasureAnswer, Fault>;
    /// What a URI names, unread.
    fn resource(&self, uri: &str) -> Result<ResourceFile, Fault>;
    fn read_resource(&self, uri: &str) -> Result<Vec<u8>, Fault>;
    /// The scan of a result as the viewer shows it: `.nii.gz`.
    fn display(&self, result_id: &str) -> Result<Vec<u8>, Fault>;
    /// Last used first.
    fn results(&self) -> Result<Vec<StoredResult>, Fault>;
}

impl Desk for Service {
    type Plan = Plan;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault> {
        self.list_anatomy(request)
    }

    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault> {
        self.mentions(report, modality)
    }

    fn plan(&self, request: &SegmentRequest) -> Result<Plan, Fault> {
        self.plan(request)
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

    fn measure_volume(&self, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        self.measure_volume(request)
    }

    fn resource(&self, uri: &str) -> Result<ResourceFile, Fault> {
        self.resource(uri)
    }

    fn read_resource(&self, uri: &str) -> Result<Vec<u8>, Fault> {
        self.read_resource(uri).map(|(_, bytes)| bytes)
    }

    fn display(&self, result_id: &str) -> Result<Vec<u8>, Fault> {
        self.display(result_id)
    }

    fn results(&self) -> Result<Vec<StoredResult>, Fault> {
        self.results()
    }
}
