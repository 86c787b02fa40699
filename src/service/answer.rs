//! What callers get: the outputs of `segment` and `measure_volume` as contract.md fixes them.

use crate::measure::Measurement;
use crate::service::Format;
use crate::volume::Modality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the masks are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// The masks are in the answer.
    Done,
    /// Still at work: call again with the same arguments to join the run.
    Running,
}

/// Which model answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Hash of its folder: the manifest with the hashes it holds.
    pub sha256: String,
    /// Whose figures the masks' `published_dice` are, and of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

/// The image as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageIdentity {
    /// Where it was read from.
    pub uri: String,
    /// Hash of the decoded voxels and affine.
    pub sha256: String,
    /// Voxels along the stored axes.
    pub shape: [usize; 3],
    /// Millimetres between voxel centres along the stored axes.
    pub spacing_mm: [f64; 3],
    /// Anatomical direction of each stored axis, e.g. RAS.
    pub orientation: String,
    /// What kind of scan it was taken as.
    pub modality: Modality,
}

/// A file of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileAnswer {
    /// What it is.
    pub format: Format,
    /// Resource URI, `sat://results/{result_id}/{file}`.
    pub uri: String,
    /// Where it lies, for callers who share the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Size.
    pub bytes: u64,
    /// Hash of the file (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Number of the segment within a DICOM SEG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_number: Option<u16>,
}

/// What was known before this scan of how well a target is found. Of a union, that of its weakest class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// Annotated scans of this modality that the model was taught it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_scans: Option<u32>,
    /// Mean Dice in the model's own evaluation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_dice: Option<f64>,
    /// Mean Dice published for the structures of this region, or for lesions, of this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_dice: Option<f64>,
}

/// One target's mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MaskAnswer {
    /// The phrase as asked.
    pub target: String,
    /// The class it was resolved to; the phrase itself where it is a union.
    pub name: String,
    /// Classes whose union this is, where the model has no class of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composed_of: Option<Vec<String>>,
    /// Classes that SAT was taught as lying inside this one, so that their voxels are in this mask too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub includes: Option<Vec<String>>,
    /// What was known before this scan of how well it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Its files.
    pub files: Vec<FileAnswer>,
    /// Its numbers.
    pub measurement: Measurement,
}

/// One value of a label map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelAnswer {
    /// The number in the file.
    pub value: u32,
    /// The class.
    pub name: String,
}

/// All masks in one file; where masks overlap the smaller mask wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelmapAnswer {
    /// Resource URI.
    pub uri: String,
    /// Where it lies, for callers who share the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What each number means: i is the i-th target, from 1.
    pub labels: Vec<LabelAnswer>,
}

/// A picture or other single file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewAnswer {
    /// Resource URI.
    pub uri: String,
    /// Where it lies, for callers who share the file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What a DICOMweb server has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SentAnswer {
    /// Its name.
    pub server: String,
    /// SOP Instance UIDs of what it has now; where some are missing, warning not_sent says why.
    pub instances: Vec<String>,
}

/// Something the reader of a number should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// The target concerned, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The targets concerned, where a summary says the same of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
}

/// What really ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Execution {
    /// Execution provider of the network.
    pub provider: String,
    /// Numeric precision of the network.
    pub precision: String,
    /// What ran the query decoder, where that was not the provider: a device may lack one of its operations or the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
    /// Windows the image needed.
    pub windows: u32,
    /// Whether the masks were already there.
    pub cached: bool,
    /// Wall time of this answer.
    pub seconds: f64,
}

/// Output of `segment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentAnswer {
    /// Whether the masks are there.
    pub status: RunStatus,
    /// Names the result for ever: a function of image, model and request.
    pub result_id: String,
    /// Which model answered.
    pub model: ModelIdentity,
    /// The image as it was read.
    pub image: ImageIdentity,
    /// One entry per target, in the order asked.
    pub masks: Vec<MaskAnswer>,
    /// All masks in one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelmap: Option<LabelmapAnswer>,
    /// The measurements as a DICOM SR, where dicom-sr was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<FileAnswer>,
    /// What send_to's server has taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<SentAnswer>,
    /// Three planes with outlines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewAnswer>,
    /// What the reader of these numbers should know.
    pub warnings: Vec<Warning>,
    /// What really ran.
    pub execution: Execution,
    /// Seconds until it is done, as far as can be told (status running).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
}

impl SegmentAnswer {
    /// With the preview where it is wanted, as it is where nobody says otherwise.
    pub fn with_preview(mut self, wanted: Option<bool>) -> SegmentAnswer {
        self.preview = self.preview.filter(|_| wanted.unwrap_or(true));
        self
    }
}

/// Output of `measure_volume`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureAnswer {
    /// One per mask or label.
    pub measurements: Vec<Measurement>,
    /// What the reader of these numbers should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}
