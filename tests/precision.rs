//! What a result was computed in is part of its name, and is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/half_model.rs"]
mod half_model;
#[path = "common/library.rs"]
mod library;
#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

#[path = "common/service.rs"]
mod service;

use sat_mcp::model::{Provider, ProviderOptions};
use sat_mcp::service::{Caller, SegmentRequest, Service};
use sat_mcp::volume::Modality;
use service::segment;
use std::path::{Path, PathBuf};

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A service on one provider, with sat-mcp.toml's table for OpenVINO.
fn service_on(dir: &Path, model: &Path, provider: Provider, openvino: &str) -> Service {
    let options = ProviderOptions {
        openvino: toml::from_str(openvino).unwrap(),
        ..ProviderOptions::default()
    };
    service::service(dir, model, provider, options)
}

fn request(dir: &Path) -> SegmentRequest {
    SegmentRequest {
        image: service::scan(dir),
        targets: vec!["brain".to_owned()],
        modality: Some(Modality::Mri),
        ..SegmentRequest::default()
    }
}

#[test]
fn the_same_question_in_reduced_precision_is_another_result() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    let id = |provider, openvino: &str| {
        let service = service_on(dir.path(), &checkout("onnx/sat-mini"), provider, openvino);
        service
            .plan(&Caller::person(), &request)
            .unwrap()
            .result_id()
            .to_owned()
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
    let service = service_on(dir.path(), &model, Provider::Cpu, "");
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
        let service = service_on(dir.path(), &checkout("onnx/sat-mini"), Provider::OpenVino, openvino);
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
