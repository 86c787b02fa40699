#![allow(clippy::unwrap_used)]
use super::*;

const LAYOUT: Layout = Layout {
    rows: 3,
    columns: 4,
    bits_allocated: 16,
    bits_stored: 12,
    high_bit: 11,
    signed: false,
};

/// The beginning of a JPEG 2000 frame of one component.
fn stream(columns: u32, rows: u32, tile: u32, every: u8) -> Vec<u8> {
    let mut stream = SIZ.to_vec();
    stream.extend([0, 41, 0, 0]);
    for word in [columns, rows, 0, 0, tile, tile, 0, 0] {
        stream.extend(word.to_be_bytes());
    }
    stream.extend([0, 1, 11, every, every]);
    stream
}

fn in_a_file(stream: &[u8]) -> Vec<u8> {
    let mut file = JP2.to_vec();
    // A box whose content looks like a codestream of the right size, before the one that is decoded.
    let lure = super::tests::stream(4, 3, 8, 1);
    file.extend((8 + lure.len() as u32).to_be_bytes());
    file.extend(b"free");
    file.extend(lure);
    file.extend([0, 0, 0, 0]);
    file.extend(b"jp2c");
    file.extend(stream);
    file
}

#[test]
fn the_stream_that_is_decoded_is_the_one_that_is_looked_at() {
    let (right, wrong) = (stream(4, 3, 8, 1), stream(60_000, 60_000, 60_000, 1));
    assert_eq!(check(uids::JPEG2000, &right, &LAYOUT), Ok(()));
    assert_eq!(check(uids::JPEG2000, &in_a_file(&right), &LAYOUT), Ok(()));
    for bytes in [
        &wrong[..],
        &in_a_file(&wrong),
        &right[..20],
        &right[2..],
        &in_a_file(&right)[..30],
        b"",
    ] {
        assert!(
            matches!(check(uids::HTJ2K, bytes, &LAYOUT), Err(Said::Otherwise(_))),
            "{bytes:?}"
        );
    }
}

#[test]
fn tiles_that_would_take_more_memory_than_the_frame_are_refused() {
    let layout = Layout {
        rows: 255,
        columns: 257,
        ..LAYOUT
    };
    assert_eq!(check(uids::JPEG2000, &stream(257, 255, 16, 1), &layout), Ok(()));
    for bytes in [stream(257, 255, 1, 1), stream(257, 255, 0, 1), stream(257, 255, 512, 2)] {
        assert!(matches!(
            check(uids::JPEG2000, &bytes, &layout),
            Err(Said::Unsupported(_))
        ));
    }
}

#[test]
fn run_lengths_and_plain_frames_have_no_header_and_look_like_anything() {
    assert_eq!(check(uids::RLE_LOSSLESS, &stream(9, 9, 9, 1), &LAYOUT), Ok(()));
    assert!(check(uids::JPEG_LOSSLESS_SV1, &[0, 0, 0, 0], &LAYOUT).is_err());
}
