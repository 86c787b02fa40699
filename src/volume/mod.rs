//! Images on a grid: where voxels are in the patient, reading, reorienting and writing them.

mod grid;
mod modality;

pub use grid::{Affine, Grid};
pub use modality::Modality;
