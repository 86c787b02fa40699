//! A SAT model on disk and in ONNX Runtime.
//!
//! A model is a folder with a manifest ([`ModelFolder`]), three graphs and a tokenizer. [`Network`] runs them; the
//! rest of the program knows it only as a [`Backend`]. [`Setup`] says on what, and tells how finely it will count before
//! anything is started. This is the one room that names ONNX Runtime.

mod bound;
mod error;
mod folder;
mod manifest;
mod network;
mod options;
mod precision;
mod provider;
mod runtime;
mod session;
mod setup;
mod text;
mod tokenizer;
mod values;

pub use error::ModelError;
pub use folder::ModelFolder;
pub use manifest::{Manifest, ModelClass, Preparation, Reduced, TextKind, Window};
pub use network::Network;
pub use options::{CudaOptions, OpenVinoOptions, ProviderOptions, TensorRtOptions};
pub use precision::{NumericClass, Precision};
pub use provider::{Provider, ProviderChoice};
pub use runtime::{Runtime, RuntimeLibrary, checkout_of, find as find_runtime};
pub use setup::{Planned, Setup};
pub use text::TextEncoder;
pub use tokenizer::{Tokenizer, Tokens};

use crate::volume::Modality;
use half::f16;
use ndarray::Array2;

/// Text queries, one row a prompt.
pub type Queries = Array2<f32>;

/// What the segmentation needs of a network: three functions with plain arrays on both sides. Queries, memory and mask
/// embeddings are finite or an error; features are checked where they are read.
pub trait Backend: Send {
    /// Whether another processor than this program's does the work, so that both can be at work at a time.
    fn on_device(&self) -> bool {
        false
    }

    /// Prompts to queries; a row depends on its prompt and the modality alone.
    fn queries(&mut self, prompts: &[&str], modality: Modality) -> Result<Queries, ModelError>;

    /// About how long queries of these prompts would take, as far as they are not known yet.
    fn text_seconds(&mut self, _prompts: &[&str], _modality: Modality) -> f64 {
        0.0
    }

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
    Single(ort::value::Tensor<f32>),
    /// The same of a graph in half precision.
    Half(ort::value::Tensor<f16>),
    /// From a device, in a buffer that later windows use again.
    LentSingle(bound::Lent<f32>),
    /// The same in half precision.
    LentHalf(bound::Lent<f16>),
    /// From elsewhere.
    Plain(Vec<f32>),
}

impl WindowOutput {
    /// Output of a backend that isn't ONNX Runtime.
    pub fn from_parts(features: Vec<f32>, memory: Array2<f32>) -> WindowOutput {
        WindowOutput {
            features: Features::Plain(features),
            memory,
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

    /// Per-voxel features, `[channel][x][y][z]`, in the precision that they came in.
    pub fn values(&self) -> FeatureValues<'_> {
        match &self.features {
            Features::Single(tensor) => FeatureValues::Single(tensor.extract_tensor().1),
            Features::Half(tensor) => FeatureValues::Half(tensor.extract_tensor().1),
            Features::LentSingle(lent) => FeatureValues::Single(lent.values()),
            Features::LentHalf(lent) => FeatureValues::Half(lent.values()),
            Features::Plain(values) => FeatureValues::Single(values),
        }
    }
}

/// Per-voxel features, `[channel][x][y][z]`.
#[derive(Debug, Clone, Copy)]
pub enum FeatureValues<'a> {
    /// In single precision.
    Single(&'a [f32]),
    /// In half precision: of a graph that gives them so, or from a device.
    Half(&'a [f16]),
}
