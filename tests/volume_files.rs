//! Files in: every kind that is read, and every fault that is told apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

use nifti_bytes::{Folder, Nifti, gzip};
use proptest::prelude::*;
use sat_mcp::segment::{Preparation, PrepareError, prepare};
use sat_mcp::volume::{self, Anchor, AxisCode, Modality, ReadError, Volume};

fn read(bytes: &[u8]) -> Result<Volume, ReadError> {
    let folder = Folder::new();
    volume::read(&folder.file("image.nii", bytes))
}

/// The message of a file that is refused, which must name the file.
#[track_caller]
fn refused(bytes: &[u8]) -> (ReadError, String) {
    let error = read(bytes).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("image.nii"), "{message}");
    (error, message)
}

macro_rules! assert_refused {
    ($bytes:expr, $error:pat, $($word:expr),+) => {{
        let (error, message) = refused($bytes);
        assert!(matches!(error, $error), "{error:?}");
        $(assert!(message.contains($word), "{message} does not say {}", $word);)+
    }};
}

fn counting() -> Vec<f32> {
    (0..24).map(|n| n as f32).collect()
}

// What is read

#[test]
fn every_integer_and_float_type_is_read_in_either_byte_order() {
    macro_rules! check {
        ($($number:ty: $code:expr),+) => {$({
            let bits = 8 * size_of::<$number>() as i16;
            let mut nifti = Nifti::new();
            nifti.data = (0..24_u8).flat_map(|n| (n as $number).to_le_bytes()).collect();
            let little = read(&nifti.datatype($code, bits).bytes()).unwrap();
            let big = read(&nifti.big_endian(size_of::<$number>()).bytes()).unwrap();
            for found in [little, big] {
                assert_eq!(found.voxels(), counting(), stringify!($number));
                assert_eq!(found.grid().shape(), [4, 3, 2]);
                assert_eq!(found.grid().to_world([1.0, 0.0, 1.0]), [-3.0, 7.0, 11.0]);
            }
        })+};
    }
    check!(u8: 2, i16: 4, i32: 8, f32: 16, f64: 64, i8: 256, u16: 512, u32: 768, i64: 1024, u64: 1280);
}

#[test]
fn intensities_are_scaled_and_keep_their_sign() {
    let mut nifti = Nifti::new();
    nifti.data = (0..24_i16).flat_map(|n| (n - 12).to_le_bytes()).collect();
    let found = read(&nifti.scaling(0.5, -1000.0).bytes()).unwrap();
    assert_eq!(found.voxels()[0], -1006.0);
    assert_eq!(found.voxels()[23], -994.5);
    for none in [0.0, f32::NAN, f32::INFINITY] {
        assert_eq!(read(&nifti.scaling(none, 7.0).bytes()).unwrap().voxels()[0], -12.0);
    }
    assert_refused!(
        &nifti.scaling(2.0, f32::NAN).bytes(),
        ReadError::BadHeader { .. },
        "scl_inter"
    );
}

#[test]
fn gzip_is_known_by_its_bytes_and_not_by_its_name() {
    let folder = Folder::new();
    let bytes = Nifti::new().bytes();
    let zipped = gzip(&bytes);
    // Two gzip members one after the other are one stream, as bgzip writes it.
    let members = [gzip(&bytes[..100]), gzip(&bytes[100..])].concat();
    for (name, content) in [
        ("a.nii", &bytes),
        ("b.nii.gz", &zipped),
        ("c.nii", &zipped),
        ("d.nii.gz", &bytes),
        ("e.img", &members),
    ] {
        let found = volume::read(&folder.file(name, content)).unwrap();
        assert_eq!(found.voxels(), counting(), "{name}");
    }
}

#[test]
fn extensions_before_the_voxels_are_skipped() {
    let mut nifti = Nifti::new();
    nifti.put(108, 400_f32.to_le_bytes()).header.extend([7; 48]);
    assert_eq!(read(&nifti.bytes()).unwrap().voxels(), counting());
    assert_eq!(read(&gzip(&nifti.bytes())).unwrap().voxels(), counting());
}

#[test]
fn a_4_d_file_of_one_volume_is_that_volume() {
    for dim in [&[4, 4, 3, 2, 1][..], &[5, 4, 3, 2, 1, 1], &[7, 4, 3, 2, 1, 1, 1, 1]] {
        assert_eq!(read(&Nifti::new().dim(dim).bytes()).unwrap().grid().shape(), [4, 3, 2]);
    }
}

#[test]
fn the_affine_is_the_one_that_nibabel_takes() {
    #[derive(serde::Deserialize)]
    struct Golden {
        headers: Vec<GoldenHeader>,
    }
    #[derive(serde::Deserialize)]
    struct GoldenHeader {
        header: String,
        affine: [[f64; 4]; 4],
    }
    let golden: Golden = serde_json::from_str(include_str!("golden/orientations.json")).unwrap();
    assert_eq!(golden.headers.len(), 24);
    for (number, GoldenHeader { header, affine }) in golden.headers.into_iter().enumerate() {
        let mut header = (0..header.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&header[at..at + 2], 16).unwrap())
            .collect::<Vec<u8>>();
        header[344..348].copy_from_slice(b"n+1\0");
        header.resize(352, 0);
        header[108..112].fill(0);
        let found = read(&[header, vec![0; 5 * 6 * 7 * 4]].concat()).unwrap();
        for (row, should) in affine.iter().enumerate() {
            for (column, should) in should.iter().enumerate() {
                let is = found.grid().affine()[(row, column)];
                assert!(
                    (is - should).abs() < 1e-12,
                    "header {number}: {is} for {should}\n{}",
                    found.grid().affine()
                );
            }
        }
    }
}

#[test]
fn the_content_hash_is_of_the_image_and_not_of_the_file() {
    let plain = read(&Nifti::new().bytes()).unwrap().content_hash();
    assert_eq!(read(&gzip(&Nifti::new().bytes())).unwrap().content_hash(), plain);
    assert_eq!(
        read(&Nifti::new().floats(&counting()).bytes()).unwrap().content_hash(),
        plain
    );
    assert_eq!(read(&Nifti::new().big_endian(2).bytes()).unwrap().content_hash(), plain);
    assert_ne!(
        read(&Nifti::new().scaling(2.0, 0.0).bytes()).unwrap().content_hash(),
        plain
    );
    assert_ne!(
        read(&Nifti::new().dim(&[3, 3, 4, 2]).bytes()).unwrap().content_hash(),
        plain
    );
    let moved = Nifti::new()
        .sform([[2.0, 0.0, 0.0, -5.0], [0.0, 2.0, 0.0, 7.0], [0.0, 0.0, 2.0, 9.5]])
        .bytes();
    assert_ne!(read(&moved).unwrap().content_hash(), plain);
}

// What is refused

#[test]
fn a_path_that_leads_to_no_file_says_so() {
    let folder = Folder::new();
    let missing = volume::read(&folder.path("nothing.nii.gz")).unwrap_err();
    assert!(matches!(missing, ReadError::NotFound { .. }) && missing.to_string().contains("nothing.nii.gz"));
    let under_a_file = volume::read(&folder.file("file", b"x").join("image.nii")).unwrap_err();
    assert!(matches!(under_a_file, ReadError::NotFound { .. }), "{under_a_file}");
    let directory = volume::read(&folder.path("")).unwrap_err();
    assert!(matches!(directory, ReadError::Series { .. }) && directory.to_string().contains("DICOM image"));
    let directory = volume::read_labels(&folder.path("")).unwrap_err();
    assert!(matches!(directory, ReadError::Folder { .. }) && directory.to_string().contains("label map"));
    #[cfg(unix)]
    assert!(matches!(
        volume::read(std::path::Path::new("/dev/null")).unwrap_err(),
        ReadError::NotAFile { .. }
    ));
}

#[test]
fn files_of_other_kinds_are_named() {
    assert_refused!(b"", ReadError::Empty { .. }, "empty");
    assert_refused!(&gzip(b""), ReadError::Empty { .. }, "empty");
    assert_refused!(b"\x89PNG\r\n", ReadError::NotNifti { .. }, "not a NIfTI", ".nii.gz");
    assert_refused!(&[b'x'; 5000], ReadError::NotNifti { .. }, "not a NIfTI");
    assert_refused!(&gzip(&[b'x'; 5000]), ReadError::NotNifti { .. }, "not a NIfTI");
    let dicom = [&[0; 128][..], b"DICM", &[0; 500]].concat();
    assert_refused!(&dicom, ReadError::Series { .. }, "DICOM", "transfer syntax");
    assert_refused!(&dicom[..140], ReadError::Series { .. }, "DICOM");
    let mut second = Nifti::new();
    second.put(0, 540_i32.to_le_bytes()).data = vec![0; 400];
    assert_refused!(&second.bytes(), ReadError::NotNifti { .. }, "NIfTI-2", "magic");
    second.put(4, *b"n+2\0\n\x1a\n\0");
    assert_refused!(&second.bytes(), ReadError::NotNifti { .. }, "line ends", "binary mode");
    assert_refused!(
        &Nifti::new().put(344, *b"ni1\0").bytes(),
        ReadError::NotNifti { .. },
        ".hdr/.img"
    );
    assert_refused!(
        &Nifti::new().put(344, [0; 4]).bytes(),
        ReadError::NotNifti { .. },
        "ANALYZE"
    );
}

#[test]
fn a_file_that_is_cut_short_is_told_from_one_that_is_damaged() {
    let noise: Vec<u8> = (0..24_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut nifti = Nifti::new();
    nifti.datatype(768, 32).data = noise;
    let (bytes, zipped) = (nifti.bytes(), gzip(&nifti.bytes()));
    assert!(read(&zipped).is_ok());
    for length in [4, 100, 347, 348, 352, 400, bytes.len() - 1] {
        assert_refused!(&bytes[..length], ReadError::Truncated { .. }, "cut short", "again");
        assert_refused!(&gzip(&bytes[..length]), ReadError::Truncated { .. }, "cut short");
    }
    for length in [20, zipped.len() / 2, zipped.len() - 9, zipped.len() - 1] {
        assert_refused!(&zipped[..length], ReadError::Truncated { .. }, "gzip stream", "again");
    }
    for at in [zipped.len() - 6, zipped.len() - 3] {
        let mut damaged = zipped.clone();
        damaged[at] ^= 0x55;
        assert_refused!(&damaged, ReadError::Corrupt { .. }, "damaged", "again");
    }
    let mut undecodable = zipped.clone();
    undecodable[10] = 0xff;
    assert_refused!(&undecodable, ReadError::Corrupt { .. }, "damaged");
}

#[test]
fn a_slice_and_a_time_series_are_refused() {
    assert_refused!(
        &Nifti::new().dim(&[2, 4, 6]).bytes(),
        ReadError::TooFlat { dimensions: 2, .. },
        "three"
    );
    assert_refused!(
        &Nifti::new().dim(&[1, 24]).bytes(),
        ReadError::TooFlat { dimensions: 1, .. },
        "three"
    );
    assert_refused!(
        &Nifti::new().dim(&[4, 2, 3, 2, 2]).bytes(),
        ReadError::ManyVolumes { volumes: 2, .. },
        "2 volumes",
        "2 x 3 x 2 x 2",
        "image.nii#0 is the first",
        "image.nii#1 the last"
    );
    assert_refused!(
        &Nifti::new().dim(&[5, 4, 3, 2, 1, 3]).bytes(),
        ReadError::ManyVolumes { volumes: 3, .. },
        "3 volumes"
    );
}

#[test]
fn promises_that_cannot_be_kept_are_refused_before_room_is_made() {
    for bytes in [
        Nifti::new().dim(&[3, 30_000, 30_000, 30_000]).bytes(),
        Nifti::new().dim(&[7, 32767, 32767, 32767, 1, 1, 1, 1]).bytes(),
    ] {
        assert_refused!(
            &bytes,
            ReadError::TooLarge { .. },
            "limit of 1073741824",
            "crop or resample"
        );
        assert_refused!(&gzip(&bytes), ReadError::TooLarge { .. }, "limit");
    }
    // Within the limit, but more than the file can hold.
    let bytes = Nifti::new().dim(&[3, 1000, 1000, 1000]).bytes();
    assert_refused!(&bytes, ReadError::Truncated { .. }, "promises 2000000352");
    assert_refused!(&gzip(&bytes), ReadError::Truncated { .. }, "compressed can hold");
}

#[test]
fn lengths_that_make_no_sense_are_refused() {
    for dim in [
        &[0, 4, 3, 2][..],
        &[-1, 4, 3, 2],
        &[8, 4, 3, 2],
        &[3, 0, 3, 2],
        &[3, 4, -3, 2],
        &[4, 4, 3, 2, 0],
    ] {
        assert_refused!(&Nifti::new().dim(dim).bytes(), ReadError::BadHeader { .. }, "dim");
    }
    for offset in [f32::NAN, -1.0, 10.0, 348.0, 352.5, f32::INFINITY] {
        let bytes = Nifti::new().put(108, offset.to_le_bytes()).bytes();
        assert_refused!(&bytes, ReadError::BadHeader { .. }, "vox_offset");
    }
    let bytes = Nifti::new().put(108, 1e12_f32.to_le_bytes()).bytes();
    assert_refused!(&gzip(&bytes), ReadError::Truncated { .. }, "cut short");
}

#[test]
fn nan_and_infinite_voxels_are_counted() {
    let mut values = counting();
    (values[3], values[5], values[8]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
    assert_refused!(
        &Nifti::new().floats(&values).bytes(),
        ReadError::NotFinite {
            count: 3,
            total: 24,
            ..
        },
        "3 of 24",
        "nan_to_num"
    );
    let mut huge = Nifti::new();
    huge.datatype(64, 64).data = [1e300; 24].into_iter().flat_map(f64::to_le_bytes).collect();
    assert_refused!(&huge.bytes(), ReadError::NotFinite { count: 24, .. }, "float32");
}

#[test]
fn absurd_spacings_are_refused() {
    let sform = |zoom: f32| {
        Nifti::new()
            .sform([[zoom, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
            .bytes()
    };
    for zoom in [100.5, 1e-4, -250.0] {
        assert_refused!(&sform(zoom), ReadError::Spacing { .. }, "makes no sense", "pixdim");
    }
    for zoom in [f32::NAN, f32::INFINITY] {
        assert_refused!(&sform(zoom), ReadError::BadHeader { .. }, "not finite");
    }
    for zoom in [0.0, -2.0, f32::NAN] {
        for qform_code in [0_i16, 1] {
            let mut nifti = Nifti::new();
            nifti
                .put(254, [0; 2])
                .put(252, qform_code.to_le_bytes())
                .pixdim(&[1.0, 2.0, zoom, 2.0]);
            assert_refused!(&nifti.bytes(), ReadError::BadHeader { field: "pixdim", .. }, "pixdim");
        }
    }
}

#[test]
fn singular_affines_are_refused() {
    for rows in [
        [[0.0; 4]; 3],
        [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
        [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]],
    ] {
        assert_refused!(
            &Nifti::new().sform(rows).bytes(),
            ReadError::SingularAffine { .. },
            "singular",
            "sform"
        );
    }
    let long = Nifti::new()
        .put(254, [0; 2])
        .put(252, [1, 0])
        .put(256, 0.9_f32.to_le_bytes())
        .put(260, 0.9_f32.to_le_bytes())
        .bytes();
    assert_refused!(&long, ReadError::BadHeader { .. }, "quatern");
}

#[test]
fn data_types_that_are_no_single_number_are_named() {
    for (code, name) in [
        (1, "binary"),
        (32, "complex64"),
        (128, "RGB24"),
        (1536, "float128"),
        (2304, "RGBA32"),
        (0, "number 0"),
        (77, "number 77"),
    ] {
        assert_refused!(
            &Nifti::new().datatype(code, 8).bytes(),
            ReadError::DataType { .. },
            name,
            "integers or floats"
        );
    }
}

#[test]
fn a_constant_image_is_read_and_refused_when_prepared() {
    let how = Preparation {
        orientation: AxisCode::RAS,
        spacing: [1.0, 1.0, 3.0],
        ct_window: [-500.0, 1000.0],
        percentiles: [0.5, 99.5],
        anchor: Anchor::Published,
    };
    let constant = read(&Nifti::new().floats(&[7.0; 24]).bytes()).unwrap();
    for modality in [Modality::Ct, Modality::Mri, Modality::Pet] {
        let error = prepare(&constant, modality, &how).unwrap_err();
        assert!(
            matches!(error, PrepareError::Constant { .. }) && error.to_string().contains("constant"),
            "{error}"
        );
    }
    let dark = read(&Nifti::new().floats(&[-7.0; 24]).bytes()).unwrap();
    let error = prepare(&dark, Modality::Ct, &how).unwrap_err();
    assert!(
        matches!(error, PrepareError::NothingAboveZero) && error.to_string().contains("Hounsfield"),
        "{error}"
    );
}

#[test]
fn an_image_that_would_not_fit_at_the_models_spacing_is_refused() {
    let how = Preparation {
        orientation: AxisCode::RAS,
        spacing: [0.01, 0.01, 0.01],
        ct_window: [-500.0, 1000.0],
        percentiles: [0.5, 99.5],
        anchor: Anchor::Published,
    };
    let mut nifti = Nifti::new();
    let wide = nifti.sform([[90.0, 0.0, 0.0, 0.0], [0.0, 90.0, 0.0, 0.0], [0.0, 0.0, 90.0, 0.0]]);
    let error = prepare(&read(&wide.bytes()).unwrap(), Modality::Mri, &how).unwrap_err();
    assert!(
        matches!(error, PrepareError::TooLarge { .. }) && error.to_string().contains("spacing"),
        "{error}"
    );
    let how = Preparation {
        spacing: [1.0, 0.0, 1.0],
        ..how
    };
    assert!(matches!(
        prepare(&read(&Nifti::new().bytes()).unwrap(), Modality::Mri, &how),
        Err(PrepareError::Spacing { .. })
    ));
}

// Labels

#[test]
fn labels_are_whole_numbers_in_any_type() {
    let folder = Folder::new();
    let read = |nifti: &mut Nifti| volume::read_labels(&folder.file("labels.nii.gz", &gzip(&nifti.bytes())));
    let found = read(&mut Nifti::new()).unwrap();
    assert_eq!(
        found.values().into_iter().collect::<Vec<_>>(),
        (1..24).collect::<Vec<_>>()
    );
    assert_eq!(found.mask(5).indices().collect::<Vec<_>>(), [5]);
    assert_eq!(found.foreground().count(), 23);
    assert_eq!(read(Nifti::new().floats(&counting())).unwrap().labels(), found.labels());
    // 0 and 255 stored as 0 and 1 with a slope
    assert_eq!(
        read(
            Nifti::new()
                .scaling(1.0 / 23.0, 0.0)
                .floats(&[[0.0, 23.0]; 12].concat())
        )
        .unwrap()
        .values()
        .len(),
        1
    );

    for (value, word) in [
        (0.5, "holds 0.5"),
        (-1.0, "holds -1"),
        (f32::NAN, "NaN"),
        (5e9, "5000000000"),
    ] {
        let mut values = counting();
        values[6] = value;
        let error = read(Nifti::new().floats(&values)).unwrap_err();
        assert!(
            matches!(error, ReadError::NotLabels { voxel: [2, 1, 0], .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains(word) && error.to_string().contains("labels.nii.gz"),
            "{error}"
        );
    }
}

// Whatever comes

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_header_makes_the_reader_panic(
        changes in prop::collection::vec((0_usize..352, any::<u8>()), 0..12),
        cut in prop::option::weighted(0.3, 0_usize..400),
        zipped: bool,
        big: bool,
    ) {
        let mut nifti = Nifti::new();
        if big {
            nifti.big_endian(2);
        }
        let mut bytes = nifti.bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(cut.unwrap_or(bytes.len()));
        let bytes = if zipped { gzip(&bytes) } else { bytes };
        let folder = Folder::new();
        let path = folder.file("image.nii", &bytes);
        if let Ok(found) = volume::read(&path) {
            prop_assert_eq!(found.voxels().len(), found.grid().len());
        }
        let _ = volume::read_labels(&path);
    }

    #[test]
    fn no_damage_to_a_gzip_stream_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = gzip(&Nifti::new().bytes());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn random_bytes_are_never_an_image(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(read(&bytes).is_err());
    }
}
