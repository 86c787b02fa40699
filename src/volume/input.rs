//! Which image is meant, and reading it whatever its format.

use super::{LabelMap, ReadError, ReadLimits, Segmentation, Volume, dicom, nifti};
use std::path::{Path, PathBuf};

/// An image as somebody named it.
///
/// `choice` is what follows `#` in a name: which of several images is meant. In a NIfTI file of several volumes it is the
/// volume's number, counted from 0 with the fourth axis fastest, as nibabel's slicers do. Of DICOM it is a Series Instance UID, the
/// number of a volume, from 0, too, or both (`UID:1`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file, or the folder of a DICOM series.
    pub path: PathBuf,
    /// The other file of a pair (`.hdr` and `.img`), where there is one.
    pub other: Option<PathBuf>,
    /// Which image in it.
    pub choice: Option<String>,
    /// What of the files around it may be looked at.
    pub around: Around,
}

/// What may be looked at of the files beside and below an image that has several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Around {
    /// All of them.
    #[default]
    All,
    /// All but what is kept in this folder, should it lie among them: files of others.
    Except(PathBuf),
    /// None: the file stands for itself.
    Nothing,
}

impl Input {
    /// The file, with the other one of its pair where that lies beside it.
    pub fn at(path: impl Into<PathBuf>) -> Input {
        let path = path.into();
        Input {
            other: other_of(&path),
            path,
            choice: None,
            around: Around::All,
        }
    }

    /// The same file, but this image of it.
    pub fn choosing(self, choice: Option<String>) -> Input {
        Input { choice, ..self }
    }

    /// The same, of which no more than this is looked at.
    pub fn within(self, around: Around) -> Input {
        Input { around, ..self }
    }

    /// Whether it is one file of DICOM, which stands for a series.
    pub fn is_dicom_file(&self) -> bool {
        dicom::is_dicom(&self.path)
    }

    /// Every file that is named.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.path.as_path()).chain(self.other.as_deref())
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Input {
    fn from(path: &P) -> Input {
        Input::at(path.as_ref())
    }
}

/// The file that belongs to one named `.hdr`, `.img`, `.hdr.gz` or `.img.gz`, where it is there: packed if that one is, else the
/// other way.
pub fn other_of(path: &Path) -> Option<PathBuf> {
    pair_names(path).into_iter().flatten().find(|other| other.exists())
}

/// What the other file of a pair may be called; none for names of single files.
pub(crate) fn pair_names(path: &Path) -> Option<[PathBuf; 2]> {
    let name = path.file_name()?.to_str()?;
    let packed =
        name.len() > 3 && name.is_char_boundary(name.len() - 3) && name[name.len() - 3..].eq_ignore_ascii_case(".gz");
    let (bare, gz) = match packed {
        true => name.split_at(name.len() - 3),
        false => (name, ".gz"),
    };
    let (stem, extension) = bare.rsplit_once('.')?;
    let other = match extension {
        "hdr" => "img",
        "img" => "hdr",
        "HDR" => "IMG",
        "IMG" => "HDR",
        _ => return None,
    };
    let as_it_is = format!("{stem}.{other}");
    let zipped = format!("{as_it_is}{gz}");
    let names = if packed { [zipped, as_it_is] } else { [as_it_is, zipped] };
    Some(names.map(|name| path.with_file_name(name)))
}

/// Reads the image in a file, within [`ReadLimits::DEFAULT`]; see [`read_within`].
pub fn read(input: impl Into<Input>) -> Result<Volume, ReadError> {
    read_within(&input.into(), &ReadLimits::DEFAULT)
}

/// Reads a mask or label map, within [`ReadLimits::DEFAULT`]; see [`read_labels_within`].
pub fn read_labels(input: impl Into<Input>) -> Result<LabelMap, ReadError> {
    read_labels_within(&input.into(), &ReadLimits::DEFAULT)
}

/// Reads an image, told by what is in it: a DICOM series, given as its folder, as one of its files or as a zip file of it; or NIfTI-1 or
/// NIfTI-2, in one file or in a `.hdr`/`.img` pair of which either may be given, gzip or not.
///
/// Voxels are intensities after `scl_slope` and `scl_inter`; the affine is the one that nibabel takes (`get_best_affine`).
///
/// # Errors
/// Where the file is not what it should be, or larger than `limits`: each [`ReadError`] says what is wrong and what would do.
pub fn read_within(input: &Input, limits: &ReadLimits) -> Result<Volume, ReadError> {
    match dicom::is_series(&input.path) {
        true => dicom::read_series(input, limits).map_err(|source| ReadError::series(&input.path, source)),
        false => nifti::read(input, limits),
    }
}

/// Masks from a file.
#[derive(Debug, Clone)]
pub enum MaskFile {
    /// A mask or a label map, on its grid.
    Labels(LabelMap),
    /// A DICOM segmentation, whose segments may overlap, and which lies wherever it is placed.
    Segments(Segmentation),
}

/// Reads masks: what [`read_labels_within`] reads, or a DICOM Segmentation object.
///
/// # Errors
/// As [`read_labels_within`], and where a DICOM object is no segmentation, or one that is not read.
pub fn read_masks_within(input: &Input, limits: &ReadLimits) -> Result<MaskFile, ReadError> {
    if !dicom::is_dicom(&input.path) {
        return read_labels_within(input, limits).map(MaskFile::Labels);
    }
    let read = dicom::read_segmentation(input, limits);
    read.map(MaskFile::Segments)
        .map_err(|source| ReadError::series(&input.path, source))
}

/// Reads a mask or label map from NIfTI: whole numbers from 0, stored as integers or as floats.
///
/// # Errors
/// As [`read_within`], and where a voxel is no whole number from 0 to 2^32 - 1.
pub fn read_labels_within(input: &Input, limits: &ReadLimits) -> Result<LabelMap, ReadError> {
    nifti::read_labels(input, limits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn either_file_of_a_pair_leads_to_the_other() {
        let names = |name: &str| pair_names(Path::new(name)).map(|names| names.map(|path| path.display().to_string()));
        assert_eq!(names("/a/b.hdr").unwrap(), ["/a/b.img", "/a/b.img.gz"]);
        assert_eq!(names("b.img.gz").unwrap(), ["b.hdr.gz", "b.hdr"]);
        assert_eq!(names("B.IMG").unwrap(), ["B.HDR", "B.HDR.gz"]);
        for single in ["a.nii", "a.nii.gz", "hdr", "a.img.bz2", "..", "é.gz", "gz"] {
            assert_eq!(names(single), None, "{single}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.img.gz"), b"").unwrap();
        let input = Input::at(dir.path().join("a.hdr"));
        assert_eq!(input.other, Some(dir.path().join("a.img.gz")));
        assert_eq!(input.files().count(), 2);
    }
}
