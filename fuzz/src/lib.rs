//! What the targets share: how much may be read, and an end to whoever asks for more memory than that takes.

use flate2::{Compression, write::GzEncoder};
use sat_mcp::volume::ReadLimits;
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
