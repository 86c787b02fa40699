//! Why a file could not be read or written, in words that say the fault and the way out.

use std::io;
use std::path::{Path, PathBuf};

use super::SeriesError;

/// Why a file could not become a [`Volume`](super::Volume) or a [`LabelMap`](super::LabelMap).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing is there.
    #[error("{}: no such file; check the path", path.display())]
    NotFound {
        /// The file asked for.
        path: PathBuf,
    },
    /// A folder where one file was expected.
    #[error("{}: this is a folder; give one file: a .nii or .nii.gz mask or label map, or a DICOM SEG", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A pipe or a device.
    #[error("{}: neither a file nor a folder; give a .nii or .nii.gz file", path.display())]
    NotAFile {
        /// What was asked for.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No bytes at all.
    #[error("{}: the file is empty; write or download it again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A DICOM object.
    #[error("{}: this is a DICOM file, and masks are read from NIfTI; give a .nii or .nii.gz mask or label map", path.display())]
    Dicom {
        /// The file.
        path: PathBuf,
    },
    /// A DICOM series that makes no image.
    #[error("{}: {source}", path.display())]
    Series {
        /// The folder or the file.
        path: PathBuf,
        /// What is wrong with the series.
        #[source]
        source: Box<SeriesError>,
    },
    /// Bytes of some other kind.
    #[error("{}: not a NIfTI file ({found}); give a .nii or .nii.gz file", path.display())]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What the first bytes looked like.
        found: &'static str,
    },
    /// The file ends before its header says it does.
    #[error("{}: the file is cut short: {needed}; copy or download it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was still expected.
        needed: String,
    },
    /// The gzip stream is broken.
    #[error("{}: the gzip stream is damaged ({source}); copy or download it again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// A field of the header that cannot be right.
    #[error("{}: the header is damaged: {field} is {value}; write the file again with the program that made it", path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// The field, by its NIfTI name.
        field: &'static str,
        /// What it holds.
        value: String,
    },
    /// One or two dimensions.
    #[error("{}: the image has {dimensions} dimension(s), and three are needed; give the whole volume, not a slice", path.display())]
    TooFlat {
        /// The file.
        path: PathBuf,
        /// How many the header names.
        dimensions: usize,
    },
    /// A time series, or a vector at each voxel.
    #[error(
        "{}: the file holds {volumes} volumes (shape {shape}), and one is needed; say which, counted from 0: {}#0 is the first, {}#{} the last",
        path.display(), path.display(), path.display(), volumes - 1
    )]
    ManyVolumes {
        /// The file.
        path: PathBuf,
        /// How many volumes there are.
        volumes: u64,
        /// The shape as the header has it.
        shape: String,
    },
    /// A choice that leads to none of the volumes.
    #[error(
        "{}: #{choice} names none of the file's {volumes} volume(s), which are counted from 0: {}#0 is the first, {}#{} the last",
        path.display(), path.display(), path.display(), volumes - 1
    )]
    NoSuchVolume {
        /// The file.
        path: PathBuf,
        /// What was chosen.
        choice: String,
        /// How many volumes there are.
        volumes: u64,
    },
    /// One file of a pair alone.
    #[error(
        "{}: this is one file of a .hdr/.img pair, and {} is not beside it; put it there",
        path.display(), other.display()
    )]
    HalfMissing {
        /// The file asked for.
        path: PathBuf,
        /// The one that is missing.
        other: PathBuf,
    },
    /// A data type that is no single number a voxel.
    #[error("{}: voxels of type {datatype} are not supported; save the image as integers or floats", path.display())]
    DataType {
        /// The file.
        path: PathBuf,
        /// Its name, or its number where NIfTI has no name for it.
        datatype: String,
    },
    /// More voxels than this program takes.
    #[error("{}: the header promises {promised} voxels, more than the limit of {limit}; crop or resample the image first, or raise max_voxels", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Voxels promised.
        promised: u64,
        /// Voxels allowed.
        limit: u64,
    },
    /// More bytes than this program unpacks.
    #[error(
        "{}: the file would have to be unpacked to {promised} bytes, more than the limit of {limit}; save the volume as a file of its own, or raise max_unpacked_gb",
        path.display()
    )]
    Unpacked {
        /// The file.
        path: PathBuf,
        /// Bytes up to the last voxel.
        promised: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Data after all that the header promises.
    #[error(
        "{}: the file goes on after the last voxel that its header promises, for as long as a volume or more; the header's dim or datatype is wrong: write the file again with the program that made it",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Somebody wrote to the file.
    #[error("{}: the file was changed while it was read; call again once nothing writes to it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Longer than any body.
    #[error(
        "{}: the image would be {:.0} x {:.0} x {:.0} mm large, and no body is longer than 10 m; correct the header's affine or pixdim",
        path.display(), extent[0], extent[1], extent[2]
    )]
    Extent {
        /// The file.
        path: PathBuf,
        /// Millimetres along the stored axes.
        extent: [f64; 3],
    },
    /// Voxels that are nearly nothing, or larger than a person.
    #[error(
        "{}: voxel spacing of {} x {} x {} mm makes no sense (0.001 to 100 mm is expected); correct the header's affine or pixdim",
        path.display(), spacing[0], spacing[1], spacing[2]
    )]
    Spacing {
        /// The file.
        path: PathBuf,
        /// Spacing along the stored axes.
        spacing: [f64; 3],
    },
    /// Axes that span no volume.
    #[error("{}: the affine is singular, so millimetres mean nothing here; correct the header's sform or qform", path.display())]
    SingularAffine {
        /// The file.
        path: PathBuf,
    },
    /// NaN or infinity among the voxels.
    #[error(
        "{}: {count} of {total} voxels are NaN, infinite or beyond float32; replace them first, for example with numpy's `nan_to_num`",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// How many voxels.
        count: u64,
        /// Of how many.
        total: u64,
    },
    /// Voxels that are no label.
    #[error(
        "{}: voxel {voxel:?} holds {value}, and a mask or label map holds whole numbers from 0; give a label map, or threshold the image first",
        path.display()
    )]
    NotLabels {
        /// The file.
        path: PathBuf,
        /// The first such voxel.
        voxel: [usize; 3],
        /// What it holds.
        value: f64,
    },
}

impl ReadError {
    pub(crate) fn series(path: &Path, source: SeriesError) -> ReadError {
        ReadError::Series {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }
}

/// Why a mask or label map could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The operating system refused.
    #[error("{}: cannot be written: {source}; check that the folder exists, may be written and has room", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// As many labels as voxels were expected.
    #[error("{}: {given} labels were given for {expected} voxels", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Labels given.
        given: usize,
        /// Voxels of the grid.
        expected: usize,
    },
}
