//! DICOM series: a folder of files becomes an image, and what the files say besides is kept for those who write SEG and SR of it.
//!
//! A file says what it is (`meta`) and is walked over (`walk`, `words`); then its header is parsed by dicom-rs (`file`, `unknown`,
//! `attributes`, `image`). The files of a folder are grouped (`files`, `folder`, `spot`), put in order and on a grid (`choice`, `stack`),
//! decoded (`pixels`, `codestream`, `unpack`), and interpolated where they make no regular grid (`regular`).
//!
//! Segmentations are masks (`seg`, `seg_frames`), which are put on the grid that they are wanted on (`seg_place`).

mod attributes;
mod choice;
mod codestream;
mod error;
mod file;
mod files;
mod folder;
mod image;
mod meta;
mod note;
mod pixels;
mod read;
mod regular;
mod seg;
mod seg_frames;
mod seg_place;
mod series;
mod spot;
mod stack;
mod units;
mod unknown;
mod unpack;
mod vectors;
mod walk;
mod words;

pub use error::{SeriesError, SeriesLine};
pub(super) use file::{is_dicom, is_headless};
pub use meta::instance_uid;
pub(super) use meta::is_begun;
pub use note::Note;
pub use read::read_dicom_bytes;
pub(super) use read::read_series;
pub(super) use seg::read_segmentation;
pub use seg::{Segment, Segmentation, read_segmentation_bytes};
pub use series::{Series, SourceFrame, SourceInstance};

/// Whether a name is to be read as DICOM: a folder, a file that begins as DICOM files do (PS3.10 section 7.1), or a zip file.
pub(super) fn is_series(path: &std::path::Path) -> bool {
    path.is_dir() || file::is_dicom(path) || spot::is_zip(path)
}
