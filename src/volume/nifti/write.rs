//! Writing masks and label maps.
//!
//! Equal input gives equal bytes: the gzip header carries no time and no name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::header::{DataType, Header};
use super::placement::Placement;
use crate::volume::{Grid, Mask, WriteError};

/// NIfTI's `NIFTI_INTENT_LABEL`: voxels are the numbers of things.
const INTENT_LABEL: i16 = 1002;
/// Where a header has its text, which ends with a zero byte.
const DESCRIPTION: Range<usize> = 148..228;
/// Bytes handed to the compressor at a time.
const CHUNK: usize = 64 << 10;
/// Masks are nearly all zeros: harder work makes them no smaller that is worth the wait.
const LEVEL: u32 = 4;

/// Writes a mask as NIfTI-1 `.nii.gz`: uint8, 0 and 1, on the mask's own grid.
///
/// Give the placement of the image that the mask was made from, and both its sform and its qform (with their codes) are
/// kept; without one both are made from the grid's affine, as scanner coordinates.
pub fn write_mask(path: &Path, mask: &Mask, placement: Option<&Placement>) -> Result<(), WriteError> {
    let dim = lengths(path, mask.grid())?;
    to_file(path, |file| compress_mask(file, mask, dim, placement))
}

/// As [`write_mask`], into anything that takes bytes.
pub fn write_mask_to(writer: impl Write, mask: &Mask, placement: Option<&Placement>) -> Result<(), WriteError> {
    let path = Path::new("mask.nii.gz");
    let dim = lengths(path, mask.grid())?;
    compress_mask(writer, mask, dim, placement).map_err(|source| WriteError::Io {
        path: path.into(),
        source,
    })
}

/// Writes a label map as NIfTI-1 `.nii.gz`: one label a voxel, first stored axis fastest, as uint8 where all fit, else
/// as uint16. Placement as in [`write_mask`].
pub fn write_labels(path: &Path, grid: &Grid, labels: &[u16], placement: Option<&Placement>) -> Result<(), WriteError> {
    let dim = lengths(path, grid)?;
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
        stream.write_all(&header(grid, dim, datatype, INTENT_LABEL, placement))?;
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

/// Writes an image of one byte a voxel, first stored axis fastest, as NIfTI-1 `.nii.gz` placed by the grid's affine. The
/// description, up to 79 bytes of it, goes into `descrip`.
pub fn write_bytes_to(writer: impl Write, grid: &Grid, voxels: &[u8], description: &str) -> Result<(), WriteError> {
    let path = Path::new("image.nii.gz");
    let dim = lengths(path, grid)?;
    if voxels.len() != grid.len() {
        return Err(WriteError::Length {
            path: path.into(),
            given: voxels.len(),
            expected: grid.len(),
        });
    }
    let mut head = header(grid, dim, DataType::U8, 0, None);
    let words = description.len().min(DESCRIPTION.len() - 1);
    head[DESCRIPTION].fill(0);
    head[DESCRIPTION.start..DESCRIPTION.start + words].copy_from_slice(&description.as_bytes()[..words]);
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

fn compress_mask(writer: impl Write, mask: &Mask, dim: [i16; 3], placement: Option<&Placement>) -> io::Result<()> {
    let mut stream = compressor(writer);
    stream.write_all(&header(mask.grid(), dim, DataType::U8, 0, placement))?;
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

fn header(
    grid: &Grid,
    dim: [i16; 3],
    datatype: DataType,
    intent: i16,
    placement: Option<&Placement>,
) -> [u8; super::header::DATA_OFFSET] {
    let placement = placement.map_or_else(|| Placement::of(grid), |given| given.tidy(grid));
    Header::write(dim, datatype, intent, &placement)
}

fn lengths(path: &Path, grid: &Grid) -> Result<[i16; 3], WriteError> {
    let shape = grid.shape();
    let mut dim = [0; 3];
    for (length, &voxels) in dim.iter_mut().zip(&shape) {
        *length = i16::try_from(voxels).map_err(|_| WriteError::TooLong {
            path: path.into(),
            shape,
        })?;
    }
    Ok(dim)
}

fn to_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), WriteError> {
    let io_error = |source| WriteError::Io {
        path: path.into(),
        source,
    };
    let mut file = BufWriter::new(File::create(path).map_err(io_error)?);
    write(&mut file).map_err(io_error)
}
