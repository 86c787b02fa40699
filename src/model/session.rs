//! Sessions of ONNX Runtime: started on a provider or an error, and held against the manifest.

use super::provider::Dispatch;
use super::values::failed;
use super::{ModelError, Precision, Provider, ProviderOptions, Runtime};
use ort::ErrorCode;
use ort::editor::{Graph, Model, Node, ONNX_DOMAIN, Opset};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType};
use std::path::{Path, PathBuf};

/// Starts sessions that share a runtime, options and threads.
pub(super) struct Sessions<'a> {
    pub runtime: &'a Runtime,
    pub options: &'a ProviderOptions,
    pub threads: usize,
    /// Folder of TensorRT's engines.
    pub engines: Option<PathBuf>,
}

impl Sessions<'_> {
    /// A session of the graph in a file, wholly on `provider`: a node that the provider lacks is an error, since on the CPU it
    /// would run unseen.
    pub fn open(&self, graph: &Path, provider: Provider, precision: Precision) -> Result<Session, ModelError> {
        let mut builder = self.builder(provider, precision)?;
        builder.commit_from_file(graph).map_err(|error| match error.code() {
            ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoSuchFile | ErrorCode::NoModel => {
                bad_graph(graph, reason(&error))
            }
            _ if provider == Provider::Cpu => bad_graph(graph, reason(&error)),
            _ => unavailable(provider, &error),
        })
    }

    /// A session of one node with `inputs` -> `y`. Every dimension is free where `dimensions` is negative.
    pub fn of_node(
        &self,
        node: Node,
        inputs: &[(&str, TensorElementType, &[i64])],
        output: (TensorElementType, &[i64]),
        provider: Provider,
        precision: Precision,
    ) -> Result<Session, ModelError> {
        let outlet = |name: &str, ty: TensorElementType, shape: &[i64]| {
            Outlet::new(
                name,
                ValueType::Tensor {
                    ty,
                    shape: Shape::new(shape.iter().copied()),
                    dimension_symbols: SymbolicDimensions::empty(shape.len()),
                },
            )
        };
        let builder = self.builder(provider, precision)?;
        let session = || {
            let mut graph = Graph::new()?;
            graph.set_inputs(inputs.iter().map(|(name, ty, shape)| outlet(name, *ty, shape)))?;
            graph.set_outputs([outlet("y", output.0, output.1)])?;
            graph.add_node(node)?;
            let mut model = Model::new([Opset::new(ONNX_DOMAIN, 17)?])?;
            model.set_graph(graph)?;
            model.into_session(&builder)
        };
        session().map_err(|error: ort::Error| unavailable(provider, &error))
    }

    /// Whether a provider asked for `precision` really rounds more coarsely than single precision: OpenVINO ignores the wish
    /// for bf16 on processors without it. One is multiplied by a number that bf16 and half precision can't hold.
    pub fn rounds(&self, provider: Provider, precision: Precision) -> Result<bool, ModelError> {
        const SIDE: usize = 32;
        let beyond_half = 1.0 + f32::EPSILON * 1024.0;
        let node = Node::new("MatMul", ONNX_DOMAIN, "probe", ["x", "w"], ["y"], []).map_err(failed)?;
        let shape: &[i64] = &[SIDE as i64; 2];
        let single = TensorElementType::Float32;
        let inputs = [("x", single, shape), ("w", single, shape)];
        let mut session = self.of_node(node, &inputs, (single, shape), provider, precision)?;
        let identity: Vec<f32> = (0..SIDE * SIDE).map(|i| f32::from(i % (SIDE + 1) == 0)).collect();
        let tensor = |values: Vec<f32>| Tensor::from_array(([SIDE, SIDE], values));
        let outputs = session
            .run(ort::inputs![
                "x" => tensor(vec![beyond_half; SIDE * SIDE]).map_err(failed)?,
                "w" => tensor(identity).map_err(failed)?,
            ])
            .map_err(failed)?;
        let (_, products) = outputs["y"].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(products.iter().any(|product| *product != beyond_half))
    }

    #[allow(clippy::result_large_err)] // ort hands the builder back inside its errors
    fn builder(&self, provider: Provider, precision: Precision) -> Result<SessionBuilder, ModelError> {
        if !provider.built_in() {
            return Err(ModelError::NotBuiltIn {
                provider,
                library: self.runtime.library().path.clone(),
            });
        }
        if provider.on_device() {
            self.runtime.load_nvidia();
        }
        let dispatch = Dispatch {
            options: self.options,
            threads: self.threads,
            engines: self.engines.as_deref(),
        };
        let builder = Session::builder(self.runtime.environment()).map_err(|error| unavailable(provider, &error))?;
        // With a memory pattern the second run takes its whole peak as one block, beside the blocks that the first run left
        // behind: 12.8 GB became 23.2 with SAT-Nano.
        let builder = builder
            .with_intra_threads(self.threads)
            .and_then(|builder| builder.with_intra_op_spinning(false))
            .and_then(|builder| builder.with_memory_pattern(false))
            .and_then(|builder| builder.with_execution_providers([provider.dispatch(precision, &dispatch)]))
            .map_err(|error| unavailable(provider, &error))?;
        match provider {
            Provider::Cpu => Ok(builder),
            _ => builder
                .with_disable_cpu_fallback()
                .map_err(|error| unavailable(provider, &error)),
        }
    }
}

/// Holds a session's inputs and outputs against what the manifest says; a dimension under 0 is free.
pub(super) fn expect(
    session: &Session,
    graph: &Path,
    inputs: &[(&str, TensorElementType, &[i64])],
    outputs: &[(&str, TensorElementType, &[i64])],
) -> Result<(), ModelError> {
    for (kind, wanted, there) in [
        ("input", inputs, session.inputs()),
        ("output", outputs, session.outputs()),
    ] {
        for (name, ty, shape) in wanted {
            let Some(outlet) = there.iter().find(|outlet| outlet.name() == *name) else {
                let fault = format!("the graph has no {kind} {name:?}, which sat-mcp expects; export it with tools/");
                return Err(bad_graph(graph, fault));
            };
            let fits = match outlet.dtype() {
                ValueType::Tensor {
                    ty: its_type,
                    shape: its_shape,
                    ..
                } => its_type == ty && fits(its_shape, shape),
                _ => false,
            };
            if !fits {
                let fault = format!("{name} is {}, but model.toml wants {ty} {shape:?}", outlet.dtype());
                return Err(bad_graph(graph, fault));
            }
        }
        // An input that nobody fills would fail only in the middle of a run.
        if kind == "input"
            && let Some(other) = there
                .iter()
                .find(|outlet| wanted.iter().all(|(name, ..)| outlet.name() != *name))
        {
            let fault = format!("the graph wants an input {:?} that sat-mcp does not know", other.name());
            return Err(bad_graph(graph, fault));
        }
    }
    Ok(())
}

fn fits(there: &[i64], wanted: &[i64]) -> bool {
    there.len() == wanted.len()
        && there
            .iter()
            .zip(wanted)
            .all(|(there, want)| *there < 0 || *want < 0 || there == want)
}

fn unavailable<R>(provider: Provider, error: &ort::Error<R>) -> ModelError {
    ModelError::Provider {
        provider,
        fault: reason(error),
    }
}

/// What ONNX Runtime says, in one line and without the place in its source.
fn reason<R>(error: &ort::Error<R>) -> String {
    let text = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((_, said)) = text.split_once("[ONNXRuntimeError] : ") else {
        return text;
    };
    // The number and the name of its kind of error come first.
    said.splitn(3, " : ").last().unwrap_or(said).to_owned()
}

fn bad_graph(graph: &Path, fault: String) -> ModelError {
    ModelError::BadGraph {
        path: graph.to_owned(),
        fault,
    }
}
