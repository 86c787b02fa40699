//! Writing masks and label maps.
//!
//! Equal input gives equal bytes: the gzip header carries no time and no name. What is written is NIfTI-1, which every program
//! reads, unless an axis has more than the 32,767 voxels that it can say: then it is NIfTI-2.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::datatype::DataType;
use super::header::NewHeader;
use super::placement::Placement;
use crate::volume::{Grid, Mask, WriteError};

/// NIfTI's `NIFTI_INTENT_LABEL`: voxels are the numbers of things.
const INTENT_LABEL: i32 = 1002;
/// What a header says of its file where there is nothing better to say.
const DESCRIPTION: &str = "sat-mcp";
/// Bytes handed to the compressor at a time.
const CHUNK: usize = 64 << 10;
/// Masks are nearly all zeros: harder work makes them no smaller that is worth the wait.
const LEVEL: u32 = 4;

/// Writes a mask as `.nii.gz`: uint8, 0 and 1, on the mask's own grid.
///
/// Give the placement of the image that the mask was made from, and both its sform and its qform (with their codes) are
/// kept; without one both are made from the grid's affine, as scanner coordinates.
pub fn write_mask(path: &Path, mask: &Mask, placement: Option<&Placement>) -> Result<(), WriteError> {
    to_file(path, |file| compress_mask(file, mask, placement))
}

/// As [`write_mask`], into anything that takes bytes.
pub fn write_mask_to(writer: impl Write, mask: &Mask, placement: Option<&Placement>) -> Result<(), WriteError> {
    let path = Path::new("mask.nii.gz");
    compress_mask(writer, mask, placement).map_err(|source| WriteError::Io {
        path: path.into(),
        source,
    })
}

/// Writes a label map as `.nii.gz`: one label a voxel, first stored axis fastest, as uint8 where all fit, else
/// as uint16. Placement as in [`write_mask`].
pub fn write_labels(path: &Path, grid: &Grid, labels: &[u16], placement: Option<&Placement>) -> Result<(), WriteError> {
    if labels.len() != grid.len() {
        return Err(WriteError::Length {
            path: path.into(),
            given: labels.len(),
            expected: grid.len(),
        });
    }
    let small = labels.iter().all(|&label| label <= u16::from(u8::MAX));
    let datatype = if small { DataType::U8 } else { DataType::U16 };
    to_file(path, |file| {
        let mut stream = compressor(file);
        stream.write_all(&header(grid, datatype, INTENT_LABEL, DESCRIPTION, placement))?;
        let mut bytes = Vec::with_capacity(2 * CHUNK);
        for chunk in labels.chunks(CHUNK) {
            bytes.clear();
            if small {
                bytes.extend(chunk.iter().map(|&label| label as u8));
            } else {
                bytes.extend(chunk.iter().flat_map(|label| label.to_le_bytes()));
            }
            stream.write_all(&bytes)?;
        }
        stream.finish()?.flush()
    })
}

/// Writes an image of one byte a voxel, first stored axis fastest, as `.nii.gz` placed by the grid's affine. The
/// description, up to 79 bytes of it, goes into `descrip`.
pub fn write_bytes_to(writer: impl Write, grid: &Grid, voxels: &[u8], description: &str) -> Result<(), WriteError> {
    let path = Path::new("image.nii.gz");
    if voxels.len() != grid.len() {
        return Err(WriteError::Length {
            path: path.into(),
            given: voxels.len(),
            expected: grid.len(),
        });
    }
    let head = header(grid, DataType::U8, 0, description, None);
    let compress = || {
        let mut stream = compressor(writer);
        stream.write_all(&head)?;
        stream.write_all(voxels)?;
        stream.finish()?.flush()
    };
    compress().map_err(|source| WriteError::Io {
        path: path.into(),
        source,
    })
}

fn compress_mask(writer: impl Write, mask: &Mask, placement: Option<&Placement>) -> io::Result<()> {
    let mut stream = compressor(writer);
    stream.write_all(&header(mask.grid(), DataType::U8, 0, DESCRIPTION, placement))?;
    let mut at = 0;
    for run in mask.runs() {
        repeat(&mut stream, &[0; CHUNK], run.start - at)?;
        repeat(&mut stream, &[1; CHUNK], run.len())?;
        at = run.end;
    }
    repeat(&mut stream, &[0; CHUNK], mask.grid().len() as u64 - at)?;
    stream.finish()?.flush()
}

fn repeat(stream: &mut impl Write, bytes: &[u8; CHUNK], mut count: u64) -> io::Result<()> {
    while count > 0 {
        let piece = count.min(CHUNK as u64);
        stream.write_all(&bytes[..piece as usize])?;
        count -= piece;
    }
    Ok(())
}

pub(super) fn compressor<W: Write>(writer: W) -> flate2::write::GzEncoder<W> {
    // 255 is "unknown system": the same bytes on every machine.
    GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(writer, Compression::new(LEVEL))
}

fn header(grid: &Grid, datatype: DataType, intent: i32, description: &str, placement: Option<&Placement>) -> Vec<u8> {
    let placement = placement.map_or_else(|| Placement::of(grid), |given| given.tidy(grid));
    let new = NewHeader {
        shape: grid.shape(),
        datatype,
        intent,
        slope: 1.0,
        inter: 0.0,
        description,
        placement: &placement,
    };
    new.bytes()
}

fn to_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
    let io_error = |source| WriteError::Io {
        path: path.into(),
        source,
    };
    let mut file = BufWriter::new(File::create(path).map_err(io_error)?);
    write(&mut file).map_err(io_error)
}
