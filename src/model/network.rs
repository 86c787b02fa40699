//! A model in ONNX Runtime: prompts to queries, a window to features, queries to mask embeddings.

use super::{Backend, ModelError, ModelFolder, Provider, ProviderChoice, Queries, Runtime, Tokenizer, WindowOutput};
use crate::volume::Modality;
use ndarray::Array2;
use ort::session::Session;
use ort::value::{Tensor, TensorRef, ValueType};
use std::collections::HashMap;
use std::path::Path;

/// A model, loaded and ready to run.
#[derive(Debug)]
pub struct Network {
    folder: ModelFolder,
    tokenizer: Tokenizer,
    text: Session,
    backbone: Session,
    decoder: Session,
    provider: Provider,
    /// A query depends on text and modality alone, so it is computed once.
    known: HashMap<(String, Modality), Vec<f32>>,
}

impl Network {
    /// Loads the graphs of `folder` on the provider chosen. With [`ProviderChoice::Auto`] the first that starts.
    pub fn open(
        runtime: &Runtime,
        folder: ModelFolder,
        choice: ProviderChoice,
        threads: usize,
    ) -> Result<Network, ModelError> {
        match choice {
            ProviderChoice::Named(provider) => Network::on(runtime, folder, provider, threads),
            ProviderChoice::Auto => {
                for provider in Provider::AUTO.into_iter().filter(|provider| provider.built_in()) {
                    match Network::on(runtime, folder.clone(), provider, threads) {
                        Err(ModelError::Provider { provider, fault }) => {
                            tracing::info!(%provider, %fault, "does not start, trying the next");
                        }
                        done => return done,
                    }
                }
                Network::on(runtime, folder, Provider::Cpu, threads)
            }
        }
    }

    fn on(runtime: &Runtime, folder: ModelFolder, provider: Provider, threads: usize) -> Result<Network, ModelError> {
        let manifest = folder.manifest();
        let tokenizer = Tokenizer::open(
            &folder.file(&manifest.text.tokenizer),
            manifest.text.kind,
            manifest.text.max_length,
        )?;
        // Text is a few tokens, asked once: the CPU answers before another device has its kernels.
        let text = session(
            runtime,
            &folder.file(&manifest.text.graph),
            Provider::Cpu,
            threads,
            false,
        )?;
        let backbone = session(runtime, &folder.file(&manifest.backbone.graph), provider, threads, true)?;
        let decoder = session(runtime, &folder.file(&manifest.decoder.graph), provider, threads, false)?;

        let text_file = folder.file(&manifest.text.graph);
        expect(
            &text,
            &text_file,
            &["input_ids", "attention_mask", "modality"],
            &["query"],
        )?;
        let backbone_file = folder.file(&manifest.backbone.graph);
        expect(&backbone, &backbone_file, &["image"], &["features", "memory"])?;
        let [x, y, z] = manifest.window.size.map(|n| n as i64);
        expect_shape(&backbone, &backbone_file, "image", &[1, 1, x, y, z])?;
        expect_shape(
            &backbone,
            &backbone_file,
            "features",
            &[1, manifest.backbone.feature_width as i64, x, y, z],
        )?;
        let decoder_file = folder.file(&manifest.decoder.graph);
        expect(&decoder, &decoder_file, &["memory", "query"], &["mask_embedding"])?;
        Ok(Network {
            tokenizer,
            text,
            backbone,
            decoder,
            provider,
            known: HashMap::new(),
            folder,
        })
    }

    /// The model's folder and manifest.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// What runs it.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Numeric class of the network's arithmetic.
    pub fn precision(&self) -> &'static str {
        "fp32"
    }

    fn encode(&mut self, prompts: &[&str], modality: Modality) -> Result<Array2<f32>, ModelError> {
        let tokens = self.tokenizer.encode(prompts)?;
        let shape = [prompts.len(), tokens.length];
        let outputs = self
            .text
            .run(ort::inputs![
                "input_ids" => Tensor::from_array((shape, tokens.ids)).map_err(run)?,
                "attention_mask" => Tensor::from_array((shape, tokens.mask)).map_err(run)?,
                "modality" => Tensor::from_array(([prompts.len()], vec![modality.code(); prompts.len()])).map_err(run)?,
            ])
            .map_err(run)?;
        array2(&outputs["query"], self.folder.manifest().text.query_width)
    }
}

impl Backend for Network {
    fn queries(&mut self, prompts: &[&str], modality: Modality) -> Result<Queries, ModelError> {
        let mut unknown: Vec<&str> = prompts
            .iter()
            .copied()
            .filter(|text| !self.known.contains_key(&((*text).to_owned(), modality)))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        // One prompt at a time: padding would let a neighbour's length touch the last bits of a query.
        for text in unknown {
            let row = self.encode(&[text], modality)?;
            self.known
                .insert((text.to_owned(), modality), row.into_raw_vec_and_offset().0);
        }
        let width = self.folder.manifest().text.query_width;
        let rows: Vec<f32> = prompts
            .iter()
            .flat_map(|text| self.known[&((*text).to_owned(), modality)].iter().copied())
            .collect();
        Array2::from_shape_vec((prompts.len(), width), rows).map_err(|error| ModelError::Run {
            fault: error.to_string(),
        })
    }

    fn window(&mut self, image: &[f32]) -> Result<WindowOutput, ModelError> {
        let manifest = self.folder.manifest();
        let [x, y, z] = manifest.window.size;
        let (width, memory_width) = (manifest.backbone.feature_width, manifest.backbone.memory_width);
        let input = TensorRef::from_array_view(([1, 1, x, y, z], image)).map_err(run)?;
        let mut outputs = self.backbone.run(ort::inputs!["image" => input]).map_err(run)?;
        let memory = array2(&outputs["memory"], memory_width)?;
        let features = outputs.remove("features").ok_or_else(|| lacks("features"))?;
        let features = features.downcast::<ort::value::TensorValueType<f32>>().map_err(run)?;
        if features.shape().num_elements() != width * x * y * z {
            return Err(ModelError::Run {
                fault: format!("features have the shape {}", features.shape()),
            });
        }
        Ok(WindowOutput::new(features, memory))
    }

    fn mask_embeddings(&mut self, memory: &Array2<f32>, queries: &Queries) -> Result<Array2<f32>, ModelError> {
        let width = self.folder.manifest().backbone.feature_width;
        let outputs = self
            .decoder
            .run(ort::inputs![
                "memory" => TensorRef::from_array_view(memory.view()).map_err(run)?,
                "query" => TensorRef::from_array_view(queries.view()).map_err(run)?,
            ])
            .map_err(run)?;
        array2(&outputs["mask_embedding"], width)
    }
}

fn run(error: impl std::fmt::Display) -> ModelError {
    ModelError::Run {
        fault: error.to_string(),
    }
}

fn lacks(output: &str) -> ModelError {
    ModelError::Run {
        fault: format!("the graph gave no {output}"),
    }
}

fn array2(value: &ort::value::DynValue, width: usize) -> Result<Array2<f32>, ModelError> {
    let (shape, data) = value.try_extract_tensor::<f32>().map_err(run)?;
    let rows = data.len() / width.max(1);
    Array2::from_shape_vec((rows, width), data.to_vec()).map_err(|_| ModelError::Run {
        fault: format!("an output of width {width} was expected, not of shape {shape}"),
    })
}

#[allow(clippy::result_large_err)] // ort hands the builder back inside its errors
fn session(
    runtime: &Runtime,
    graph: &Path,
    provider: Provider,
    threads: usize,
    whole: bool,
) -> Result<Session, ModelError> {
    let unavailable = |fault: String| ModelError::Provider { provider, fault };
    if !provider.built_in() {
        return Err(unavailable(format!(
            "{} was built without it",
            runtime.library().path.display()
        )));
    }
    let broken = |fault: String| ModelError::BadGraph {
        path: graph.to_owned(),
        fault,
    };
    let builder = Session::builder(runtime.environment()).map_err(|error| broken(error.to_string()))?;
    let builder = builder
        .with_intra_threads(threads)
        .and_then(|builder| builder.with_intra_op_spinning(false))
        .and_then(|builder| builder.with_memory_pattern(false))
        .map_err(|error| broken(error.to_string()))?;
    let mut builder = builder
        .with_execution_providers([provider.dispatch(threads)])
        .map_err(|error| unavailable(error.to_string()))?;
    // Otherwise a node that the provider lacks would run on the CPU unseen.
    if whole && provider != Provider::Cpu {
        builder = builder
            .with_disable_cpu_fallback()
            .map_err(|error| unavailable(error.to_string()))?;
    }
    builder.commit_from_file(graph).map_err(|error| match provider {
        Provider::Cpu => broken(error.to_string()),
        _ => unavailable(error.to_string()),
    })
}

fn expect(session: &Session, graph: &Path, inputs: &[&str], outputs: &[&str]) -> Result<(), ModelError> {
    for (kind, wanted, there) in [
        ("input", inputs, session.inputs()),
        ("output", outputs, session.outputs()),
    ] {
        if let Some(name) = wanted
            .iter()
            .find(|name| !there.iter().any(|outlet| outlet.name() == **name))
        {
            let fault = format!("the graph has no {kind} {name:?}, which sat-mcp expects; export it with tools/");
            return Err(ModelError::BadGraph {
                path: graph.to_owned(),
                fault,
            });
        }
    }
    Ok(())
}

fn expect_shape(session: &Session, graph: &Path, name: &str, wanted: &[i64]) -> Result<(), ModelError> {
    let outlet = session
        .inputs()
        .iter()
        .chain(session.outputs())
        .find(|outlet| outlet.name() == name);
    if let Some(ValueType::Tensor { shape, .. }) = outlet.map(|outlet| outlet.dtype()) {
        let fits = shape.len() == wanted.len()
            && shape
                .iter()
                .zip(wanted)
                .all(|(there, want)| *there < 0 || there == want);
        if !fits {
            let fault = format!("{name} has the shape {shape}, model.toml wants {wanted:?}");
            return Err(ModelError::BadGraph {
                path: graph.to_owned(),
                fault,
            });
        }
    }
    Ok(())
}
