//! One request, from an image and names to masks.
//!
//! ```text
//! Volume ─ prepare ─> Prepared ─ windows ─> Window… ─ Backend ─> features, embeddings ─ blend ─> probability ─ restore ─> Mask
//! ```
//! Each arrow is one function with plain types on both sides. Nothing here waits, reads or writes. What a class costs in
//! memory is one probability on the model's grid while its mask is made, and then the mask's runs.

mod blend;
mod importance;
mod normalise;
mod prepare;
mod progress;
mod restore;
mod windows;

pub use blend::{Blend, Found, patch};
pub use importance::importance;
pub use prepare::{MAX_PREPARED_VOXELS, Preparation, PrepareError, Prepared, prepare};
pub use progress::{Cancel, Progress, Silent, Step};
pub use restore::{ModelBox, restore, restore_box};
pub use windows::windows;

use crate::model::{Backend, ModelError};
use crate::volume::{Mask, Modality, Volume};

/// What to look for: a prompt, and the probability above which a voxel belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Text for the encoder.
    pub text: String,
    /// Threshold on the probability; the published code has 0.5.
    pub threshold: f32,
}

/// A mask on the input image's grid.
#[derive(Debug, Clone)]
pub struct FoundMask {
    /// Its voxels.
    pub mask: Mask,
    /// Mean blended probability of the voxels above the threshold, on the model's grid; absent where there are none.
    pub mean_probability: Option<f64>,
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
/// `progress` hears of each window; `cancel` is looked at between windows and between masks.
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
    let starts = windows(prepared.shape(), size);
    let total = starts.len() as u32;
    let mut blend = Blend::new(prepared.shape(), size);
    for (i, start) in starts.enumerate() {
        if cancel.is_cancelled() {
            return Err(SegmentError::Cancelled);
        }
        let output = backend.window(&patch(prepared.voxels(), prepared.shape(), start, size))?;
        let embeddings = backend.mask_embeddings(&output.memory, &queries)?;
        blend.add(start, output, embeddings);
        let done = i as u32 + 1;
        progress.report(&Step {
            done,
            total: total + 1,
            sentence: format!("window {done} of {total}"),
        });
    }
    let mut probability = Vec::new();
    let mut masks = Vec::with_capacity(prompts.len());
    for (class, prompt) in prompts.iter().enumerate() {
        if cancel.is_cancelled() {
            return Err(SegmentError::Cancelled);
        }
        let found = blend.probability(class, prompt.threshold, &mut probability);
        let mask = match &found {
            Some(found) => {
                let part = model_box(found, prepared.shape());
                restore_box(
                    &prepared,
                    part,
                    &cut(&probability, prepared.shape(), part),
                    prompt.threshold,
                )
            }
            None => Mask::empty(volume.shared_grid()),
        };
        let mean_probability = found.filter(|_| !mask.is_empty()).map(|found| found.mean_probability);
        masks.push(FoundMask { mask, mean_probability });
    }
    Ok(Segmentation { masks, windows: total })
}

/// Where an interpolated value can be above the threshold: one of the eight voxels around it must be.
fn model_box(found: &Found, shape: [usize; 3]) -> ModelBox {
    ModelBox {
        min: found.min.map(|n| n.saturating_sub(1)),
        max: std::array::from_fn(|axis| (found.max[axis] + 1).min(shape[axis] - 1)),
    }
}

/// The values of a box, last axis fastest.
fn cut(values: &[f32], shape: [usize; 3], part: ModelBox) -> Vec<f32> {
    let mut cut = Vec::with_capacity(part.len());
    for x in part.min[0]..=part.max[0] {
        for y in part.min[1]..=part.max[1] {
            let row = (x * shape[1] + y) * shape[2];
            cut.extend_from_slice(&values[row + part.min[2]..=row + part.max[2]]);
        }
    }
    cut
}
