//! Some slices of a file, as a file of its own that lies where they do.
//!
//! For readers who cannot take a whole mask at once: what is asked for is copied as it stands, without being decoded.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use super::datatype::DataType;
use super::header::{Header, NewHeader};
use super::placement::in_use;
use super::source::Source;
use super::write::compressor;
use crate::volume::{Grid, Input, Placement, ReadError, ReadLimits};

/// What is copied piece by piece may be as large as it likes.
const COPIED: ReadLimits = ReadLimits {
    voxels: u64::MAX,
    unpacked_bytes: u64::MAX,
};
/// Bytes copied at a time; a multiple of every data type's size.
const CHUNK: usize = 64 << 10;

/// How many slices a NIfTI file has along its third stored axis.
pub fn slices_in(path: &Path) -> Result<usize, ReadError> {
    Ok(Source::open(&Input::at(path), &COPIED)?.grid()?.shape()[2])
}

/// The slices of `path` with these indices along the third stored axis, as the bytes of a `.nii.gz`: same numbers, same data
/// type, and an affine whose first slice is the first of them. `None` where that takes more than `limit` bytes.
///
/// Slices that the file does not have are an error, as in a file that was cut short.
pub fn read_slices(path: &Path, slices: Range<usize>, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let mut source = Source::open(&Input::at(path), &COPIED)?;
    let (grid, layout) = source.layout()?;
    let [columns, rows, _] = grid.shape();
    let slice = (columns * rows * layout.datatype.size()) as u64;
    let shape = [columns, rows, slices.len()];
    let part = grid.cropped([0, 0, slices.start], shape);

    let mut stream = compressor(Vec::new());
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    stream
        .write_all(&header(&source.header, &grid, &part, layout.datatype))
        .map_err(failed)?;
    source
        .stream
        .skip(layout.offset - source.passed + slice * slices.start as u64)?;
    let mut left = slice * slices.len() as u64;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let wanted = left.min(CHUNK as u64) as usize;
        if source.stream.fill(&mut chunk[..wanted])? < wanted {
            return Err(ReadError::Truncated {
                path: path.to_owned(),
                needed: format!("slice {} is not in it", slices.end.saturating_sub(1)),
            });
        }
        if source.header.big_endian {
            chunk.chunks_exact_mut(layout.datatype.size()).for_each(<[u8]>::reverse);
        }
        stream.write_all(&chunk[..wanted]).map_err(failed)?;
        if stream.get_ref().len() as u64 > limit {
            return Ok(None);
        }
        left -= wanted as u64;
    }
    let bytes = stream.finish().map_err(failed)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The header of the file, of `part` of its grid.
fn header(whole: &Header, grid: &Grid, part: &Grid, datatype: DataType) -> Vec<u8> {
    let placement = whole.placement.moved(grid, part).tidy(part);
    let new = NewHeader {
        shape: part.shape(),
        datatype,
        intent: whole.intent,
        slope: whole.scl_slope,
        inter: whole.scl_inter,
        description: "sat-mcp",
        placement: &placement,
    };
    new.bytes()
}

impl Placement {
    /// These fields for `part` of `grid`, cut out along the axes.
    fn moved(&self, grid: &Grid, part: &Grid) -> Placement {
        if !in_use(self.sform_code) && !in_use(self.qform_code) {
            // Where no affine is in use, readers centre the image, and a part has another centre.
            return Placement::of(part);
        }
        // Either form moves as far as the grid does in its own axes: by a voxel of the whole.
        let first = grid.to_voxel(part.to_world([0.0; 3])).map(f64::round);
        let mut moved = self.clone();
        for (row, origin) in moved.srow.iter_mut().enumerate() {
            let by: f64 = (0..3).map(|axis| self.srow[row][axis] * first[axis]).sum();
            origin[3] = self.srow[row][3] + by;
        }
        if let Ok(qform) = self.qform() {
            for (row, offset) in moved.qoffset.iter_mut().enumerate() {
                let by: f64 = (0..3).map(|axis| qform[(row, axis)] * first[axis]).sum();
                *offset = qform[(row, 3)] + by;
            }
        }
        moved
    }
}
