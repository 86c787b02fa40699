//! Which machine made the image.

/// The kinds of scan that SAT was taught on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Modality {
    /// Computed tomography, in Hounsfield units.
    Ct,
    /// Magnetic resonance, in arbitrary units.
    Mri,
    /// Positron emission tomography.
    Pet,
}

impl Modality {
    /// SAT's own number for the modality (`ct` 0, `mri` 1, `us` 2, `pet` 3; sat-inference section 3).
    pub fn code(self) -> i64 {
        match self {
            Modality::Ct => 0,
            Modality::Mri => 1,
            Modality::Pet => 3,
        }
    }

    /// The word used in the contract: `ct`, `mri`, `pet`.
    pub fn as_str(self) -> &'static str {
        match self {
            Modality::Ct => "ct",
            Modality::Mri => "mri",
            Modality::Pet => "pet",
        }
    }

    /// The modality that a word means: the contract's, or DICOM's own `MR` and `PT`.
    pub fn from_word(word: &str) -> Option<Modality> {
        match word.to_ascii_lowercase().as_str() {
            "ct" => Some(Modality::Ct),
            "mri" | "mr" => Some(Modality::Mri),
            "pet" | "pt" => Some(Modality::Pet),
            _ => None,
        }
    }
}
