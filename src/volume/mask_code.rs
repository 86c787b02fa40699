//! A mask as few bytes, for the store.
//!
//! `SMR1`, the grid's shape, the number of runs, then for each run the gap since the last one and its length; all
//! numbers are LEB128. The first run's gap is its start. One mask has one encoding.

use std::sync::Arc;

use super::{Grid, Mask, Run};

const MAGIC: &[u8; 4] = b"SMR1";

/// Why bytes are no mask of a grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskCodeError {
    /// Not written by [`Mask::encode`].
    #[error("these bytes are no stored mask; remove the result and ask again")]
    NotAMask,
    /// Written for an image of another shape.
    #[error("the stored mask is for a grid of {stored:?} voxels, not {expected:?}; remove the result and ask again")]
    OtherShape {
        /// The shape it was written for.
        stored: [u64; 3],
        /// The shape of the grid given.
        expected: [u64; 3],
    },
    /// The bytes stop early, go on too long, or name voxels that do not exist.
    #[error("the stored mask is damaged; remove the result and ask again")]
    Damaged,
}

impl Mask {
    /// The mask as few bytes: equal masks give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + 4 * self.runs().len());
        bytes.extend_from_slice(MAGIC);
        for length in self.grid().shape() {
            put(&mut bytes, length as u64);
        }
        put(&mut bytes, self.runs().len() as u64);
        let mut after = 0;
        for run in self.runs() {
            put(&mut bytes, run.start - after);
            put(&mut bytes, run.len());
            after = run.end;
        }
        bytes
    }

    /// What [`Mask::encode`] wrote, on the grid it was written for.
    pub fn decode(grid: Arc<Grid>, bytes: &[u8]) -> Result<Mask, MaskCodeError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(MaskCodeError::NotAMask)?;
        let mut next = || take(&mut rest).ok_or(MaskCodeError::Damaged);
        let stored = [next()?, next()?, next()?];
        let expected = grid.shape().map(|length| length as u64);
        if stored != expected {
            return Err(MaskCodeError::OtherShape { stored, expected });
        }
        let count = next()?;
        // Each run takes two bytes or more, so a count beyond that is a lie, and must not be allocated for.
        if count > bytes.len() as u64 / 2 {
            return Err(MaskCodeError::Damaged);
        }
        let mut runs = Vec::with_capacity(count as usize);
        let mut after = 0_u64;
        for number in 0..count {
            let (gap, length) = (next()?, next()?);
            let start = after.checked_add(gap).ok_or(MaskCodeError::Damaged)?;
            let end = start.checked_add(length).ok_or(MaskCodeError::Damaged)?;
            if length == 0 || (gap == 0 && number > 0) || end > grid.len() as u64 {
                return Err(MaskCodeError::Damaged);
            }
            runs.push(Run { start, end });
            after = end;
        }
        if !rest.is_empty() {
            return Err(MaskCodeError::Damaged);
        }
        Ok(Mask::from_runs(grid, runs))
    }
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
