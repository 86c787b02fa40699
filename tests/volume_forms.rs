//! The forms that NIfTI comes in: version 2, two files, several volumes; and how much of each is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

use nifti_bytes::{Folder, Nifti, gzip};
use sat_mcp::volume::{self, Input, ReadError, ReadLimits};

fn counting() -> Vec<f32> {
    (0..24).map(|n| n as f32).collect()
}

/// A pair's header and voxels; what stands before the voxels is for the offset to skip.
fn pair(before: usize) -> (Vec<u8>, Vec<u8>) {
    let mut nifti = Nifti::new();
    nifti
        .put(344, *b"ni1\0")
        .put(108, (before as f32).to_le_bytes())
        .header
        .truncate(348);
    (nifti.header.clone(), [vec![7; before], nifti.data.clone()].concat())
}

/// The usual image as NIfTI-2, by the standard's offsets, in either byte order.
fn second(big: bool) -> Vec<u8> {
    let mut header = vec![0_u8; 544];
    let mut put = |at: usize, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if big {
            bytes.reverse();
        }
        header[at..at + bytes.len()].copy_from_slice(&bytes);
    };
    put(0, &540_i32.to_le_bytes());
    put(12, &4_i16.to_le_bytes());
    put(14, &16_i16.to_le_bytes());
    for (n, length) in [3_i64, 4, 3, 2, 1, 1, 1, 1].into_iter().enumerate() {
        put(16 + 8 * n, &length.to_le_bytes());
    }
    for n in 0..4 {
        put(104 + 8 * n, &f64::from(1 + u8::from(n > 0)).to_le_bytes());
    }
    put(168, &544_i64.to_le_bytes());
    put(176, &0.5_f64.to_le_bytes());
    put(348, &1_i32.to_le_bytes());
    let rows = [2.1_f64, 0.0, 0.0, -5.0, 0.0, 2.0, 0.0, 7.0, 0.0, 0.0, 2.0, 9.0];
    for (n, value) in rows.into_iter().enumerate() {
        put(400 + 8 * n, &value.to_le_bytes());
    }
    put(500, &2_i32.to_le_bytes());
    header[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    let words = (0..24_i16).map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() });
    header.extend(words.flatten());
    header
}

#[test]
fn nifti_2_is_read_in_either_byte_order_with_all_its_digits() {
    let folder = Folder::new();
    let halves: Vec<f32> = counting().iter().map(|value| value / 2.0).collect();
    for big in [false, true] {
        for bytes in [second(big), gzip(&second(big))] {
            let found = volume::read(&folder.file("image.nii", &bytes)).unwrap();
            assert_eq!(found.voxels(), halves);
            assert_eq!(found.grid().to_world([1.0, 1.0, 1.0]), [2.1 - 5.0, 9.0, 11.0]);
        }
    }
    // Zeros where the line ends should be are what forgetful writers leave.
    let mut forgetful = second(false);
    forgetful[8..12].fill(0);
    assert!(volume::read(&folder.file("image.nii", &forgetful)).is_ok());
    for length in [348, 539, 543, 560] {
        let error = volume::read(&folder.file("image.nii", &second(false)[..length])).unwrap_err();
        assert!(matches!(error, ReadError::Truncated { .. }), "{length}: {error}");
    }
}

#[test]
fn lengths_and_offsets_that_overflow_are_refused() {
    let folder = Folder::new();
    let refused = |at: usize, value: i64| {
        let mut bytes = second(false);
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        volume::read(&folder.file("image.nii", &bytes)).unwrap_err()
    };
    for length in [i64::MAX, 1 << 62, 1 << 40] {
        assert!(matches!(refused(24, length), ReadError::TooLarge { .. }));
    }
    for length in [0, -1, i64::MIN] {
        assert!(matches!(refused(24, length), ReadError::BadHeader { field: "dim", .. }));
    }
    for offset in [-544, 1, 543, i64::MIN, i64::MAX] {
        assert!(matches!(
            refused(168, offset),
            ReadError::BadHeader {
                field: "vox_offset",
                ..
            }
        ));
    }
    assert!(matches!(refused(168, 1 << 40), ReadError::Truncated { .. }));
    // More volumes than can be counted, and more bytes.
    let mut many = second(false);
    many[16..24].copy_from_slice(&7_i64.to_le_bytes());
    for at in [48, 56] {
        many[at..at + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    }
    let path = folder.file("image.nii", &many);
    assert!(matches!(
        volume::read(&path).unwrap_err(),
        ReadError::BadHeader { field: "dim", .. }
    ));
    many[56..64].copy_from_slice(&(1_i64 << 20).to_le_bytes());
    let path = folder.file("image.nii", &many);
    let last = Input::at(&path).choosing(Some((1_u64 << 60).wrapping_sub(1).to_string()));
    assert!(matches!(volume::read(last).unwrap_err(), ReadError::TooLarge { .. }));
}

#[test]
fn either_file_of_a_pair_is_the_image() {
    for (header_name, image_name) in [
        ("a.hdr", "a.img"),
        ("b.hdr.gz", "b.img.gz"),
        ("c.hdr", "c.img.gz"),
        ("d.hdr.gz", "d.img"),
        ("E.HDR", "E.IMG"),
    ] {
        for before in [0, 16, 50] {
            let folder = Folder::new();
            let (header, image) = pair(before);
            let packed = |name: &str, bytes: &[u8]| {
                let bytes = if name.ends_with(".gz") {
                    gzip(bytes)
                } else {
                    bytes.to_vec()
                };
                folder.file(name, &bytes)
            };
            for path in [packed(header_name, &header), packed(image_name, &image)] {
                let found = volume::read(&path).unwrap_or_else(|_| volume::read(&folder.path(header_name)).unwrap());
                assert_eq!(found.voxels(), counting(), "{header_name}");
            }
            let by_image = volume::read(&folder.path(image_name)).unwrap();
            assert_eq!(by_image.voxels(), counting(), "{image_name}");
            let labels = volume::read_labels(&folder.path(image_name)).unwrap();
            assert_eq!(labels.foreground().count(), 23);
        }
    }
}

#[test]
fn half_a_pair_says_what_is_missing() {
    let (header, image) = pair(0);
    let folder = Folder::new();
    for (name, bytes, other) in [("a.hdr", &header, "a.img"), ("b.img", &image, "b.hdr")] {
        let error = volume::read(&folder.file(name, bytes)).unwrap_err();
        assert!(matches!(error, ReadError::HalfMissing { .. }), "{error}");
        assert!(error.to_string().contains(other), "{error}");
    }
    let error = volume::read(&folder.file("c.nii", &header)).unwrap_err();
    assert!(error.to_string().contains("NAME.hdr and NAME.img"), "{error}");
    // Too short, and in its own words: the voxels lie in the other file.
    folder.file("a.img", &image[..40]);
    let error = volume::read(&folder.path("a.hdr")).unwrap_err();
    assert!(
        matches!(&error, ReadError::Truncated { path, .. } if path.ends_with("a.img")),
        "{error}"
    );
    // ANALYZE 7.5 has the same names.
    let mut analyze = header.clone();
    analyze[344..348].fill(0);
    for name in ["e.hdr", "e.img"] {
        folder.file("e.hdr", &analyze);
        folder.file("e.img", &image);
        let error = volume::read(&folder.path(name)).unwrap_err();
        assert!(error.to_string().contains("ANALYZE"), "{error}");
    }
}

#[test]
fn a_volume_is_chosen_by_its_number_from_0() {
    let folder = Folder::new();
    // The fifth axis is the slower one: 2 x 3 volumes of 2 x 2 x 1.
    let mut nifti = Nifti::new();
    let bytes = nifti.dim(&[5, 2, 2, 1, 2, 3]).bytes();
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let path = folder.file("image.nii", &bytes);
        let chosen = |choice: &str| volume::read(Input::at(&path).choosing(Some(choice.into())));
        for number in 0..6_usize {
            let found = chosen(&number.to_string()).unwrap();
            assert_eq!(found.voxels(), &counting()[4 * number..4 * number + 4]);
            assert_eq!(found.grid().shape(), [2, 2, 1]);
        }
        for none in ["6", "-1", "", "a", "+1", "1.0", "18446744073709551616"] {
            let error = chosen(none).unwrap_err();
            assert!(matches!(error, ReadError::NoSuchVolume { volumes: 6, .. }), "{error}");
            assert!(error.to_string().contains("image.nii#5 the last"), "{error}");
        }
        let error = volume::read(&path).unwrap_err().to_string();
        assert!(error.contains("6 volumes") && error.contains("image.nii#0"), "{error}");
    }
    // What has one volume has it by its number, too.
    let path = folder.file("one.nii", &Nifti::new().bytes());
    assert!(volume::read(Input::at(&path).choosing(Some("0".into()))).is_ok());
    assert!(volume::read(Input::at(&path).choosing(Some("1".into()))).is_err());
}

#[test]
fn a_series_that_ends_early_is_cut_short_whichever_volume_is_asked_for() {
    let folder = Folder::new();
    let mut nifti = Nifti::new();
    let bytes = nifti.dim(&[4, 2, 2, 2, 3]).bytes();
    for cut in [bytes[..bytes.len() - 2].to_vec(), gzip(&bytes[..bytes.len() - 2])] {
        for number in ["0", "2"] {
            let input = Input::at(folder.file("image.nii", &cut)).choosing(Some(number.into()));
            let error = volume::read(input).unwrap_err();
            assert!(matches!(error, ReadError::Truncated { .. }), "{error}");
        }
    }
}

#[test]
fn what_goes_on_after_the_last_voxel_is_padding_or_a_wrong_header() {
    let folder = Folder::new();
    let with = |more: usize| [Nifti::new().bytes(), vec![0; more]].concat();
    for (more, well) in [(16, true), (64 << 10, true), ((64 << 10) + 1, false), (10 << 20, false)] {
        for bytes in [with(more), gzip(&with(more))] {
            let found = volume::read(&folder.file("image.nii", &bytes));
            assert_eq!(found.is_ok(), well, "{more}: {:?}", found.err());
            if let Err(error) = found {
                assert!(matches!(error, ReadError::TooLong { .. }), "{error}");
            }
        }
    }
}

#[test]
fn limits_are_told_with_what_would_raise_them() {
    let folder = Folder::new();
    let bytes = Nifti::new().dim(&[4, 2, 3, 2, 2]).bytes();
    let path = folder.file("image.nii.gz", &gzip(&bytes));
    let read = |voxels: u64, unpacked_bytes: u64, choice: &str| {
        let input = Input::at(&path).choosing(Some(choice.into()));
        volume::read_within(&input, &ReadLimits { voxels, unpacked_bytes })
    };
    assert!(read(12, 400, "1").is_ok());
    let error = read(11, 400, "1").unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::TooLarge {
                promised: 12,
                limit: 11,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("max_voxels"), "{error}");
    // The first volume ends before the limit, the second does not.
    assert!(read(12, 376, "0").is_ok());
    let error = read(12, 399, "1").unwrap_err();
    assert!(matches!(error, ReadError::Unpacked { promised: 400, .. }), "{error}");
    assert!(error.to_string().contains("max_unpacked_gb"), "{error}");
    let plain = folder.file("plain.nii", &bytes);
    let limits = ReadLimits {
        voxels: 12,
        unpacked_bytes: 0,
    };
    assert!(volume::read_within(&Input::at(&plain).choosing(Some("1".into())), &limits).is_ok());
}

#[test]
fn extensions_without_end_are_not_waited_for() {
    let folder = Folder::new();
    let offset = 100 << 20;
    let mut nifti = Nifti::new();
    nifti.put(108, (offset as f32).to_le_bytes()).header.resize(offset, 0);
    for bytes in [nifti.bytes(), gzip(&nifti.bytes())] {
        let error = volume::read(&folder.file("image.nii", &bytes)).unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::BadHeader {
                    field: "vox_offset",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn an_image_longer_than_any_body_is_refused() {
    let folder = Folder::new();
    let mut nifti = Nifti::new();
    nifti
        .dim(&[3, 30_000, 1, 1])
        .sform([[100.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    nifti.data = vec![0; 60_000];
    let error = volume::read(&folder.file("image.nii.gz", &gzip(&nifti.bytes()))).unwrap_err();
    assert!(matches!(error, ReadError::Extent { .. }), "{error}");
    assert!(error.to_string().contains("3000000 x 1 x 1 mm"), "{error}");
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_folders_that_look_like_files_are_told_at_once() {
    use std::os::unix::net::UnixListener;
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.nii.gz")).unwrap();
    let pipe = folder.path("pipe.nii");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(folder.path("socket.nii")).unwrap();
    for (name, kind) in [
        ("folder.nii.gz", "folder"),
        ("pipe.nii", "neither"),
        ("socket.nii", "neither"),
    ] {
        let error = volume::read(&folder.path(name)).unwrap_err();
        assert!(error.to_string().contains(kind), "{error}");
    }
    // As the other file of a pair, too.
    folder.file("a.hdr", &pair(0).0);
    std::fs::rename(&pipe, folder.path("a.img")).unwrap();
    for name in ["a.hdr", "a.img"] {
        let error = volume::read(&folder.path(name)).unwrap_err();
        assert!(matches!(error, ReadError::NotAFile { .. }), "{error}");
    }
    let gone = folder.path("gone.nii");
    std::os::unix::fs::symlink(folder.path("nowhere"), &gone).unwrap();
    assert!(matches!(volume::read(&gone).unwrap_err(), ReadError::NotFound { .. }));
    std::os::unix::fs::symlink(&gone, folder.path("nowhere")).unwrap();
    assert!(matches!(volume::read(&gone).unwrap_err(), ReadError::Io { .. }));
}
