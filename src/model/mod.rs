//! A SAT model on disk and in ONNX Runtime.
//!
//! A model is a folder with a manifest ([`ModelFolder`]), three graphs and a tokenizer. [`Network`] runs them; the
//! rest of the program knows it only as a [`Backend`]. This is the one room that names ONNX Runtime.

mod error;
mod manifest;
mod network;
mod provider;
mod runtime;
mod tokenizer;

pub use error::ModelError;
pub use manifest::{Manifest, ModelClass, ModelFolder, Preparation, TextKind, Window};
pub use network::Network;
pub use provider::{Provider, ProviderChoice};
pub use runtime::{Runtime, RuntimeLibrary, checkout_of, find as find_runtime};
pub use tokenizer::{Tokenizer, Tokens};

use crate::volume::Modality;
use ndarray::Array2;

/// Text queries, one row a prompt.
pub type Queries = Array2<f32>;

/// What the segmentation needs of a network: three functions with plain arrays on both sides.
pub trait Backend: Send {
    /// Whether another processor than this program's does the work, so that both can be at work at a time.
    fn on_device(&self) -> bool {
        false
    }

    /// Prompts to queries; a row depends on its prompt and the modality alone.
    fn queries(&mut self, prompts: &[&str], modality: Modality) -> Result<Queries, ModelError>;

    /// One window (voxels z fastest, of the manifest's window size) to features and memory.
    fn window(&mut self, image: &[f32]) -> Result<WindowOutput, ModelError>;

    /// Queries to mask embeddings for a window's memory: rows times the features' width. Rows never see each other.
    fn mask_embeddings(&mut self, memory: &Array2<f32>, queries: &Queries) -> Result<Array2<f32>, ModelError>;
}

/// What the backbone says of one window.
#[derive(Debug)]
pub struct WindowOutput {
    features: Features,
    /// Multi-scale memory: tokens times width.
    pub memory: Array2<f32>,
}

#[derive(Debug)]
enum Features {
    /// As ONNX Runtime allocated them, so that nothing is copied.
    Runtime(ort::value::Tensor<f32>),
    /// From elsewhere.
    Plain(Vec<f32>),
}

impl WindowOutput {
    fn new(features: ort::value::Tensor<f32>, memory: Array2<f32>) -> WindowOutput {
        WindowOutput {
            features: Features::Runtime(features),
            memory,
        }
    }

    /// Output of a backend that isn't ONNX Runtime.
    pub fn from_parts(features: Vec<f32>, memory: Array2<f32>) -> WindowOutput {
        WindowOutput {
            features: Features::Plain(features),
            memory,
        }
    }

    /// Per-voxel features, `[channel][x][y][z]`.
    pub fn features(&self) -> &[f32] {
        match &self.features {
            Features::Runtime(tensor) => tensor.extract_tensor().1,
            Features::Plain(values) => values,
        }
    }

    /// Channels of the features of a window of so many voxels.
    pub fn width(&self, voxels: usize) -> usize {
        let values = match self.values() {
            FeatureValues::Single(values) => values.len(),
            FeatureValues::Half(values) => values.len(),
        };
        values / voxels.max(1)
    }

    /// Per-voxel features, `[channel][x][y][z]`, in the precision that the graph gives them in.
    pub fn values(&self) -> FeatureValues<'_> {
        FeatureValues::Single(self.features())
    }
}

/// Per-voxel features, `[channel][x][y][z]`.
#[derive(Debug, Clone, Copy)]
pub enum FeatureValues<'a> {
    /// Of a graph in single precision.
    Single(&'a [f32]),
    /// Of a graph in half precision.
    Half(&'a [half::f16]),
}
