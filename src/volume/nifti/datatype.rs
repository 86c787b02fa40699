//! What a voxel may be.

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
            other => return Err(format!("number {other}, which NIfTI does not define,")),
        })
    }

    /// What a header calls it.
    pub fn code(self) -> i16 {
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

/// Numbers of the file as f64, which holds every type's exactly but for the largest 64-bit integers.
pub(super) fn decode(bytes: &[u8], datatype: DataType, big_endian: bool, values: &mut Vec<f64>) {
    macro_rules! numbers {
        ($number:ty) => {{
            let words = bytes.as_chunks::<{ size_of::<$number>() }>().0;
            if big_endian {
                values.extend(words.iter().map(|&word| <$number>::from_be_bytes(word) as f64));
            } else {
                values.extend(words.iter().map(|&word| <$number>::from_le_bytes(word) as f64));
            }
        }};
    }
    match datatype {
        DataType::U8 => numbers!(u8),
        DataType::I8 => numbers!(i8),
        DataType::U16 => numbers!(u16),
        DataType::I16 => numbers!(i16),
        DataType::U32 => numbers!(u32),
        DataType::I32 => numbers!(i32),
        DataType::U64 => numbers!(u64),
        DataType::I64 => numbers!(i64),
        DataType::F32 => numbers!(f32),
        DataType::F64 => numbers!(f64),
    }
}
