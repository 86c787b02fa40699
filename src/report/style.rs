//! What a preview is made of, and how it looks.

use crate::volume::PackedMask;

/// One structure to draw.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    /// What the legend calls it.
    pub name: &'a str,
    /// Where it is, on the image's grid.
    pub mask: &'a PackedMask,
    /// The colour of its outline.
    pub colour: [u8; 3],
    /// The volume that the legend gives.
    pub volume_ml: f64,
}

/// Width of the picture, in pixels.
pub(super) const WIDTH: i32 = 1200;
pub(super) const MARGIN: i32 = 18;
pub(super) const PAGE: [u8; 3] = [18, 20, 24];
/// What is to be read first.
pub(super) const INK: [u8; 3] = [232, 234, 238];
/// What is to be read last.
pub(super) const DIM: [u8; 3] = [150, 155, 163];
