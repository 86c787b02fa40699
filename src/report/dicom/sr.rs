//! Comprehensive 3D SR (PS3.3 A.35.13) after TID 1500, Imaging Measurement Report.

use std::io::{BufWriter, Write};

use dicom_dictionary_std::{tags, uids};

use super::content::{Relation, code, container, root, text, uid};
use super::elements::{Elements, Item};
use super::file;
use super::header::{self, Identity, codes_of};
use super::identity::Uids;
use super::library::library;
use super::measurements::{Pointer, filled, group};
use super::references::evidence;
use super::source::Source;
use super::uids::derived;
use super::{Code, DicomError, Made, Segment, check};
use crate::volume::Series;

const REPORT: Code = Code::new("DCM", "126000", "Imaging Measurement Report");
const LANGUAGE: Code = Code::new("DCM", "121049", "Language of Content Item and Descendants");
const ENGLISH: Code = Code::new("RFC5646", "en-US", "English (United States)");
const OBSERVER_TYPE: Code = Code::new("DCM", "121005", "Observer Type");
const DEVICE: Code = Code::new("DCM", "121007", "Device");
const DEVICE_UID: Code = Code::new("DCM", "121012", "Device Observer UID");
const DEVICE_NAME: Code = Code::new("DCM", "121013", "Device Observer Name");
const DEVICE_MANUFACTURER: Code = Code::new("DCM", "121014", "Device Observer Manufacturer");
const DEVICE_MODEL: Code = Code::new("DCM", "121015", "Device Observer Model Name");
const DEVICE_SERIAL: Code = Code::new("DCM", "121016", "Device Observer Serial Number");
const PROCEDURE: Code = Code::new("DCM", "121058", "Procedure reported");
const MEASUREMENTS: Code = Code::new("DCM", "126010", "Imaging Measurements");

/// CID 100.
const CT: Code = Code::new("LN", "25045-6", "CT unspecified body region");
const MRI: Code = Code::new("LN", "25056-3", "MRI unspecified body region");
const PET: Code = Code::new("LN", "44136-0", "PET unspecified body region");
const IMAGING: Code = Code::new("SCT", "363679005", "Imaging procedure");

/// Writes the measurements of `segments` as a report that points into the object that [`super::write_seg`] writes of the same
/// arguments. Masks are not looked at.
///
/// # Errors
/// When there is nothing to write, more than can be numbered, or the destination fails.
pub fn write_sr(to: impl Write, series: &Series, segments: &[Segment], made: &Made) -> Result<(), DicomError> {
    check(series, segments)?;
    let source = Source::new(series);
    let uids = Uids::new(made, &source);
    let instance = uids.of("report");
    let mut dataset = header::dataset(
        &source,
        &Identity {
            class: uids::COMPREHENSIVE3_DSR_STORAGE,
            instance: &instance,
            series: &uids.of("report series"),
            modality: "SR",
            number: 2,
            description: &format!("Measurements by {} {}", made.model_name, made.model_version),
        },
        made,
        segments,
    );
    dataset = document(dataset, &source, &uids);
    dataset = root(dataset, &REPORT, "1500", content(&source, segments, made, &uids));
    source.characters().settle(&mut dataset);
    let mut to = BufWriter::new(to);
    file::write(
        &mut to,
        uids::COMPREHENSIVE3_DSR_STORAGE,
        &instance,
        &dataset,
        made.program_version,
    )?;
    to.flush()?;
    Ok(())
}

/// SR Document Series and SR Document General (PS3.3 C.17.1, C.17.2). Nobody has verified what a model says.
fn document(dataset: Item, source: &Source, uids: &Uids) -> Item {
    let segmentation = uids.of("segmentation");
    let segmentation = (uids::SEGMENTATION_STORAGE, segmentation.as_str());
    dataset
        .word(tags::COMPLETION_FLAG, "COMPLETE")
        .word(tags::VERIFICATION_FLAG, "UNVERIFIED")
        .word(tags::PRELIMINARY_FLAG, "PRELIMINARY")
        .items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new())
        .items(
            tags::PERFORMED_PROCEDURE_CODE_SEQUENCE,
            codes_of(source, tags::PROCEDURE_CODE_SEQUENCE),
        )
        .item(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            evidence(source, segmentation, &uids.of("segmentation series")),
        )
}

/// What hangs on the root.
fn content(source: &Source, segments: &[Segment], made: &Made, uids: &Uids) -> Vec<Item> {
    let segmentation = uids.of("segmentation");
    let series = source.series_uid();
    let groups = segments.iter().enumerate().map(|(at, segment)| {
        let pointer = Pointer {
            segmentation: (uids::SEGMENTATION_STORAGE, &segmentation),
            number: at + 1,
            tracking: &uids.tracking(at + 1),
            series: &series,
        };
        group(segment, &pointer, made)
    });
    let mut content = vec![code(Relation::Modifier, &LANGUAGE, &ENGLISH)];
    content.extend(observer(made));
    content.push(code(Relation::Modifier, &PROCEDURE, &procedure(source)));
    content.extend(library(source));
    content.push(container(Relation::Contains, &MEASUREMENTS, None, groups.collect()));
    content
}

/// TID 1004: it was a program. Its UID is one for each version of program and model.
fn observer(made: &Made) -> Vec<Item> {
    let device = derived(&[
        "device",
        made.program_version,
        made.model_name,
        made.model_version,
        made.model_sha256,
    ]);
    let mut items = vec![
        code(Relation::Context, &OBSERVER_TYPE, &DEVICE),
        uid(Relation::Context, &DEVICE_UID, &device),
        text(
            Relation::Context,
            &DEVICE_NAME,
            &format!("sat-mcp {}", made.program_version),
        ),
        text(Relation::Context, &DEVICE_MANUFACTURER, "sat-mcp"),
        text(Relation::Context, &DEVICE_MODEL, filled(made.model_name)),
    ];
    items.extend(
        made.model_sha256
            .get(..16)
            .map(|serial| text(Relation::Context, &DEVICE_SERIAL, serial)),
    );
    items
}

fn procedure(source: &Source) -> Code {
    match source.modality().as_deref() {
        Some("CT") => CT,
        Some("MR") => MRI,
        Some("PT") => PET,
        _ => IMAGING,
    }
}
