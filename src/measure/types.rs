//! The figures as they go over the wire: the contract's names, absent rather than null where there is nothing to say.

pub use crate::anatomy::Laterality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of answer a mask is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// The mask has voxels and touches no face of the image.
    Present,
    /// The mask has no voxels.
    Empty,
    /// The mask touches a face of the image, so the structure may go on beyond it: sizes are lower bounds.
    CutOff,
}

/// A face of the image, named by the anatomical direction nearest to its normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)]
pub enum Face {
    Left,
    Right,
    Anterior,
    Posterior,
    Inferior,
    Superior,
}

impl Face {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Face::Left => "left",
            Face::Right => "right",
            Face::Anterior => "anterior",
            Face::Posterior => "posterior",
            Face::Inferior => "inferior",
            Face::Superior => "superior",
        }
    }
}

/// An axis-aligned box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct BoundingBox<T> {
    /// Lowest coordinate on each axis.
    pub min: [T; 3],
    /// Highest coordinate on each axis; of voxels the last one inside.
    pub max: [T; 3],
}

/// Numbers about one mask. Millimetres are RAS+ (x to the patient's right, y to the front, z to the head).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// What was measured.
    pub name: String,
    /// Number of voxels in the mask.
    pub voxels: u64,
    /// Volume in mL (1 mL = 1000 mm3).
    pub volume_ml: f64,
    /// Mean position of the mask's voxels, in mm RAS+.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[f64; 3]")]
    pub centroid_mm: Option<[f64; 3]>,
    /// First and last voxel on each stored axis, counted from 0; max is inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BoundingBox<u32>")]
    pub bounding_box_voxel: Option<BoundingBox<u32>>,
    /// The smallest box along the patient's axes that holds every voxel of the mask to its outer faces, in mm RAS+.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BoundingBox<f64>")]
    pub bounding_box_mm: Option<BoundingBox<f64>>,
    /// Size of bounding_box_mm: left to right, back to front, foot to head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[f64; 3]")]
    pub extent_mm: Option<[f64; 3]>,
    /// Longest distance between two voxel centres that lie in one slice of the stored axis nearest head-foot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub longest_diameter_mm: Option<f64>,
    /// Number of connected pieces; voxels that share a face, edge or corner are connected.
    pub components: u64,
    /// Volume of the largest piece in mL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub largest_component_ml: Option<f64>,
    /// Faces of the image that the mask touches: beyond them the structure may go on unseen.
    #[serde(default)]
    pub truncated_at: Vec<Face>,
    /// What the image shows inside the mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Intensity")]
    pub intensity: Option<Intensity>,
    /// The model's mean probability over the mask's voxels: how sure it was, not how right it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub mean_probability: Option<f64>,
    /// present, empty, or cut_off where the mask touches a face of the image (sizes are then lower bounds).
    pub status: Status,
    /// Connected pieces over 0.02 mL, largest first, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Tests of plausibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Agreement with a second mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Comparison")]
    pub comparison: Option<Comparison>,
    /// Why a figure is absent or to be read with care.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<MeasureWarning>,
}

/// What the image shows inside a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Intensity {
    /// As the image's file says (PET: "SUVbw", "Bq/mL"); else HU for CT, "a.u." (arbitrary, comparable only within one scan) for MR, "as stored" otherwise.
    pub unit: String,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the voxels (of the population: divided by n, not n - 1).
    pub sd: f64,
    /// Lowest value.
    pub min: f64,
    /// 5th percentile, interpolated linearly between ranks as are the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub p05: Option<f64>,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub p50: Option<f64>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub p95: Option<f64>,
    /// Highest value.
    pub max: f64,
}

/// One connected piece of a mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Volume in mL.
    pub volume_ml: f64,
    /// Mean position in mm RAS+.
    pub centroid_mm: [f64; 3],
    /// Longest distance between two voxel centres in one slice of the stored axis nearest head-foot.
    pub longest_diameter_mm: f64,
    /// Mean of the image inside the piece, in the unit given under `intensity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub mean_intensity: Option<f64>,
}

/// A test of plausibility: not proof, but a reason to look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// `side_of_counterpart`, `side_of_image_centre` or `agreement_with_parts`.
    pub check: String,
    /// A share from 0 to 1; 1 is what one would expect.
    pub value: f64,
    /// Whether the value is plausible.
    pub ok: bool,
    /// What the value is and what it was held against.
    pub note: String,
}

/// Agreement of a mask with a reference mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Twice the common volume over the sum of volumes; absent where both masks are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub dice: Option<f64>,
    /// Share of both surfaces that lies within 1 mm of the other one (DeepMind surface-distance).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub surface_dice_1mm: Option<f64>,
    /// The larger of the two directions' 95th percentiles of surface distance, weighted by area (DeepMind
    /// surface-distance's robust Hausdorff distance); absent where a mask is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub hausdorff95_mm: Option<f64>,
    /// Volume of the mask minus that of the reference, in mL.
    pub volume_difference_ml: f64,
    /// Volume of the mask over that of the reference; absent where the reference is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub volume_ratio: Option<f64>,
    /// Why a figure is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<MeasureWarning>,
}

/// Why a figure is absent or to be read with care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureWarning {
    /// A fixed word for programs.
    pub code: String,
    /// A sentence for people and models.
    pub message: String,
}

impl Measurement {
    /// The contract's summary: without parts, boxes, extent, percentiles and checks that passed.
    pub fn summary(&self) -> Measurement {
        let mut short = self.clone();
        short.parts.clear();
        short.bounding_box_voxel = None;
        short.bounding_box_mm = None;
        short.extent_mm = None;
        short.checks.retain(|check| !check.ok);
        if let Some(intensity) = &mut short.intensity {
            (intensity.p05, intensity.p50, intensity.p95) = (None, None, None);
        }
        short
    }
}

impl MeasureWarning {
    pub(super) fn new(code: &str, message: impl Into<String>) -> MeasureWarning {
        MeasureWarning {
            code: code.to_owned(),
            message: message.into(),
        }
    }
}
