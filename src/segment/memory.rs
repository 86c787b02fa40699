//! What the network said of the last image, so that other prompts need not ask it again.

use super::blend::StoredWindow;
use super::prepare::Prepared;
use super::tiles::Tiling;
use ndarray::Array2;

/// Features of the last image, within a budget.
#[derive(Debug, Default)]
pub struct FeatureCache {
    budget: usize,
    held: Option<(String, SeenImage)>,
}

/// An image that the network has seen.
#[derive(Debug)]
pub(super) struct SeenImage {
    /// The way back; its voxels are not needed any more.
    pub prepared: Prepared,
    pub tiling: Tiling,
    /// In the order of the tiling.
    pub windows: Vec<SeenWindow>,
}

/// What the network said of a window.
#[derive(Debug)]
pub(super) struct SeenWindow {
    pub memory: Array2<f32>,
    pub layers: StoredWindow,
}

impl FeatureCache {
    /// A cache of so many bytes; 0 keeps nothing.
    pub fn new(budget: usize) -> FeatureCache {
        FeatureCache { budget, held: None }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let windows = self.held.iter().flat_map(|(_, image)| &image.windows);
        windows
            .flat_map(|window| window.layers.iter().flatten())
            .map(|layer| layer.bytes())
            .sum()
    }

    /// Bytes that an image may take. What is held makes room: the next image takes its place.
    pub(super) fn room(&mut self) -> usize {
        self.held = None;
        self.budget
    }

    pub(super) fn take(&mut self, key: &str) -> Option<SeenImage> {
        self.held.take_if(|(held, _)| held == key).map(|(_, image)| image)
    }

    pub(super) fn put(&mut self, key: &str, image: SeenImage) {
        self.held = Some((key.to_owned(), image));
    }
}
