//! The bytes of a file, whether gzip or not.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::bufread::MultiGzDecoder;

use crate::volume::opening::without_waiting;
use crate::volume::{ReadError, ReadLimits};

/// Deflate cannot do better than 1032 : 1, so a file that promises more than that is cut short.
const MAX_DEFLATE_RATIO: u64 = 1032;
/// Bytes read from the disk at a time.
const BUFFER: usize = 256 << 10;
/// Bytes after all that was promised that are taken for padding, however small the image is.
const LEAST_PADDING: u64 = 64 << 10;
/// Those that are too many, however large it is.
const MOST_PADDING: u64 = 64 << 20;

/// Bytes from somewhere, read from start to end.
pub(super) struct Stream {
    path: PathBuf,
    len: u64,
    /// Bytes passed, unpacked.
    at: u64,
    limit: u64,
    bytes: Bytes,
    watched: Option<Watched>,
}

enum Bytes {
    Plain(Box<dyn Seekable>),
    Gzip(Box<MultiGzDecoder<Box<dyn Seekable>>>),
}

trait Seekable: BufRead + Seek {}
impl<T: BufRead + Seek> Seekable for T {}

/// A second handle on the file, to see whether it was written to meanwhile.
struct Watched {
    file: File,
    stamp: (u64, Option<SystemTime>),
}

impl Watched {
    fn stamp(metadata: &Metadata) -> (u64, Option<SystemTime>) {
        (metadata.len(), metadata.modified().ok())
    }

    fn has_changed(&self) -> bool {
        self.file.metadata().is_ok_and(|now| Watched::stamp(&now) != self.stamp)
    }
}

impl Stream {
    /// Opens a file. What is in it decides whether it is gzip, not what it is called: many `.nii` are, and the other way
    /// about.
    pub fn open(path: &Path, limits: &ReadLimits) -> Result<Stream, ReadError> {
        let path = path.to_path_buf();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::NotFound { path: path.clone() },
            io::ErrorKind::IsADirectory => ReadError::Folder { path: path.clone() },
            _ => ReadError::Io {
                path: path.clone(),
                source,
            },
        };
        let checked = |metadata: io::Result<Metadata>| match metadata.map_err(failed)? {
            found if found.is_dir() => Err(ReadError::Folder { path: path.clone() }),
            found if !found.is_file() => Err(ReadError::NotAFile { path: path.clone() }),
            found => Ok(found),
        };
        // A device may act upon being opened. And what lies at the path may be another thing a moment later, so that what was
        // opened is looked at once more.
        checked(std::fs::metadata(&path))?;
        let file = without_waiting(&path).map_err(failed)?;
        let metadata = checked(file.metadata())?;
        let watched = file.try_clone().map_err(failed)?;
        let mut stream = Stream::of(&path, BufReader::with_capacity(BUFFER, file), metadata.len(), limits)?;
        stream.watched = Some(Watched {
            file: watched,
            stamp: Watched::stamp(&metadata),
        });
        Ok(stream)
    }

    /// Bytes that are in memory, of a file that is called `path` in errors.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>, limits: &ReadLimits) -> Result<Stream, ReadError> {
        let len = bytes.len() as u64;
        Stream::of(path, Cursor::new(bytes), len, limits)
    }

    fn of(path: &Path, bytes: impl Seekable + 'static, len: u64, limits: &ReadLimits) -> Result<Stream, ReadError> {
        let path = path.to_path_buf();
        let mut bytes: Box<dyn Seekable> = Box::new(bytes);
        let bytes = match bytes.fill_buf() {
            Ok([]) => return Err(ReadError::Empty { path }),
            Ok([0x1f, 0x8b, ..]) => Bytes::Gzip(Box::new(MultiGzDecoder::new(bytes))),
            Ok(_) => Bytes::Plain(bytes),
            Err(source) => return Err(ReadError::Io { path, source }),
        };
        Ok(Stream {
            path,
            len,
            at: 0,
            limit: limits.unpacked_bytes,
            bytes,
            watched: None,
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
            let read = match &mut self.bytes {
                Bytes::Plain(bytes) => bytes.read(&mut buffer[got..]),
                Bytes::Gzip(bytes) => bytes.read(&mut buffer[got..]),
            };
            match read {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        self.at += got as u64;
        Ok(got)
    }

    /// Passes over `count` bytes, or as many as there are, and says how many.
    pub fn skip(&mut self, count: u64) -> Result<u64, ReadError> {
        let passed = match &mut self.bytes {
            Bytes::Plain(bytes) => {
                let count = count.min(self.len.saturating_sub(self.at));
                bytes.seek_relative(count as i64).map(|()| count)
            }
            Bytes::Gzip(bytes) => io::copy(&mut bytes.take(count), &mut io::sink()),
        };
        let passed = passed.map_err(|error| self.failed(error))?;
        self.at += passed;
        Ok(passed)
    }

    /// Refuses a file that cannot hold `promised` bytes, or would have to be unpacked up to a `needed` beyond the limit, before room
    /// is made for what is in them.
    pub fn check_length(&self, promised: u64, needed: u64) -> Result<(), ReadError> {
        let len = self.len;
        let path = || self.path.clone();
        let (possible, needed_words) = match self.bytes {
            Bytes::Plain(_) => (len, format!("it has {len} bytes, and the header promises {promised}")),
            Bytes::Gzip(_) => (
                len.saturating_mul(MAX_DEFLATE_RATIO),
                format!("the header promises {promised} bytes, more than {len} compressed can hold"),
            ),
        };
        if possible < promised {
            return Err(self.unless_changed(ReadError::Truncated {
                path: path(),
                needed: needed_words,
            }));
        }
        if matches!(self.bytes, Bytes::Gzip(_)) && needed > self.limit {
            return Err(ReadError::Unpacked {
                path: path(),
                promised: needed,
                limit: self.limit,
            });
        }
        Ok(())
    }

    /// Looks at what follows the last voxel: `promised` bytes, and padding. A gzip stream is followed to its checksum, so that
    /// damage in the voxels does not go unseen. More than that, and as much as one volume has, means that the header is wrong.
    pub fn check_end(&mut self, promised: u64, volume: u64) -> Result<(), ReadError> {
        let within = promised.min(self.limit.saturating_sub(self.at));
        if self.skip(within)? < within {
            return Err(self.unless_changed(ReadError::Truncated {
                path: self.path.clone(),
                needed: "volumes after this one are missing".into(),
            }));
        }
        let padding = volume.clamp(LEAST_PADDING, MOST_PADDING);
        if within == promised && self.skip(padding + 1)? > padding {
            return Err(self.unless_changed(ReadError::TooLong {
                path: self.path.clone(),
            }));
        }
        match self.has_changed() {
            true => Err(self.changed()),
            false => Ok(()),
        }
    }

    fn has_changed(&self) -> bool {
        self.watched.as_ref().is_some_and(Watched::has_changed)
    }

    fn changed(&self) -> ReadError {
        ReadError::Changed {
            path: self.path.clone(),
        }
    }

    /// What seems to be wrong with a file is no wonder where somebody writes to it.
    pub fn unless_changed(&self, error: ReadError) -> ReadError {
        match self.has_changed() {
            true => self.changed(),
            false => error,
        }
    }

    /// What a failed read means: a gzip decoder tells a stream that stops early from one that is broken.
    fn failed(&self, source: io::Error) -> ReadError {
        let path = self.path.clone();
        self.unless_changed(match (&self.bytes, source.kind()) {
            (Bytes::Gzip(_), io::ErrorKind::UnexpectedEof) => ReadError::Truncated {
                path,
                needed: "the gzip stream does not reach its end".into(),
            },
            (Bytes::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                ReadError::Corrupt { path, source }
            }
            _ => ReadError::Io { path, source },
        })
    }
}
