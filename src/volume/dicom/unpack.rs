//! Frames packed in the two plain ways: run lengths (PS3.5 annex G) and deflate (PS3.5 section A.4.13).
//!
//! dicom-rs (0.10) reads both, but makes room for as many segments as four bytes of the frame claim, and inflates without an end. Here
//! nothing grows beyond the bytes that the data set promises.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

use super::image::Layout;

/// Byte planes that a header of 64 bytes has room for.
const MOST_PLANES: usize = 15;

/// A frame of run lengths as the bytes of its pixels, little-endian; none where it is damaged.
///
/// Each byte of a pixel has a segment of its own, the highest first.
pub(super) fn run_lengths(bytes: &[u8], layout: &Layout) -> Option<Vec<u8>> {
    let planes = usize::from(layout.bits_allocated / 8);
    let word = |at: usize| -> Option<usize> {
        let word: [u8; 4] = bytes.get(4 * at..4 * at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(word)).ok()
    };
    if word(0)? != planes || planes > MOST_PLANES {
        return None;
    }
    let mut frame = vec![0; layout.bytes()];
    for plane in 0..planes {
        let end = match plane + 1 < planes {
            true => word(plane + 2)?,
            false => bytes.len(),
        };
        let segment = bytes.get(word(plane + 1)?..end)?;
        let pixels = frame.iter_mut().skip(planes - 1 - plane).step_by(planes);
        unrun(segment, pixels)?;
    }
    Some(frame)
}

/// Fills `pixels` from a segment. What it holds beyond them is padding.
fn unrun<'a>(segment: &[u8], mut pixels: impl ExactSizeIterator<Item = &'a mut u8>) -> Option<()> {
    let mut rest = segment;
    while pixels.len() > 0 {
        let (&length, tail) = rest.split_first()?;
        rest = match length {
            0..=127 => {
                let (values, tail) = tail.split_at_checked(usize::from(length) + 1)?;
                pixels.by_ref().zip(values).for_each(|(pixel, value)| *pixel = *value);
                tail
            }
            // Nothing at all, by the standard's own words.
            128 => tail,
            _ => {
                let (value, tail) = tail.split_first()?;
                let run = 257 - usize::from(length);
                pixels.by_ref().take(run).for_each(|pixel| *pixel = *value);
                tail
            }
        };
    }
    Some(())
}

/// A frame of as many bytes as promised, which may have a byte of padding behind it; none where it is damaged, or longer or shorter than it should be.
pub(super) fn inflated(bytes: &[u8], promised: usize) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    let limit = promised as u64 + 2;
    DeflateDecoder::new(bytes).take(limit).read_to_end(&mut frame).ok()?;
    let fits = frame.len() == promised || frame.len() == promised.next_multiple_of(2);
    frame.truncate(promised);
    fits.then_some(frame)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write as _;

    fn layout(rows: usize, columns: usize, bits: u16) -> Layout {
        Layout {
            rows,
            columns,
            bits_allocated: bits,
            bits_stored: bits,
            high_bit: bits - 1,
            signed: false,
        }
    }

    fn packed(planes: u32, segments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = planes.to_le_bytes().to_vec();
        let mut at = 64_u32;
        for segment in segments {
            bytes.extend(at.to_le_bytes());
            at += segment.len() as u32;
        }
        bytes.resize(64, 0);
        segments.iter().for_each(|segment| bytes.extend(*segment));
        bytes
    }

    #[test]
    fn runs_and_literals_make_bytes_of_pixels_the_highest_first() {
        let frame = packed(2, &[&[254, 1, 0, 2], &[3, 10, 20, 30, 40, 0]]);
        let bytes = run_lengths(&frame, &layout(2, 2, 16)).unwrap();
        assert_eq!(bytes, [10, 1, 20, 1, 30, 1, 40, 2]);
        let frame = packed(1, &[&[128, 253, 7, 255, 8]]);
        assert_eq!(run_lengths(&frame, &layout(2, 2, 8)).unwrap(), [7, 7, 7, 7]);
    }

    #[test]
    fn segments_that_are_more_or_shorter_than_the_pixels_are_damage() {
        let whole = packed(1, &[&[253, 7]]);
        assert!(run_lengths(&whole, &layout(2, 2, 8)).is_some());
        for planes in [0, 2, 16, u32::MAX] {
            let mut claimed = whole.clone();
            claimed[..4].copy_from_slice(&planes.to_le_bytes());
            assert_eq!(run_lengths(&claimed, &layout(2, 2, 8)), None, "{planes}");
        }
        for segment in [&[][..], &[253], &[254, 7], &[3, 1, 2, 3], &[128, 128]] {
            assert_eq!(
                run_lengths(&packed(1, &[segment]), &layout(2, 2, 8)),
                None,
                "{segment:?}"
            );
        }
        assert_eq!(run_lengths(&[1, 0, 0, 0, 255, 255, 255, 255], &layout(2, 2, 8)), None);
        assert_eq!(run_lengths(&[], &layout(2, 2, 8)), None);
    }

    #[test]
    fn deflate_ends_where_the_frame_does() {
        let deflated = |bytes: &[u8]| {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(inflated(&deflated(&[5; 9]), 9).unwrap(), [5; 9]);
        assert_eq!(inflated(&deflated(&[5; 10]), 9).unwrap(), [5; 9]);
        for wrong in [&[5; 8][..], &[5; 11], &[0; 1 << 24]] {
            assert_eq!(inflated(&deflated(wrong), 9), None);
        }
        assert_eq!(inflated(&[255; 20], 9), None);
    }
}
