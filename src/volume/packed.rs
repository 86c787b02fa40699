//! A mask as few bytes: what finished masks are kept as, in memory and in the store.
//!
//! A [`PackedMask`] is a list of boxes of the grid, each with one bit a voxel, compressed (LZ4). An organ takes some kilobytes,
//! and noise, of which runs of voxels would take thirty times the room, never more than its bits. Masks are unpacked one
//! at a time, when they are measured or written.
//!
//! As bytes: `SMB1`, the grid's shape, the number of voxels, the number of boxes, and for each box its first voxel, its shape,
//! the length of its bits, and the bits; numbers are LEB128.

use std::sync::Arc;

use super::{Grid, Mask, MaskBuilder, Run};

const MAGIC: &[u8; 4] = b"SMB1";

/// A set of voxels of a [`Grid`], compressed.
#[derive(Debug, Clone)]
pub struct PackedMask {
    grid: Arc<Grid>,
    /// Shared, so that a copy costs nothing.
    pieces: Arc<[Piece]>,
    count: u64,
}

/// A box with voxels in it. Boxes may overlap; a voxel is in the mask if a box says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    min: [usize; 3],
    shape: [usize; 3],
    /// One bit a voxel, first axis fastest, lowest bit first; LZ4.
    packed: Vec<u8>,
}

/// Why bytes are no mask of a grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskCodeError {
    /// Not written by [`PackedMask::encode`].
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

impl PackedMask {
    /// No voxels.
    pub fn empty(grid: Arc<Grid>) -> PackedMask {
        PackedMask {
            grid,
            pieces: Arc::default(),
            count: 0,
        }
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of voxels.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| piece.packed.len() + size_of::<Piece>())
            .sum()
    }

    /// The mask as runs.
    pub fn unpack(&self) -> Mask {
        let mut builder = MaskBuilder::new(Arc::clone(&self.grid));
        for piece in self.pieces.iter() {
            // Pieces are packed here or checked when they are decoded.
            let bits = piece.bits().unwrap_or_default();
            piece.runs(&self.grid, &bits, |run| builder.push_run(run));
        }
        builder.finish()
    }

    /// As few bytes as it takes; what [`PackedMask::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.bytes());
        bytes.extend_from_slice(MAGIC);
        let shape = self.grid.shape().map(|length| length as u64);
        shape.into_iter().for_each(|length| put(&mut bytes, length));
        put(&mut bytes, self.count);
        put(&mut bytes, self.pieces.len() as u64);
        for piece in self.pieces.iter() {
            let numbers = piece.min.into_iter().chain(piece.shape);
            numbers.for_each(|number| put(&mut bytes, number as u64));
            put(&mut bytes, piece.packed.len() as u64);
            bytes.extend_from_slice(&piece.packed);
        }
        bytes
    }

    /// What [`PackedMask::encode`] wrote, on the grid it was written for.
    ///
    /// # Errors
    /// When the bytes are for another grid, or damaged.
    pub fn decode(grid: Arc<Grid>, bytes: &[u8]) -> Result<PackedMask, MaskCodeError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(MaskCodeError::NotAMask)?;
        let stored = [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?];
        let expected = grid.shape().map(|length| length as u64);
        if stored != expected {
            return Err(MaskCodeError::OtherShape { stored, expected });
        }
        let count = take(&mut rest)?;
        let mut pieces = Vec::new();
        for _ in 0..take(&mut rest)? {
            let mut numbers = [0; 6];
            for number in &mut numbers {
                *number = usize::try_from(take(&mut rest)?).map_err(|_| MaskCodeError::Damaged)?;
            }
            let length = usize::try_from(take(&mut rest)?).map_err(|_| MaskCodeError::Damaged)?;
            let (packed, after) = rest.split_at_checked(length).ok_or(MaskCodeError::Damaged)?;
            rest = after;
            let [a, b, c, d, e, f] = numbers;
            let piece = Piece {
                min: [a, b, c],
                shape: [d, e, f],
                packed: packed.to_vec(),
            };
            let whole = grid.shape();
            let inside = |axis: usize| {
                let end = piece.min[axis].checked_add(piece.shape[axis]);
                piece.shape[axis] > 0 && end.is_some_and(|end| end <= whole[axis])
            };
            if !(inside(0) && inside(1) && inside(2)) || piece.bits().is_none() {
                return Err(MaskCodeError::Damaged);
            }
            pieces.push(piece);
        }
        let mask = PackedMask {
            grid,
            pieces: pieces.into(),
            count,
        };
        match rest.is_empty() && mask.unpack().count() == count {
            true => Ok(mask),
            false => Err(MaskCodeError::Damaged),
        }
    }
}

impl From<&Mask> for PackedMask {
    fn from(mask: &Mask) -> PackedMask {
        let mut builder = PackedMaskBuilder::new(mask.shared_grid());
        builder.push(mask.runs());
        builder.finish()
    }
}

impl Piece {
    /// Bytes of the bits.
    fn length(&self) -> usize {
        self.shape.iter().product::<usize>().div_ceil(8)
    }

    fn bits(&self) -> Option<Vec<u8>> {
        lz4_flex::block::decompress(&self.packed, self.length())
            .ok()
            .filter(|bits| bits.len() == self.length())
    }

    /// Calls `found` with each run, rising within the box.
    fn runs(&self, grid: &Grid, bits: &[u8], mut found: impl FnMut(Run)) {
        let [nx, ny, _] = self.shape;
        let end = self.shape.iter().product();
        let mut at = next(bits, 0, end, true);
        while at < end {
            // A run ends with its row.
            let row = at / nx;
            let stop = next(bits, at, (row + 1) * nx, false);
            let voxel = [self.min[0] + at % nx, self.min[1] + row % ny, self.min[2] + row / ny];
            let start = grid.index(voxel) as u64;
            found(Run {
                start,
                end: start + (stop - at) as u64,
            });
            at = next(bits, stop, end, true);
        }
    }
}

/// The first bit from `at` on, and before `end`, that is as wanted.
fn next(bits: &[u8], mut at: usize, end: usize, wanted: bool) -> usize {
    let flip = if wanted { 0 } else { 0xff };
    while at < end {
        let byte = (bits[at / 8] ^ flip) >> (at % 8);
        if byte != 0 {
            return (at + byte.trailing_zeros() as usize).min(end);
        }
        at = at / 8 * 8 + 8;
        // Whole words of what is not wanted go fast.
        while at < end
            && let Some(word) = bits.get(at / 8..at / 8 + 8)
            && word.iter().all(|byte| byte ^ flip == 0)
        {
            at += 64;
        }
    }
    end
}

/// Collects runs into a [`PackedMask`], a box at a time.
#[derive(Debug)]
pub struct PackedMaskBuilder {
    grid: Arc<Grid>,
    pieces: Vec<Piece>,
    count: u64,
}

impl PackedMaskBuilder {
    /// Nothing collected yet.
    pub fn new(grid: Arc<Grid>) -> PackedMaskBuilder {
        PackedMaskBuilder {
            grid,
            pieces: Vec::new(),
            count: 0,
        }
    }

    /// Adds runs, in any order, as one box around them all. No voxel may be added twice. What lies outside the grid is
    /// left out.
    pub fn push(&mut self, runs: &[Run]) {
        let length = self.grid.len() as u64;
        let rows = || {
            let width = self.grid.shape()[0] as u64;
            runs.iter().flat_map(move |run| {
                let (mut start, end) = (run.start, run.end.min(length));
                std::iter::from_fn(move || {
                    (start < end).then(|| {
                        let stop = end.min((start / width + 1) * width);
                        let row = (start, (stop - start) as usize);
                        start = stop;
                        row
                    })
                })
            })
        };
        let (mut min, mut max, mut count) = ([usize::MAX; 3], [0; 3], 0);
        for (start, length) in rows() {
            let voxel = self.grid.voxel(start as usize);
            min = [0, 1, 2].map(|axis| min[axis].min(voxel[axis]));
            max = [0, 1, 2].map(|axis| max[axis].max(voxel[axis]));
            max[0] = max[0].max(voxel[0] + length - 1);
            count += length as u64;
        }
        if count == 0 {
            return;
        }
        let shape = [0, 1, 2].map(|axis| max[axis] + 1 - min[axis]);
        let mut bits = vec![0u8; shape.iter().product::<usize>().div_ceil(8)];
        for (start, length) in rows() {
            let voxel = self.grid.voxel(start as usize);
            let [i, j, k] = [0, 1, 2].map(|axis| voxel[axis] - min[axis]);
            set(&mut bits, (k * shape[1] + j) * shape[0] + i, length);
        }
        let mut packed = lz4_flex::block::compress(&bits);
        packed.shrink_to_fit();
        self.count += count;
        self.pieces.push(Piece { min, shape, packed });
    }

    /// The mask of everything collected.
    pub fn finish(self) -> PackedMask {
        PackedMask {
            grid: self.grid,
            pieces: self.pieces.into(),
            count: self.count,
        }
    }
}

/// Sets `length` bits from `start` on.
fn set(bits: &mut [u8], start: usize, length: usize) {
    let end = start + length;
    let (first, last) = (start / 8, (end - 1) / 8);
    let (head, tail) = (0xff << (start % 8), 0xff >> (7 - (end - 1) % 8));
    if first == last {
        bits[first] |= head & tail;
    } else {
        bits[first] |= head;
        bits[first + 1..last].fill(0xff);
        bits[last] |= tail;
    }
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, MaskCodeError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(MaskCodeError::Damaged)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(MaskCodeError::Damaged);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(MaskCodeError::Damaged)
}

#[cfg(test)]
#[path = "packed_tests.rs"]
mod tests;
