//! Pixels as single bits (PS3.5 8.1.1, Bits Allocated 1).

use std::io::{self, Write};

/// Packs pixels into bits, the first pixel lowest; a frame begins where the one before it ended, within a byte if need be.
pub(super) struct Bits<W> {
    to: W,
    open: u8,
    filled: u32,
    bytes: u64,
    packed: Vec<u8>,
}

impl<W: Write> Bits<W> {
    /// Nothing packed yet.
    pub(super) fn new(to: W) -> Bits<W> {
        Bits {
            to,
            open: 0,
            filled: 0,
            bytes: 0,
            packed: Vec::new(),
        }
    }

    /// One frame, a byte a pixel, 0 or 1.
    pub(super) fn push(&mut self, pixels: &[u8]) -> io::Result<()> {
        self.packed.clear();
        for &pixel in pixels {
            self.open |= (pixel & 1) << self.filled;
            self.filled += 1;
            if self.filled == 8 {
                self.packed.push(self.open);
                (self.open, self.filled) = (0, 0);
            }
        }
        self.bytes += self.packed.len() as u64;
        self.to.write_all(&self.packed)
    }

    /// Closes the last byte and, with a zero, an odd length.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.to.write_all(&[self.open])?;
            self.bytes += 1;
        }
        if self.bytes % 2 == 1 {
            self.to.write_all(&[0])?;
        }
        Ok(())
    }
}

/// Bytes that so many frames of so many pixels take, padded to an even number.
pub(super) fn length(frames: usize, pixels: usize) -> u64 {
    (frames as u64 * pixels as u64).div_ceil(8).next_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(frames: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut bits = Bits::new(&mut bytes);
        frames.iter().for_each(|frame| bits.push(frame).unwrap());
        bits.finish().unwrap();
        bytes
    }

    #[test]
    fn the_first_pixel_is_the_lowest_bit() {
        assert_eq!(packed(&[&[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]]), [1, 2]);
    }

    #[test]
    fn frames_follow_one_another_within_a_byte() {
        // pydicom.pixels.pack_bits of the same pixels in one row
        assert_eq!(
            packed(&[&[1, 1, 0, 0, 1], &[1, 0, 1, 1, 1], &[0, 0, 1, 0, 1]]),
            [0b1011_0011, 0b0101_0011]
        );
    }

    #[test]
    fn an_odd_length_is_padded() {
        assert_eq!(packed(&[&[1; 8], &[1; 8], &[1]]), [0xff, 0xff, 1, 0]);
        assert_eq!([length(3, 5), length(1, 17), length(2, 8), length(1, 1)], [2, 4, 2, 2]);
    }
}
