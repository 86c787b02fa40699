//! How finely a network counts.

use serde::Deserialize;
use std::fmt;

/// What a mask may be compared with: part of a result's name, so that a coarser answer never passes for a finer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumericClass {
    /// Single precision throughout.
    Fp32,
    /// Anything coarser.
    Reduced,
}

impl NumericClass {
    /// The word in names of results.
    pub fn as_str(self) -> &'static str {
        match self {
            NumericClass::Fp32 => "fp32",
            NumericClass::Reduced => "reduced",
        }
    }
}

/// The coarsest type of number on a network's way from image to features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single.
    #[default]
    Fp32,
    /// Single precision's range with 8 significant bits.
    Bf16,
    /// Half: 11 significant bits, nothing beyond 65504.
    Fp16,
}

impl Precision {
    /// The word in `execution`.
    pub fn as_str(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
            Precision::Fp16 => "fp16",
        }
    }

    /// What its masks may be compared with.
    pub fn class(self) -> NumericClass {
        match self {
            Precision::Fp32 => NumericClass::Fp32,
            Precision::Bf16 | Precision::Fp16 => NumericClass::Reduced,
        }
    }

    /// This precision, or single where it is coarser than `class` allows.
    pub fn within(self, class: NumericClass) -> Precision {
        match self.class() <= class {
            true => self,
            false => Precision::Fp32,
        }
    }
}

impl fmt::Display for NumericClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
