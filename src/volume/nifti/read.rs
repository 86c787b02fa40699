//! Reading images and label maps.
//!
//! Files come from anywhere, so nothing is allocated on a header's word alone: the promise is held against a limit and
//! against what the file could hold at all, and voxels are decoded as they arrive.

use std::io;

use super::datatype::decode;
use super::source::{Layout, Source};
use crate::volume::{Input, LabelMap, ReadError, ReadLimits, Volume};

/// Bytes decoded at a time; a multiple of every data type's size.
const CHUNK: usize = 256 << 10;

/// [`crate::volume::read_within`] for NIfTI.
pub fn read(input: &Input, limits: &ReadLimits) -> Result<Volume, ReadError> {
    Source::open(input, limits)?.image()
}

/// [`crate::volume::read_labels_within`] for NIfTI.
pub fn read_labels(input: &Input, limits: &ReadLimits) -> Result<LabelMap, ReadError> {
    Source::open(input, limits)?.label_map()
}

/// An image whose file is in memory: `start` is the file, or the `.hdr` of a pair whose `.img` is `voxels`. For fuzzing, and for
/// files that lie in no file system.
pub fn read_bytes(
    start: Vec<u8>,
    voxels: Option<Vec<u8>>,
    choice: Option<&str>,
    limits: &ReadLimits,
) -> Result<Volume, ReadError> {
    Source::of_bytes(start, voxels, choice, limits)?.image()
}

/// As [`read_bytes`], for a mask or label map.
pub fn read_labels_bytes(
    start: Vec<u8>,
    voxels: Option<Vec<u8>>,
    choice: Option<&str>,
    limits: &ReadLimits,
) -> Result<LabelMap, ReadError> {
    Source::of_bytes(start, voxels, choice, limits)?.label_map()
}

impl Source {
    fn image(mut self) -> Result<Volume, ReadError> {
        let (grid, layout) = self.layout()?;
        let total = grid.len();
        let mut voxels: Vec<f32> = self.room(total)?;
        let mut broken = 0_u64;
        self.voxels(&layout, &mut |values| {
            voxels.extend(values.iter().map(|&value| value as f32));
            broken += voxels[voxels.len() - values.len()..]
                .iter()
                .filter(|voxel| !voxel.is_finite())
                .count() as u64;
            Ok(())
        })?;
        if broken > 0 {
            return Err(ReadError::NotFinite {
                path: self.path(),
                count: broken,
                total: total as u64,
            });
        }
        Ok(Volume::new(grid, voxels, None).with_placement(self.header.placement))
    }

    fn label_map(mut self) -> Result<LabelMap, ReadError> {
        let (grid, layout) = self.layout()?;
        let mut labels: Vec<u32> = self.room(grid.len())?;
        let path = self.path();
        self.voxels(&layout, &mut |values| {
            for &value in values {
                // Nearly always it is one already, and rounding is a call where the target has no SSE4.
                if f64::from(value as u32) == value {
                    labels.push(value as u32);
                    continue;
                }
                let label = value.round();
                // A scl_slope that is not exact in float32 leaves a label a little off.
                if !(0.0..=f64::from(u32::MAX)).contains(&label) || (value - label).abs() > 1e-3 {
                    return Err(ReadError::NotLabels {
                        path: path.clone(),
                        voxel: grid.voxel(labels.len()),
                        value,
                    });
                }
                labels.push(label as u32);
            }
            Ok(())
        })?;
        Ok(LabelMap::new(grid, labels).with_placement(self.header.placement))
    }

    /// Room for every voxel. The system gives memory as it is written to, so a stream that ends early costs little.
    fn room<T>(&self, total: usize) -> Result<Vec<T>, ReadError> {
        let mut room = Vec::new();
        room.try_reserve_exact(total).map_err(|_| {
            let source = io::Error::new(io::ErrorKind::OutOfMemory, format!("no memory for {total} voxels"));
            ReadError::Io {
                path: self.path(),
                source,
            }
        })?;
        Ok(room)
    }

    /// Decodes the voxels, scaled, and hands them on in pieces.
    fn voxels(
        &mut self,
        layout: &Layout,
        sink: &mut dyn FnMut(&[f64]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let skip = layout.offset - self.passed;
        let skipped = self.stream.skip(skip)?;
        let mut left = layout.bytes();
        let mut chunk = vec![0; CHUNK];
        let mut values = Vec::with_capacity(CHUNK);
        while left > 0 && skipped == skip {
            let wanted = left.min(CHUNK as u64) as usize;
            let got = self.stream.fill(&mut chunk[..wanted])?;
            if got < wanted {
                left -= got as u64;
                break;
            }
            values.clear();
            decode(&chunk[..wanted], layout.datatype, self.header.big_endian, &mut values);
            if (layout.slope, layout.inter) != (1.0, 0.0) {
                values
                    .iter_mut()
                    .for_each(|value| *value = *value * layout.slope + layout.inter);
            }
            sink(&values)?;
            left -= wanted as u64;
        }
        if left > 0 {
            let needed = format!(
                "the header promises {} voxels, whose last {left} bytes are missing",
                layout.total
            );
            return Err(self.stream.unless_changed(ReadError::Truncated {
                path: self.stream.path().to_path_buf(),
                needed,
            }));
        }
        self.stream.check_end(layout.after, layout.bytes())
    }
}
