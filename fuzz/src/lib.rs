//! What the targets share: how much may be read, and an end to whoever asks for more memory than that takes.

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder},
};
use sat_mcp::volume::{ReadLimits, Volume};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

/// Small, so that a promise beyond it shows.
pub const LIMITS: ReadLimits = ReadLimits {
    voxels: 1 << 18,
    unpacked_bytes: 16 << 20,
};

/// Bytes that one allocation may take: room for all voxels as numbers of eight bytes, and for buffers.
const MOST: usize = 4 << 20;

/// The system's memory, but never more than [`MOST`] at a time. libFuzzer's own limit needs a sanitizer's hooks.
pub struct Limited;

fn heed(bytes: usize) {
    if bytes > MOST {
        // No panic: the message would need memory.
        std::process::abort();
    }
}

// SAFETY: all is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        heed(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        heed(size);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// A file of one target: the first byte says how the rest is to be taken.
pub struct Case<'a> {
    /// The file, or the header of a pair.
    pub start: Vec<u8>,
    /// The voxels of a pair.
    pub voxels: Option<Vec<u8>>,
    /// Which volume is asked for.
    pub choice: Option<&'a str>,
}

impl Case<'_> {
    /// Bit 0: packed. Bit 1: two files, the first as long as its header. Bits 2 and 3: no volume asked for, the first, the
    /// fourth, nonsense.
    pub fn of(data: &[u8]) -> Option<Case<'static>> {
        let (how, data) = data.split_first()?;
        let packed = |bytes: &[u8]| match how & 1 {
            0 => bytes.to_vec(),
            _ => gzip(bytes),
        };
        let header = if data.starts_with(&540_i32.to_le_bytes()) {
            540
        } else {
            348
        };
        let (start, voxels) = match how & 2 {
            2 => data
                .split_at_checked(header)
                .map(|(start, voxels)| (start, Some(voxels)))?,
            _ => (data, None),
        };
        Some(Case {
            start: packed(start),
            voxels: voxels.map(packed),
            choice: [None, Some("0"), Some("3"), Some("x")][usize::from(how >> 2 & 3)],
        })
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory, which does not fail.
    encoder.write_all(bytes).unwrap_or_default();
    encoder.finish().unwrap_or_default()
}

/// What lies between two files of a series.
const BETWEEN: &[u8] = b"\xff\xfeNEXT";

/// Transfer syntaxes, by the number that a file of a series begins with.
pub const SYNTAXES: [&str; 16] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    DEFLATED,
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.1.98",
];
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
/// A file whose meta information is its own.
const AS_IT_IS: u8 = 0xff;

/// Files of a series: the first byte says which volume is asked for, and each file begins with its transfer syntax.
pub struct Series {
    /// Whole files, preamble and all.
    pub files: Vec<Vec<u8>>,
    /// Which volume is asked for.
    pub choice: Option<&'static str>,
}

impl Series {
    /// Files are data sets, so that deflating doesn't hide what is changed of them.
    pub fn of(data: &[u8]) -> Option<Series> {
        let (how, mut rest) = data.split_first()?;
        let mut files = Vec::new();
        loop {
            let next = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN);
            let (part, more) = rest.split_at(next.unwrap_or(rest.len()));
            if let Some((syntax, set)) = part.split_first() {
                files.push(file(*syntax, set));
            }
            match more.get(BETWEEN.len()..) {
                Some(more) if next.is_some() => rest = more,
                _ => break,
            }
        }
        Some(Series {
            files,
            choice: [None, Some("0"), Some("1"), Some("1.2.3:1")][usize::from(how & 3)],
        })
    }
}

fn file(syntax: u8, set: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    if syntax == AS_IT_IS {
        file.extend(set);
        return file;
    }
    let syntax = SYNTAXES[usize::from(syntax) % SYNTAXES.len()];
    let padded = syntax.len().next_multiple_of(2);
    file.extend(b"\x02\x00\x10\x00UI");
    file.extend((padded as u16).to_le_bytes());
    file.extend(syntax.bytes());
    file.resize(file.len() + padded - syntax.len(), 0);
    match syntax == DEFLATED {
        false => file.extend(set),
        true => {
            let mut encoder = DeflateEncoder::new(&mut file, Compression::fast());
            // Into memory, which does not fail.
            encoder.write_all(set).unwrap_or_default();
            encoder.try_finish().unwrap_or_default();
        }
    }
    file
}

/// What holds of every image that was read.
pub fn is_sound(image: &Volume) {
    let grid = image.grid();
    assert_eq!(image.voxels().len(), grid.len());
    assert!(grid.len() as u64 <= LIMITS.voxels);
    assert!(image.voxels().iter().all(|voxel| voxel.is_finite()));
    assert!(grid.voxel_volume() > 0.0);
}
