//! DICOM out: segmentations and reports of series that are whole, bare, tilted, multi-frame or written in other alphabets.
//!
//! Each case leaves its files in a folder; `SAT_MCP_WRITTEN` names where, for tests/python/test_dicom_written.py to ask other
//! people's programs about them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/dicom_series.rs"]
mod dicom_series;

use std::path::PathBuf;

use chrono::DateTime;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, open_file};
use dicom_series::*;
use sat_mcp::anatomy::Catalogue;
use sat_mcp::measure::{Measuring, measure};
use sat_mcp::report::dicom::{Coding, DicomError, Made, Segment, write_seg, write_sr};
use sat_mcp::volume::{IntensityUnit, Mask, Modality, PackedMask, Series, Volume};

fn made() -> Made<'static> {
    Made {
        result_id: "r-0123456789abcdef",
        model_name: "sat-mini",
        model_version: "1.0",
        model_sha256: "00112233445566778899aabbccddeeff",
        program_version: "0.1.0",
        created: DateTime::parse_from_rfc3339("2026-03-01T23:30:15Z").unwrap(),
    }
}

/// The segments' colours; truth.json tells them.
const COLOURS: [[u8; 3]; 6] = [
    [230, 57, 70],
    [0, 128, 255],
    [0, 235, 0],
    [255, 0, 0],
    [43, 214, 71],
    [10, 10, 10],
];

/// Where a case's files go.
struct Written {
    folder: PathBuf,
    seg: PathBuf,
    sr: PathBuf,
    _kept: Option<tempfile::TempDir>,
}

/// The unit of this word.
fn unit_of(word: &str) -> IntensityUnit {
    match word {
        "HU" => IntensityUnit::Hounsfield,
        "SUVbw" => IntensityUnit::SuvBodyWeight,
        "Bq/mL" => IntensityUnit::BecquerelPerMl,
        other => IntensityUnit::Other(other.to_owned()),
    }
}

/// Writes both objects of these masks.
fn write(case: &str, series: &Series, unit: &str, named: &[(&str, Mask)]) -> Written {
    let (root, kept) = match std::env::var_os("SAT_MCP_WRITTEN") {
        Some(root) => (PathBuf::from(root), None),
        None => {
            let folder = tempfile::tempdir().unwrap();
            (folder.path().to_owned(), Some(folder))
        }
    };
    let folder = root.join(case);
    std::fs::create_dir_all(&folder).unwrap();
    let written = Written {
        seg: folder.join("seg.dcm"),
        sr: folder.join("sr.dcm"),
        folder,
        _kept: kept,
    };
    let grid = named[0].1.shared_grid();
    let voxels = (0..grid.len()).map(|index| (index % 1000) as f32).collect();
    let image = Volume::new(grid, voxels, None::<Modality>).with_unit(unit_of(unit));
    let with = Measuring {
        image: Some(&image),
        ..Measuring::default()
    };
    let packed: Vec<PackedMask> = named.iter().map(|(_, mask)| PackedMask::from(mask)).collect();
    let measured: Vec<_> = named.iter().map(|(name, mask)| measure(name, mask, &with)).collect();
    let segment = |n: usize| Segment {
        label: named[n].0,
        description: if n == 0 { "The first of them" } else { "" },
        coding: Coding::of(named[n].0, &[]),
        colour: COLOURS[n % COLOURS.len()],
        mask: &packed[n],
        measurement: &measured[n],
    };
    let segments: Vec<Segment> = (0..named.len()).map(segment).collect();
    write_seg(std::fs::File::create(&written.seg).unwrap(), series, &segments, &made()).unwrap();
    write_sr(std::fs::File::create(&written.sr).unwrap(), series, &segments, &made()).unwrap();
    let labels: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
    let masks: Vec<Mask> = named.iter().map(|(_, mask)| mask.clone()).collect();
    write_truth(&written.folder, series, &labels, &COLOURS, &masks);
    written
}

/// Masks of which no mirror image nor turn is the mask itself; the second lies over the first.
fn asymmetric(series: &Series) -> Vec<(&'static str, Mask)> {
    let arm = |[i, j, k]: [usize; 3]| {
        (2..=4).contains(&k) && ((3..15).contains(&i) && j == 4 || i == 3 && (4..9).contains(&j))
    };
    let foot = |[i, j, k]: [usize; 3]| k == 4 && i == 14 && j < 6;
    vec![
        ("left kidney", mask(series, |voxel| arm(voxel) || foot(voxel))),
        ("kidney", mask(series, |[i, j, k]| k > 2 && k < 6 && i > 10 && j < 7)),
        ("spleen", mask(series, |_| false)),
        ("liver tumor", mask(series, |[i, j, k]| k == 0 && i + j < 4)),
        (
            "left angular gyrus",
            mask(series, |[i, j, k]| i == 0 && j == 0 && k > 0),
        ),
        ("something of mine", mask(series, |[i, j, k]| [i, j, k] == [16, 12, 6])),
    ]
}

fn text(object: &DefaultDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim().to_owned()
}

#[test]
fn an_oblique_series_gets_a_segmentation_and_a_report() {
    let series = single_frames(
        ct(),
        [17, 13],
        OBLIQUE,
        &positions([-20.5, 31.25, -804.0], normal(2.5), 7),
    );
    let written = write("oblique", &series, "HU", &asymmetric(&series));
    let seg = open_file(&written.seg).unwrap();
    assert_eq!(text(&seg, tags::PATIENT_NAME), "Müller^Jérôme");
    assert_eq!(text(&seg, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 100");
    assert_eq!(text(&seg, tags::NUMBER_OF_FRAMES), (3 + 3 + 1 + 6 + 1).to_string());
    assert_eq!(text(&seg, tags::SEGMENTS_OVERLAP), "YES");
    assert_eq!(text(&seg, tags::SERIES_NUMBER), "401");
    // 23:30 UTC is the next day where the scanner stands
    assert_eq!(
        (text(&seg, tags::CONTENT_DATE), text(&seg, tags::CONTENT_TIME)),
        ("20260302".to_owned(), "003015".to_owned())
    );
    assert_eq!(
        seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().len(),
        (14 * 17 * 13_usize).div_ceil(8).next_multiple_of(2)
    );
    let sr = open_file(&written.sr).unwrap();
    assert_eq!(text(&sr, tags::PATIENT_ID), "P-0001");
}

#[test]
fn the_same_result_is_the_same_bytes() {
    let series = single_frames(ct(), [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 7));
    let bytes = |case| {
        let written = write(case, &series, "HU", &asymmetric(&series));
        [written.seg, written.sr].map(|path| std::fs::read(path).unwrap())
    };
    assert!(bytes("once") == bytes("again"));
}

#[test]
fn frames_of_a_multi_frame_source_are_named_by_number() {
    let header = header(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::MODALITY, VR::CS, "MR"),
        (tags::PATIENT_NAME, VR::PN, "Wang^XiaoDong=王^小东"),
        (tags::PATIENT_ID, VR::LO, "M1"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.4"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.5"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.6"),
    ]);
    let coronal = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
    let series = one_multi_frame(
        header,
        [17, 13],
        coronal,
        &positions([-10.0, -40.0, 60.0], [0.0, 1.5, 0.0], 7),
    );
    let seg = open_file(write("multi_frame", &series, "a.u.", &asymmetric(&series)).seg).unwrap();
    assert_eq!(text(&seg, tags::PATIENT_NAME), "Wang^XiaoDong=王^小东");
}

#[test]
fn slices_of_a_tilted_gantry_stay_where_they_are() {
    let tilted = [1.0, 0.0, 0.0, 0.0, 0.9483237, -0.3173047];
    let series = single_frames(
        ct(),
        [17, 13],
        tilted,
        &positions([-12.0, -8.0, 5.836], [0.0, 0.0, 4.0], 7),
    );
    let seg = open_file(write("tilted", &series, "HU", &asymmetric(&series)).seg).unwrap();
    assert!(seg.element_opt(tags::DIMENSION_ORGANIZATION_TYPE).unwrap().is_none());
}

#[test]
fn uneven_slices_claim_no_spacing() {
    let mut at = positions([0.0, 0.0, 10.0], [0.0, 0.0, 2.0], 7);
    at[6][2] += 3.0;
    let series = single_frames(ct(), [17, 13], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &at);
    write("uneven", &series, "HU", &asymmetric(&series));
}

#[test]
fn a_header_without_anything_or_with_nonsense_still_gives_objects() {
    let flat = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let at = positions([0.0, 0.0, 10.0], [0.0, 0.0, 2.0], 7);
    let bare = single_frames(header(&[]), [17, 13], flat, &at);
    write("bare", &bare, "as stored", &asymmetric(&bare));
    let nonsense = header(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "KLINGON"),
        (tags::MODALITY, VR::CS, "ct?"),
        (tags::PATIENT_NAME, VR::PN, "Ärger"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "yesterday"),
        (tags::PATIENT_SEX, VR::CS, "X"),
        (tags::PATIENT_AGE, VR::AS, "old"),
        (tags::PATIENT_WEIGHT, VR::DS, "heavy"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "abc"),
        (tags::SERIES_INSTANCE_UID, VR::UI, ""),
        (tags::STUDY_DATE, VR::DA, "2024.02.29"),
        (tags::STUDY_TIME, VR::TM, "25:61"),
        (tags::STUDY_DESCRIPTION, VR::LO, &"long ".repeat(40)),
        (tags::SERIES_NUMBER, VR::IS, "many"),
        (tags::SLICE_THICKNESS, VR::DS, "-1"),
        (tags::BODY_PART_EXAMINED, VR::CS, "the whole body and more"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, "CET"),
        (tags::PATIENT_IDENTITY_REMOVED, VR::CS, "MAYBE"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1..2"),
    ]);
    let series = single_frames(nonsense, [17, 13], flat, &at);
    let seg = open_file(write("nonsense", &series, "Bq/mL", &asymmetric(&series)).seg).unwrap();
    assert_eq!(text(&seg, tags::PATIENT_NAME), "Ärger");
    assert_eq!(text(&seg, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    assert_eq!(text(&seg, tags::STUDY_DATE), "");
}

#[test]
fn a_name_that_switches_character_sets_becomes_unicode() {
    let elements = header(&[
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "\\ISO 2022 IR 87"),
        (tags::MODALITY, VR::CS, "PT"),
        (
            tags::PATIENT_NAME,
            VR::PN,
            "Yamada^Tarou=\u{1b}$B;3ED\u{1b}(B^\u{1b}$BB@O:\u{1b}(B",
        ),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.7"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.8"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.826.0.1.3680043.8.498.9"),
    ]);
    let at = positions([0.0, 0.0, 10.0], [0.0, 0.0, 2.0], 7);
    let series = single_frames(elements, [17, 13], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &at);
    let seg = open_file(write("japanese", &series, "SUVbw", &asymmetric(&series)).seg).unwrap();
    assert_eq!(text(&seg, tags::PATIENT_NAME), "Yamada^Tarou=山田^太郎");
}

#[test]
fn an_identifier_is_repeated_to_the_letter_however_long() {
    let mut elements = ct();
    let long = "0123456789".repeat(7);
    elements.put_str(tags::PATIENT_ID, VR::LO, long.as_str());
    let series = single_frames(elements, [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 7));
    let written = write("long_identifier", &series, "HU", &asymmetric(&series));
    for path in [written.seg, written.sr] {
        assert_eq!(text(&open_file(path).unwrap(), tags::PATIENT_ID), long);
    }
}

#[test]
fn nothing_found_is_an_object_too() {
    let series = single_frames(ct(), [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 7));
    let named = [
        ("spleen", mask(&series, |_| false)),
        ("liver", mask(&series, |_| false)),
    ];
    let seg = open_file(write("empty", &series, "HU", &named).seg).unwrap();
    assert_eq!(text(&seg, tags::NUMBER_OF_FRAMES), "1");
    assert_eq!(
        seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().iter().max(),
        Some(&0)
    );
}

#[test]
fn every_finding_and_some_of_each_kind_is_coded() {
    let catalogue = Catalogue::load();
    let classes = catalogue.classes().iter().map(|class| class.name.as_str());
    let odd = classes
        .enumerate()
        .filter(|(n, name)| n % 25 == 0 || catalogue.is_finding(name));
    let series = single_frames(ct(), [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 7));
    let named: Vec<(&str, Mask)> = odd
        .map(|(n, name)| (name, mask(&series, |[i, j, k]| i + 17 * j == n % 221 && k == n % 7)))
        .collect();
    assert!(named.len() > 40);
    write("many", &series, "HU", &named);
}

#[test]
fn a_phrase_in_another_alphabet_is_written_in_unicode() {
    let series = single_frames(ct(), [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 1));
    let named = [("肝脏 λ", mask(&series, |[i, j, _]| i > 3 && j > 7))];
    let seg = open_file(write("phrase", &series, "HU", &named).seg).unwrap();
    assert_eq!(text(&seg, tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    assert_eq!(text(&seg, tags::PATIENT_NAME), "Müller^Jérôme");
    let segments = seg.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
    assert_eq!(
        segments[0]
            .element(tags::SEGMENT_LABEL)
            .unwrap()
            .to_str()
            .unwrap()
            .trim(),
        "肝脏 λ"
    );
}

#[test]
fn what_cannot_be_written_is_said() {
    let series = single_frames(ct(), [17, 13], OBLIQUE, &positions([0.0; 3], normal(2.5), 1));
    assert!(matches!(
        write_seg(Vec::new(), &series, &[], &made()),
        Err(DicomError::NoSegments)
    ));
    let mask = mask(&series, |_| true);
    let (packed, measured) = (PackedMask::from(&mask), measure("liver", &mask, &Measuring::default()));
    let segment = Segment {
        label: "liver",
        description: "",
        coding: Coding::of("liver", &[]),
        colour: [0; 3],
        mask: &packed,
        measurement: &measured,
    };
    let full = Full;
    assert!(matches!(
        write_seg(full, &series, &[segment], &made()),
        Err(DicomError::Write(_) | DicomError::Encode(_))
    ));
}

/// A disk without room.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
