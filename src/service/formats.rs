//! Which formats a scan can be given in.

use super::{Code, Fault, Format};
use crate::volume::Volume;

/// Refuses formats that a scan cannot be given in.
pub(super) fn check(formats: &[Format], volume: &Volume) -> Result<(), Fault> {
    let Some(format) = formats.iter().find(|format| **format != Format::Nifti) else {
        return Ok(());
    };
    match volume.series() {
        Some(series) if series.has_identities() => Ok(()),
        Some(_) => Err(Fault::new(
            Code::InvalidArgument,
            format!(
                "{} refers to the images of a series by their SOP Instance UIDs, and here some are missing or the same.",
                format.as_str()
            ),
        )
        .hint("Leave formats out for NIfTI masks, or export the series with its UIDs.")),
        None => Err(Fault::new(
            Code::InvalidArgument,
            format!(
                "{} needs a scan from DICOM: it refers to the images of a series, and this is a NIfTI file.",
                format.as_str()
            ),
        )
        .hint("Give the folder of the DICOM series as image, or leave formats out for NIfTI masks.")),
    }
}
