//! A model folder that is not what it says, and a network that gives no numbers: told, never an empty mask.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/half_model.rs"]
mod half_model;
#[path = "common/library.rs"]
mod library;

use ndarray::Array2;
use sat_mcp::model::{
    Backend, FeatureValues, ModelError, ModelFolder, Network, NumericClass, Precision, Provider, ProviderChoice,
    ProviderOptions, Setup,
};
use sat_mcp::volume::Modality;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A copy of the tests' own model, to be spoilt.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    fn new() -> Copy {
        let dir = tempfile::tempdir().unwrap();
        half_model::copy_to(dir.path());
        Copy { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn open(&self) -> Result<ModelFolder, ModelError> {
        ModelFolder::open(self.dir.path())
    }

    /// Changes the manifest's text.
    fn manifest(&self, from: &str, to: &str) -> &Copy {
        let text = std::fs::read_to_string(self.path("model.toml")).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(self.path("model.toml"), text.replacen(from, to, 1)).unwrap();
        self
    }

    /// Writes other bytes to a file and its new hash into the manifest.
    fn file(&self, file: &str, bytes: &[u8]) -> &Copy {
        let hash = |bytes: &[u8]| {
            Sha256::digest(bytes)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
        };
        let old = hash(&std::fs::read(self.path(file)).unwrap());
        std::fs::write(self.path(file), bytes).unwrap();
        self.manifest(&old, &hash(bytes))
    }
}

fn network_with(folder: ModelFolder, provider: ProviderChoice, cache: Option<PathBuf>) -> Result<Network, ModelError> {
    let setup = Setup {
        provider,
        options: ProviderOptions::default(),
        threads: 1,
        cache,
    };
    Network::open(&library::runtime(), folder, &setup, NumericClass::Reduced)
}

fn network(folder: ModelFolder) -> Result<Network, ModelError> {
    network_with(folder, ProviderChoice::Named(Provider::Cpu), None)
}

/// The fault of a folder whose graphs don't fit.
fn misfit(copy: &Copy) -> String {
    let mut network = match network(copy.open().unwrap()) {
        Ok(network) => network,
        Err(error) => return bad_graph(&error),
    };
    bad_graph(&network.prove().unwrap_err())
}

fn bad_graph(error: &ModelError) -> String {
    assert!(matches!(error, ModelError::BadGraph { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_file_with_another_hash_is_refused_by_name() {
    let copy = Copy::new();
    let mut bytes = std::fs::read(copy.path("backbone.onnx")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(copy.path("backbone.onnx"), bytes).unwrap();
    let error = copy.open().unwrap_err();
    assert!(
        matches!(&error, ModelError::WrongHash { path, .. } if path.ends_with("backbone.onnx")),
        "{error}"
    );
}

#[test]
fn weights_that_no_hash_vouches_for_are_refused_by_name() {
    let copy = Copy::new();
    let mut graph = std::fs::read(copy.path("backbone.onnx")).unwrap();
    graph.extend(b"\x0a\x08location\x12\x0cweights.data");
    copy.file("backbone.onnx", &graph);
    std::fs::write(copy.path("weights.data"), b"other weights").unwrap();
    let error = copy.open().unwrap_err();
    assert!(matches!(error, ModelError::BadManifest { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("backbone.onnx takes weights from weights.data"),
        "{error}"
    );
    let hash = Sha256::digest(b"other weights")
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    copy.manifest("[files]", &format!("[files]\n\"weights.data\" = \"{hash}\""));
    assert!(copy.open().is_ok());
}

#[test]
fn weights_that_were_left_behind_are_missed_by_name() {
    let copy = Copy::new();
    copy.manifest(
        "[files]",
        &format!("[files]\n\"backbone.onnx.data\" = \"{}\"", "0".repeat(64)),
    );
    let error = copy.open().unwrap_err();
    assert!(
        matches!(&error, ModelError::MissingFile { path } if path.ends_with("backbone.onnx.data")),
        "{error}"
    );
}

#[test]
fn graphs_that_do_not_fit_their_manifest_are_refused_with_the_figure() {
    for (from, to, told) in [
        ("size = [8, 8, 8]", "size = [8, 8, 9]", "image"),
        ("memory_tokens = 1", "memory_tokens = 2", "memory"),
        ("memory_width = 4", "memory_width = 5", "memory"),
        ("feature_width = 4", "feature_width = 8", "features"),
        ("precision = \"fp16\"", "precision = \"fp32\"", "features"),
        ("query_width = 4", "query_width = 6", "query"),
        ("graph = \"backbone.onnx\"", "graph = \"query_decoder.onnx\"", "image"),
        (
            "graph = \"text_encoder.onnx\"",
            "graph = \"backbone.onnx\"",
            "input_ids",
        ),
    ] {
        let copy = Copy::new();
        copy.manifest(from, to);
        let fault = misfit(&copy);
        assert!(fault.contains(told), "{to}: {fault}");
    }
}

#[test]
fn a_graph_that_was_cut_short_is_refused() {
    for graph in ["backbone.onnx", "query_decoder.onnx", "text_encoder.onnx"] {
        let copy = Copy::new();
        let bytes = std::fs::read(copy.path(graph)).unwrap();
        copy.file(graph, &bytes[..bytes.len() / 2]);
        let fault = misfit(&copy);
        assert!(fault.contains(graph), "{fault}");
    }
}

#[test]
fn a_model_that_was_exchanged_after_it_was_checked_does_not_run_under_its_old_name() {
    let copy = Copy::new();
    let opened = copy.open().unwrap();
    copy.manifest("version = \"0\"", "version = \"1\"");
    let error = network(opened).unwrap_err();
    assert!(matches!(error, ModelError::Changed { .. }), "{error}");
}

#[test]
fn a_model_that_was_only_touched_still_runs() {
    let copy = Copy::new();
    let opened = copy.open().unwrap();
    let bytes = std::fs::read(copy.path("backbone.onnx")).unwrap();
    std::fs::write(copy.path("backbone.onnx"), bytes).unwrap();
    assert!(!opened.is_unchanged());
    network(opened).unwrap();
}

#[test]
fn what_is_no_number_is_an_error_and_no_empty_mask() {
    let copy = Copy::new();
    let mut network = network(copy.open().unwrap()).unwrap();
    let told = |error: ModelError| match error {
        ModelError::Run { fault } => fault,
        other => panic!("{other}"),
    };
    let memory = told(network.window(&[f32::INFINITY; 512]).unwrap_err());
    assert!(memory.contains("memory"), "{memory}");
    let queries = network.queries(&["brain"], Modality::Mri).unwrap();
    let embeddings = told(
        network
            .mask_embeddings(&Array2::from_elem((1, 4), f32::NAN), &queries)
            .unwrap_err(),
    );
    assert!(embeddings.contains("mask embeddings"), "{embeddings}");
}

#[test]
fn a_model_in_half_precision_says_so_and_gives_its_features_so() {
    let copy = Copy::new();
    let mut network = network(copy.open().unwrap()).unwrap();
    assert_eq!(network.precision(), Precision::Fp16);
    let output = network.window(&[0.5; 512]).unwrap();
    let FeatureValues::Half(values) = output.values() else {
        panic!("features came in single precision");
    };
    assert_eq!(values.len(), 4 * 512);
    assert!(values.iter().any(|value| value.to_f32() != 0.0));
}

#[test]
fn queries_are_the_same_bits_whether_computed_or_kept() {
    let copy = Copy::new();
    let cache = tempfile::tempdir().unwrap();
    let prompts = ["left kidney", "spleen", "left kidney"];
    let ask = |cache: &Path| {
        let choice = ProviderChoice::Named(Provider::Cpu);
        let mut network = network_with(copy.open().unwrap(), choice, Some(cache.to_owned())).unwrap();
        network.queries(&prompts, Modality::Ct).unwrap()
    };
    let first = ask(cache.path());
    assert_eq!(first.dim(), (3, 4));
    assert_eq!((first.row(0), ask(cache.path())), (first.row(2), first.clone()));
    let files: Vec<PathBuf> = std::fs::read_dir(cache.path().join("queries"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    std::fs::write(&files[0], b"damaged").unwrap();
    assert_eq!(ask(cache.path()), first);
    assert_ne!(
        std::fs::read(&files[0]).unwrap(),
        b"damaged",
        "the file was not made again"
    );
}

#[test]
fn a_provider_that_the_library_lacks_is_told_with_the_package_that_has_it() {
    library::runtime();
    for (provider, package) in [
        (Provider::OpenVino, "onnxruntime-openvino"),
        (Provider::Cuda, "onnxruntime-gpu"),
        (Provider::TensorRt, "onnxruntime-gpu"),
    ] {
        if provider.built_in() {
            continue;
        }
        let error = network_with(Copy::new().open().unwrap(), ProviderChoice::Named(provider), None).unwrap_err();
        assert!(matches!(error, ModelError::NotBuiltIn { .. }), "{error}");
        assert!(error.hint().unwrap().contains(package));
    }
}
