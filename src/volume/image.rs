//! Images and label maps in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Grid, IntensityUnit, Mask, MaskBuilder, Modality, Placement, Series};
use sha2::{Digest, Sha256};

/// An image: one float a voxel, first stored axis fastest, and where the voxels are.
///
/// Intensities are those of the file after `scl_slope` and `scl_inter`: Hounsfield units in CT. The axes are the
/// file's own; nothing has been turned or resampled.
#[derive(Debug, Clone)]
pub struct Volume {
    grid: Arc<Grid>,
    voxels: Vec<f32>,
    modality: Option<Modality>,
    placement: Option<Placement>,
    series: Option<Arc<Series>>,
    unit: Option<IntensityUnit>,
}

impl Volume {
    /// An image made elsewhere than in a file.
    ///
    /// # Panics
    /// When there are not as many voxels as the grid has.
    pub fn new(grid: impl Into<Arc<Grid>>, voxels: Vec<f32>, modality: Option<Modality>) -> Volume {
        let grid = grid.into();
        assert_eq!(
            grid.len(),
            voxels.len(),
            "a volume has one value for each voxel of its grid"
        );
        Volume {
            grid,
            voxels,
            modality,
            placement: None,
            series: None,
            unit: None,
        }
    }

    /// The same image with the header fields that placed it in its file.
    pub fn with_placement(mut self, placement: Placement) -> Volume {
        self.placement = Some(placement);
        self
    }

    /// The same image, read from this series.
    pub fn with_series(mut self, series: Arc<Series>) -> Volume {
        self.series = Some(series);
        self
    }

    /// The same image, known to be of this modality.
    pub fn with_modality(mut self, modality: Modality) -> Volume {
        self.modality = Some(modality);
        self
    }

    /// The same image, whose file says this of its intensities.
    pub fn with_unit(mut self, unit: IntensityUnit) -> Volume {
        self.unit = Some(unit);
        self
    }

    /// Shape and placement.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The grid, to be shared with masks.
    pub fn shared_grid(&self) -> Arc<Grid> {
        Arc::clone(&self.grid)
    }

    /// Intensities, first stored axis fastest.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// What kind of scan it is, where the file said so (NIfTI never does).
    pub fn modality(&self) -> Option<Modality> {
        self.modality
    }

    /// The header fields that placed the image in its file, for masks that should lie on it in every viewer.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// The DICOM series that the image was read from, where it was.
    pub fn series(&self) -> Option<&Arc<Series>> {
        self.series.as_ref()
    }

    /// The unit of the intensities, where the file said it (NIfTI never does); otherwise the modality tells.
    pub fn unit(&self) -> Option<&IntensityUnit> {
        self.unit.as_ref()
    }

    /// sha256 in hexadecimal of what the image is: shape, affine and decoded voxels, whatever the file looked like.
    pub fn content_hash(&self) -> String {
        let mut hasher = Sha256::new();
        for length in self.grid.shape() {
            hasher.update((length as u64).to_le_bytes());
        }
        for value in self.grid.affine().iter() {
            hasher.update(value.to_le_bytes());
        }
        let mut bytes = Vec::with_capacity(4 * HASH_CHUNK);
        for chunk in self.voxels.chunks(HASH_CHUNK) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|voxel| voxel.to_le_bytes()));
            hasher.update(&bytes);
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Voxels hashed at a time: 64 KiB, which blake3 takes at full speed.
const HASH_CHUNK: usize = 1 << 14;

/// A label map, or a binary mask from elsewhere: a whole number a voxel, first stored axis fastest; 0 is background.
#[derive(Debug, Clone)]
pub struct LabelMap {
    grid: Arc<Grid>,
    labels: Vec<u32>,
    placement: Option<Placement>,
}

impl LabelMap {
    /// A label map made elsewhere than in a file.
    ///
    /// # Panics
    /// When there are not as many labels as the grid has voxels.
    pub fn new(grid: impl Into<Arc<Grid>>, labels: Vec<u32>) -> LabelMap {
        let grid = grid.into();
        assert_eq!(
            grid.len(),
            labels.len(),
            "a label map has one label for each voxel of its grid"
        );
        LabelMap {
            grid,
            labels,
            placement: None,
        }
    }

    /// The same labels with the header fields that placed them in their file.
    pub fn with_placement(mut self, placement: Placement) -> LabelMap {
        self.placement = Some(placement);
        self
    }

    /// Shape and placement.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The grid, to be shared with masks.
    pub fn shared_grid(&self) -> Arc<Grid> {
        Arc::clone(&self.grid)
    }

    /// One label a voxel, first stored axis fastest.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The header fields that placed the labels in their file.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_ref()
    }

    /// The labels that occur, background left out, in rising order.
    pub fn values(&self) -> BTreeSet<u32> {
        let mut values = BTreeSet::new();
        let mut last = 0;
        for &label in &self.labels {
            // Neighbours mostly share a label, and a set lookup a voxel would take longer than reading the file.
            if label != last && label != 0 {
                values.insert(label);
            }
            last = label;
        }
        values
    }

    /// The voxels that carry `label`.
    pub fn mask(&self, label: u32) -> Mask {
        self.mask_where(|found| found == label)
    }

    /// Every voxel that is not background.
    pub fn foreground(&self) -> Mask {
        self.mask_where(|found| found != 0)
    }

    fn mask_where(&self, wanted: impl Fn(u32) -> bool) -> Mask {
        let mut builder = MaskBuilder::new(self.shared_grid());
        for (index, &label) in self.labels.iter().enumerate() {
            if wanted(label) {
                builder.push(index as u64);
            }
        }
        builder.finish()
    }
}
