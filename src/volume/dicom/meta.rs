//! The file meta information, which every DICOM file begins with (PS3.10 section 7.1): what the file holds, and how it is written down.

use std::io::{BufRead, Cursor, Seek, SeekFrom};
use std::ops::ControlFlow;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::SeriesError;
use super::words::{Coding, Words};

/// Its group.
const META: u16 = 0x0002;
/// Bytes before the four letters that tell a DICOM file.
const PREAMBLE: usize = 128;
/// Those letters.
const LETTERS: &[u8] = b"DICM";
/// Bytes of a UID at most, a zero or a blank behind it included; the standard ends at 64.
const LONGEST_UID: u32 = 80;

/// Bytes within which a file shows that it is DICOM.
pub(super) const HEAD: usize = PREAMBLE + LETTERS.len();

/// Whether bytes begin as DICOM files do.
pub(in crate::volume) fn is_begun(start: &[u8]) -> bool {
    start.get(PREAMBLE..HEAD) == Some(LETTERS)
}

/// What the file meta information says.
#[derive(Debug)]
pub(super) struct Meta {
    /// Transfer Syntax UID.
    pub syntax: String,
    /// Media Storage SOP Class UID, or nothing.
    pub class: String,
}

/// Reads the file meta information, which begins where the reader stands. The reader stands at the data set afterwards.
///
/// # Errors
/// When it is damaged, or names no transfer syntax.
pub(super) fn meta<R: BufRead + Seek>(reader: &mut R, end: u64) -> Result<Meta, SeriesError> {
    let (mut syntax, mut class) = (None, None);
    each_uid(reader, end, |tag, uid| {
        match tag {
            tags::TRANSFER_SYNTAX_UID => syntax = Some(uid),
            tags::MEDIA_STORAGE_SOP_CLASS_UID => class = Some(uid),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(Meta {
        syntax: syntax.ok_or_else(|| SeriesError::Damaged("it does not name its transfer syntax".into()))?,
        class: class.unwrap_or_default(),
    })
}

/// The Media Storage SOP Instance UID of a file, by its first bytes. None where they are those of no DICOM file, or end before it.
pub fn instance_uid(start: &[u8]) -> Option<String> {
    if !is_begun(start) {
        return None;
    }
    let mut place = Cursor::new(start);
    place.set_position(HEAD as u64);
    let mut found = None;
    let read = each_uid(&mut place, start.len() as u64, |tag, uid| match tag {
        tags::MEDIA_STORAGE_SOP_INSTANCE_UID => {
            found = Some(uid);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    read.ok().and(found)
}

/// Calls `each` with the elements whose values are short enough for a UID, until it has enough.
fn each_uid<R: BufRead + Seek>(
    reader: &mut R,
    end: u64,
    mut each: impl FnMut(Tag, String) -> ControlFlow<()>,
) -> Result<(), SeriesError> {
    let at = reader.stream_position().map_err(SeriesError::Read)?;
    let mut words = Words::new(reader, at, end, Coding::EXPLICIT);
    while words.at + 8 <= end {
        let begins = words.at;
        let tag = words.tag()?;
        if tag.group() != META {
            words.reader.seek(SeekFrom::Start(begins)).map_err(SeriesError::Read)?;
            break;
        }
        let (_, length) = words.vr_and_length(tag)?;
        words.within(u64::from(length))?;
        words.count()?;
        if length > LONGEST_UID {
            words.skip(u64::from(length))?;
            continue;
        }
        let mut uid = vec![0; length as usize];
        words.fill(&mut uid)?;
        let uid = String::from_utf8_lossy(&uid).trim_end_matches(['\0', ' ']).to_owned();
        if each(tag, uid).is_break() {
            break;
        }
    }
    Ok(())
}
