//! Files out: what is written is read back, lies where the image lies, and is the same bytes each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

use std::io::Read;
use std::sync::Arc;

use nifti_bytes::{Folder, Nifti};
use proptest::prelude::*;
use sat_mcp::volume::{self, Affine, Grid, Mask, Placement, Run, WriteError};

fn placed(turn: [f64; 3], zoom: [f64; 3], origin: [f64; 3]) -> Affine {
    let rotation = nalgebra::Rotation3::from_euler_angles(turn[0], turn[1], turn[2]);
    Affine::from_fn(|row, column| match (row, column) {
        (3, _) => f64::from(u8::from(column == 3)),
        (_, 3) => origin[row],
        _ => rotation[(row, column)] * zoom[column],
    })
}

fn oblique() -> Arc<Grid> {
    let affine = placed([0.3, -0.6, 2.0], [0.9, -1.25, 3.0], [-80.0, 33.5, 1200.0]);
    Arc::new(Grid::new([30, 20, 10], affine))
}

fn mask(grid: &Arc<Grid>) -> Mask {
    Mask::from_runs(
        Arc::clone(grid),
        vec![
            Run { start: 3, end: 9 },
            Run { start: 590, end: 1300 },
            Run { start: 5999, end: 6000 },
        ],
    )
}

fn unzipped(path: &std::path::Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn a_mask_is_read_back_as_it_was_written() {
    let folder = Folder::new();
    let (grid, path) = (oblique(), folder.path("mask.nii.gz"));
    for written in [
        mask(&grid),
        Mask::empty(Arc::clone(&grid)),
        Mask::from_predicate(Arc::clone(&grid), |_| true),
    ] {
        volume::write_mask(&path, &written, None).unwrap();
        let found = volume::read_labels(&path).unwrap();
        assert!(found.grid().agrees_with(&grid));
        assert_eq!(found.foreground().runs(), written.runs());
        assert_eq!(unzipped(&path).len(), 352 + 6000);
    }
}

#[test]
fn equal_masks_give_equal_bytes() {
    let folder = Folder::new();
    let (a, b) = (folder.path("a.nii.gz"), folder.path("other.nii.gz"));
    volume::write_mask(&a, &mask(&oblique()), None).unwrap();
    volume::write_mask(&b, &mask(&oblique()), None).unwrap();
    let mut streamed = Vec::new();
    volume::write_mask_to(&mut streamed, &mask(&oblique()), None).unwrap();
    let bytes = std::fs::read(&a).unwrap();
    assert_eq!(bytes, std::fs::read(&b).unwrap());
    assert_eq!(bytes, streamed);
    assert_eq!(
        bytes[4..10],
        [0, 0, 0, 0, bytes[8], 255],
        "no time and no system in the gzip header"
    );
}

#[test]
fn the_placement_of_the_image_is_kept_to_the_bit() {
    let folder = Folder::new();
    let mut nifti = Nifti::new();
    // A sform for use (MNI) and another qform (scanner), as registered images have.
    nifti
        .put(252, 1_i16.to_le_bytes())
        .put(254, 4_i16.to_le_bytes())
        .pixdim(&[-1.0, 2.0, 2.0, 2.0, 2.5]);
    nifti
        .put(256, 0.25_f32.to_le_bytes())
        .put(268, 11.5_f32.to_le_bytes())
        .put(123, [10]);
    let image = volume::read(&folder.file("image.nii", &nifti.bytes())).unwrap();
    let path = folder.path("mask.nii.gz");
    volume::write_mask(&path, &Mask::empty(image.shared_grid()), image.placement()).unwrap();
    let written = unzipped(&path);
    assert_eq!(written[252..328], nifti.header[252..328]);
    assert_eq!(written[76..92], nifti.header[76..92], "qfac and spacing");
    assert_eq!(written[92..96], 1_f32.to_le_bytes(), "but no repetition time");
    assert_eq!(written[123], 10);
    assert_eq!(volume::read(&path).unwrap().grid(), image.grid());
}

#[test]
fn labels_are_bytes_where_they_fit() {
    let folder = Folder::new();
    let (grid, path) = (oblique(), folder.path("labels.nii.gz"));
    for highest in [255_u16, 256] {
        let labels: Vec<u16> = (0..6000).map(|n| n % (highest + 1)).collect();
        volume::write_labels(&path, &grid, &labels, None).unwrap();
        let found = volume::read_labels(&path).unwrap();
        assert!(
            found
                .labels()
                .iter()
                .zip(&labels)
                .all(|(found, label)| *found == u32::from(*label))
        );
        assert_eq!(unzipped(&path).len(), 352 + 6000 * if highest > 255 { 2 } else { 1 });
    }
    let error = volume::write_labels(&path, &grid, &[0; 7], None).unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::Length {
                given: 7,
                expected: 6000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_mask_that_cannot_be_written_says_where() {
    let folder = Folder::new();
    let error = volume::write_mask(&folder.path("no/such/mask.nii.gz"), &mask(&oblique()), None).unwrap_err();
    assert!(
        error.to_string().contains("no/such/mask.nii.gz") && error.to_string().contains("folder"),
        "{error}"
    );
}

#[test]
fn a_mask_too_long_for_nifti_1_is_nifti_2_with_all_its_digits() {
    let folder = Folder::new();
    let path = folder.path("long.nii.gz");
    let mut affine = Affine::identity() * 0.01;
    (affine[(3, 3)], affine[(1, 3)]) = (1.0, 0.1);
    for (length, header) in [(32_767, 352), (32_768, 544)] {
        let grid = Arc::new(Grid::new([2, length, 3], affine));
        let written = Mask::from_predicate(Arc::clone(&grid), |index| index % 7 == 0);
        volume::write_mask(&path, &written, None).unwrap();
        let bytes = unzipped(&path);
        assert_eq!(bytes.len(), header + 6 * length);
        let found = volume::read_labels(&path).unwrap();
        assert_eq!(found.foreground().runs(), written.runs());
        // What NIfTI-2 keeps is float64.
        let off = (found.grid().affine() - affine).amax();
        assert!(if header == 544 { off == 0.0 } else { off < 1e-8 }, "{off}");
        let part = volume::read_slices(&path, 1..3, 1 << 20).unwrap().unwrap();
        let part = volume::read_labels(&folder.file("part.nii.gz", &part)).unwrap();
        assert_eq!(part.grid().shape(), [2, length, 2]);
        assert_eq!(part.labels(), &found.labels()[2 * length..]);
    }
}

proptest! {
    #[test]
    fn a_placement_made_from_a_grid_leads_to_that_grid_by_sform_and_by_qform(
        turn in prop::array::uniform3(-3.2_f64..3.2),
        zoom in prop::array::uniform3(0.3_f64..5.0),
        flip in prop::array::uniform3(any::<bool>()),
        origin in prop::array::uniform3(-200.0_f64..200.0),
    ) {
        let signed = [0, 1, 2].map(|n| if flip[n] { -zoom[n] } else { zoom[n] });
        let affine = placed(turn, signed, origin);
        let grid = Arc::new(Grid::new([9, 8, 7], affine));
        let folder = Folder::new();
        for only_qform in [false, true] {
            let mut placement = Placement::of(&grid);
            if only_qform {
                placement.sform_code = 0;
            }
            let path = folder.path("mask.nii.gz");
            volume::write_mask(&path, &Mask::empty(Arc::clone(&grid)), Some(&placement)).unwrap();
            let found = volume::read(&path).unwrap();
            // Near half a turn a float32 quaternion is only good to a thousandth: NIfTI's doing, and why sforms exist.
            let off = (found.grid().affine() - affine).amax();
            let allowed = if only_qform { 2e-3 * zoom.into_iter().fold(0.0, f64::max) } else { 2e-5 };
            prop_assert!(off < allowed, "{} for {}", found.grid().affine(), affine);
        }
    }
}
