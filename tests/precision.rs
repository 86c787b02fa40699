//! What a result was computed in is part of its name, and is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/half_model.rs"]
mod half_model;
#[path = "common/library.rs"]
mod library;
#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

use nifti_bytes::Nifti;
use sat_mcp::model::{Provider, ProviderChoice, ProviderOptions};
use sat_mcp::segment::Ahead;
use sat_mcp::service::{Access, Cancel, Fault, Progress, SegmentAnswer, SegmentRequest, Service, Settings, Step};
use sat_mcp::store::Limits;
use sat_mcp::volume::Modality;
use std::path::{Path, PathBuf};

struct Silent;

impl Progress for Silent {
    fn report(&self, _step: &Step) {}
}

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A service on one provider, with sat-mcp.toml's table for OpenVINO.
fn service(dir: &Path, model: &Path, provider: Provider, openvino: &str) -> Service {
    Service::open(Settings {
        model: model.display().to_string(),
        models: None,
        provider: ProviderChoice::Named(provider),
        options: ProviderOptions {
            openvino: toml::from_str(openvino).unwrap(),
            ..ProviderOptions::default()
        },
        ort_lib: Some(library::runtime().library().path.clone()),
        threads: Some(2),
        ahead: Ahead::Off,
        feature_cache: 0,
        results: dir.join("results"),
        cache: dir.join("cache"),
        limits: Limits::default(),
        access: Access::Anything,
    })
    .unwrap()
}

fn request(dir: &Path) -> SegmentRequest {
    let values: Vec<f32> = (0..24 * 24 * 24).map(|i| ((i * 7919) % 251) as f32 + 1.0).collect();
    let mut scan = Nifti::new();
    scan.dim(&[3, 24, 24, 24]).floats(&values);
    let path = dir.join("scan.nii");
    std::fs::write(&path, scan.bytes()).unwrap();
    SegmentRequest {
        image: path.display().to_string(),
        targets: vec!["brain".to_owned()],
        modality: Some(Modality::Mri),
        ..SegmentRequest::default()
    }
}

fn segment(service: &Service, request: &SegmentRequest) -> Result<SegmentAnswer, Fault> {
    service.segment(request, &Silent, &Cancel::new())
}

#[test]
fn the_same_question_in_reduced_precision_is_another_result() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    let id = |provider, openvino: &str| {
        let service = service(dir.path(), &checkout("onnx/sat-mini"), provider, openvino);
        service.plan(&request).unwrap().result_id().to_owned()
    };
    let single = id(Provider::OpenVino, "");
    assert_eq!(single, id(Provider::Cpu, ""));
    assert_eq!(single, id(Provider::OpenVino, "precision = \"f32\""));
    assert_ne!(single, id(Provider::OpenVino, "precision = \"bf16\""));
}

#[test]
fn a_model_in_half_precision_answers_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("half-model");
    std::fs::create_dir(&model).unwrap();
    half_model::copy_to(&model);
    let service = service(dir.path(), &model, Provider::Cpu, "");
    let answer = segment(&service, &request(dir.path())).unwrap();
    let execution = &answer.execution;
    assert_eq!(
        (execution.provider.as_str(), execution.precision.as_str()),
        ("cpu", "fp16")
    );
    assert!(answer.masks[0].measurement.voxels > 0, "nothing was found: {answer:?}");
}

#[test]
fn openvino_says_what_it_really_counted_in() {
    library::runtime();
    if !Provider::OpenVino.built_in() {
        return; // the tests' own library is the CPU's
    }
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    let precision = |openvino: &str| {
        let service = service(dir.path(), &checkout("onnx/sat-mini"), Provider::OpenVino, openvino);
        segment(&service, &request).unwrap().execution.precision
    };
    assert_eq!(precision(""), "fp32");
    let coarse = precision("precision = \"bf16\"");
    assert!(["bf16", "fp32"].contains(&coarse.as_str()), "{coarse}");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512bf16") {
        assert_eq!(coarse, "bf16");
    }
}
