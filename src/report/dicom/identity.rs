//! The identifiers of what is made of a series.

use super::Made;
use super::source::Source;
use super::uids::derived;

/// The identifiers of one result's objects. Written twice at one time they are the same; of another result another, and of the same
/// result made anew, too: what it holds may differ by its time, its program or its patient.
pub(super) struct Uids {
    seed: [String; 3],
}

impl Uids {
    /// Those of a result made from a series.
    pub(super) fn new(made: &Made, source: &Source) -> Uids {
        Uids {
            seed: [
                made.result_id.to_owned(),
                source.key(),
                made.created.timestamp_millis().to_string(),
            ],
        }
    }

    /// That of one thing of the result: an instance, a series, a segment that is followed.
    pub(super) fn of(&self, role: &str) -> String {
        derived(&[&self.seed[0], &self.seed[1], &self.seed[2], role])
    }

    /// That of a segment, by its number from 1.
    pub(super) fn tracking(&self, number: usize) -> String {
        self.of(&format!("segment {number}"))
    }
}
