//! A service on a model folder, for tests that call it as the command line does, and a small scan to ask about.

use super::library;
use super::nifti_bytes::Nifti;
use sat_mcp::model::{Provider, ProviderChoice, ProviderOptions};
use sat_mcp::segment::Ahead;
use sat_mcp::service::{
    Access, Caller, Cancel, Fault, Progress, SegmentAnswer, SegmentRequest, Service, Settings, Step,
};
use sat_mcp::store::Limits;
use sat_mcp::volume::ReadLimits;
use std::path::Path;

struct Silent;

impl Progress for Silent {
    fn report(&self, _step: &Step) {}
}

/// A service on one provider; results and cache lie in `dir`.
pub fn service(dir: &Path, model: &Path, provider: Provider, options: ProviderOptions) -> Service {
    Service::open(Settings {
        model: model.display().to_string(),
        models: None,
        provider: ProviderChoice::Named(provider),
        options,
        ort_lib: Some(library::runtime().library().path.clone()),
        threads: Some(2),
        ahead: Ahead::Off,
        feature_cache: 0,
        results: dir.join("results"),
        cache: dir.join("cache"),
        limits: Limits::default(),
        reading: ReadLimits::default(),
        access: Access::Anything,
        archives: Default::default(),
    })
    .unwrap()
}

/// Writes a scan of 24 voxels a side and gives its path.
pub fn scan(dir: &Path) -> String {
    let values: Vec<f32> = (0..24 * 24 * 24).map(|i| ((i * 7919) % 251) as f32 + 1.0).collect();
    let mut scan = Nifti::new();
    scan.dim(&[3, 24, 24, 24]).floats(&values);
    let path = dir.join("scan.nii");
    std::fs::write(&path, scan.bytes()).unwrap();
    path.display().to_string()
}

pub fn segment(service: &Service, request: &SegmentRequest) -> Result<SegmentAnswer, Fault> {
    service.segment(&Caller::person(), request, &Silent, &Cancel::new())
}
