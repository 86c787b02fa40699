//! Voxels and corners of voxels as bits, 64 to a word, within the box around two masks.
//!
//! A surface is the set of corners whose eight voxels are neither all inside nor all outside. As bits it takes 26 MB for a scan of
//! 512 x 512 x 800 whatever the mask is, and is found by a few operations a word.

use rayon::prelude::*;

use super::rows::Rows;

/// The box that holds all voxels looked at; positions count from its first voxel, and corner p lies before voxel p.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    min: [u32; 3],
    /// Corners along each axis: one more than voxels.
    corners: [usize; 3],
}

impl Frame {
    /// The smallest box around both masks; nothing when both are empty.
    pub fn around(a: &Rows, b: &Rows) -> Option<Frame> {
        let boxes = [a.voxel_box(), b.voxel_box()];
        let mut all = boxes.into_iter().flatten();
        let first = all.next()?;
        let (min, max) = all.fold((first.min, first.max), |(min, max), of| {
            (
                std::array::from_fn(|a| min[a].min(of.min[a])),
                std::array::from_fn(|a| max[a].max(of.max[a])),
            )
        });
        let corners = std::array::from_fn(|a| (max[a] - min[a]) as usize + 2);
        Some(Frame { min, corners })
    }

    fn words(&self) -> usize {
        self.corners[0].div_ceil(64)
    }
}

/// A bit for each place of a [`Frame`].
#[derive(Debug, Clone)]
pub(super) struct Bits {
    size: [usize; 3],
    /// Words a row: the bits, between two words of zeros so that a shifted row needs no special case.
    stride: usize,
    words: Vec<u64>,
    nothing: Vec<u64>,
}

impl Bits {
    fn empty(frame: &Frame) -> Bits {
        let stride = frame.words() + 2;
        Bits {
            size: frame.corners,
            stride,
            words: vec![0; stride * frame.corners[1] * frame.corners[2]],
            nothing: vec![0; stride],
        }
    }

    /// The voxels of a mask.
    pub fn voxels(frame: &Frame, rows: &Rows) -> Bits {
        let mut bits = Bits::empty(frame);
        let [i0, j0, k0] = frame.min;
        for line in rows.lines() {
            let at = ((line.k - k0) as usize * bits.size[1] + (line.j - j0) as usize) * bits.stride + 1;
            let row = &mut bits.words[at..];
            for span in line.spans {
                fill(row, (span.start - i0) as usize, (span.end - i0) as usize);
            }
        }
        bits
    }

    /// The corners between inside and outside, of voxels as [`Bits::voxels`] made them.
    pub fn surface(voxels: &Bits) -> Bits {
        let mut out = voxels.clone();
        let (stride, nj) = (out.stride, out.size[1]);
        out.words
            .par_chunks_mut(stride * nj)
            .enumerate()
            .for_each(|(k, plane)| {
                for (j, row) in plane.chunks_mut(stride).enumerate() {
                    let around = voxels.around(j, k);
                    for w in 1..stride - 1 {
                        let after = around.map(|row| row[w]);
                        let before = around.map(|row| row[w] << 1 | row[w - 1] >> 63);
                        let (mut any, mut all) = (0, u64::MAX);
                        for word in after.into_iter().chain(before) {
                            any |= word;
                            all &= word;
                        }
                        row[w] = any & !all;
                    }
                }
            });
        out
    }

    /// Places along each axis.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// The words of row (j, k), with a word of zeros before and after; zeros outside.
    pub fn row(&self, j: isize, k: isize) -> &[u64] {
        let outside = j < 0 || k < 0 || j as usize >= self.size[1] || k as usize >= self.size[2];
        if outside {
            return &self.nothing;
        }
        let at = (k as usize * self.size[1] + j as usize) * self.stride;
        &self.words[at..at + self.stride]
    }

    /// Planes of rows, to be changed in parallel, and the words that a row takes.
    pub fn planes_mut(&mut self) -> (impl IndexedParallelIterator<Item = &mut [u64]>, usize) {
        (self.words.par_chunks_mut(self.stride * self.size[1]), self.stride)
    }

    /// The four rows of voxels around the corners of row (j, k), in the order of [`Codes`]' bits.
    fn around(&self, j: usize, k: usize) -> [&[u64]; 4] {
        let (j, k) = (j as isize, k as isize);
        [
            self.row(j - 1, k - 1),
            self.row(j - 1, k),
            self.row(j, k - 1),
            self.row(j, k),
        ]
    }

    /// What lies around the 64 corners of word `w` (as in [`Bits::row`], so from 1) of row (j, k); of voxels.
    pub fn codes(&self, j: usize, k: usize, w: usize) -> Codes {
        let around = self.around(j, k);
        Codes(std::array::from_fn(|bit| {
            let row = around[3 - bit % 4];
            match bit < 4 {
                true => row[w],
                false => row[w] << 1 | row[w - 1] >> 63,
            }
        }))
    }
}

/// The codes of 64 corners ([`areas`](super::surfels::areas)), a word for each bit.
pub(super) struct Codes([u64; 8]);

impl Codes {
    /// The code of corner `at`.
    pub fn code(&self, at: u32) -> usize {
        (0..8).map(|bit| ((self.0[bit] >> at & 1) as usize) << bit).sum()
    }

    /// Counts the codes of the chosen corners in.
    pub fn count(&self, chosen: u64, counts: &mut [u64; 256]) {
        if chosen.count_ones() < 12 {
            each_bit(chosen, |at| counts[self.code(at)] += 1);
            return;
        }
        for byte in 0..8 {
            let chosen = chosen >> (8 * byte) & 0xff;
            if chosen != 0 {
                let column = (0..8).map(|bit| (self.0[bit] >> (8 * byte) & 0xff) << (8 * bit)).sum();
                let codes = transposed(column).to_le_bytes();
                each_bit(chosen, |at| counts[usize::from(codes[at as usize])] += 1);
            }
        }
    }
}

/// Eight bytes of eight bits with rows and columns exchanged (Warren, Hacker's Delight, 7-3).
fn transposed(mut x: u64) -> u64 {
    for (shift, mask) in [
        (7, 0x00AA_00AA_00AA_00AA),
        (14, 0x0000_CCCC_0000_CCCC),
        (28, 0x0000_0000_F0F0_F0F0),
    ] {
        let swapped = (x ^ x >> shift) & mask;
        x ^= swapped ^ swapped << shift;
    }
    x
}

/// Calls `each` with the places of the set bits, rising.
pub(super) fn each_bit(mut word: u64, mut each: impl FnMut(u32)) {
    while word != 0 {
        each(word.trailing_zeros());
        word &= word - 1;
    }
}

/// Sets bits `start..end`, of which there is at least one.
pub(super) fn fill(row: &mut [u64], start: usize, end: usize) {
    let (first, last) = (start / 64, (end - 1) / 64);
    let (head, tail) = (u64::MAX << (start % 64), u64::MAX >> (63 - (end - 1) % 64));
    if first == last {
        row[first] |= head & tail;
    } else {
        row[first] |= head;
        row[first + 1..last].fill(u64::MAX);
        row[last] |= tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::testing::{mask_of, noise};

    #[test]
    fn surface_points_are_the_corners_with_mixed_voxels_around_them() {
        // Wider than a word, so that codes reach over its end.
        let shape = [70, 5, 6];
        for (seed, share) in [(1, 0.1), (2, 0.5), (3, 0.9)] {
            let bits = noise(seed, 70 * 5 * 6, share);
            let inside = |i: isize, j: isize, k: isize| {
                (0..70).contains(&i)
                    && (0..5).contains(&j)
                    && (0..6).contains(&k)
                    && bits[(i + 70 * (j + 5 * k)) as usize]
            };
            let rows = Rows::new(&mask_of(shape, |i, j, k| inside(i as isize, j as isize, k as isize)));
            let frame = Frame::around(&rows, &rows).unwrap();
            let voxels = Bits::voxels(&frame, &rows);
            let surface = Bits::surface(&voxels);
            let [i0, j0, k0] = frame.min.map(|v| v as isize);
            for k in 0..surface.size[2] {
                for j in 0..surface.size[1] {
                    let row = surface.row(j as isize, k as isize);
                    for i in 0..64 * (row.len() - 2) {
                        let mut code = 0;
                        for n in 0..8isize {
                            let at = [
                                i as isize + i0 - 1 + n / 4,
                                j as isize + j0 - 1 + n / 2 % 2,
                                k as isize + k0 - 1 + n % 2,
                            ];
                            code |= usize::from(inside(at[0], at[1], at[2])) << (7 - n);
                        }
                        let word = 1 + i / 64;
                        let found = row[word] >> (i % 64) & 1 == 1;
                        assert_eq!(found, code != 0 && code != 255, "seed {seed} at {i} {j} {k}");
                        let codes = voxels.codes(j, k, word);
                        assert_eq!(codes.code(i as u32 % 64), code);
                        let mut counts = [0; 256];
                        codes.count(u64::MAX, &mut counts);
                        assert_eq!(
                            counts[code],
                            (0..64).filter(|&at| codes.code(at) == code).count() as u64
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn filling_sets_just_the_bits_asked_for() {
        for (start, end) in [(0, 1), (3, 64), (3, 65), (63, 64), (64, 65), (10, 200), (64, 192)] {
            let mut row = [0; 4];
            fill(&mut row, start, end);
            let set = |at: usize| row[at / 64] >> (at % 64) & 1 == 1;
            assert!(
                (0..256).all(|at| set(at) == (start..end).contains(&at)),
                "{start}..{end}"
            );
        }
    }
}
