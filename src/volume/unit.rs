//! What the numbers of an image mean.

/// The unit of an image's intensities, where its file says it: DICOM does, NIfTI never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntensityUnit {
    /// Hounsfield units: -1000 is air, 0 is water.
    Hounsfield,
    /// Standardized uptake value by body weight, g/mL.
    SuvBodyWeight,
    /// Activity concentration in becquerel per millilitre.
    BecquerelPerMl,
    /// Any other, in the word that answers show.
    Other(String),
}

impl IntensityUnit {
    /// The word that answers show: `HU`, `SUVbw`, `Bq/mL`, or the unit's own.
    pub fn as_str(&self) -> &str {
        match self {
            IntensityUnit::Hounsfield => "HU",
            IntensityUnit::SuvBodyWeight => "SUVbw",
            IntensityUnit::BecquerelPerMl => "Bq/mL",
            IntensityUnit::Other(word) => word,
        }
    }
}
