//! How elements are spelt: tags, value representations, lengths and numbers, each within the file's bounds (PS3.5 section 7.1).

use std::io::{self, BufRead, Seek, SeekFrom};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::SeriesError;

/// Elements of a file; an enhanced series of ten thousand frames has about a million.
const MOST_ELEMENTS: u64 = 2 << 20;
/// The length of what ends with a delimiter.
pub(super) const UNDEFINED: u32 = u32::MAX;
/// Explicit VRs whose length has four bytes, after two that say nothing (PS3.5 table 7.1-1).
const LONG: [VR; 13] = [
    VR::OB,
    VR::OD,
    VR::OF,
    VR::OL,
    VR::OV,
    VR::OW,
    VR::SQ,
    VR::SV,
    VR::UC,
    VR::UN,
    VR::UR,
    VR::UT,
    VR::UV,
];

/// How elements are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub implicit: bool,
    pub big_endian: bool,
}

impl Coding {
    /// Of the file meta information, and of nearly all data sets.
    pub const EXPLICIT: Coding = Coding {
        implicit: false,
        big_endian: false,
    };
}

/// A reader of elements, and where it stands.
pub(super) struct Words<'a, R> {
    pub reader: &'a mut R,
    pub at: u64,
    pub end: u64,
    pub coding: Coding,
    elements: u64,
}

impl<'a, R: BufRead + Seek> Words<'a, R> {
    /// From where the reader stands, `at`, to `end`.
    pub fn new(reader: &'a mut R, at: u64, end: u64, coding: Coding) -> Words<'a, R> {
        Words {
            reader,
            at,
            end,
            coding,
            elements: 0,
        }
    }

    pub fn count(&mut self) -> Result<(), SeriesError> {
        self.elements += 1;
        match self.elements > MOST_ELEMENTS {
            true => Err(SeriesError::Damaged(format!(
                "it has more than {MOST_ELEMENTS} elements"
            ))),
            false => Ok(()),
        }
    }

    pub fn within(&self, length: u64) -> Result<(), SeriesError> {
        match self.at.checked_add(length) {
            Some(end) if end <= self.end => Ok(()),
            _ => Err(SeriesError::Damaged(format!(
                "an element at byte {} promises {length} bytes, and the file ends {} bytes later",
                self.at,
                self.end.saturating_sub(self.at)
            ))),
        }
    }

    pub fn odd(&self, what: &str) -> SeriesError {
        SeriesError::Damaged(format!("{what} at byte {}", self.at))
    }

    /// An element's value representation, as far as it matters here, and its length.
    pub fn vr_and_length(&mut self, tag: Tag) -> Result<(VR, u32), SeriesError> {
        if self.coding.implicit {
            let known = StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed());
            return Ok((known.unwrap_or(VR::UN), self.u32()?));
        }
        let mut vr = [0; 2];
        self.fill(&mut vr)?;
        let Some(vr) = VR::from_binary(vr) else {
            return Err(self.odd("an element whose value representation is none"));
        };
        if !LONG.contains(&vr) {
            return Ok((vr, u32::from(self.u16()?)));
        }
        self.u16()?;
        Ok((vr, self.u32()?))
    }

    pub fn tag(&mut self) -> Result<Tag, SeriesError> {
        Ok(Tag(self.u16()?, self.u16()?))
    }

    pub fn u16(&mut self) -> Result<u16, SeriesError> {
        let mut word = [0; 2];
        self.fill(&mut word)?;
        Ok(match self.coding.big_endian {
            true => u16::from_be_bytes(word),
            false => u16::from_le_bytes(word),
        })
    }

    pub fn u32(&mut self) -> Result<u32, SeriesError> {
        let mut word = [0; 4];
        self.fill(&mut word)?;
        Ok(match self.coding.big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        })
    }

    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SeriesError> {
        self.reader.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                SeriesError::Damaged(format!("it ends within an element, at byte {}", self.at))
            }
            _ => SeriesError::Read(error),
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    pub fn skip(&mut self, length: u64) -> Result<(), SeriesError> {
        // A short hop stays within the buffer, and one of no file is longer than this.
        let hop = i64::try_from(length).unwrap_or(i64::MAX);
        self.reader.seek(SeekFrom::Current(hop)).map_err(SeriesError::Read)?;
        self.at += length;
        Ok(())
    }
}
