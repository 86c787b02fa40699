//! The way over a device, tried with the host as the device.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/common/half_model.rs"]
mod copy;

use super::*;
use crate::model::{
    Backend, FeatureValues, ModelFolder, Network, NumericClass, ProviderChoice, ProviderOptions, Setup, runtime,
};
use std::path::{Path, PathBuf};

fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn half_model(dir: &Path) -> ModelFolder {
    copy::copy_to(dir);
    ModelFolder::open(dir).unwrap()
}

fn image(voxels: usize, shift: usize) -> Vec<f32> {
    (0..voxels)
        .map(|i| ((i + shift) * 7919 % 1000) as f32 / 500.0 - 1.0)
        .collect()
}

/// Features in the precision they came in, told apart.
#[derive(Debug, PartialEq)]
enum Came {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

fn came(output: &WindowOutput) -> Came {
    match output.values() {
        FeatureValues::Half(values) => Came::Half(values.to_vec()),
        FeatureValues::Single(values) => Came::Single(values.to_vec()),
    }
}

fn rounded(output: &WindowOutput) -> Came {
    match output.values() {
        FeatureValues::Half(values) => Came::Half(values.to_vec()),
        FeatureValues::Single(values) => Came::Half(values.iter().copied().map(f16::from_f32).collect()),
    }
}

fn free_buffers(bound: &Bound) -> usize {
    match &bound.crossing {
        Crossing::Single(buffers) => buffers.free.lock().unwrap().len(),
        Crossing::Half(buffers) | Crossing::Rounded(buffers, _) => buffers.free.lock().unwrap().len(),
    }
}

/// Windows over a device that counts in `precision`, two of them held at a time; `as_expected` says what the plain way's
/// features should have become.
fn same_both_ways(folder: &ModelFolder, precision: Precision, as_expected: fn(&WindowOutput) -> Came) {
    let runtime = runtime::for_tests();
    let setup = Setup {
        provider: ProviderChoice::Named(Provider::Cpu),
        options: ProviderOptions::default(),
        threads: 2,
        cache: None,
    };
    let manifest = folder.manifest();
    let mut plain = Network::open(&runtime, folder.clone(), &setup, NumericClass::Reduced).unwrap();
    let sessions = Sessions {
        runtime: &runtime,
        options: &setup.options,
        threads: 2,
        engines: None,
    };
    let graph = folder.file(&manifest.backbone.graph);
    let mut backbone = sessions.open(&graph, Provider::Cpu, Precision::Fp32).unwrap();
    let mut bound = Bound::new(&sessions, &backbone, Provider::Cpu, precision, &Place::host(), manifest).unwrap();
    let voxels = manifest.window.size.iter().product();
    let images = [image(voxels, 0), image(voxels, 333)];
    let expected: Vec<WindowOutput> = images.iter().map(|image| plain.window(image).unwrap()).collect();
    let both: Vec<WindowOutput> = images
        .iter()
        .map(|image| bound.window(&mut backbone, image).unwrap())
        .collect();
    for (over_device, expected) in both.iter().zip(&expected) {
        assert!(came(over_device) == as_expected(expected));
        assert_eq!(over_device.memory, expected.memory);
    }
    assert!(came(&both[0]) != came(&both[1]));
    drop(both);
    let third = bound.window(&mut backbone, &images[1]).unwrap();
    assert!(came(&third) == as_expected(&expected[1]));
    assert_eq!(free_buffers(&bound), 1, "buffers were not used again");
}

#[test]
fn features_of_a_run_in_single_precision_cross_as_they_are() {
    let folder = ModelFolder::open(&checkout().join("onnx/sat-mini")).unwrap();
    same_both_ways(&folder, Precision::Fp32, came);
}

#[test]
fn features_of_a_run_in_reduced_precision_are_rounded_on_the_device() {
    let folder = ModelFolder::open(&checkout().join("onnx/sat-mini")).unwrap();
    same_both_ways(&folder, Precision::Fp16, rounded);
}

#[test]
fn features_of_a_half_precision_graph_come_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    same_both_ways(&half_model(dir.path()), Precision::Fp16, came);
}

#[test]
fn memory_that_is_no_number_is_an_error_over_a_device_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = half_model(dir.path());
    let runtime = runtime::for_tests();
    let sessions = Sessions {
        runtime: &runtime,
        options: &ProviderOptions::default(),
        threads: 1,
        engines: None,
    };
    let mut backbone = sessions
        .open(&folder.file("backbone.onnx"), Provider::Cpu, Precision::Fp32)
        .unwrap();
    let mut bound = Bound::new(
        &sessions,
        &backbone,
        Provider::Cpu,
        Precision::Fp16,
        &Place::host(),
        folder.manifest(),
    )
    .unwrap();
    let error = bound.window(&mut backbone, &[f32::NAN; 512]).unwrap_err();
    assert!(
        matches!(&error, ModelError::Run { fault } if fault.contains("memory")),
        "{error}"
    );
}
