//! What a compressed frame says of itself, before a decoder believes it.

use dicom_dictionary_std::uids;

use super::image::Layout;

/// Transfer syntaxes whose frames have no header with a size.
const HEADLESS: [&str; 2] = [uids::RLE_LOSSLESS, uids::DEFLATED_IMAGE_FRAME_COMPRESSION];

/// Why a frame is not given to a decoder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A kind that no decoder here takes.
    Unsupported(String),
    /// Something else than the data set says.
    Otherwise(String),
}

/// Columns, rows, components and bits of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    columns: u64,
    rows: u64,
    components: u64,
    bits: u16,
}

/// Holds a frame's own header, where its kind has one (JPEG, JPEG-LS, JPEG 2000), against the data set.
pub(super) fn check(bytes: &[u8], layout: &Layout, syntax: &str) -> Result<(), Said> {
    let size = match bytes {
        [0xff, 0xd8, ..] => jpeg(bytes)?,
        [0xff, 0x4f, 0xff, 0x51, ..] => {
            jpeg_2000(&bytes[4..]).ok_or_else(|| Said::Otherwise("a frame's JPEG 2000 header is cut short".into()))?
        }
        _ if HEADLESS.contains(&syntax) => return Ok(()),
        // A JP2 file has room for a second codestream before the one that is decoded; DICOM wants the codestream alone.
        _ => {
            return Err(Said::Otherwise(
                "a frame does not begin as its transfer syntax says".into(),
            ));
        }
    };
    let fits = size.columns == layout.columns as u64 && size.rows == layout.rows as u64 && size.components == 1;
    // A decoder writes as many bytes a pixel as the frame's bits need.
    let bytes_agree = (size.bits > 8) == (layout.bits_allocated > 8);
    match fits && bytes_agree {
        true => Ok(()),
        false => Err(Said::Otherwise(format!(
            "a frame's own header says {} x {} with {} component(s) of {} bits, and the data set {} x {} with {} bits",
            size.columns, size.rows, size.components, size.bits, layout.columns, layout.rows, layout.bits_allocated
        ))),
    }
}

/// The frame header of JPEG and JPEG-LS (ITU-T T.81 section B.2.2, T.87 annex C).
fn jpeg(bytes: &[u8]) -> Result<Size, Said> {
    let cut_short = || Said::Otherwise("a frame's JPEG header is cut short".into());
    let mut rest = &bytes[2..];
    loop {
        let [0xff, marker, tail @ ..] = rest else {
            return Err(cut_short());
        };
        if *marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let [high, low, ..] = tail else {
            return Err(cut_short());
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let segment = tail.get(2..length.max(2)).ok_or_else(cut_short)?;
        let frame = matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf | 0xf7);
        if frame {
            let [bits, y1, y0, x1, x0, components, ..] = segment else {
                return Err(cut_short());
            };
            // What is called extended may have twelve bits, which the decoder in use does not take.
            if matches!(marker, 0xc0..=0xc2) && *bits != 8 {
                return Err(Said::Unsupported(format!(
                    "is decoded with 8 bits a sample only, and this has {bits}"
                )));
            }
            return Ok(Size {
                columns: u64::from(u16::from_be_bytes([*x1, *x0])),
                rows: u64::from(u16::from_be_bytes([*y1, *y0])),
                components: u64::from(*components),
                bits: u16::from(*bits),
            });
        }
        rest = &tail[length.max(2)..];
    }
}

/// The image and tile size segment of a JPEG 2000 codestream (ITU-T T.800 annex A.5.1).
fn jpeg_2000(segment: &[u8]) -> Option<Size> {
    let word = |at: usize| -> Option<u64> {
        let bytes: [u8; 4] = segment.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_be_bytes(bytes)))
    };
    let components = u16::from_be_bytes(segment.get(36..38)?.try_into().ok()?);
    Some(Size {
        columns: word(4)?.checked_sub(word(12)?)?,
        rows: word(8)?.checked_sub(word(16)?)?,
        components: u64::from(components),
        bits: u16::from(segment.get(38)? & 0x7f) + 1,
    })
}
