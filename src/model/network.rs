//! A model in ONNX Runtime: prompts to queries, a window to features, queries to mask embeddings.

use super::bound::{Bound, Place};
use super::session::{Sessions, expect};
use super::text::TextEncoder;
use super::values::{array2, failed};
use super::{
    Backend, Features, Manifest, ModelError, ModelFolder, NumericClass, Precision, Provider, ProviderChoice, Queries,
    Runtime, Setup, WindowOutput,
};
use crate::volume::Modality;
use ndarray::Array2;
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef};
use std::path::Path;

/// A model, loaded and ready to run.
#[derive(Debug)]
pub struct Network {
    folder: ModelFolder,
    text: TextEncoder,
    backbone: Session,
    /// The backbone's device, where it has memory of its own.
    bound: Option<Bound>,
    decoder: Session,
    provider: Provider,
    decoder_provider: Provider,
    precision: Precision,
}

impl Network {
    /// Loads the graphs of `folder` on the provider chosen; with [`ProviderChoice::Auto`] on the first that starts. What it
    /// computes is of class `numeric`, as planned, or finer.
    pub fn open(
        runtime: &Runtime,
        folder: ModelFolder,
        setup: &Setup,
        numeric: NumericClass,
    ) -> Result<Network, ModelError> {
        folder.check_unchanged()?;
        match setup.provider {
            ProviderChoice::Named(provider) => Network::on(runtime, folder, setup, provider, numeric),
            ProviderChoice::Auto => {
                for provider in Provider::AUTO.into_iter().filter(|provider| provider.built_in()) {
                    match Network::on(runtime, folder.clone(), setup, provider, numeric) {
                        Err(ModelError::Provider { provider, fault }) => {
                            tracing::info!(%provider, %fault, "does not start, trying the next");
                        }
                        // Its buffers are made here: a card may be too small for the model.
                        Err(ModelError::Run { fault }) if provider.on_device() => {
                            tracing::warn!(%provider, %fault, "has no room for this model, trying the next");
                        }
                        done => return done,
                    }
                }
                Network::on(runtime, folder, setup, Provider::Cpu, numeric)
            }
        }
    }

    fn on(
        runtime: &Runtime,
        folder: ModelFolder,
        setup: &Setup,
        provider: Provider,
        numeric: NumericClass,
    ) -> Result<Network, ModelError> {
        let manifest = folder.manifest();
        let mut options = setup.options.clone();
        if provider == Provider::TensorRt {
            // What TensorRT leaves to CUDA must lie on the same device.
            options.cuda.device_id = options.tensorrt.device_id;
        }
        let sessions = Sessions {
            runtime,
            options: &options,
            threads: setup.threads,
            engines: match provider {
                Provider::TensorRt if provider.built_in() => setup.engines(&folder, runtime),
                _ => None,
            },
        };
        let precision = setup.on(manifest, provider, numeric);
        let graph = folder.file(&manifest.backbone.graph);
        let backbone = sessions.open(&graph, provider, precision)?;
        let precision = really(&sessions, provider, precision)?;
        expect_backbone(&backbone, &graph, manifest)?;
        let bound = match provider.on_device() {
            true => {
                let place = Place::cuda(options.cuda.device_id.0);
                Some(Bound::new(&sessions, &backbone, provider, precision, &place, manifest)?)
            }
            false => None,
        };
        let graph = folder.file(&manifest.decoder.graph);
        let (decoder, decoder_provider) = decoder(&sessions, &graph, provider)?;
        expect_decoder(&decoder, &graph, manifest)?;
        Ok(Network {
            text: TextEncoder::new(runtime, &folder, setup)?,
            backbone,
            bound,
            decoder,
            provider,
            decoder_provider,
            precision,
            folder,
        })
    }

    /// Starts what otherwise waits for its first need: the text encoder.
    pub fn prove(&mut self) -> Result<(), ModelError> {
        self.text.prove()
    }

    /// The model's folder and manifest.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// What runs the backbone.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// What runs the query decoder: the same, or the CPU where that lacks one of the decoder's operations.
    pub fn decoder_provider(&self) -> Provider {
        self.decoder_provider
    }

    /// What the backbone really counts in.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

impl Backend for Network {
    fn queries(&mut self, prompts: &[&str], modality: Modality) -> Result<Queries, ModelError> {
        self.text.queries(prompts, modality)
    }

    fn text_seconds(&mut self, prompts: &[&str], modality: Modality) -> f64 {
        self.text.seconds(prompts, modality)
    }

    fn window(&mut self, image: &[f32]) -> Result<WindowOutput, ModelError> {
        if let Some(bound) = &mut self.bound {
            return bound.window(&mut self.backbone, image);
        }
        let manifest = self.folder.manifest();
        let [x, y, z] = manifest.window.size;
        let input = TensorRef::from_array_view(([1, 1, x, y, z], image)).map_err(failed)?;
        let mut outputs = self.backbone.run(ort::inputs!["image" => input]).map_err(failed)?;
        let shape = [manifest.backbone.memory_tokens, manifest.backbone.memory_width];
        let memory = array2(&outputs["memory"], "memory", shape)?;
        let features = outputs
            .remove("features")
            .ok_or_else(|| failed("the graph gave no features"))?;
        let wanted = [1, manifest.backbone.feature_width, x, y, z].map(|n| n as i64);
        if features.dtype().tensor_shape().is_none_or(|shape| **shape != wanted) {
            return Err(failed(format!("features are {}", features.dtype())));
        }
        let features = match manifest.precision {
            Precision::Fp16 => Features::Half(features.downcast().map_err(failed)?),
            _ => Features::Single(features.downcast().map_err(failed)?),
        };
        Ok(WindowOutput { features, memory })
    }

    fn mask_embeddings(&mut self, memory: &Array2<f32>, queries: &Queries) -> Result<Array2<f32>, ModelError> {
        let width = self.folder.manifest().backbone.feature_width;
        let outputs = self
            .decoder
            .run(ort::inputs![
                "memory" => TensorRef::from_array_view(memory.view()).map_err(failed)?,
                "query" => TensorRef::from_array_view(queries.view()).map_err(failed)?,
            ])
            .map_err(failed)?;
        array2(&outputs["mask_embedding"], "mask embeddings", [queries.nrows(), width])
    }

    fn on_device(&self) -> bool {
        self.provider.on_device()
    }
}

fn expect_backbone(session: &Session, graph: &Path, manifest: &Manifest) -> Result<(), ModelError> {
    let [x, y, z] = manifest.window.size.map(|n| n as i64);
    let width = manifest.backbone.feature_width as i64;
    let single = TensorElementType::Float32;
    let of_features = match manifest.precision {
        Precision::Fp16 => TensorElementType::Float16,
        _ => single,
    };
    let outputs: [(&str, TensorElementType, &[i64]); 2] = [
        ("features", of_features, &[1, width, x, y, z]),
        ("memory", single, &memory_shape(manifest)),
    ];
    expect(session, graph, &[("image", single, &[1, 1, x, y, z])], &outputs)
}

fn expect_decoder(session: &Session, graph: &Path, manifest: &Manifest) -> Result<(), ModelError> {
    let (query, width) = (manifest.text.query_width as i64, manifest.backbone.feature_width as i64);
    let single = TensorElementType::Float32;
    let inputs: [(&str, TensorElementType, &[i64]); 2] = [
        ("memory", single, &memory_shape(manifest)),
        ("query", single, &[-1, query]),
    ];
    expect(session, graph, &inputs, &[("mask_embedding", single, &[-1, width])])
}

fn memory_shape(manifest: &Manifest) -> [i64; 2] {
    [manifest.backbone.memory_tokens, manifest.backbone.memory_width].map(|n| n as i64)
}

/// What a provider counts in when it was asked for `asked`.
fn really(sessions: &Sessions, provider: Provider, asked: Precision) -> Result<Precision, ModelError> {
    let worse = |fault: &str| {
        Err(ModelError::Provider {
            provider,
            fault: fault.to_owned(),
        })
    };
    match (provider, asked) {
        (Provider::OpenVino, Precision::Bf16) if !sessions.rounds(provider, asked)? => Ok(Precision::Fp32),
        (Provider::OpenVino, Precision::Fp32) if sessions.rounds(provider, asked)? => {
            worse("it does not count in single precision although it was asked to")
        }
        // TF32 has 11 significant bits. TensorRT takes it where it may, ONNX Runtime has no option against that, and the
        // variable overrules CUDA's option.
        (Provider::TensorRt | Provider::Cuda, Precision::Fp32) => {
            match (provider, std::env::var("NVIDIA_TF32_OVERRIDE").as_deref()) {
                (Provider::Cuda, Ok("1")) => {
                    worse("NVIDIA_TF32_OVERRIDE=1 makes it count in TF32 and not in single precision")
                }
                (Provider::Cuda, _) | (_, Ok("0")) => Ok(asked),
                _ => worse(
                    "without NVIDIA_TF32_OVERRIDE=0 in the environment it would count in TF32 and not in single precision",
                ),
            }
        }
        (_, asked) => Ok(asked),
    }
}

/// The decoder's session, in single precision: it is a thousandth of the work, and every class hangs on it. Where the
/// provider lacks one of its operations the CPU takes it whole, rather than a part of it unseen.
fn decoder(sessions: &Sessions, graph: &Path, provider: Provider) -> Result<(Session, Provider), ModelError> {
    // An engine of TensorRT is for one number of queries.
    let first = match provider {
        Provider::TensorRt => Provider::Cuda,
        other => other,
    };
    match sessions.open(graph, first, Precision::Fp32) {
        Err(ModelError::Provider { fault, .. }) if first != Provider::Cpu => {
            tracing::info!(provider = %first, %fault, "the query decoder runs on the CPU");
            let session = sessions.open(graph, Provider::Cpu, Precision::Fp32)?;
            Ok((session, Provider::Cpu))
        }
        done => Ok((done?, first)),
    }
}
