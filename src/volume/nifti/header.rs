//! The first bytes of a file: NIfTI-1's 348 and NIfTI-2's 540.
//!
//! NIfTI-2 has the same fields with wider numbers in another order (<https://nifti.nimh.nih.gov/nifti-2>), so both become one
//! [`Header`].

use super::datatype::DataType;
use super::placement::{Exactness, Placement};
use crate::volume::dicom::is_headless;

/// Bytes of the longest header.
pub(super) const LONGEST: usize = 540;
/// Bytes that say which header it is: its own length, in either byte order.
pub(super) const SIZE_FIELD: usize = 4;
/// What follows `n+2` and `ni2`: bytes that do not survive a copy which converts the ends of lines.
const LINE_ENDS: &[u8; 4] = b"\r\n\x1a\n";

/// Which NIfTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    /// What the first four bytes of a header say, and whether it is big-endian.
    pub fn told(size: &[u8; SIZE_FIELD]) -> Option<(Version, bool)> {
        match (i32::from_le_bytes(*size), i32::from_be_bytes(*size)) {
            (348, _) => Some((Version::One, false)),
            (_, 348) => Some((Version::One, true)),
            (540, _) => Some((Version::Two, false)),
            (_, 540) => Some((Version::Two, true)),
            _ => None,
        }
    }

    /// Bytes of the header.
    pub fn length(self) -> usize {
        match self {
            Version::One => 348,
            Version::Two => 540,
        }
    }

    /// Where voxels begin in a single file without extensions: after the header and four bytes that say "no extensions".
    pub fn data_offset(self) -> usize {
        self.length() + 4
    }

    /// Where each field lies.
    fn fields(self) -> Places {
        match self {
            Version::One => Places {
                dim: 40,
                intent: 68,
                datatype: 70,
                bitpix: 72,
                pixdim: 76,
                vox_offset: 108,
                slope: 112,
                units: 123,
                descrip: 148,
                codes: 252,
                quatern: 256,
            },
            Version::Two => Places {
                dim: 16,
                intent: 504,
                datatype: 12,
                bitpix: 14,
                pixdim: 104,
                vox_offset: 168,
                slope: 176,
                units: 500,
                descrip: 240,
                codes: 344,
                quatern: 352,
            },
        }
    }
}

/// Where fields begin. `scl_inter` follows `scl_slope`, the qform's code stands before the sform's, and after `quatern` come
/// the offsets and the sform's rows.
struct Places {
    dim: usize,
    intent: usize,
    datatype: usize,
    bitpix: usize,
    pixdim: usize,
    vox_offset: usize,
    slope: usize,
    units: usize,
    descrip: usize,
    codes: usize,
    quatern: usize,
}

/// The fields that this program reads.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub version: Version,
    /// Whether the voxels lie in another file, the `.img` of the pair.
    pub paired: bool,
    pub big_endian: bool,
    pub dim: [i64; 8],
    /// What the numbers are: 1002 where they are labels.
    pub intent: i32,
    pub datatype: i16,
    pub vox_offset: f64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub placement: Placement,
}

/// Why bytes are no NIfTI header: what they look like instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stranger(pub &'static str);

impl Header {
    /// Reads a header of either version and byte order, told by `sizeof_hdr`. The bytes may go on after it.
    pub fn parse(bytes: &[u8]) -> Result<Header, Stranger> {
        let strange = Stranger("its first bytes are none of NIfTI's");
        let size = bytes.first_chunk().ok_or(strange)?;
        let (version, big_endian) = Version::told(size).ok_or(match is_headless(bytes) {
            true => Stranger(
                "it begins as a DICOM data set does, without the preamble and meta information of a file; write it anew, for example with dcmconv",
            ),
            false => strange,
        })?;
        let bytes = bytes
            .get(..version.length())
            .ok_or(Stranger("it is too short for a header"))?;
        let paired = match version {
            Version::One => match &bytes[344..348] {
                b"n+1\0" => false,
                b"ni1\0" => true,
                _ => {
                    return Err(Stranger(
                        "it has the header of ANALYZE 7.5, without NIfTI's magic; save it as NIfTI-1",
                    ));
                }
            },
            Version::Two => {
                let paired = match &bytes[4..8] {
                    b"n+2\0" => false,
                    b"ni2\0" => true,
                    _ => return Err(Stranger("it is as long as NIfTI-2's header, without its magic")),
                };
                // nibabel lets zeros pass, which are what forgetful writers leave.
                if &bytes[8..12] != LINE_ENDS && bytes[8..12] != [0; 4] {
                    return Err(Stranger(
                        "it is NIfTI-2 whose line ends were converted, as a copy in text mode does; copy it in binary mode",
                    ));
                }
                paired
            }
        };
        let at = version.fields();
        let fields = Fields { bytes, big_endian };
        let placed = |qform_code, sform_code, numbers: [f64; 18], units, exactness| Placement {
            qform_code,
            sform_code,
            pixdim: std::array::from_fn(|n| fields.real(version, at.pixdim, n)),
            quatern: [numbers[0], numbers[1], numbers[2]],
            qoffset: [numbers[3], numbers[4], numbers[5]],
            srow: [0, 1, 2].map(|row| [0, 1, 2, 3].map(|column| numbers[6 + 4 * row + column])),
            xyzt_units: units,
            exactness,
        };
        let numbers = std::array::from_fn(|n| fields.real(version, at.quatern, n));
        let (dim, intent, vox_offset, placement) = match version {
            Version::One => (
                std::array::from_fn(|n| i64::from(fields.i16(at.dim + 2 * n))),
                i32::from(fields.i16(at.intent)),
                f64::from(fields.f32(at.vox_offset)),
                placed(
                    i32::from(fields.i16(at.codes)),
                    i32::from(fields.i16(at.codes + 2)),
                    numbers,
                    bytes[at.units],
                    Exactness::Single,
                ),
            ),
            Version::Two => (
                std::array::from_fn(|n| fields.i64(at.dim + 8 * n)),
                fields.i32(at.intent),
                // Beyond 2^53 it is rounded, and far beyond any file.
                fields.i64(at.vox_offset) as f64,
                placed(
                    fields.i32(at.codes),
                    fields.i32(at.codes + 4),
                    numbers,
                    fields.i32(at.units) as u8,
                    Exactness::Double,
                ),
            ),
        };
        Ok(Header {
            version,
            paired,
            big_endian,
            dim,
            intent,
            datatype: fields.i16(at.datatype),
            vox_offset,
            scl_slope: fields.real(version, at.slope, 0),
            scl_inter: fields.real(version, at.slope, 1),
            placement,
        })
    }
}

/// What the header of a new file says: one volume, little-endian, in one file.
#[derive(Debug)]
pub(super) struct NewHeader<'a> {
    pub shape: [usize; 3],
    pub datatype: DataType,
    pub intent: i32,
    pub slope: f64,
    pub inter: f64,
    pub description: &'a str,
    pub placement: &'a Placement,
}

impl NewHeader<'_> {
    /// The bytes up to the first voxel: of NIfTI-1, or of NIfTI-2 where an axis is longer than NIfTI-1 can say.
    pub fn bytes(&self) -> Vec<u8> {
        let version = match self.shape.iter().all(|&length| length <= i16::MAX as usize) {
            true => Version::One,
            false => Version::Two,
        };
        let at = version.fields();
        let placement = self.placement;
        let mut new = Writer {
            bytes: vec![0; version.data_offset()],
            version,
        };
        new.put(0, &(version.length() as i32).to_le_bytes());
        match version {
            Version::One => {
                new.put(38, b"r"); // "regular", which SPM and ANALYZE-era readers look for
                new.put(344, b"n+1\0");
            }
            Version::Two => {
                new.put(4, b"n+2\0");
                new.put(8, LINE_ENDS);
            }
        }
        let dim = self.shape.map(|length| length as i64);
        new.integers(at.dim, &[3, dim[0], dim[1], dim[2], 1, 1, 1, 1]);
        new.put(at.datatype, &self.datatype.code().to_le_bytes());
        new.put(at.bitpix, &(8 * self.datatype.size() as i16).to_le_bytes());
        // Beyond the third axis the input's figures (a TR, say) do not describe this file.
        let pixdim = std::array::from_fn::<f64, 8, _>(|n| if n < 4 { placement.pixdim[n] } else { 1.0 });
        new.reals(at.pixdim, &pixdim);
        new.reals(at.slope, &[self.slope, self.inter]);
        let words = self.description.as_bytes();
        new.put(at.descrip, &words[..words.len().min(79)]);
        let (qform, sform) = (placement.qform_code, placement.sform_code);
        match version {
            Version::One => {
                new.put(at.intent, &(self.intent as i16).to_le_bytes());
                new.reals(at.vox_offset, &[version.data_offset() as f64]);
                new.put(at.units, &[placement.xyzt_units]);
                new.put(at.codes, &(qform as i16).to_le_bytes());
                new.put(at.codes + 2, &(sform as i16).to_le_bytes());
            }
            Version::Two => {
                new.put(at.intent, &self.intent.to_le_bytes());
                new.integers(at.vox_offset, &[version.data_offset() as i64]);
                new.put(at.units, &i32::from(placement.xyzt_units).to_le_bytes());
                new.put(at.codes, &qform.to_le_bytes());
                new.put(at.codes + 4, &sform.to_le_bytes());
            }
        }
        let rows = placement.srow.iter().flatten();
        let numbers: Vec<f64> = placement
            .quatern
            .iter()
            .chain(&placement.qoffset)
            .chain(rows)
            .copied()
            .collect();
        new.reals(at.quatern, &numbers);
        new.bytes
    }
}

struct Writer {
    bytes: Vec<u8>,
    version: Version,
}

impl Writer {
    fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn integers(&mut self, at: usize, values: &[i64]) {
        for (n, value) in values.iter().enumerate() {
            match self.version {
                Version::One => self.put(at + 2 * n, &(*value as i16).to_le_bytes()),
                Version::Two => self.put(at + 8 * n, &value.to_le_bytes()),
            }
        }
    }

    fn reals(&mut self, at: usize, values: &[f64]) {
        for (n, value) in values.iter().enumerate() {
            match self.version {
                Version::One => self.put(at + 4 * n, &(*value as f32).to_le_bytes()),
                Version::Two => self.put(at + 8 * n, &value.to_le_bytes()),
            }
        }
    }
}

/// Numbers in a header of either byte order.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    fn word<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut word = [0; N];
        word.copy_from_slice(&self.bytes[at..at + N]);
        if self.big_endian {
            word.reverse();
        }
        word
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.word(at))
    }

    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.word(at))
    }

    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.word(at))
    }

    fn f32(&self, at: usize) -> f32 {
        f32::from_le_bytes(self.word(at))
    }

    /// The `n`th of the real numbers that begin at `at`.
    fn real(&self, version: Version, at: usize, n: usize) -> f64 {
        match version {
            Version::One => f64::from(self.f32(at + 4 * n)),
            Version::Two => f64::from_le_bytes(self.word(at + 8 * n)),
        }
    }
}
