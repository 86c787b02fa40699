//! A look over a DICOM file's structure before anything in it is believed (PS3.5 section 7, PS3.10).
//!
//! The parser that reads the elements makes room for whatever length an element claims and goes as deep as sequences are
//! nested. So the file is walked first, element by element, without keeping a value: every length must lie within the file,
//! sequences within sequences have an end, and where the pixels lie is noted, so that they can be read one frame at a time.

use std::io::{BufRead, Seek};
use std::ops::Range;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::SeriesError;
use super::words::{Coding, UNDEFINED, Words};

/// Sequences within sequences; structured reports, the deepest that hospitals have, stay below half of it.
const MOST_DEPTH: usize = 32;
/// Bytes of a header.
pub(super) const MOST_HEADER: u64 = 128 << 20;

/// Where the pixels lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pixels {
    /// As they are: a place in the file, a number of bytes, and whether they are words of sixteen bits.
    Native { offset: u64, length: u64, words: bool },
    /// Compressed, in fragments: (place, bytes); the first item, the Basic Offset Table, apart.
    Encapsulated {
        table: (u64, u32),
        fragments: Vec<(u64, u32)>,
    },
}

/// What was seen on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Walked {
    /// Where the data set's first element lies.
    pub start: u64,
    /// Where the elements lie that a header is made of: those before the pixels, without overlays, without what manufacturers
    /// keep in sequences of their own, and without values longer than some text.
    pub header: Vec<Range<u64>>,
    /// Pixel Data (7FE0,0010).
    pub pixels: Option<Pixels>,
    /// What is wrong with the pixels, where that was seen.
    pub damage: Option<String>,
    /// Float Pixel Data or Double Float Pixel Data.
    pub floats: Option<Floats>,
}

/// Pixels that are floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Floats {
    pub offset: u64,
    pub length: u64,
    /// Whether they have eight bytes each, and not four.
    pub double: bool,
}

impl Floats {
    /// Bytes a pixel.
    pub fn size(&self) -> usize {
        if self.double { 8 } else { 4 }
    }
}

/// Curves and overlays begin here.
const OVERLAYS: u16 = 0x5000;
/// The group of what an enhanced object says of its frames.
const FUNCTIONAL_GROUPS: u16 = 0x5200;
/// Bytes of a value that a header keeps.
const MOST_VALUE: u32 = 64 << 10;
const FLOATS: [Tag; 2] = [tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Walks a data set from where the reader stands to `end`.
///
/// # Errors
/// When a length leads out of the file, sequences are nested too deep, or there is more than a file may hold.
pub(super) fn walk<R: BufRead + Seek>(reader: &mut R, end: u64, coding: Coding) -> Result<Walked, SeriesError> {
    let start = reader.stream_position().map_err(SeriesError::Read)?;
    let mut walk = Walk {
        words: Words::new(reader, start, end, coding),
        in_pixels: false,
    };
    let mut walked = Walked {
        start,
        ..Walked::default()
    };
    match walk.set(&mut walked) {
        // What lies behind the pixels is nobody's business, and often padding.
        Err(SeriesError::Damaged(_)) if walked.pixels.is_some() => Ok(walked),
        // Of pixels that are cut short, the header still says whose they are.
        Err(SeriesError::Damaged(what)) if walk.in_pixels => {
            walked.damage = Some(what);
            Ok(walked)
        }
        result => result.map(|()| walked),
    }
}

/// Bytes of one number of a kind (PS3.5 table 6.2-1); 1 of what is no numbers.
fn bytes_of(vr: VR) -> u32 {
    match vr {
        VR::US | VR::SS | VR::OW => 2,
        VR::AT | VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
        VR::FD | VR::OD | VR::SV | VR::UV | VR::OV => 8,
        _ => 1,
    }
}

/// What encloses an element.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// Where it ends, where that is known.
    end: Option<u64>,
    /// Whether it is a sequence, which has items, or an item, which has elements.
    sequence: bool,
    /// How the elements around it are written down.
    around: Coding,
}

struct Walk<'a, R> {
    words: Words<'a, R>,
    /// Whether the outermost level has come to its pixels.
    in_pixels: bool,
}

impl Walked {
    /// Whether there are pixels of any kind.
    pub fn has_pixels(&self) -> bool {
        self.pixels.is_some() || self.floats.is_some() || self.damage.is_some()
    }
}

/// Which elements of the outermost level belong to the header.
#[derive(Debug, Default)]
struct Keep {
    from: Option<u64>,
}

impl Keep {
    fn begin(&mut self, tag: Tag, vr: VR, length: u32, at: u64) {
        let groups = tag.group() < OVERLAYS || tag.group() == FUNCTIONAL_GROUPS;
        let private = tag.group() % 2 == 1;
        let long = length != UNDEFINED && vr != VR::SQ && length > MOST_VALUE;
        let nested = vr == VR::SQ || length == UNDEFINED;
        let foreign = (private && nested) || (vr == VR::UN && length == UNDEFINED);
        let kept = groups && !long && !foreign;
        self.from = kept.then_some(at);
    }

    fn end(&mut self, at: u64, walked: &mut Walked) {
        if let Some(from) = self.from.take() {
            match walked.header.last_mut() {
                Some(last) if last.end == from => last.end = at,
                _ => walked.header.push(from..at),
            }
        }
    }
}

impl<R: BufRead + Seek> Walk<'_, R> {
    fn set(&mut self, walked: &mut Walked) -> Result<(), SeriesError> {
        let mut levels: Vec<Level> = Vec::new();
        let mut keep = Keep::default();
        loop {
            while let Some(level) = levels
                .last()
                .filter(|level| level.end.is_some_and(|end| self.words.at >= end))
            {
                self.words.coding = level.around;
                levels.pop();
            }
            // A few bytes behind the last element are padding.
            if levels.is_empty() && self.words.at + 8 > self.words.end {
                keep.end(self.words.at, walked);
                return Ok(());
            }
            let begins = self.words.at;
            let tag = self.words.tag()?;
            if tag.group() == ITEM.group() {
                // The end of nothing is left out of the header: the parser takes it for an element of whatever length it names.
                if levels.is_empty() {
                    keep.end(begins, walked);
                }
                self.delimiter(tag, &mut levels)?;
                continue;
            }
            let outermost = levels.is_empty();
            let (vr, length) = self.words.vr_and_length(tag)?;
            self.words.count()?;
            if outermost {
                keep.end(begins, walked);
                keep.begin(tag, vr, length, begins);
            }
            self.in_pixels |= outermost && tag.group() == tags::PIXEL_DATA.group();
            if outermost && tag == tags::PIXEL_DATA {
                walked.pixels = Some(self.pixels(vr, length)?);
            } else if length == UNDEFINED || vr == VR::SQ {
                self.open(&mut levels, length, true)?;
                // What is unknown and has no length is written down as in the oldest days (PS3.5 section 6.2.2).
                self.words.coding.implicit |= vr == VR::UN;
            } else {
                self.words.within(u64::from(length))?;
                // The parser reads as many whole numbers as there are, and takes what is left of one for the next element.
                if length % bytes_of(vr) != 0 {
                    if !outermost {
                        return Err(self.words.odd("numbers that end within one"));
                    }
                    keep.from = None;
                }
                if outermost && FLOATS.contains(&tag) {
                    walked.floats = Some(Floats {
                        offset: self.words.at,
                        length: u64::from(length),
                        double: tag == tags::DOUBLE_FLOAT_PIXEL_DATA,
                    });
                }
                self.words.skip(u64::from(length))?;
            }
        }
    }

    /// An item's begin or end, or a sequence's end.
    fn delimiter(&mut self, tag: Tag, levels: &mut Vec<Level>) -> Result<(), SeriesError> {
        let length = self.words.u32()?;
        match tag {
            ITEM => self.open(levels, length, false),
            ITEM_END | SEQUENCE_END => {
                if let Some(level) = levels.pop() {
                    self.words.coding = level.around;
                }
                Ok(())
            }
            _ => Err(self.words.odd("an element of the delimiters' group that is none")),
        }
    }

    fn open(&mut self, levels: &mut Vec<Level>, length: u32, sequence: bool) -> Result<(), SeriesError> {
        if levels.len() >= 2 * MOST_DEPTH {
            return Err(SeriesError::Damaged(format!(
                "sequences are nested more than {MOST_DEPTH} deep"
            )));
        }
        if sequence == levels.last().is_some_and(|level| level.sequence) {
            return Err(self
                .words
                .odd("an item outside of a sequence, or a sequence without items"));
        }
        self.words.count()?;
        let end = match length {
            UNDEFINED => None,
            length => {
                self.words.within(u64::from(length))?;
                Some(self.words.at + u64::from(length))
            }
        };
        levels.push(Level {
            end,
            sequence,
            around: self.words.coding,
        });
        Ok(())
    }

    fn pixels(&mut self, vr: VR, length: u32) -> Result<Pixels, SeriesError> {
        if length != UNDEFINED {
            self.words.within(u64::from(length))?;
            let offset = self.words.at;
            self.words.skip(u64::from(length))?;
            return Ok(Pixels::Native {
                offset,
                length: u64::from(length),
                words: vr == VR::OW,
            });
        }
        let mut items = Vec::new();
        loop {
            let tag = self.words.tag()?;
            let length = self.words.u32()?;
            match tag {
                ITEM => {
                    self.words.within(u64::from(length))?;
                    self.words.count()?;
                    items.push((self.words.at, length));
                    self.words.skip(u64::from(length))?;
                }
                SEQUENCE_END => break,
                _ => {
                    return Err(self
                        .words
                        .odd("something else than a fragment among the fragments of its pixels"));
                }
            }
        }
        if items.is_empty() {
            return Err(SeriesError::Damaged("its compressed pixels have no items".into()));
        }
        let table = items.remove(0);
        Ok(Pixels::Encapsulated {
            table,
            fragments: items,
        })
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
