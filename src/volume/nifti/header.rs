//! The 348 bytes at the start of a NIfTI-1 file.

use super::placement::Placement;

/// Bytes of a NIfTI-1 header.
pub(super) const HEADER_LEN: usize = 348;
/// Where voxels begin in a single file without extensions: the header and four bytes that say "no extensions".
pub(super) const DATA_OFFSET: usize = 352;

/// The fields that this program reads.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub big_endian: bool,
    pub dim: [i16; 8],
    /// What the numbers are: 1002 where they are labels.
    pub intent: i16,
    pub datatype: i16,
    pub vox_offset: f32,
    pub scl_slope: f32,
    pub scl_inter: f32,
    pub placement: Placement,
}

/// Why 348 bytes are no header of a single NIfTI-1 file: what they look like instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stranger(pub &'static str);

impl Header {
    /// Reads a header of either byte order, told by `sizeof_hdr` and `dim[0]` as nibabel does.
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Header, Stranger> {
        let size = |big| Fields { bytes, big_endian: big }.i32(0);
        let big_endian = match (size(false), size(true)) {
            (348, _) => false,
            (_, 348) => true,
            (540, _) | (_, 540) => {
                return Err(Stranger(
                    "it is NIfTI-2; save it as NIfTI-1, for example with nibabel's Nifti1Image",
                ));
            }
            _ => return Err(Stranger("its first bytes are none of NIfTI's")),
        };
        match &bytes[344..348] {
            b"n+1\0" => {}
            b"ni1\0" => {
                return Err(Stranger(
                    "it is the .hdr of a .hdr/.img pair; save the pair as one .nii file",
                ));
            }
            _ => {
                return Err(Stranger(
                    "it has the header of ANALYZE 7.5, without NIfTI's magic; save it as NIfTI-1",
                ));
            }
        }
        let fields = Fields { bytes, big_endian };
        Ok(Header {
            big_endian,
            dim: fields.array(40, Fields::i16),
            intent: fields.i16(68),
            datatype: fields.i16(70),
            vox_offset: fields.f32(108),
            scl_slope: fields.f32(112),
            scl_inter: fields.f32(116),
            placement: Placement {
                qform_code: fields.i16(252),
                sform_code: fields.i16(254),
                pixdim: fields.array(76, Fields::f32),
                quatern: fields.array(256, Fields::f32),
                qoffset: fields.array(268, Fields::f32),
                srow: [280, 296, 312].map(|at| fields.array(at, Fields::f32)),
                xyzt_units: bytes[123],
            },
        })
    }

    /// The header of a new file, little-endian: one volume of `dim` voxels that start at byte 352.
    pub fn write(dim: [i16; 3], datatype: DataType, intent: i16, placement: &Placement) -> [u8; DATA_OFFSET] {
        let mut bytes = [0; DATA_OFFSET];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &348_i32.to_le_bytes());
        put(38, b"r"); // "regular", which SPM and ANALYZE-era readers look for
        for (n, length) in [3, dim[0], dim[1], dim[2], 1, 1, 1, 1].into_iter().enumerate() {
            put(40 + 2 * n, &length.to_le_bytes());
        }
        put(68, &intent.to_le_bytes());
        put(70, &datatype.code().to_le_bytes());
        put(72, &(8 * datatype.size() as i16).to_le_bytes());
        for (n, value) in placement.pixdim.iter().enumerate() {
            // Beyond the third axis the input's figures (a TR, say) do not describe this file.
            put(76 + 4 * n, &if n < 4 { *value } else { 1.0 }.to_le_bytes());
        }
        put(108, &(DATA_OFFSET as f32).to_le_bytes());
        put(112, &1_f32.to_le_bytes());
        put(123, &[placement.xyzt_units]);
        put(148, b"sat-mcp");
        put(252, &placement.qform_code.to_le_bytes());
        put(254, &placement.sform_code.to_le_bytes());
        let numbers = placement
            .quatern
            .iter()
            .chain(&placement.qoffset)
            .chain(placement.srow.iter().flatten());
        for (n, value) in numbers.enumerate() {
            put(256 + 4 * n, &value.to_le_bytes());
        }
        put(344, b"n+1\0");
        bytes
    }
}

/// Numbers in a header of either byte order.
struct Fields<'a> {
    bytes: &'a [u8; HEADER_LEN],
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

    fn f32(&self, at: usize) -> f32 {
        f32::from_le_bytes(self.word(at))
    }

    fn array<T, const N: usize>(&self, at: usize, read: impl Fn(&Self, usize) -> T) -> [T; N] {
        std::array::from_fn(|n| read(self, at + n * size_of::<T>()))
    }
}

/// The data types that hold one real number a voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DataType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl DataType {
    /// The type of a header's `datatype`, or the name of one that is not supported.
    pub fn from_code(code: i16) -> Result<DataType, String> {
        Ok(match code {
            2 => DataType::U8,
            4 => DataType::I16,
            8 => DataType::I32,
            16 => DataType::F32,
            64 => DataType::F64,
            256 => DataType::I8,
            512 => DataType::U16,
            768 => DataType::U32,
            1024 => DataType::I64,
            1280 => DataType::U64,
            1 => return Err("binary (1 bit)".into()),
            32 => return Err("complex64".into()),
            128 => return Err("RGB24 (a colour picture)".into()),
            1536 => return Err("float128".into()),
            1792 => return Err("complex128".into()),
            2048 => return Err("complex256".into()),
            2304 => return Err("RGBA32 (a colour picture)".into()),
            other => return Err(format!("number {other}, which NIfTI-1 does not define,")),
        })
    }

    fn code(self) -> i16 {
        match self {
            DataType::U8 => 2,
            DataType::I16 => 4,
            DataType::I32 => 8,
            DataType::F32 => 16,
            DataType::F64 => 64,
            DataType::I8 => 256,
            DataType::U16 => 512,
            DataType::U32 => 768,
            DataType::I64 => 1024,
            DataType::U64 => 1280,
        }
    }

    /// Bytes a voxel.
    pub fn size(self) -> usize {
        match self {
            DataType::U8 | DataType::I8 => 1,
            DataType::U16 | DataType::I16 => 2,
            DataType::U32 | DataType::I32 | DataType::F32 => 4,
            DataType::U64 | DataType::I64 | DataType::F64 => 8,
        }
    }
}
