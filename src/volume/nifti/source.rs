//! An open file whose header has been read: what it says, checked.

use std::path::{Path, PathBuf};

use super::datatype::DataType;
use super::header::{Header, LONGEST, Stranger, Version};
use super::placement::Nonsense;
use super::stream::Stream;
use crate::volume::{Grid, Input, ReadError, ReadLimits, pair_names};

/// Millimetres between voxels that some image could have.
const SPACING_MM: std::ops::RangeInclusive<f64> = 1e-3..=100.0;
/// Millimetres along an axis that no body has, nor any table that it lies on.
const MOST_EXTENT_MM: f64 = 10_000.0;
/// Bytes of extensions before the voxels that some program may have written.
const MOST_EXTENSIONS: u64 = 64 << 20;

/// A file whose header has been read.
pub(super) struct Source {
    pub header: Header,
    /// Where the voxels are: the same file, or the `.img` of the pair.
    pub stream: Stream,
    /// Bytes of it that have been read.
    pub passed: u64,
    /// The file as it was named.
    named: PathBuf,
    choice: Option<String>,
    limits: ReadLimits,
}

/// How the voxels lie in the file and what their numbers mean.
pub(super) struct Layout {
    pub total: usize,
    pub datatype: DataType,
    pub slope: f64,
    pub inter: f64,
    /// Bytes from the start of the file to the first voxel.
    pub offset: u64,
    /// Bytes of volumes after this one.
    pub after: u64,
}

impl Layout {
    /// Bytes of the volume.
    pub fn bytes(&self) -> u64 {
        (self.total * self.datatype.size()) as u64
    }
}

/// What the start of a file turned out to be.
struct Start {
    header: Header,
    stream: Stream,
}

impl Start {
    /// Reads a header. What is none is an error, unless `else_voxels`: then it is `None`.
    fn read(mut stream: Stream, else_voxels: bool) -> Result<Option<Start>, ReadError> {
        let path = stream.path().to_path_buf();
        let mut bytes = [0; LONGEST];
        let shortest = Version::One.length();
        let mut got = stream.fill(&mut bytes[..shortest])?;
        if got == 0 {
            return Err(ReadError::Empty { path });
        }
        if &bytes[128..132] == b"DICM" {
            return Err(ReadError::Dicom { path });
        }
        let told = bytes.first_chunk().and_then(Version::told).filter(|_| got >= 4);
        let needed = told.map_or(shortest, |(version, _)| version.length());
        if got == shortest {
            got += stream.fill(&mut bytes[shortest..needed])?;
        }
        if got < needed {
            let words = format!("{got} bytes where a header has {needed}");
            return match (else_voxels, told) {
                (true, _) => Ok(None),
                (false, Some(_)) => Err(ReadError::Truncated { path, needed: words }),
                (false, None) => Err(ReadError::NotNifti {
                    path,
                    found: "it is too short for a header",
                }),
            };
        }
        match Header::parse(&bytes[..needed]) {
            Ok(header) => Ok(Some(Start { header, stream })),
            Err(_) if else_voxels => Ok(None),
            Err(Stranger(found)) => Err(ReadError::NotNifti { path, found }),
        }
    }
}

impl Source {
    /// Opens a file, and with a pair the other one, whichever of the two was named.
    pub fn open(input: &Input, limits: &ReadLimits) -> Result<Source, ReadError> {
        let path = &input.path;
        let names = pair_names(path);
        let missing = || ReadError::HalfMissing {
            path: path.clone(),
            other: names.as_ref().map_or_else(|| path.clone(), |[name, _]| name.clone()),
        };
        let source = |Start { header, stream }: Start, passed| Source {
            header,
            stream,
            passed,
            named: path.clone(),
            choice: input.choice.clone(),
            limits: *limits,
        };
        // An .img has no header of its own, unless it is a single file with an odd name.
        let stream = Stream::open(path, limits)?;
        let is_image = is_named_image(path);
        match (Start::read(stream, is_image)?, &input.other) {
            (Some(start), _) if !start.header.paired => {
                let passed = start.header.version.length() as u64;
                Ok(source(start, passed))
            }
            (Some(start), Some(other)) if !is_image => {
                let stream = voxels(Stream::open(other, limits), missing)?;
                Ok(source(Start { stream, ..start }, 0))
            }
            (None, Some(other)) => {
                let header = voxels(Stream::open(other, limits), missing)?;
                match Start::read(header, false)? {
                    Some(start) if start.header.paired => {
                        let stream = Stream::open(path, limits)?;
                        Ok(source(Start { stream, ..start }, 0))
                    }
                    _ => Err(ReadError::NotNifti {
                        path: other.clone(),
                        found: "it is a file of its own, and no .hdr of a pair",
                    }),
                }
            }
            (Some(_), None) if names.is_none() => Err(ReadError::NotNifti {
                path: path.clone(),
                found: "it is the header of a .hdr/.img pair; name the two files NAME.hdr and NAME.img, side by side",
            }),
            _ => Err(missing()),
        }
    }

    /// The same for a file that is in memory; see [`super::read_bytes`].
    pub fn of_bytes(
        start: Vec<u8>,
        voxels: Option<Vec<u8>>,
        choice: Option<&str>,
        limits: &ReadLimits,
    ) -> Result<Source, ReadError> {
        let path = Path::new("image.nii");
        let stream = Stream::of_bytes(path, start, limits)?;
        let missing = || ReadError::HalfMissing {
            path: path.into(),
            other: "image.img".into(),
        };
        let Start { header, stream } = Start::read(stream, false)?.ok_or_else(missing)?;
        let (stream, passed) = match header.paired {
            false => (stream, header.version.length() as u64),
            true => (Stream::of_bytes(path, voxels.ok_or_else(missing)?, limits)?, 0),
        };
        Ok(Source {
            header,
            stream,
            passed,
            named: path.into(),
            choice: choice.map(str::to_owned),
            limits: *limits,
        })
    }

    /// The file as it was named: what is wrong with a header is wrong with both files of a pair.
    pub fn path(&self) -> PathBuf {
        self.named.clone()
    }

    /// The grid that the header describes, if it is one that this program takes.
    pub fn grid(&self) -> Result<Grid, ReadError> {
        let path = || self.path();
        let (shape, ..) = self.shape()?;
        let promised = shape
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length as u64));
        let promised = promised.unwrap_or(u64::MAX);
        if promised > self.limits.voxels {
            return Err(ReadError::TooLarge {
                path: path(),
                promised,
                limit: self.limits.voxels,
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
        // What float32 can't hold, no NIfTI-1 mask could lie on.
        if affine.iter().any(|value| !(*value as f32).is_finite()) {
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
        let extent = [0, 1, 2].map(|axis| spacing[axis] * shape[axis] as f64);
        if extent.iter().any(|length| *length > MOST_EXTENT_MM) {
            return Err(ReadError::Extent { path: path(), extent });
        }
        Ok(grid)
    }

    /// The lengths of a volume's axes, how many volumes there are, and which of them is meant.
    fn shape(&self) -> Result<([usize; 3], u64, u64), ReadError> {
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
        let volumes = dim[4..=dimensions.max(3)]
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length as u64))
            .ok_or_else(|| ReadError::BadHeader {
                path: path(),
                field: "dim",
                value: format!("{dim:?}, more volumes than can be counted"),
            })?;
        let shape = [1, 2, 3].map(|axis| dim[axis] as usize);
        let Some(choice) = &self.choice else {
            let lengths = || dim[1..=dimensions].iter().map(i64::to_string).collect::<Vec<_>>();
            return match volumes {
                1 => Ok((shape, 1, 0)),
                _ => Err(ReadError::ManyVolumes {
                    path: path(),
                    volumes,
                    shape: lengths().join(" x "),
                }),
            };
        };
        let digits = !choice.is_empty() && choice.bytes().all(|byte| byte.is_ascii_digit());
        let chosen = choice.parse().ok().filter(|chosen| digits && *chosen < volumes);
        match chosen {
            Some(chosen) => Ok((shape, volumes, chosen)),
            None => Err(ReadError::NoSuchVolume {
                path: path(),
                choice: choice.clone(),
                volumes,
            }),
        }
    }

    /// Everything that the header says, checked, and held against the size of the file.
    pub fn layout(&self) -> Result<(Grid, Layout), ReadError> {
        let grid = self.grid()?;
        let (_, volumes, chosen) = self.shape()?;
        let total = grid.len();
        let datatype = DataType::from_code(self.header.datatype).map_err(|datatype| ReadError::DataType {
            path: self.path(),
            datatype,
        })?;
        let (slope, inter) = self.scaling()?;
        let first = self.data_offset()?;
        let too_large = || ReadError::TooLarge {
            path: self.path(),
            promised: u64::MAX,
            limit: self.limits.voxels,
        };
        let bytes = (total as u64)
            .checked_mul(datatype.size() as u64)
            .ok_or_else(too_large)?;
        let end = |count: u64| Some(bytes.checked_mul(count)?.saturating_add(first));
        let offset = end(chosen).ok_or_else(too_large)?;
        let whole = end(volumes).ok_or_else(too_large)?;
        self.stream.check_length(whole, offset.saturating_add(bytes))?;
        if first > self.header.version.data_offset() as u64 + MOST_EXTENSIONS {
            return Err(ReadError::BadHeader {
                path: self.path(),
                field: "vox_offset",
                value: format!("{first}, more than {MOST_EXTENSIONS} bytes beyond the header"),
            });
        }
        Ok((
            grid,
            Layout {
                total,
                datatype,
                slope,
                inter,
                offset,
                after: bytes * (volumes - chosen - 1),
            },
        ))
    }

    /// `scl_slope` and `scl_inter` as nibabel takes them: a slope of 0 or NaN means that there is no scaling.
    fn scaling(&self) -> Result<(f64, f64), ReadError> {
        let (slope, inter) = (self.header.scl_slope, self.header.scl_inter);
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
        let least = match self.header.paired {
            true => 0,
            false => self.header.version.data_offset() as u64,
        };
        // 0 is what careless writers leave in a single file; there are no voxels inside a header, so it can only mean the default.
        if offset == 0.0 {
            return Ok(least);
        }
        if !(least as f64..=1e15).contains(&offset) || offset.fract() != 0.0 {
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

/// The other file of a pair, or the error that it is not there.
fn voxels(stream: Result<Stream, ReadError>, missing: impl Fn() -> ReadError) -> Result<Stream, ReadError> {
    match stream {
        Err(ReadError::NotFound { .. }) => Err(missing()),
        stream => stream,
    }
}

/// Whether a file is called `.img` or `.img.gz`.
fn is_named_image(path: &Path) -> bool {
    let is = |path: &Path, name: &str| {
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case(name))
    };
    match is(path, "gz") {
        true => is(&path.with_extension(""), "img"),
        false => is(path, "img"),
    }
}
