//! One DICOM file: opened, looked over, and its header taken out.

use std::io::{self, Cursor, Read, SeekFrom};
use std::path::Path;

use dicom_dictionary_std::uids;
use dicom_encoding::TransferSyntaxIndex as _;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use flate2::bufread::DeflateDecoder;

use super::SeriesError;
use super::meta::{HEAD, is_begun, meta};
use super::spot::{MOST_IN_MEMORY, Opened, Place, Seen, Spot};
use super::unknown::reread;
use super::walk::{MOST_HEADER, Walked, walk};
use super::words::Coding;
use crate::causes::with_causes;

/// Retired, and still met in archives.
pub(super) const EXPLICIT_VR_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
/// A file's header, and where its pixels lie.
#[derive(Debug)]
pub(super) struct Dicom {
    /// Transfer Syntax UID.
    pub syntax: String,
    pub header: InMemDicomObject,
    pub walked: Walked,
    pub seen: Seen,
}

/// Whether a file begins as DICOM files do (PS3.10 section 7.1). What is no plain file does not.
pub(crate) fn is_dicom(path: &Path) -> bool {
    matches!(open(&Spot::File(path.to_owned()), 0), Ok(Some(_)))
}

/// Whether bytes begin as a data set does, without the preamble and the meta information that make a file of it: what some archives
/// keep, and what other programs guess their way into.
pub(crate) fn is_headless(bytes: &[u8]) -> bool {
    let [a, b, c, d, e, f, g, h, ..] = *bytes else {
        return false;
    };
    let spelt = e.is_ascii_uppercase() && f.is_ascii_uppercase();
    let little = matches!(a, 2 | 8) && (b, d) == (0, 0) && (spelt || (f < 4 && (g, h) == (0, 0)));
    little || (matches!(b, 2 | 8) && (a, c) == (0, 0) && spelt)
}

/// [`is_headless`], of a file.
pub(super) fn lacks_head(spot: &Spot, limit: u64) -> bool {
    let mut letters = [0; 8];
    let begins = |(mut place, _, _): Opened| place.read_exact(&mut letters).is_ok();
    matches!(spot.open(limit).map(|opened| opened.is_some_and(begins)), Ok(true)) && is_headless(&letters)
}

/// Whether a file's meta information says that it is the directory of a medium, whatever is wrong with the rest.
pub(super) fn says_directory(spot: &Spot, limit: u64) -> bool {
    let class = open(spot, limit)
        .ok()
        .flatten()
        .and_then(|(mut place, len, _)| meta(&mut place, len).ok());
    class.is_some_and(|meta| meta.class == uids::MEDIA_STORAGE_DIRECTORY_STORAGE)
}

/// The file, standing behind its four letters, its length, and how it was; none where it is something else.
fn open(spot: &Spot, limit: u64) -> Result<Option<Opened>, SeriesError> {
    let Some((mut place, len, seen)) = spot.open(limit)? else {
        return Ok(None);
    };
    let mut start = [0; HEAD];
    match place.read_exact(&mut start) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result.map_err(SeriesError::Read)?,
    }
    Ok(is_begun(&start).then_some((place, len, seen)))
}

/// What is read of a data set that is stored as it stands, or of one that was deflated, inflated in memory.
fn data_set(mut file: Box<dyn Place>, len: u64, limit: u64) -> Result<(Box<dyn Place>, u64, String), SeriesError> {
    let syntax = meta(&mut file, len)?.syntax;
    if syntax != uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        return Ok((file, len, syntax));
    }
    let limit = limit.min(MOST_IN_MEMORY);
    let mut bytes = Vec::new();
    let inflated = DeflateDecoder::new(file).take(limit + 1).read_to_end(&mut bytes);
    inflated.map_err(|error| SeriesError::Damaged(format!("its deflated data set cannot be read: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(SeriesError::Damaged(format!(
            "its deflated data set has more than {limit} bytes"
        )));
    }
    let len = bytes.len() as u64;
    Ok((Box::new(Cursor::new(bytes)), len, syntax))
}

impl Dicom {
    /// Whether this is the directory of a medium (DICOMDIR), which holds no image.
    pub fn is_directory(&self) -> bool {
        self.header
            .get(dicom_dictionary_std::tags::DIRECTORY_RECORD_SEQUENCE)
            .is_some()
    }

    /// Reads a file's header, at most `limit` bytes of a deflated one. None where it is no DICOM file.
    pub fn open(spot: &Spot, limit: u64) -> Result<Option<Dicom>, SeriesError> {
        let Some((file, len, seen)) = open(spot, limit)? else {
            return Ok(None);
        };
        let (mut place, len, syntax) = data_set(file, len, limit)?;
        let known = TransferSyntaxRegistry.get(&syntax);
        let known = known.ok_or_else(|| SeriesError::Syntax(syntax.clone()))?;
        let coding = Coding {
            implicit: syntax == uids::IMPLICIT_VR_LITTLE_ENDIAN,
            big_endian: syntax == EXPLICIT_VR_BIG_ENDIAN,
        };
        let walked = walk(&mut place, len, coding)?;
        let wanted: u64 = walked.header.iter().map(|range| range.end - range.start).sum();
        if wanted > MOST_HEADER {
            return Err(SeriesError::Damaged(format!(
                "its header has more than {MOST_HEADER} bytes"
            )));
        }
        let mut bytes = Vec::new();
        for range in &walked.header {
            place.seek(SeekFrom::Start(range.start)).map_err(SeriesError::Read)?;
            let mut part = (&mut place).take(range.end - range.start);
            part.read_to_end(&mut bytes).map_err(SeriesError::Read)?;
        }
        // What was inflated, and what is compressed but for its pixels, is written down in the plain way.
        let plain = match coding == Coding::EXPLICIT {
            true => &EXPLICIT_VR_LITTLE_ENDIAN.erased(),
            false => known,
        };
        let mut header = InMemDicomObject::read_dataset_with_ts(&bytes[..], plain)
            .map_err(|error| SeriesError::Damaged(with_causes(&error)))?;
        reread(&mut header);
        Ok(Some(Dicom {
            syntax,
            header,
            walked,
            seen,
        }))
    }
}

/// The place that a file's pixels are read from, after its header.
///
/// # Errors
/// When it is not the file any more that the header was read from.
pub(super) fn again(spot: &Spot, seen: Seen, limit: u64) -> Result<Box<dyn Place>, SeriesError> {
    let (file, len, now) = open(spot, limit)?.ok_or(SeriesError::Changed)?;
    if now != seen {
        return Err(SeriesError::Changed);
    }
    Ok(data_set(file, len, limit)?.0)
}
