//! The pixels of a frame, decoded to numbers.
//!
//! Decoding is dicom-rs's, but for the plainest kinds. Before it starts, a compressed frame must say the size that the data set says, so that no decoder makes
//! room for another; and a decoder that panics is a damaged frame, not the end of the program.

use std::borrow::Cow;
use std::io::{Read as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::uids;
use dicom_encoding::TransferSyntaxIndex;
use dicom_encoding::adapters::{PixelDataObject, RawPixelData};
use dicom_encoding::transfer_syntax::Codec;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::SeriesError;
use super::codestream::{self, Said};
use super::file::EXPLICIT_VR_BIG_ENDIAN;
use super::image::{Instance, Layout, PADDING};
use super::spot::Place;
use super::unpack;
use super::walk::Pixels;
use crate::causes::with_causes;

/// Reads one frame of a file, as it is stored: before slope and intercept.
///
/// # Errors
/// When there are fewer pixels than promised, or they cannot be decoded.
pub(super) fn frame(
    place: &mut dyn Place,
    instance: &Instance,
    index: usize,
    values: &mut Vec<f64>,
) -> Result<(), SeriesError> {
    values.clear();
    let layout = &instance.layout;
    let big_endian = instance.syntax == EXPLICIT_VR_BIG_ENDIAN;
    if let Some(found) = &instance.walked.floats {
        let bytes = (found.size() * layout.len()) as u64;
        let bytes = read(place, found.offset + bytes * index as u64, bytes)?;
        floats(&bytes, found.size(), big_endian, values);
        return Ok(());
    }
    match &instance.walked.pixels {
        // Looked for when the file was.
        None => Err(SeriesError::Changed),
        Some(Pixels::Native {
            offset,
            words,
            length: found,
        }) => {
            let length = layout.bytes() as u64;
            let promised = length * instance.frames as u64;
            let more = found.saturating_sub(promised);
            if more > PADDING && read(place, offset + promised, more)?.iter().any(|byte| *byte != 0) {
                return Err(SeriesError::Length {
                    promised,
                    found: *found,
                });
            }
            let start = length * index as u64;
            let shift = layout.high_bit + 1 - layout.bits_stored;
            // The other byte order stores 8-bit pixels in words where it says so (PS3.5 annex A.3): neighbours change places.
            let bytes = match big_endian && *words && layout.bits_allocated == 8 {
                true => {
                    let (first, last) = (start & !1, (start + length).next_multiple_of(2));
                    let swapped = swapped(read(place, offset + first, last - first)?);
                    swapped[(start - first) as usize..][..length as usize].to_vec()
                }
                false => read(place, offset + start, length)?,
            };
            integers(&bytes, layout, big_endian, shift, values);
            Ok(())
        }
        Some(Pixels::Encapsulated { table, fragments }) => {
            let bytes = fragments_of(place, instance.frames, index, *table, fragments)?;
            let shift = layout.high_bit + 1 - layout.bits_stored;
            let (decoded, shift) = match &instance.syntax[..] {
                uids::RLE_LOSSLESS => (unpacked(unpack::run_lengths(&bytes, layout))?, shift),
                uids::DEFLATED_IMAGE_FRAME_COMPRESSION => (unpacked(unpack::inflated(&bytes, layout.bytes()))?, shift),
                syntax => (decoded(syntax, layout, bytes)?, 0),
            };
            integers(&decoded, layout, false, shift, values);
            Ok(())
        }
    }
}

pub(super) fn unpacked(frame: Option<Vec<u8>>) -> Result<Vec<u8>, SeriesError> {
    frame.ok_or_else(|| SeriesError::Damaged("a frame cannot be unpacked".into()))
}

pub(super) fn read(place: &mut dyn Place, offset: u64, length: u64) -> Result<Vec<u8>, SeriesError> {
    let mut bytes = Vec::new();
    place.seek(SeekFrom::Start(offset)).map_err(SeriesError::Read)?;
    let got = place.take(length).read_to_end(&mut bytes).map_err(SeriesError::Read)?;
    // The header was read from this file a moment ago, and it was long enough then.
    match got as u64 == length {
        true => Ok(bytes),
        false => Err(SeriesError::Changed),
    }
}

fn floats(bytes: &[u8], size: usize, big_endian: bool, values: &mut Vec<f64>) {
    values.extend(bytes.chunks_exact(size).map(|word| {
        let word: Vec<u8> = match big_endian {
            true => word.iter().rev().copied().collect(),
            false => word.to_vec(),
        };
        match <[u8; 4]>::try_from(&word[..]) {
            Ok(word) => f64::from(f32::from_le_bytes(word)),
            Err(_) => <[u8; 8]>::try_from(&word[..]).map_or(f64::NAN, f64::from_le_bytes),
        }
    }));
}

fn swapped(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.swap(0, 1));
    bytes
}

/// Stored bits as numbers: the bits that count, with their sign where they have one.
fn integers(bytes: &[u8], layout: &Layout, big_endian: bool, shift: u16, values: &mut Vec<f64>) {
    let unused = 32 - u32::from(layout.bits_stored.min(32));
    let number = |word: u32| {
        let bits = word >> shift << unused;
        match layout.signed {
            true => f64::from((bits as i32) >> unused),
            false => f64::from(bits >> unused),
        }
    };
    macro_rules! words {
        ($word:ty) => {{
            let words = bytes.as_chunks::<{ size_of::<$word>() }>().0;
            match big_endian {
                true => values.extend(
                    words
                        .iter()
                        .map(|word| number(u32::from(<$word>::from_be_bytes(*word)))),
                ),
                false => values.extend(
                    words
                        .iter()
                        .map(|word| number(u32::from(<$word>::from_le_bytes(*word)))),
                ),
            }
        }};
    }
    match layout.bits_allocated {
        8 => words!(u8),
        16 => words!(u16),
        _ => words!(u32),
    }
}

/// The fragments of one frame, together (PS3.5 annex A.4).
pub(super) fn fragments_of(
    place: &mut dyn Place,
    frames: usize,
    index: usize,
    table: (u64, u32),
    fragments: &[(u64, u32)],
) -> Result<Vec<u8>, SeriesError> {
    let damaged = |what: &str| SeriesError::Damaged(what.to_owned());
    let (first, last) = if frames == 1 {
        (0, fragments.len())
    } else if fragments.len() == frames {
        (index, index + 1)
    } else {
        // More fragments than frames: the table says at which of them each frame begins.
        let base = fragments
            .first()
            .ok_or_else(|| damaged("its compressed pixels have no fragments"))?
            .0;
        let unclear =
            || damaged("which fragments belong to which frame is not said: its Basic Offset Table is missing or wrong");
        let mut begins = |frame: usize| {
            let at = 4 * frame as u64;
            if at + 4 > u64::from(table.1) {
                return Err(unclear());
            }
            let bytes = read(place, table.0 + at, 4)?;
            let offset = <[u8; 4]>::try_from(&bytes[..]).map_err(|_| unclear())?;
            let wanted = base + u64::from(u32::from_le_bytes(offset));
            fragments
                .binary_search_by_key(&wanted, |fragment| fragment.0)
                .map_err(|_| unclear())
        };
        let first = begins(index)?;
        let last = match index + 1 == frames {
            true => fragments.len(),
            false => begins(index + 1)?,
        };
        (first, last)
    };
    let wanted = fragments.get(first..last).filter(|wanted| !wanted.is_empty());
    let wanted = wanted.ok_or_else(|| damaged("a frame has no fragments"))?;
    let mut bytes = Vec::new();
    for (offset, length) in wanted {
        bytes.append(&mut read(place, *offset, u64::from(*length))?);
    }
    Ok(bytes)
}

/// What a transfer syntax is called.
pub(super) fn name_of(syntax: &str) -> String {
    TransferSyntaxRegistry
        .get(syntax)
        .map_or_else(|| syntax.to_owned(), |known| known.name().to_owned())
}

/// A compressed frame as the bytes of its pixels, little-endian.
fn decoded(syntax: &str, layout: &Layout, bytes: Vec<u8>) -> Result<Vec<u8>, SeriesError> {
    let known = TransferSyntaxRegistry
        .get(syntax)
        .ok_or_else(|| SeriesError::Syntax(syntax.to_owned()))?;
    let refused = |why: String| SeriesError::Codec {
        syntax: known.name().to_owned(),
        why,
    };
    let Codec::EncapsulatedPixelData(Some(codec), _) = known.codec() else {
        return Err(refused("this build does not decode".into()));
    };
    codestream::check(syntax, &bytes, layout).map_err(|said| match said {
        Said::Unsupported(why) => refused(why),
        Said::Otherwise(what) => SeriesError::Damaged(what),
    })?;
    let frame = OneFrame {
        syntax,
        layout,
        bytes: &bytes,
    };
    let mut decoded = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| codec.decode_frame(&frame, 0, &mut decoded)));
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            return Err(SeriesError::Damaged(format!(
                "a frame cannot be decoded: {}",
                with_causes(&error)
            )));
        }
        Err(_) => return Err(SeriesError::Damaged("a frame cannot be decoded".into())),
    }
    match decoded.len() == layout.bytes() {
        true => Ok(decoded),
        false => Err(SeriesError::Length {
            promised: layout.bytes() as u64,
            found: decoded.len() as u64,
        }),
    }
}

/// A frame as dicom-rs's decoders want it: an object of one frame in one fragment.
struct OneFrame<'a> {
    syntax: &'a str,
    layout: &'a Layout,
    bytes: &'a [u8],
}

impl PixelDataObject for OneFrame<'_> {
    fn transfer_syntax_uid(&self) -> &str {
        self.syntax
    }

    fn rows(&self) -> Option<u16> {
        u16::try_from(self.layout.rows).ok()
    }

    fn cols(&self) -> Option<u16> {
        u16::try_from(self.layout.columns).ok()
    }

    fn samples_per_pixel(&self) -> Option<u16> {
        Some(1)
    }

    fn bits_allocated(&self) -> Option<u16> {
        Some(self.layout.bits_allocated)
    }

    fn bits_stored(&self) -> Option<u16> {
        Some(self.layout.bits_stored)
    }

    fn photometric_interpretation(&self) -> Option<&str> {
        Some("MONOCHROME2")
    }

    fn number_of_frames(&self) -> Option<u32> {
        Some(1)
    }

    fn number_of_fragments(&self) -> Option<u32> {
        Some(1)
    }

    fn fragment(&self, fragment: usize) -> Option<Cow<'_, [u8]>> {
        (fragment == 0).then_some(Cow::Borrowed(self.bytes))
    }

    fn offset_table(&self) -> Option<Cow<'_, [u32]>> {
        None
    }

    fn raw_pixel_data(&self) -> Option<RawPixelData> {
        Some(RawPixelData {
            fragments: std::iter::once(self.bytes.to_vec()).collect(),
            offset_table: std::iter::once(0).collect(),
        })
    }
}
