//! Memory of the network does not grow from window to window. Alone in its file, since it looks at its whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/library.rs"]
mod library;

use sat_mcp::model::{Backend, ModelFolder, Network, NumericClass, Provider, ProviderChoice, ProviderOptions, Setup};
use std::path::Path;

/// Resident memory that no file backs, in MB, without what is free and only kept by the allocator.
#[allow(unsafe_code)]
fn anonymous_mb() -> f64 {
    // SAFETY: gives free pages back to the system and touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// Numbers that look like a prepared scan's.
fn window(voxels: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..voxels).map(|_| next()).collect()
}

#[test]
fn ten_windows_take_no_more_memory_than_two() {
    let runtime = library::runtime();
    let folder = ModelFolder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/sat-mini")).unwrap();
    let voxels = folder.manifest().window.size.iter().product();
    for provider in [Provider::Cpu, Provider::OpenVino] {
        if !provider.built_in() {
            continue; // ORT_DYLIB_PATH may name a library that has it; the tests' own does not
        }
        let setup = Setup {
            provider: ProviderChoice::Named(provider),
            options: ProviderOptions::default(),
            threads: 2,
            cache: None,
        };
        let mut network = Network::open(&runtime, folder.clone(), &setup, NumericClass::Fp32).unwrap();
        let before = anonymous_mb();
        let queries = network
            .queries(&["brainstem", "left thalamus"], sat_mcp::volume::Modality::Mri)
            .unwrap();
        let mut after = Vec::new();
        for seed in 0..10 {
            let output = network.window(&window(voxels, seed)).unwrap();
            network.mask_embeddings(&output.memory, &queries).unwrap();
            drop(output);
            after.push(anonymous_mb());
        }
        // The least of several: a block may come back a window later, but what is kept stays.
        let least = |windows: &[f64]| windows.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(
            least(&after[7..]) - least(&after[..2]) < 2.0, // a window's own numbers are 6 MB
            "{provider}: {before:.1} MB before the first window, then {after:.1?}"
        );
    }
}
