//! Where the bytes of a DICOM file are: in a file, in memory, or packed with others into a zip file.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use zip::ZipArchive;

use super::SeriesError;
use super::meta::{HEAD, is_begun};
use crate::volume::opening::plain_file;

/// Bytes of a file that is unpacked in memory: an enhanced series of 800 slices has half as many.
pub(super) const MOST_IN_MEMORY: u64 = 1 << 30;
/// Bytes read from the disk at a time.
const BUFFER: usize = 16 << 10;

/// A place that bytes are read from.
pub(super) trait Place: BufRead + Seek {}
impl<R: BufRead + Seek> Place for R {}

/// An open file, its length, and how it was.
pub(super) type Opened = (Box<dyn Place>, u64, Seen);

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

    /// Whether something was expected of it, should it be no DICOM file: it is empty, or named like one.
    pub fn is_missed(&self) -> bool {
        let named = self
            .name()
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("dcm"));
        named || matches!(self, Spot::File(path) if path.metadata().is_ok_and(|metadata| metadata.len() == 0))
    }

    /// Opens it, and says how long it is; none where it is no plain file. A packed one is unpacked, up to `limit` bytes.
    pub fn open(&self, limit: u64) -> Result<Option<Opened>, SeriesError> {
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

/// A zip file. Its files are unpacked one at a time.
pub(super) struct Packed(Mutex<ZipArchive<BufReader<File>>>);

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a zip file")
    }
}

impl Packed {
    /// The files of a zip file, which may have up to `limit` bytes together once they are unpacked, and be `most` of them.
    pub fn open(path: &Path, limit: u64, most: usize) -> Result<Vec<Spot>, SeriesError> {
        let (file, _) = plain_file(path)
            .map_err(SeriesError::Read)?
            .ok_or(SeriesError::Changed)?;
        let archive = ZipArchive::new(BufReader::with_capacity(BUFFER, file));
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
            if entry.encrypted() {
                return Err(SeriesError::Encrypted);
            }
            if entry.is_file() {
                let name = entry.name().map_err(damaged)?.into_owned();
                names.push((name, at));
            }
        }
        if together > limit {
            return Err(SeriesError::Damaged(format!(
                "its files have more than {limit} bytes together"
            )));
        }
        let packed = Arc::new(Packed(Mutex::new(archive)));
        Ok(names
            .into_iter()
            .map(|(name, at)| Spot::Packed(name, Arc::clone(&packed), at))
            .collect())
    }

    /// A file's bytes; no more than its first where those show that it is no DICOM.
    fn unpacked(&self, at: usize, limit: u64) -> Result<Vec<u8>, SeriesError> {
        let mut archive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = archive.by_index(at).map_err(damaged)?;
        // What the list of files promises is no more than a promise.
        let promised = entry.size().min(limit).min(MOST_IN_MEMORY);
        let mut entry = entry.take(promised + 1);
        let mut bytes = Vec::new();
        let failed = |error| SeriesError::Damaged(format!("it cannot be unpacked: {error}"));
        (&mut entry).take(HEAD as u64).read_to_end(&mut bytes).map_err(failed)?;
        if is_begun(&bytes) {
            entry.read_to_end(&mut bytes).map_err(failed)?;
        }
        match bytes.len() as u64 > promised {
            true => Err(SeriesError::Damaged(
                "it is longer than the zip file says, or than 1 GiB".into(),
            )),
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
