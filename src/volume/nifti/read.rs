//! Reading images and label maps.
//!
//! Files come from anywhere, so nothing is allocated on a header's word alone: the promise is held against a limit and
//! against what the file could hold at all, and voxels are decoded as they arrive.

use std::io;
use std::path::{Path, PathBuf};

use super::header::{DATA_OFFSET, DataType, HEADER_LEN, Header};
use super::placement::Nonsense;
use super::stream::{Stream, decode};
use crate::volume::{Grid, LabelMap, ReadError, Volume};

/// The most voxels that are read: 4 GiB as floats. A whole body of 512 x 512 x 2000 has half as many.
pub const MAX_VOXELS: u64 = 1 << 30;

/// Bytes decoded at a time; a multiple of every data type's size.
const CHUNK: usize = 256 << 10;
/// Millimetres between voxels that some image could have.
const SPACING_MM: std::ops::RangeInclusive<f64> = 1e-3..=100.0;

/// Reads the image in a NIfTI-1 file (`.nii`, or `.nii.gz`, told apart by what is in it).
///
/// Voxels are intensities after `scl_slope` and `scl_inter`; the affine is the one that nibabel takes.
pub fn read(path: &Path) -> Result<Volume, ReadError> {
    let mut source = Source::open(path)?;
    let (grid, layout) = source.layout()?;
    let total = grid.len();
    let mut voxels: Vec<f32> = source.room(total)?;
    let mut broken = 0_u64;
    source.voxels(&layout, &mut |values| {
        voxels.extend(values.iter().map(|&value| value as f32));
        broken += voxels[voxels.len() - values.len()..]
            .iter()
            .filter(|voxel| !voxel.is_finite())
            .count() as u64;
        Ok(())
    })?;
    if broken > 0 {
        return Err(ReadError::NotFinite {
            path: source.path(),
            count: broken,
            total: total as u64,
        });
    }
    Ok(Volume::new(grid, voxels, None).with_placement(source.header.placement))
}

/// Reads a mask or label map: a NIfTI-1 file of whole numbers from 0, stored as integers or as floats.
pub fn read_labels(path: &Path) -> Result<LabelMap, ReadError> {
    let mut source = Source::open(path)?;
    let (grid, layout) = source.layout()?;
    let mut labels: Vec<u32> = source.room(grid.len())?;
    let path = source.path();
    source.voxels(&layout, &mut |values| {
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
    Ok(LabelMap::new(grid, labels).with_placement(source.header.placement))
}

/// A file whose header has been read and whose next byte follows it.
pub(super) struct Source {
    pub header: Header,
    pub stream: Stream,
}

/// How the voxels lie in the file and what their numbers mean.
pub(super) struct Layout {
    total: usize,
    pub datatype: DataType,
    slope: f64,
    inter: f64,
    /// Bytes from the start of the file to the first voxel.
    pub offset: u64,
}

impl Source {
    pub fn open(path: &Path) -> Result<Source, ReadError> {
        let path = path.to_path_buf();
        let mut stream = Stream::open(&path)?;
        let mut bytes = [0; HEADER_LEN];
        let got = stream.fill(&mut bytes)?;
        if got == 0 {
            return Err(ReadError::Empty { path });
        }
        if &bytes[128..132] == b"DICM" {
            return Err(ReadError::Dicom { path });
        }
        if got < HEADER_LEN {
            let begins_well = bytes[..4] == 348_i32.to_le_bytes() || bytes[..4] == 348_i32.to_be_bytes();
            let needed = format!("{got} bytes where a header has {HEADER_LEN}");
            return Err(match begins_well {
                true => ReadError::Truncated { path, needed },
                false => ReadError::NotNifti {
                    path,
                    found: "it is too short for a header",
                },
            });
        }
        let header = Header::parse(&bytes).map_err(|stranger| ReadError::NotNifti {
            path,
            found: stranger.0,
        })?;
        Ok(Source { header, stream })
    }

    fn path(&self) -> PathBuf {
        self.stream.path().to_path_buf()
    }

    /// The grid that the header describes, if it is one that this program takes.
    pub fn grid(&self) -> Result<Grid, ReadError> {
        let path = || self.path();
        let shape = self.shape()?;
        let promised = shape
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length as u64));
        let promised = promised.unwrap_or(u64::MAX);
        if promised > MAX_VOXELS {
            return Err(ReadError::TooLarge {
                path: path(),
                promised,
                limit: MAX_VOXELS,
            });
        }
        let affine = self
            .header
            .placement
            .affine(shape)
            .map_err(|Nonsense { field, value }| ReadError::BadHeader {
                path: path(),
                field,
                value,
            })?;
        let grid = Grid::new(shape, affine);
        if affine.iter().any(|value| !value.is_finite()) {
            return Err(ReadError::BadHeader {
                path: path(),
                field: "the affine",
                value: "not finite".into(),
            });
        }
        let spacing = grid.spacing();
        // A column of zeros is a singular affine rather than an odd spacing.
        if spacing.contains(&0.0) || grid.voxel_volume() < 1e-6 * spacing.iter().product::<f64>() {
            return Err(ReadError::SingularAffine { path: path() });
        }
        if !spacing.iter().all(|length| SPACING_MM.contains(length)) {
            return Err(ReadError::Spacing { path: path(), spacing });
        }
        Ok(grid)
    }

    fn shape(&self) -> Result<[usize; 3], ReadError> {
        let path = || self.path();
        let dim = self.header.dim;
        let dimensions = match usize::try_from(dim[0]) {
            Ok(dimensions @ 1..=7) => dimensions,
            _ => {
                return Err(ReadError::BadHeader {
                    path: path(),
                    field: "dim[0]",
                    value: dim[0].to_string(),
                });
            }
        };
        if let Some(length) = dim[1..=dimensions].iter().find(|&&length| length < 1) {
            return Err(ReadError::BadHeader {
                path: path(),
                field: "dim",
                value: format!("{dim:?}, with {length}"),
            });
        }
        if dimensions < 3 {
            return Err(ReadError::TooFlat {
                path: path(),
                dimensions,
            });
        }
        let volumes: u64 = dim[4..=dimensions.max(3)].iter().map(|&length| length as u64).product();
        if volumes != 1 {
            let shape = dim[1..=dimensions]
                .iter()
                .map(i16::to_string)
                .collect::<Vec<_>>()
                .join(" x ");
            return Err(ReadError::ManyVolumes {
                path: path(),
                volumes,
                shape,
            });
        }
        Ok([1, 2, 3].map(|axis| dim[axis] as usize))
    }

    /// Everything that the header says, checked, and held against the size of the file.
    pub fn layout(&self) -> Result<(Grid, Layout), ReadError> {
        let grid = self.grid()?;
        let total = grid.len();
        let datatype = DataType::from_code(self.header.datatype).map_err(|datatype| ReadError::DataType {
            path: self.path(),
            datatype,
        })?;
        let (slope, inter) = self.scaling()?;
        let offset = self.data_offset()?;
        self.stream.check_length(offset + (total * datatype.size()) as u64)?;
        Ok((
            grid,
            Layout {
                total,
                datatype,
                slope,
                inter,
                offset,
            },
        ))
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
        let skip = layout.offset - HEADER_LEN as u64;
        let skipped = self.stream.skip(skip)?;
        let mut left = (layout.total * layout.datatype.size()) as u64;
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
            return Err(ReadError::Truncated {
                path: self.path(),
                needed,
            });
        }
        self.stream.check_end()
    }

    /// `scl_slope` and `scl_inter` as nibabel takes them: a slope of 0 or NaN means that there is no scaling.
    fn scaling(&self) -> Result<(f64, f64), ReadError> {
        let (slope, inter) = (f64::from(self.header.scl_slope), f64::from(self.header.scl_inter));
        if slope == 0.0 || !slope.is_finite() {
            return Ok((1.0, 0.0));
        }
        if !inter.is_finite() {
            let value = inter.to_string();
            return Err(ReadError::BadHeader {
                path: self.path(),
                field: "scl_inter",
                value,
            });
        }
        Ok((slope, inter))
    }

    fn data_offset(&self) -> Result<u64, ReadError> {
        let offset = self.header.vox_offset;
        // 0 is what careless writers leave; there are no voxels inside a header, so it can only mean the default.
        if offset == 0.0 {
            return Ok(DATA_OFFSET as u64);
        }
        if !(DATA_OFFSET as f32..=1e15).contains(&offset) || offset.fract() != 0.0 {
            let value = offset.to_string();
            return Err(ReadError::BadHeader {
                path: self.path(),
                field: "vox_offset",
                value,
            });
        }
        Ok(offset as u64)
    }
}
