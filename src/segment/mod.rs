//! One request, from an image and names to masks: each step is a file, and data walks through them one way.

mod normalise;
mod prepare;
mod restore;

pub use prepare::{MAX_PREPARED_VOXELS, Preparation, PrepareError, Prepared, prepare};
pub use restore::{ModelBox, restore, restore_box};
