//! Masks kept for later questions about the same image.

use super::{KEPT, PARTIAL, Store, StoreError, touch};
use crate::volume::{Grid, PackedMask};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// What a kept mask is a function of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskKey {
    /// The way of computing masks, a number that grows when another mask may come of the same.
    pub format: u32,
    /// Hash of the image's voxels and affine.
    pub image: String,
    /// Whose it is, nobody's where absent: from a mask that is there, another would learn that somebody segmented this scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The model's sha256.
    pub model: String,
    /// Modality the image was taken as.
    pub modality: String,
    /// Orientation it was read in.
    pub orientation: String,
    /// Numeric class, `fp32` or `reduced`.
    pub numeric: String,
    /// Prompt given to the text encoder.
    pub prompt: String,
    /// Threshold on the probability, as its bits.
    pub threshold: u32,
}

/// A mask with what was learned while it was made.
#[derive(Debug, Clone)]
pub struct KeptMask {
    /// The voxels.
    pub mask: PackedMask,
    /// Mean probability of its voxels on the model's grid; absent where it is empty.
    pub mean_probability: Option<f64>,
    /// Windows the image needed.
    pub windows: u32,
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: MaskKey,
    mean_probability: Option<f64>,
    windows: u32,
    /// Hash of what follows, since a flipped bit would be a wrong mask and not an error.
    blake3: String,
}

impl MaskKey {
    fn file(&self) -> Result<String, serde_json::Error> {
        Ok(format!(
            "{}.mask",
            &blake3::hash(&serde_json::to_vec(self)?).to_hex()[..32]
        ))
    }
}

impl Store {
    /// The mask for `key`, if it was kept. A file that can't be read is as good as none: it is made again.
    pub fn kept_mask(&self, key: &MaskKey, grid: &Arc<Grid>) -> Option<KeptMask> {
        let path = self.kept_path(key).ok()?;
        let bytes = std::fs::read(&path).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
        if header.key != *key {
            return None;
        }
        let packed = &bytes[end + 1..];
        if blake3::hash(packed).to_hex().as_str() != header.blake3 {
            tracing::warn!("a kept mask is damaged and will be made again");
            return None;
        }
        match PackedMask::decode(grid.clone(), packed) {
            Ok(mask) => {
                touch(path.parent().unwrap_or(self.root()));
                Some(KeptMask {
                    mask,
                    mean_probability: header.mean_probability,
                    windows: header.windows,
                })
            }
            Err(error) => {
                tracing::warn!(%error, "a kept mask is damaged and will be made again");
                None
            }
        }
    }

    /// Whether there is a file for `key`, whatever is in it.
    pub fn has_mask(&self, key: &MaskKey) -> bool {
        self.kept_path(key).is_ok_and(|path| path.is_file())
    }

    /// Keeps a mask, whole or not at all.
    pub fn keep_mask(&self, key: &MaskKey, kept: &KeptMask) -> Result<(), StoreError> {
        let path = self.kept_path(key)?;
        let not_writable = |source| StoreError::NotWritable {
            path: path.clone(),
            source,
        };
        let folder = path.parent().unwrap_or(self.root());
        std::fs::create_dir_all(folder).map_err(not_writable)?;
        let packed = kept.mask.encode();
        let header = Header {
            key: key.clone(),
            mean_probability: kept.mean_probability,
            windows: kept.windows,
            blake3: blake3::hash(&packed).to_hex().to_string(),
        };
        let mut file = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(folder)
            .map_err(not_writable)?;
        serde_json::to_writer(&mut file, &header).map_err(|error| not_writable(error.into()))?;
        file.write_all(b"\n").map_err(not_writable)?;
        file.write_all(&packed).map_err(not_writable)?;
        file.persist(&path).map_err(|error| not_writable(error.error))?;
        Ok(())
    }

    fn kept_path(&self, key: &MaskKey) -> Result<PathBuf, StoreError> {
        let folder = self.folder(&key.image)?; // checks that it is hexadecimal
        let mut image = folder.file_name().unwrap_or_default().to_owned();
        if let Some(owner) = &key.owner {
            image.push(format!(".{owner}"));
        }
        let file = key.file().map_err(|error| StoreError::NotWritable {
            path: folder.clone(),
            source: error.into(),
        })?;
        Ok(self.root().join(KEPT).join(image).join(file))
    }
}
