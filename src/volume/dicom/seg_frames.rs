//! Frames of a segmentation, kept as runs of pixels.

use std::collections::{BTreeMap, BTreeSet};

use dicom_dictionary_std::uids;

use super::file::EXPLICIT_VR_BIG_ENDIAN;
use super::image::{Instance, PADDING};
use super::pixels;
use super::spot::Place;
use super::walk::Pixels;
use super::{SeriesError, unpack};
use crate::volume::ReadLimits;

/// What a segment has on one plane.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    /// Its number.
    pub segment: u32,
    /// Image Position (Patient).
    pub position: [f64; 3],
    /// From a pixel to the one behind the last, along rows, one row behind the other.
    pub runs: Vec<[u32; 2]>,
}

/// Frames as they are read.
pub(super) struct Frames<'a> {
    pub patches: Vec<Patch>,
    /// Whether a frame had no pixel set.
    pub blank: bool,
    listed: &'a BTreeSet<u32>,
    /// Runs that there is room for.
    room: u64,
    values: Vec<f64>,
}

impl Frames<'_> {
    /// None yet. Of noise, runs would take more memory than its bits do: no more are kept than voxels of four bytes would take.
    pub fn new<'a>(limits: &ReadLimits, listed: &'a BTreeSet<u32>) -> Frames<'a> {
        Frames {
            patches: Vec::new(),
            blank: false,
            listed,
            room: limits.voxels / 2,
            values: Vec::new(),
        }
    }

    /// Reads one frame, which lies at `position` and is this segment's, or that of whatever segments its pixels say.
    pub fn read(
        &mut self,
        bytes: &mut dyn Place,
        instance: &Instance,
        at: usize,
        (segment, position): (Option<u32>, [f64; 3]),
    ) -> Result<(), SeriesError> {
        let mut found: BTreeMap<u32, Vec<[u32; 2]>> = BTreeMap::new();
        let room = self.room;
        let mut kept = 0;
        let mut keep = |number: u32, run: [u32; 2]| {
            kept += 1;
            if kept <= room {
                found.entry(number).or_default().push(run);
            }
        };
        if instance.layout.bits_allocated == 1 {
            let (packed, skip) = bits(bytes, instance, at)?;
            let number = segment.unwrap_or(1);
            runs_of_bits(&packed, skip, instance.layout.len(), |run| keep(number, run));
        } else {
            pixels::frame(bytes, instance, at, &mut self.values)?;
            runs_of_values(&self.values, |value, run| keep(segment.unwrap_or(value), run));
        }
        if kept > room {
            return Err(SeriesError::Damaged(
                "its masks are noise, more of it than is read".into(),
            ));
        }
        self.room -= kept;
        self.blank |= found.is_empty();
        for (segment, runs) in found {
            if !self.listed.contains(&segment) {
                return Err(SeriesError::Damaged(format!(
                    "a frame has pixels of segment {segment}, which is not among its segments"
                )));
            }
            self.patches.push(Patch {
                segment,
                position,
                runs,
            });
        }
        Ok(())
    }
}

/// The bytes that hold a frame of single bits, and how many bits of the first are another frame's: frames follow one another
/// within a byte, the lowest bit first (PS3.5 section 8.1.1), but where each is a fragment of its own.
fn bits(bytes: &mut dyn Place, instance: &Instance, at: usize) -> Result<(Vec<u8>, usize), SeriesError> {
    let of = instance.layout.len();
    let refused = |why: &str| SeriesError::Codec {
        syntax: pixels::name_of(&instance.syntax),
        why: why.to_owned(),
    };
    match &instance.walked.pixels {
        Some(Pixels::Native { .. }) if instance.syntax == EXPLICIT_VR_BIG_ENDIAN => {
            Err(refused("is not read for single bits"))
        }
        Some(Pixels::Native { offset, length, .. }) => {
            let promised = (of as u64 * instance.frames as u64).div_ceil(8);
            if *length < promised || *length > promised + PADDING {
                return Err(SeriesError::Length {
                    promised,
                    found: *length,
                });
            }
            let first = of as u64 * at as u64;
            let (from, to) = (first / 8, (first + of as u64).div_ceil(8));
            let packed = pixels::read(bytes, offset + from, to - from)?;
            Ok((packed, (first % 8) as usize))
        }
        Some(Pixels::Encapsulated { table, fragments }) => {
            if instance.syntax != uids::DEFLATED_IMAGE_FRAME_COMPRESSION {
                return Err(refused("is not read for single bits"));
            }
            let packed = pixels::fragments_of(bytes, instance.frames, at, *table, fragments)?;
            let packed = unpack::inflated(&packed, of.div_ceil(8));
            Ok((pixels::unpacked(packed)?, 0))
        }
        None => Err(SeriesError::Damaged("it has no pixels".into())),
    }
}

/// Runs of ones among `count` bits behind the first `skip`.
fn runs_of_bits(packed: &[u8], skip: usize, count: usize, mut each: impl FnMut([u32; 2])) {
    let mut open: Option<u32> = None;
    let mut at = 0;
    while at < count {
        let (byte, bit) = ((skip + at) / 8, (skip + at) % 8);
        let byte = packed.get(byte).copied().unwrap_or(0);
        // Nearly all bytes go on as the last one ended.
        if bit == 0 && count - at >= 8 && byte == (if open.is_some() { u8::MAX } else { 0 }) {
            at += 8;
            continue;
        }
        match (byte >> bit & 1 == 1, open) {
            (true, None) => open = Some(at as u32),
            (false, Some(from)) => {
                each([from, at as u32]);
                open = None;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(from) = open {
        each([from, count as u32]);
    }
}

/// Runs of equal values but 0.
fn runs_of_values(values: &[f64], mut each: impl FnMut(u32, [u32; 2])) {
    let mut at = 0;
    for run in values.chunk_by(|a, b| a == b) {
        let end = at + run.len();
        if run[0] != 0.0 {
            each(run[0] as u32, [at as u32, end as u32]);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_of_bits_are_the_bits(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(255), any::<u8>()], 1..20), skip in 0_usize..8) {
            let count = bytes.len() * 8 - skip;
            let mut found = vec![false; count];
            let mut last = None;
            runs_of_bits(&bytes, skip, count, |[from, to]| {
                assert!(from < to && last.is_none_or(|last| last < from));
                last = Some(to);
                found[from as usize..to as usize].fill(true);
            });
            let bit = |at: usize| bytes[(skip + at) / 8] >> ((skip + at) % 8) & 1 == 1;
            prop_assert!((0..count).all(|at| found[at] == bit(at)));
        }
    }
}
