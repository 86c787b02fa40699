//! One request, from an image and names to masks.
//!
//! ```text
//! Volume ─ prepare ─> Prepared ─ windows ─> Window… ─ Backend ─> features, embeddings ─ blend ─> probability ─ restore ─> Mask
//! ```
//! Each arrow is one function with plain types on both sides. Nothing here waits, reads or writes. What a class costs in
//! memory is its mask's compressed bits; what the image costs is the features of the windows whose neighbours are still to come.

mod blend;
mod features;
mod importance;
mod kernel;
mod normalise;
mod prepare;
mod progress;
mod restore;
mod tiles;
mod windows;

pub use blend::{Blend, FoundMask, store};
pub use importance::importance;
pub use prepare::{MAX_PREPARED_VOXELS, Preparation, PrepareError, Prepared, prepare};
pub use progress::{Cancel, Progress, Silent, Step};
pub use restore::{ModelBox, Planes, Restore};
pub use tiles::{Tile, Tiling, WindowIndex};
pub use windows::patch;

use crate::model::{Backend, ModelError};
use crate::volume::{Modality, Volume};
use features::NotFinite;

/// What to look for: a prompt, and the probability above which a voxel belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Text for the encoder.
    pub text: String,
    /// Threshold on the probability; the published code has 0.5.
    pub threshold: f32,
}

/// What was found, one mask a prompt.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// In the order of the prompts.
    pub masks: Vec<FoundMask>,
    /// Windows the network saw.
    pub windows: u32,
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

/// Finds every prompt in `volume`, taken as `modality`, with windows of `size`.
///
/// `progress` hears of each window; `cancel` is looked at between windows and between blocks of classes.
#[allow(clippy::too_many_arguments)] // one request, spelled out; a struct would only rename it
pub fn segment(
    volume: &Volume,
    modality: Modality,
    how: &Preparation,
    size: [usize; 3],
    backend: &mut dyn Backend,
    prompts: &[Prompt],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Segmentation, SegmentError> {
    let prepared = prepare(volume, modality, how)?;
    let texts: Vec<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    let queries = backend.queries(&texts, modality)?;
    let tiling = Tiling::new(prepared.shape(), size);
    let restore = Restore::new(&prepared);
    let thresholds = prompts.iter().map(|prompt| prompt.threshold).collect();
    let mut blend = Blend::new(&tiling, &restore, thresholds);
    let total = tiling.windows().len() as u32;
    for (done, window) in (1..).zip(tiling.windows()) {
        if cancel.is_cancelled() {
            return Err(SegmentError::Cancelled);
        }
        let voxels = patch(prepared.voxels(), prepared.shape(), tiling.start(window), size);
        let output = backend.window(&voxels)?;
        let embeddings = backend.mask_embeddings(&output.memory, &queries)?;
        let stored = store(&tiling, window, output.values(), embeddings.ncols()).map_err(|NotFinite| not_finite())?;
        drop(output);
        blend.add(window, stored, embeddings, cancel);
        progress.report(&Step {
            done,
            total: total + 1,
            sentence: format!("window {done} of {total}"),
        });
    }
    if cancel.is_cancelled() {
        return Err(SegmentError::Cancelled);
    }
    Ok(Segmentation {
        masks: blend.finish(),
        windows: total,
    })
}

fn not_finite() -> ModelError {
    ModelError::Run {
        fault: "its features are not all finite numbers; the weights may be damaged, or half precision too narrow for them".into(),
    }
}
