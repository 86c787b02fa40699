//! DICOM Segmentation (PS3.3 A.51, C.8.20): binary, one segment a class, on the slices of the source.

use std::io::{BufWriter, Write};

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::{tags, uids};

use super::bits::{self, Bits};
use super::codes;
use super::colour::lab;
use super::elements::{Elements, Item, code_item};
use super::file;
use super::frames::{self, Frames, Spacing};
use super::header::{self, Identity};
use super::identity::Uids;
use super::references::source_series;
use super::source::Source;
use super::{Code, DicomError, Made, Segment, check};
use crate::volume::Series;

const ARTIFICIAL_INTELLIGENCE: Code = Code::new("DCM", "123110", "Artificial Intelligence");

/// Writes one Segmentation object of all `segments`, which may overlap.
///
/// Bits are packed with the lowest first, frames following one another within a byte (PS3.5 8.1.1). Only slices with voxels have
/// frames; segments without any are listed all the same. Masks are unpacked one at a time, twice, and nothing of the
/// pixels or of what is said of each frame is held.
///
/// # Errors
/// When there is nothing to write, more than an object holds, or the destination fails.
pub fn write_seg(to: impl Write, series: &Series, segments: &[Segment], made: &Made) -> Result<(), DicomError> {
    check(series, segments)?;
    let source = Source::new(series);
    let [columns, rows] = series.size();
    let (Ok(_), Ok(_)) = (u16::try_from(columns), u16::try_from(rows)) else {
        return Err(DicomError::SliceTooLarge { columns, rows });
    };
    let frames = Frames::find(series, segments);
    let length = bits::length(frames.count(), columns * rows);
    let Some(length) = u32::try_from(length).ok().filter(|&length| length < u32::MAX) else {
        return Err(DicomError::TooLarge { bytes: length });
    };
    let uids = Uids::new(made, &source);
    let dataset = dataset(&source, segments, made, &frames, &uids);
    let mut to = BufWriter::new(to);
    file::write(
        &mut to,
        uids::SEGMENTATION_STORAGE,
        &uids.of("segmentation"),
        &dataset,
        made.program_version,
    )?;
    write_groups(&mut to, &source, &frames)?;
    write_pixels(&mut to, series, segments, &frames, length)?;
    to.flush()?;
    Ok(())
}

/// All but what grows with the number of frames: those two elements come last in a data set.
fn dataset(source: &Source, segments: &[Segment], made: &Made, frames: &Frames, uids: &Uids) -> Item {
    let (instance, series) = (uids.of("segmentation"), uids.of("segmentation series"));
    let identity = Identity {
        class: uids::SEGMENTATION_STORAGE,
        instance: &instance,
        series: &series,
        modality: "SEG",
        number: 1,
        description: &format!("Segmentation by {} {}", made.model_name, made.model_version),
    };
    let [columns, rows] = source.series().size().map(|length| length as u16);
    let spacing = Spacing::of(source.series());
    let numbered = segments.iter().enumerate();
    let described = numbered
        .map(|(at, segment)| describe(at + 1, segment, made, uids))
        .collect();
    let mut dataset = header::dataset(source, &identity, made, segments)
        .with(
            tags::IMAGE_TYPE,
            VR::CS,
            PrimitiveValue::Strs(["DERIVED", "PRIMARY"].map(String::from).into_iter().collect()),
        )
        .word(tags::CONTENT_LABEL, "SEGMENTATION")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, "Made by a model, not reviewed")
        .text(tags::CONTENT_CREATOR_NAME, VR::PN, "sat-mcp^")
        .uid(
            tags::FRAME_OF_REFERENCE_UID,
            &source.uid_or_derived(tags::FRAME_OF_REFERENCE_UID, "frame of reference"),
        )
        .with(
            tags::POSITION_REFERENCE_INDICATOR,
            VR::LO,
            source
                .value(tags::POSITION_REFERENCE_INDICATOR, VR::LO)
                .map_or(PrimitiveValue::Empty, PrimitiveValue::from),
        )
        .short(tags::SAMPLES_PER_PIXEL, 1)
        .word(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.count().to_string())
        .short(tags::ROWS, rows)
        .short(tags::COLUMNS, columns)
        .short(tags::BITS_ALLOCATED, 1)
        .short(tags::BITS_STORED, 1)
        .short(tags::HIGH_BIT, 0)
        .short(tags::PIXEL_REPRESENTATION, 0)
        .word(tags::SEGMENTATION_TYPE, "BINARY")
        .word(tags::SEGMENTS_OVERLAP, if frames.overlap { "YES" } else { "NO" })
        .items(tags::SEGMENT_SEQUENCE, described)
        .item(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            frames::shared_groups(source, &spacing),
        );
    let referenced = source_series(source);
    if !referenced.is_empty() {
        dataset = dataset.items(tags::REFERENCED_SERIES_SEQUENCE, referenced);
    }
    dataset = frames::dimensions(dataset, &uids.of("dimensions"), &spacing);
    dataset = loss(dataset, source);
    if let Some(part) = source.value(tags::BODY_PART_EXAMINED, VR::CS) {
        dataset = dataset.word(tags::BODY_PART_EXAMINED, &part);
    }
    source.characters().settle(&mut dataset);
    dataset
}

/// One item of the Segment Sequence (PS3.3 C.8.20.4).
fn describe(number: usize, segment: &Segment, made: &Made, uids: &Uids) -> Item {
    let algorithm = Item::new_empty()
        .code(tags::ALGORITHM_FAMILY_CODE_SEQUENCE, &ARTIFICIAL_INTELLIGENCE)
        .text(tags::ALGORITHM_NAME, VR::LO, made.model_name)
        .text(tags::ALGORITHM_VERSION, VR::LO, made.model_version)
        .text(
            tags::ALGORITHM_SOURCE,
            VR::LO,
            &format!("sat-mcp {}", made.program_version),
        );
    let coding = &segment.coding;
    let sided = |code: &Code, modifier, side: Option<_>| match side {
        Some(side) => code_item(code).code(modifier, &codes::side(side)),
        None => code_item(code),
    };
    let kind = sided(
        &coding.kind,
        tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
        coding.side,
    );
    let mut item = Item::new_empty()
        .short(tags::SEGMENT_NUMBER, number as u16)
        .text(tags::SEGMENT_LABEL, VR::LO, segment.name())
        .word(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")
        .text(
            tags::SEGMENT_ALGORITHM_NAME,
            VR::LO,
            &format!("{} {}", made.model_name, made.model_version),
        )
        .item(tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE, algorithm)
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, &coding.category)
        .item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, kind)
        .with(
            tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
            VR::US,
            PrimitiveValue::U16(lab(segment.colour).into_iter().collect()),
        )
        .text(tags::TRACKING_ID, VR::UT, segment.name())
        .uid(tags::TRACKING_UID, &uids.tracking(number));
    if let Some(region) = &coding.region {
        let region = sided(&region.structure, tags::ANATOMIC_REGION_MODIFIER_SEQUENCE, region.side);
        item = item.item(tags::ANATOMIC_REGION_SEQUENCE, region);
    }
    match segment.description {
        "" => item,
        description => item.text(tags::SEGMENT_DESCRIPTION, VR::ST, description),
    }
}

/// Whether the source's pixels were once compressed with loss stays with what is made of them (PS3.3 C.7.6.1.1.5).
fn loss(dataset: Item, source: &Source) -> Item {
    let lossy = source.value(tags::LOSSY_IMAGE_COMPRESSION, VR::CS);
    if lossy.as_deref() != Some("01") {
        return dataset.word(tags::LOSSY_IMAGE_COMPRESSION, "00");
    }
    let header = source.series().header();
    let all = |tag| {
        let values = header.get(tag).and_then(|element| element.value().to_multi_str().ok());
        let values = values.map(|values| values.iter().map(|value| value.trim().to_owned()).collect::<Vec<_>>());
        values.filter(|values| values.iter().all(|value| !value.is_empty()))
    };
    let (ratios, methods) = (
        all(tags::LOSSY_IMAGE_COMPRESSION_RATIO),
        all(tags::LOSSY_IMAGE_COMPRESSION_METHOD),
    );
    let mut dataset = dataset.word(tags::LOSSY_IMAGE_COMPRESSION, "01");
    let ratios = ratios.map(|ratios| {
        ratios
            .iter()
            .filter_map(|ratio| ratio.parse().ok())
            .collect::<Vec<f64>>()
    });
    if let Some(ratios) = ratios.filter(|ratios| !ratios.is_empty()) {
        dataset = dataset.decimals(tags::LOSSY_IMAGE_COMPRESSION_RATIO, &ratios);
    }
    match methods {
        Some(methods) => dataset.with(
            tags::LOSSY_IMAGE_COMPRESSION_METHOD,
            VR::CS,
            PrimitiveValue::Strs(methods.into_iter().collect()),
        ),
        None => dataset,
    }
}

/// Per-frame Functional Groups Sequence, item by item.
fn write_groups(to: &mut impl Write, source: &Source, frames: &Frames) -> Result<(), DicomError> {
    to.write_all(b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff")?; // (5200,9230), of undefined length
    let mut item = Vec::new();
    for (number, frame) in frames.iter() {
        item.clear();
        file::encode(&mut item, &frames.groups(source, number, frame))?;
        to.write_all(b"\xfe\xff\x00\xe0")?;
        to.write_all(&(item.len() as u32).to_le_bytes())?;
        to.write_all(&item)?;
    }
    to.write_all(b"\xfe\xff\xdd\xe0\0\0\0\0")?;
    Ok(())
}

/// Pixel Data, frame by frame.
fn write_pixels(
    to: &mut impl Write,
    series: &Series,
    segments: &[Segment],
    frames: &Frames,
    length: u32,
) -> Result<(), DicomError> {
    to.write_all(b"\xe0\x7f\x10\x00OB\0\0")?; // (7FE0,0010)
    to.write_all(&length.to_le_bytes())?;
    let mut bits = Bits::new(to);
    if frames.blank {
        let [columns, rows] = series.size();
        bits.push(&vec![0; columns * rows])?;
    }
    for segment in segments {
        series.each_plane(&segment.mask.unpack(), |_, pixels| bits.push(pixels))?;
    }
    bits.finish()?;
    Ok(())
}
