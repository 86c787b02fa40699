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
        let (eights, rest) = pixels.as_chunks::<8>();
        for &eight in eights {
            let byte = gathered(eight);
            self.packed.push(self.open | byte << self.filled);
            self.open = (u16::from(byte) >> (8 - self.filled)) as u8;
        }
        for &pixel in rest {
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

/// Eight pixels as a byte: the product has pixel i at bit 56 + i, and nothing that carries into those.
fn gathered(pixels: [u8; 8]) -> u8 {
    let ones = u64::from_le_bytes(pixels) & 0x0101_0101_0101_0101;
    (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
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
    fn every_byte_is_gathered_and_shifted() {
        for byte in 0..=255_u8 {
            let pixels: [u8; 8] = std::array::from_fn(|bit| byte >> bit & 1);
            assert_eq!(packed(&[&pixels, &[1]]), [byte, 1]);
            let shifted = [&[1, 0, 1], &pixels[..]].concat();
            assert_eq!(packed(&[&shifted]), (0b101 | u16::from(byte) << 3).to_le_bytes());
        }
    }

    #[test]
    fn an_odd_length_is_padded() {
        assert_eq!(packed(&[&[1; 8], &[1; 8], &[1]]), [0xff, 0xff, 1, 0]);
        assert_eq!([length(3, 5), length(1, 17), length(2, 8), length(1, 1)], [2, 4, 2, 2]);
    }
}
