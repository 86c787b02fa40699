//! DICOM series.

mod series;

pub use series::{Series, SourceFrame, SourceInstance};
