//! One request, from an image and names to masks.
//!
//! ```text
//! Volume ─ prepare ─> Prepared ─ windows ─> Window… ─ Backend ─> features, embeddings ─ blend ─> probability ─ restore ─> Mask
//! ```
//! Each arrow is one function with plain types on both sides. Nothing here waits, reads or writes. What a class costs in
//! memory is its mask's compressed bits; what the image costs is the features of the windows whose neighbours are still to come.

mod blend;
mod features;
mod field;
mod importance;
mod kernel;
mod memory;
mod normalise;
mod prepare;
mod progress;
mod restore;
mod restore_axes;
mod tiles;
mod walk;
mod windows;

pub use blend::{Blend, FoundMask, store};
pub use features::{NotFinite, StoredLayer};
pub use field::{ModelBox, Planes};
pub use importance::importance;
pub use memory::FeatureCache;
pub use prepare::{MAX_PREPARED_VOXELS, Preparation, PrepareError, Prepared, prepare};
pub use progress::{Cancel, Progress, Silent, Step};
pub use restore::Restore;
pub use tiles::{Tile, Tiling, WindowIndex};
pub use walk::{Ahead, Search, Segmentation, Spent, segment};
pub use windows::patch;

use crate::model::ModelError;

/// What to look for: a prompt, and the probability above which a voxel belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Text for the encoder.
    pub text: String,
    /// Threshold on the probability; the published code has 0.5.
    pub threshold: f32,
}

/// Why there are no masks.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The image can't be prepared for the network.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The network failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The run was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
}
