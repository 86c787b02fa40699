//! The bytes of a file, whether gzip or not, and the numbers in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::header::DataType;
use crate::volume::ReadError;

/// Deflate cannot do better than 1032 : 1, so a file that promises more than that is cut short.
const MAX_DEFLATE_RATIO: u64 = 1032;
/// How far beyond the voxels a gzip stream is followed to its checksum.
const MAX_TRAILING: u64 = 64 << 20;
/// Bytes read from the disk at a time.
const BUFFER: usize = 256 << 10;

/// An open file, read from start to end.
pub(super) struct Stream {
    path: PathBuf,
    len: u64,
    bytes: Bytes,
}

enum Bytes {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Stream {
    /// Opens a file. What is in it decides whether it is gzip, not what it is called: many `.nii` are, and the other way
    /// about.
    pub fn open(path: &Path) -> Result<Stream, ReadError> {
        let path = path.to_path_buf();
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(ReadError::NotFound { path });
            }
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        if metadata.is_dir() {
            return Err(ReadError::Folder { path });
        }
        // A pipe that nobody writes to would be waited for without end.
        if !metadata.is_file() {
            return Err(ReadError::NotAFile { path });
        }
        let io_error = |source| ReadError::Io {
            path: path.clone(),
            source,
        };
        let mut file = BufReader::with_capacity(BUFFER, File::open(&path).map_err(io_error)?);
        let bytes = match file.fill_buf().map_err(io_error)? {
            [] => return Err(ReadError::Empty { path }),
            [0x1f, 0x8b, ..] => Bytes::Gzip(Box::new(MultiGzDecoder::new(file))),
            _ => Bytes::Plain(file),
        };
        Ok(Stream {
            path,
            len: metadata.len(),
            bytes,
        })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads until `buffer` is full or the file ends, and says how far it came.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut got = 0;
        while got < buffer.len() {
            match self.read(&mut buffer[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(got)
    }

    /// Passes over `count` bytes, or as many as there are, and says how many.
    pub fn skip(&mut self, count: u64) -> Result<u64, ReadError> {
        io::copy(&mut (&mut *self).take(count), &mut io::sink()).map_err(|error| self.failed(error))
    }

    /// Refuses a file that cannot hold `needed` bytes, before room is made for what is in them.
    pub fn check_length(&self, needed: u64) -> Result<(), ReadError> {
        let len = self.len;
        let (possible, needed_words) = match self.bytes {
            Bytes::Plain(_) => (len, format!("it has {len} bytes, and the header promises {needed}")),
            Bytes::Gzip(_) => (
                len.saturating_mul(MAX_DEFLATE_RATIO),
                format!("the header promises {needed} bytes, more than {len} compressed can hold"),
            ),
        };
        if possible < needed {
            return Err(ReadError::Truncated {
                path: self.path.clone(),
                needed: needed_words,
            });
        }
        Ok(())
    }

    /// Follows a gzip stream to its checksum, so that damage in the voxels does not go unseen.
    pub fn check_end(&mut self) -> Result<(), ReadError> {
        if matches!(self.bytes, Bytes::Gzip(_)) {
            self.skip(MAX_TRAILING)?;
        }
        Ok(())
    }

    /// What a failed read means: a gzip decoder tells a stream that stops early from one that is broken.
    fn failed(&self, source: io::Error) -> ReadError {
        let path = self.path.clone();
        match (&self.bytes, source.kind()) {
            (Bytes::Gzip(_), io::ErrorKind::UnexpectedEof) => ReadError::Truncated {
                path,
                needed: "the gzip stream does not reach its end".into(),
            },
            (Bytes::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                ReadError::Corrupt { path, source }
            }
            _ => ReadError::Io { path, source },
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(bytes) => bytes.read(buffer),
            Bytes::Gzip(bytes) => bytes.read(buffer),
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
