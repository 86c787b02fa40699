//! Images on a grid: where voxels are in the patient, reading, reorienting, resampling and writing them.
//!
//! Linear indices run with the first stored axis fastest, as NIfTI stores; millimetres are RAS+. Only this room and
//! `report` know file formats.

mod axes;
mod blocks;
mod dicom;
mod error;
mod grid;
mod head;
mod image;
mod input;
mod limits;
mod mask;
mod modality;
mod nifti;
mod opening;
mod order;
mod packed;
mod places;
mod resample;
mod spacing;
mod unit;

pub use axes::{Affine, Axis, AxisCode, AxisCodeError, Reorientation};
pub use blocks::averaged;
pub use dicom::{
    Note, Segment, Segmentation, Series, SeriesError, SeriesLine, SourceFrame, SourceInstance, instance_uid,
    read_dicom_bytes, read_segmentation_bytes,
};
pub use error::{ReadError, WriteError};
pub use grid::Grid;
pub(crate) use grid::transform;
pub use head::{Head, MOST_HEAD};
pub use image::{LabelMap, Volume};
pub(crate) use input::pair_names;
pub use input::{
    Around, Input, MaskFile, other_of, read, read_labels, read_labels_within, read_masks_within, read_within,
};
pub use limits::ReadLimits;
pub use mask::{Mask, MaskBuilder, Run};
pub use modality::Modality;
pub use nifti::{
    Exactness, Placement, read_bytes, read_labels_bytes, read_slices, slices_in, write_bytes_to, write_labels,
    write_mask, write_mask_to,
};
pub(crate) use order::{from_key, to_key};
pub use packed::{MaskCodeError, PackedMask, PackedMaskBuilder};
pub(crate) use resample::{Neighbour, Sampling, resample};
pub use spacing::Anchor;
pub(crate) use spacing::respaced;
pub use unit::IntensityUnit;
