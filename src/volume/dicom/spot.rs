//! Where the bytes of a DICOM file are: in a file, in memory, or packed with others into a zip file.

use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use zip::ZipArchive;

use super::SeriesError;
use crate::volume::opening::plain_file;

/// Bytes read from the disk at a time.
const BUFFER: usize = 16 << 10;

/// A place that bytes are read from.
pub(super) trait Place: BufRead + Seek {}
impl<R: BufRead + Seek> Place for R {}

/// One file, wherever it is.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// On the disk.
    File(PathBuf),
    /// In memory, under a name.
    Memory(String, Arc<[u8]>),
    /// The n-th of a zip file, under its name there.
    Packed(String, Arc<Packed>, usize),
}

/// By what it is seen that a file has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(metadata: &Metadata) -> Seen {
        Seen {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

impl Spot {
    /// What it is called, without its folder.
    pub fn name(&self) -> PathBuf {
        match self {
            Spot::File(path) => path.file_name().map(PathBuf::from).unwrap_or_default(),
            Spot::Memory(name, _) | Spot::Packed(name, _, _) => Path::new(name).file_name().unwrap_or_default().into(),
        }
    }

    /// Opens it, and says how long it is; none where it is no plain file. A packed one is unpacked, up to `limit` bytes.
    pub fn open(&self, limit: u64) -> Result<Option<(Box<dyn Place>, u64, Seen)>, SeriesError> {
        let in_memory = |bytes: Vec<u8>| {
            let len = bytes.len() as u64;
            let seen = Seen {
                bytes: len,
                modified: None,
            };
            Some((Box::new(Cursor::new(bytes)) as Box<dyn Place>, len, seen))
        };
        Ok(match self {
            Spot::File(path) => plain_file(path).map_err(SeriesError::Read)?.map(|(file, metadata)| {
                let file = BufReader::with_capacity(BUFFER, file);
                (Box::new(file) as Box<dyn Place>, metadata.len(), Seen::of(&metadata))
            }),
            Spot::Memory(_, bytes) => in_memory(bytes.to_vec()),
            Spot::Packed(_, packed, at) => in_memory(packed.unpacked(*at, limit)?),
        })
    }
}

/// A zip file in memory.
pub(super) struct Packed(ZipArchive<Cursor<Arc<[u8]>>>);

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a zip file of {}", self.0.len())
    }
}

impl Packed {
    /// The files of a zip file, which may have up to `limit` bytes together once they are unpacked, and be `most` of them.
    pub fn open(path: &Path, limit: u64, most: usize) -> Result<Vec<Spot>, SeriesError> {
        let (file, metadata) = plain_file(path)
            .map_err(SeriesError::Read)?
            .ok_or(SeriesError::Changed)?;
        let too_large = || SeriesError::Damaged(format!("its files have more than {limit} bytes together"));
        if metadata.len() > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        file.take(metadata.len())
            .read_to_end(&mut bytes)
            .map_err(SeriesError::Read)?;
        let archive = ZipArchive::new(Cursor::new(Arc::<[u8]>::from(bytes)));
        let mut archive =
            archive.map_err(|error| SeriesError::Damaged(format!("the zip file cannot be read: {error}")))?;
        if archive.len() > most {
            return Err(SeriesError::ManyFiles { limit: most });
        }
        let mut names = Vec::new();
        let mut together = 0_u64;
        for at in 0..archive.len() {
            let entry = archive.by_index_raw(at).map_err(damaged)?;
            together = together.saturating_add(entry.size());
            if entry.is_file() && !entry.encrypted() {
                let name = entry.name().map_err(damaged)?.into_owned();
                names.push((name, at));
            }
        }
        if together > limit {
            return Err(too_large());
        }
        let packed = Arc::new(Packed(archive));
        Ok(names
            .into_iter()
            .map(|(name, at)| Spot::Packed(name, Arc::clone(&packed), at))
            .collect())
    }

    fn unpacked(&self, at: usize, limit: u64) -> Result<Vec<u8>, SeriesError> {
        // What the list of files promises is no more than a promise.
        let mut archive = self.0.clone();
        let entry = archive.by_index(at).map_err(damaged)?;
        let promised = entry.size().min(limit);
        let mut bytes = Vec::new();
        let read = entry.take(promised + 1).read_to_end(&mut bytes);
        read.map_err(|error| SeriesError::Damaged(format!("it cannot be unpacked: {error}")))?;
        match bytes.len() as u64 > promised {
            true => Err(SeriesError::Damaged("it is longer than the zip file says".into())),
            false => Ok(bytes),
        }
    }
}

fn damaged(error: zip::result::ZipError) -> SeriesError {
    SeriesError::Damaged(format!("the zip file is damaged: {error}"))
}

/// Whether a file begins as zip files do.
pub(super) fn is_zip(path: &Path) -> bool {
    let begins = || -> io::Result<bool> {
        let Some((mut file, _)) = plain_file(path)? else {
            return Ok(false);
        };
        let mut letters = [0; 4];
        file.read_exact(&mut letters)?;
        Ok(&letters == b"PK\x03\x04")
    };
    begins().unwrap_or(false)
}
