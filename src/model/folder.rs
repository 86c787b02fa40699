//! A model's folder on disk: its manifest, and proof that its files are the ones that the manifest promises.

use super::{Manifest, ModelError};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const MANIFEST: &str = "model.toml";

/// A model folder whose manifest has been read, and whose files are as the manifest says once it is verified.
///
/// Hashes are computed from the bytes each time a process first opens a folder, never remembered on disk: a
/// remembered hash would vouch for bytes that nobody has read since. SAT-Pro's 2.3 GB take about two seconds, and the pages
/// are then in memory for ONNX Runtime. Within a process a file is taken as read while its size, times and inode stay.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    manifest: Manifest,
    sha256: String,
    stamps: BTreeMap<String, Stamp>,
}

impl ModelFolder {
    /// Reads `path/model.toml`, checks that it makes sense, and hashes every file that it names.
    pub fn open(path: &Path) -> Result<ModelFolder, ModelError> {
        let folder = ModelFolder::promised(path)?;
        folder.verify()?;
        Ok(folder)
    }

    /// The folder as its manifest promises it; its files are there, but unread until [`ModelFolder::verify`].
    pub fn promised(path: &Path) -> Result<ModelFolder, ModelError> {
        if !path.is_dir() {
            return Err(ModelError::NoFolder { path: path.to_owned() });
        }
        let toml_path = path.join(MANIFEST);
        let missing = |error| match error {
            ModelError::MissingFile { .. } => ModelError::NoManifest { path: path.to_owned() },
            other => other,
        };
        // Stamps are taken before the bytes are read, so that a change meanwhile shows.
        let mut stamps = BTreeMap::from([(MANIFEST.to_owned(), Stamp::of(&toml_path).map_err(missing)?)]);
        let text = std::fs::read_to_string(&toml_path).map_err(|source| unreadable(&toml_path, source))?;
        let bad = |fault: String| ModelError::BadManifest {
            path: toml_path.clone(),
            fault,
        };
        let manifest = Manifest::parse(&text).map_err(bad)?;
        for file in manifest.files.keys() {
            stamps.insert(file.clone(), Stamp::of(&path.join(file))?);
        }
        Ok(ModelFolder {
            path: path.to_owned(),
            sha256: identity(&manifest.files, &text),
            manifest,
            stamps,
        })
    }

    /// Hashes every file, and sees that the graphs take weights from no other.
    pub fn verify(&self) -> Result<(), ModelError> {
        self.manifest.files.par_iter().try_for_each(|(file, promised)| {
            let path = self.file(file);
            let found = hash_file(&path)?;
            match found.eq_ignore_ascii_case(promised) {
                true => Ok(()),
                false => Err(ModelError::WrongHash {
                    path,
                    promised: promised.clone(),
                    found,
                }),
            }
        })?;
        let manifest = &self.manifest;
        for graph in [&manifest.text.graph, &manifest.backbone.graph, &manifest.decoder.graph] {
            let path = self.file(graph);
            let bytes = std::fs::read(&path).map_err(|source| unreadable(&path, source))?;
            if let Some(file) = external_files(&bytes).find(|file| !manifest.files.contains_key(file.as_str())) {
                return Err(ModelError::BadManifest {
                    path: self.file(MANIFEST),
                    fault: format!("{graph} takes weights from {file}, for which [files] has no sha256"),
                });
            }
        }
        Ok(())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Names the weights and the manifest for ever.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether no file has been written or replaced since the folder was opened.
    pub fn is_unchanged(&self) -> bool {
        self.stamps
            .iter()
            .all(|(file, stamp)| Stamp::of(&self.path.join(file)).is_ok_and(|now| now == *stamp))
    }

    /// An error where the files are no longer those that [`ModelFolder::sha256`] names. They are read again only where a
    /// stamp has changed.
    pub fn check_unchanged(&self) -> Result<(), ModelError> {
        if self.is_unchanged() || ModelFolder::open(&self.path)?.sha256 == self.sha256 {
            return Ok(());
        }
        Err(ModelError::Changed {
            path: self.path.clone(),
        })
    }
}

/// The files that a graph takes weights from: the values of the key `location` of its tensors (ONNX's
/// `TensorProto.external_data`, pairs of strings), as protobuf writes them.
fn external_files(graph: &[u8]) -> impl Iterator<Item = String> + '_ {
    const KEY: &[u8] = b"\x0a\x08location\x12";
    let pairs = graph.windows(KEY.len()).enumerate().filter(|(_, bytes)| *bytes == KEY);
    pairs.filter_map(|(at, _)| {
        let value = &graph[at + KEY.len()..];
        // File names are shorter than the 128 bytes that need a second byte of length; a longer one is none of ours.
        let length = usize::from(*value.first()?);
        let name = value.get(1..1 + length)?;
        Some(String::from_utf8_lossy(name).into_owned())
    })
}

/// What changes when a file is written or replaced. The inode and its change time can't be set back by `touch` or `cp -p`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Result<Stamp, ModelError> {
        let data = path.metadata().map_err(|source| unreadable(path, source))?;
        #[cfg(unix)]
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            ((data.dev(), data.ino()), (data.ctime(), data.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed) = ((0, 0), (0, 0));
        Ok(Stamp {
            bytes: data.len(),
            modified: data.modified().ok(),
            inode,
            changed,
        })
    }
}

/// sha256 over the sorted `name NUL hash LF` of the files, then the manifest's own text.
fn identity(files: &BTreeMap<String, String>, manifest: &str) -> String {
    let mut hasher = Sha256::new();
    for (name, hash) in files {
        hasher.update(format!("{name}\0{hash}\n").as_bytes());
    }
    hasher.update(manifest.as_bytes());
    hex(&hasher.finalize())
}

fn hash_file(path: &Path) -> Result<String, ModelError> {
    let mut file = std::fs::File::open(path).map_err(|source| unreadable(path, source))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(|source| unreadable(path, source))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> ModelError {
    match source.kind() {
        std::io::ErrorKind::NotFound => ModelError::MissingFile { path: path.to_owned() },
        _ => ModelError::Unreadable {
            path: path.to_owned(),
            source,
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
