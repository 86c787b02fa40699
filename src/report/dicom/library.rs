//! The images that were measured, as a report lists them: TID 1600, what they have in common said once (TID 1602).

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::Code;
use super::content::{Relation, code, container, image, number, uid};
use super::elements::Item;
use super::measurements::MILLIMETER;
use super::source::Source;

const LIBRARY: Code = Code::new("DCM", "111028", "Image Library");
const GROUP: Code = Code::new("DCM", "126200", "Image Library Group");
const SOURCE: Code = Code::new("SCT", "260753009", "Source");
const MODALITY: Code = Code::new("DCM", "121139", "Modality");
const FRAME_OF_REFERENCE: Code = Code::new("DCM", "112227", "Frame of Reference UID");
const ROWS: Code = Code::new("DCM", "110910", "Pixel Data Rows");
const COLUMNS: Code = Code::new("DCM", "110911", "Pixel Data Columns");
const HORIZONTAL: Code = Code::new("DCM", "111026", "Horizontal Pixel Spacing");
const VERTICAL: Code = Code::new("DCM", "111066", "Vertical Pixel Spacing");
const THICKNESS: Code = Code::new("DCM", "112225", "Slice Thickness");
const PIXELS: Code = Code::new("UCUM", "{pixels}", "Pixels");

const COMPUTED_TOMOGRAPHY: Code = Code::new("DCM", "CT", "Computed Tomography");
const MAGNETIC_RESONANCE: Code = Code::new("DCM", "MR", "Magnetic Resonance");
const POSITRON_EMISSION: Code = Code::new("DCM", "PT", "Positron emission tomography");

/// The library's container; none where no image can be referred to.
pub(super) fn library(source: &Source) -> Option<Item> {
    let images: Vec<Item> = source
        .references()
        .map(|reference| image(Relation::Contains, &SOURCE, reference, None))
        .collect();
    if images.is_empty() {
        return None;
    }
    let mut content = descriptors(source);
    content.extend(images);
    let group = container(Relation::Contains, &GROUP, None, content);
    Some(container(Relation::Contains, &LIBRARY, None, vec![group]))
}

fn descriptors(source: &Source) -> Vec<Item> {
    const HERE: Relation = Relation::Acquisition;
    let series = source.series();
    let [columns, rows] = series.size();
    let [between_columns, between_rows] = series.spacing();
    let mut all = Vec::new();
    let modality = match source.modality().as_deref() {
        Some("CT") => Some(COMPUTED_TOMOGRAPHY),
        Some("MR") => Some(MAGNETIC_RESONANCE),
        Some("PT") => Some(POSITRON_EMISSION),
        _ => None,
    };
    all.extend(modality.map(|modality| code(HERE, &MODALITY, &modality)));
    let frame = source.value(tags::FRAME_OF_REFERENCE_UID, VR::UI);
    all.extend(frame.map(|frame| uid(HERE, &FRAME_OF_REFERENCE, &frame)));
    all.push(number(HERE, &ROWS, rows as f64, &PIXELS));
    all.push(number(HERE, &COLUMNS, columns as f64, &PIXELS));
    all.push(number(HERE, &HORIZONTAL, between_columns, &MILLIMETER));
    all.push(number(HERE, &VERTICAL, between_rows, &MILLIMETER));
    let thickness = source
        .number(tags::SLICE_THICKNESS)
        .filter(|&thickness| thickness > 0.0);
    all.extend(thickness.map(|thickness| number(HERE, &THICKNESS, thickness, &MILLIMETER)));
    all
}
