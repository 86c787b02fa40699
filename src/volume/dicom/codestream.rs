//! What a compressed frame says of itself, before a decoder believes it.

use dicom_dictionary_std::uids;

use super::image::Layout;

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

/// What all transfer syntaxes of the JPEG family begin with.
const JPEGS: &str = "1.2.840.10008.1.2.4.";
/// Tiles of a JPEG 2000 frame at most. Its decoder keeps some kilobytes of each, whatever their size; images that are no whole slides of a
/// microscope have one.
const MOST_TILES: u64 = 1 << 10;

/// Holds a frame's own header, where its kind has one (JPEG, JPEG-LS, JPEG 2000), against the data set. Run lengths (PS3.5 annex G), deflated and plain
/// frames have none.
pub(super) fn check(syntax: &str, bytes: &[u8], layout: &Layout) -> Result<(), Said> {
    let size = match syntax {
        uids::JPEG2000_LOSSLESS
        | uids::JPEG2000
        | uids::JPEG2000MC_LOSSLESS
        | uids::JPEG2000MC
        | uids::HTJ2K_LOSSLESS
        | uids::HTJ2K_LOSSLESS_RPCL
        | uids::HTJ2K => jpeg_2000(bytes)?,
        _ if syntax.starts_with(JPEGS) => match bytes {
            [0xff, 0xd8, ..] => jpeg(bytes)?,
            _ => return Err(Said::Otherwise("a frame does not begin as JPEG does".into())),
        },
        _ => return Ok(()),
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

/// The image and tile size segment (ITU-T T.800 annex A.5.1).
fn jpeg_2000(bytes: &[u8]) -> Result<Size, Said> {
    let none = || Said::Otherwise("a frame does not begin as JPEG 2000 does".into());
    let segment = codestream(bytes).and_then(|stream| stream.strip_prefix(&SIZ));
    let segment = segment.ok_or_else(none)?;
    let size = siz(segment).ok_or_else(|| Said::Otherwise("a frame's JPEG 2000 header is cut short".into()))?;
    match size.tiles > MOST_TILES {
        true => Err(Said::Unsupported(format!(
            "is decoded in up to {MOST_TILES} tiles, and a frame has {}",
            size.tiles
        ))),
        false if size.every != [1, 1] => Err(Said::Unsupported(
            "is decoded with a sample for every pixel only".into(),
        )),
        false => Ok(size.size),
    }
}

/// Start of codestream, and the marker that must follow it.
const SIZ: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
/// How a JP2 file begins. The standard wants bare codestreams (PS3.5 section A.4.4), and some writers leave the file around them.
const JP2: [u8; 12] = *b"\0\0\0\x0cjP  \r\n\x87\n";

/// The codestream that a decoder finds: the frame itself, or the first of a JP2 file's boxes that holds one (T.800 annex I.4).
fn codestream(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = match bytes.strip_prefix(&JP2) {
        None => return Some(bytes),
        Some(rest) => rest,
    };
    loop {
        let (length, kind) = (word(rest, 0)?, rest.get(4..8)?);
        let (head, length) = match length {
            1 => (16, word(rest, 8)? << 32 | word(rest, 12)?),
            0 => (8, rest.len() as u64),
            length => (8, length),
        };
        if kind == b"jp2c" {
            return rest.get(head..);
        }
        let length = usize::try_from(length).ok().filter(|length| *length >= head)?;
        rest = rest.get(length..)?;
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u64::from(u32::from_be_bytes(bytes)))
}

/// What the segment says.
struct Siz {
    size: Size,
    tiles: u64,
    /// Of how many columns and rows the first component has a sample.
    every: [u8; 2],
}

fn siz(segment: &[u8]) -> Option<Siz> {
    let word = |at| word(segment, at);
    let tiles = |axis: usize| -> Option<u64> {
        let (end, tile, from) = (word(4 + axis)?, word(20 + axis)?, word(28 + axis)?);
        Some(end.checked_sub(from)?.div_ceil(tile.max(1)))
    };
    let components = u16::from_be_bytes(segment.get(36..38)?.try_into().ok()?);
    let size = Size {
        columns: word(4)?.checked_sub(word(12)?)?,
        rows: word(8)?.checked_sub(word(16)?)?,
        components: u64::from(components),
        bits: u16::from(segment.get(38)? & 0x7f) + 1,
    };
    Some(Siz {
        size,
        tiles: tiles(0)?.saturating_mul(tiles(4)?),
        every: segment.get(39..41)?.try_into().ok()?,
    })
}

#[cfg(test)]
#[path = "codestream_tests.rs"]
mod tests;
