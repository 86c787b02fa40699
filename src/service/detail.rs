//! Short answers: what a reader of the summary can do without. All of it stays in `result.json`.

use crate::service::{MeasureAnswer, SegmentAnswer};

impl SegmentAnswer {
    /// Without file hashes, and with the short form of each measurement.
    pub fn summary(&self) -> SegmentAnswer {
        let mut short = self.clone();
        for mask in &mut short.masks {
            mask.measurement = mask.measurement.summary();
            for file in &mut mask.files {
                file.sha256 = None;
            }
        }
        short
    }
}

impl MeasureAnswer {
    /// With the short form of each measurement.
    pub fn summary(&self) -> MeasureAnswer {
        let mut short = self.clone();
        for measurement in &mut short.measurements {
            *measurement = measurement.summary();
        }
        short
    }
}
