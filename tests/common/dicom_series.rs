//! Source series in memory, as a reader would hand them on, and masks on them.

use std::path::Path;
use std::sync::Arc;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use sat_mcp::volume::{Affine, Grid, Mask, MaskBuilder, Series, SourceFrame, SourceInstance};
use serde_json::json;

/// A header of text elements.
pub fn header(elements: &[(Tag, VR, &str)]) -> InMemDicomObject {
    let element = |&(tag, vr, value): &(Tag, VR, &str)| {
        let values = value.split('\\').map(str::to_owned).collect();
        DataElement::new(tag, vr, PrimitiveValue::Strs(values))
    };
    InMemDicomObject::from_element_iter(elements.iter().map(element))
}

/// A whole CT header, with letters of Latin-1.
pub fn ct() -> InMemDicomObject {
    let mut header = header(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::PATIENT_NAME, VR::PN, "Müller^Jérôme"),
        (tags::PATIENT_ID, VR::LO, "P-0001"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19700102"),
        (tags::PATIENT_SEX, VR::CS, "O"),
        (tags::PATIENT_AGE, VR::AS, "054Y"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.1"),
        (tags::STUDY_DATE, VR::DA, "20240229"),
        (tags::STUDY_TIME, VR::TM, "101530.25"),
        (tags::STUDY_ID, VR::SH, "S1"),
        (tags::STUDY_DESCRIPTION, VR::LO, "CT Thorax/Abdomen"),
        (tags::ACCESSION_NUMBER, VR::SH, "A1"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "Weiß^Anna"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.2"),
        (tags::SERIES_NUMBER, VR::IS, "4"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.3"),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
        (tags::SLICE_THICKNESS, VR::DS, "3"),
        (tags::BODY_PART_EXAMINED, VR::CS, "ABDOMEN"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "+0100"),
        (tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01"),
        (tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "12.5"),
        (tags::LOSSY_IMAGE_COMPRESSION_METHOD, VR::CS, "ISO_10918_1"),
        (tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
        (tags::DEIDENTIFICATION_METHOD, VR::LO, ""),
    ]);
    let procedure = self::header(&[
        (tags::CODE_VALUE, VR::SH, "CTTA"),
        (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "99LOCAL"),
        (tags::CODE_MEANING, VR::LO, "CT Übersicht"),
    ]);
    let sequence = DataSetSequence::from(vec![procedure]);
    header.put(DataElement::new(tags::PROCEDURE_CODE_SEQUENCE, VR::SQ, sequence));
    header
}

/// Directions of rows and columns, turned out of the patient's axes.
pub const OBLIQUE: [f64; 6] = [0.8, 0.6, 0.0, -0.48, 0.64, 0.6];

/// Where frames lie: `step` from one to the next, in LPS+.
pub fn positions(first: [f64; 3], step: [f64; 3], count: usize) -> Vec<[f64; 3]> {
    let at = |n: usize| [0, 1, 2].map(|axis| first[axis] + step[axis] * n as f64);
    (0..count).map(at).collect()
}

/// The normal of [`OBLIQUE`], so long.
pub fn normal(length: f64) -> [f64; 3] {
    [0.36 * length, -0.48 * length, 0.8 * length]
}

/// A series of single-frame instances.
pub fn single_frames(header: InMemDicomObject, size: [usize; 2], orientation: [f64; 6], at: &[[f64; 3]]) -> Series {
    let instance = |n: usize| SourceInstance {
        class_uid: uids::CT_IMAGE_STORAGE.to_owned(),
        uid: format!("1.2.826.0.1.3680043.8.498.2.{}", n + 1),
    };
    let frame = |(n, &position): (usize, &[f64; 3])| SourceFrame {
        instance: n,
        number: None,
        position,
    };
    let instances = (0..at.len()).map(instance).collect();
    let frames = at.iter().enumerate().map(frame).collect();
    Series::new(header, instances, frames, size, [0.7, 0.9], orientation)
}

/// A series of one multi-frame instance, whose frames are stored the other way about.
pub fn one_multi_frame(header: InMemDicomObject, size: [usize; 2], orientation: [f64; 6], at: &[[f64; 3]]) -> Series {
    let instance = SourceInstance {
        class_uid: uids::ENHANCED_MR_IMAGE_STORAGE.to_owned(),
        uid: "1.2.826.0.1.3680043.8.498.5.1".to_owned(),
    };
    let frame = |(n, &position): (usize, &[f64; 3])| SourceFrame {
        instance: 0,
        number: Some((at.len() - n) as u32),
        position,
    };
    let frames = at.iter().enumerate().map(frame).collect();
    Series::new(header, vec![instance], frames, size, [0.7, 0.9], orientation)
}

/// The voxels of a series' grid (column, row, frame) for which `inside` holds.
pub fn mask(series: &Series, inside: impl Fn([usize; 3]) -> bool) -> Mask {
    let shape = [series.size()[0], series.size()[1], series.frames().len()];
    let grid = Grid::new(shape, Affine::identity());
    let mut builder = MaskBuilder::new(Arc::new(grid.clone()));
    (0..grid.len())
        .filter(|&index| inside(grid.voxel(index)))
        .for_each(|index| builder.push(index as u64));
    builder.finish()
}

/// What the files must hold, for other people's programs to be asked: `truth.json`, and `truth.u8`, a byte a voxel, segment by
/// segment, frame by frame, row by row.
pub fn write_truth(folder: &Path, series: &Series, labels: &[&str], colours: &[[u8; 3]], masks: &[Mask]) {
    let positions: Vec<[f64; 3]> = series.frames().iter().map(|frame| frame.position).collect();
    let instance = |n: usize| &series.instances()[series.frames()[n].instance].uid;
    let truth = json!({
        "labels": labels,
        "colours": (0..labels.len()).map(|n| colours[n % colours.len()]).collect::<Vec<_>>(),
        "columns": series.size()[0],
        "rows": series.size()[1],
        "positions": positions,
        "orientation": series.orientation(),
        "spacing": series.spacing(),
        "instances": (0..positions.len()).map(instance).collect::<Vec<_>>(),
        "numbers": series.frames().iter().map(|frame| frame.number).collect::<Vec<_>>(),
    });
    std::fs::write(folder.join("truth.json"), truth.to_string()).unwrap();
    let voxels: Vec<u8> = masks.iter().flat_map(Mask::to_bytes).collect();
    std::fs::write(folder.join("truth.u8"), voxels).unwrap();
}
