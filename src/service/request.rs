//! What callers may ask: the inputs of `segment` and `measure_volume` as contract.md fixes them.

use crate::anatomy::Detail;
use crate::volume::Modality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Axis code the image is read in before the network sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Orientation {
    /// Right, anterior, superior: the published default.
    #[default]
    #[serde(rename = "RAS")]
    Ras,
    /// For images read in the sagittal plane, such as spine MR.
    #[serde(rename = "ASR")]
    Asr,
}

impl Format {
    /// The word used in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Nifti => "nifti",
            Format::DicomSeg => "dicom-seg",
            Format::DicomSr => "dicom-sr",
        }
    }
}

impl Orientation {
    /// The axis code.
    pub fn as_str(self) -> &'static str {
        match self {
            Orientation::Ras => "RAS",
            Orientation::Asr => "ASR",
        }
    }
}

/// A file format for masks or measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One .nii.gz per mask, on the input image's grid.
    Nifti,
    /// One DICOM SEG object per result.
    DicomSeg,
    /// A DICOM SR (TID 1500) with the measurements.
    DicomSr,
}

/// Input of `segment`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentRequest {
    /// Path or file URI of a 3-D scan: .nii, .nii.gz, or a DICOM series (its folder, or one file); path#N or
    /// path#SeriesInstanceUID picks one of several. Over HTTP, sat://images/… as PUT /images returned it. With a DICOMweb server
    /// configured, dicomweb:STUDY/SERIES (UIDs).
    #[schemars(length(max = 4096))]
    pub image: String,
    /// What to find, by name: 1 to 512 anatomical names such as "left hippocampus". list_anatomy gives the names.
    #[schemars(length(min = 1, max = 512))]
    pub targets: Vec<String>,
    /// Kind of scan. Needed for NIfTI, which does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// Reading orientation: RAS (default), or ASR for spine MR read in the sagittal plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Orientation>,
    /// Name of the model to use; the server's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Files wanted: nifti (default); of a DICOM scan also dicom-seg (masks), dicom-sr (measurements).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats: Option<Vec<Format>>,
    /// Whether to draw a preview picture (default true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<bool>,
    /// summary (default) or full: boxes, parts, percentiles, all checks, hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
    /// Try phrases the model was never taught, as they stand (default false). The answer carries a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_untrained: Option<bool>,
    /// Name of a configured DICOMweb server: the DICOM objects (formats default to all) are sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_to: Option<String>,
}

/// Input of `measure_volume`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureRequest {
    /// A result of `segment`. Give this or `mask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_id: Option<String>,
    /// Which of the result's masks; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
    /// Path, file URI or sat:// URI of a mask or label map (.nii, .nii.gz) or a DICOM SEG. Give this or `result_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub mask: Option<String>,
    /// One label of a label map, or segment number of a SEG; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<u32>,
    /// The scan, for intensities: path, file URI or sat://images/…, on the mask's grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub image: Option<String>,
    /// A second mask on the same grid to compare with: path, file URI or sat:// URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub reference: Option<String>,
    /// summary (default) or full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}
