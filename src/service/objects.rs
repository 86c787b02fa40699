//! A result's DICOM objects: masks as a SEG, measurements as an SR, of scans that were read from DICOM.

use super::found::Measured;
use super::plan::Plan;
use super::written::{cannot_write, hash_of};
use super::{Code, Fault, FileAnswer, Format, uris};
use crate::report::colours;
use crate::report::dicom::{Coding, DicomError, Made, Segment, write_seg, write_sr};
use chrono::Local;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

const SEG: &str = "segmentation.dcm";
const SR: &str = "report.dcm";
/// What each is called in a result.
pub(super) const FILES: [(Format, &str); 2] = [(Format::DicomSeg, SEG), (Format::DicomSr, SR)];

/// What was written: each with the number of a segment where it is one's.
#[derive(Default)]
pub(super) struct Objects {
    /// The SEG, whose segment n is the n-th of the masks.
    pub seg: Option<FileAnswer>,
    /// The SR.
    pub report: Option<FileAnswer>,
}

/// Writes what was asked for into a draft of the result.
pub(super) fn write(folder: &Path, plan: &Plan, found: &[(String, Measured)]) -> Result<Objects, Fault> {
    let Some(series) = plan.volume.series() else {
        return Ok(Objects::default());
    };
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let colours = colours(&names);
    let parts = |name: &str| {
        let target = plan.targets.iter().find(|target| target.name == name);
        target.and_then(|target| target.composed_of.clone()).unwrap_or_default()
    };
    let descriptions: Vec<String> = names.iter().map(|name| parts(name).join(", ")).collect();
    let segments: Vec<Segment<'_>> = found
        .iter()
        .zip(&colours)
        .zip(&descriptions)
        .map(|(((name, measured), colour), description)| Segment {
            label: name,
            description,
            coding: Coding::of(name, &parts(name)),
            colour: *colour,
            mask: &measured.mask,
            measurement: &measured.measurement,
        })
        .collect();
    let model = plan.model();
    let made = Made {
        result_id: &plan.result_id,
        model_name: &model.name,
        model_version: &model.version,
        model_sha256: &model.sha256,
        program_version: env!("CARGO_PKG_VERSION"),
        created: Local::now().fixed_offset(),
    };
    let object = |format: Format, file: &str, write: &dyn Fn(&mut BufWriter<File>) -> Result<(), DicomError>| {
        if !plan.formats.contains(&format) {
            return Ok::<_, Fault>(None);
        }
        let path = folder.join(file);
        let mut to = BufWriter::new(File::create(&path).map_err(|error| cannot_write(&error))?);
        write(&mut to).map_err(|error| fault(&error))?;
        to.flush().map_err(|error| cannot_write(&error))?;
        let (bytes, sha256) = hash_of(&path)?;
        Ok(Some(FileAnswer {
            format,
            uri: uris::uri(&plan.result_id, file),
            path: None,
            bytes,
            sha256: Some(sha256),
            segment_number: None,
        }))
    };
    Ok(Objects {
        seg: object(Format::DicomSeg, SEG, &|to| write_seg(to, series, &segments, &made))?,
        report: object(Format::DicomSr, SR, &|to| write_sr(to, series, &segments, &made))?,
    })
}

fn fault(error: &DicomError) -> Fault {
    match error {
        DicomError::Write(error) => cannot_write(error),
        error => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            Fault::new(
                Code::Internal,
                format!(
                    "{}{}.",
                    super::faults::sentence(error.to_string()).trim_end_matches('.'),
                    cause.unwrap_or_default()
                ),
            )
        }
    }
}
