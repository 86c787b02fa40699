#![allow(clippy::unwrap_used)]

use super::*;
use crate::volume::dicom::image::MARKS;
use proptest::prelude::*;

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn image(position: [f64; 3], orientation: [f64; 6], order: i64) -> Image<Told> {
    Image {
        instance: order as usize,
        frame: 0,
        multi_frame: false,
        place: Told {
            position: Some(position),
            orientation: Some(orientation),
            spacing: Some([0.5, 0.8]),
        },
        size: [40, 30],
        slope: 1.0,
        intercept: 0.0,
        localizer: false,
        order,
        marks: vec![None; MARKS.len()],
    }
}

fn axial(heights: &[f64]) -> Vec<Image<Told>> {
    let images = heights.iter().enumerate();
    images
        .map(|(n, z)| image([-10.0, -20.0, *z], AXIAL, n as i64))
        .collect()
}

fn heights(gaps: &[f64]) -> Vec<f64> {
    let mut heights = vec![0.0];
    heights.extend(gaps.iter().scan(0.0, |z, gap| {
        *z += gap;
        Some(*z)
    }));
    heights
}

fn differ(_: &[&Image]) -> Result<bool, SeriesError> {
    Ok(false)
}

fn arranged(images: Vec<Image<Told>>) -> Result<Stack, SeriesError> {
    arrange(&images, None, &differ)
}

fn codes(stack: &Stack) -> Vec<&'static str> {
    stack.notes.iter().map(Note::code).collect()
}

#[test]
fn an_axial_series_ascends_to_the_head_and_is_placed_in_ras() {
    // Scanned from the head down: the order of the numbers is not that of the places.
    let stack = arranged(axial(&[6.0, 4.0, 2.0, 0.0])).unwrap();
    let order: Vec<i64> = stack.images.iter().map(|image| image.order).collect();
    assert_eq!(order, [3, 2, 1, 0]);
    assert_eq!(stack.grid.shape(), [40, 30, 4]);
    // Columns are 0.8 mm apart and run to the patient's left, rows 0.5 mm and run to the back.
    assert_eq!(stack.grid.to_world([0.0; 3]), [10.0, 20.0, 0.0]);
    assert_eq!(stack.grid.to_world([1.0, 0.0, 0.0]), [9.2, 20.0, 0.0]);
    assert_eq!(stack.grid.to_world([0.0, 1.0, 0.0]), [10.0, 19.5, 0.0]);
    assert_eq!(stack.grid.to_world([0.0, 0.0, 3.0]), [10.0, 20.0, 6.0]);
    assert_eq!(stack.grid.axis_code().to_string(), "LPS");
    assert!(stack.uneven.is_none() && stack.notes.is_empty());
}

#[test]
fn positions_that_a_scanner_rounded_are_even() {
    let exact: Vec<f64> = (0..200).map(|k| f64::from(k) * 0.625).collect();
    let rounded: Vec<f64> = exact.iter().map(|z| (z * 10.0).round() / 10.0).collect();
    let stack = arranged(axial(&rounded)).unwrap();
    assert!(stack.notes.is_empty());
    assert!((stack.grid.spacing()[2] - 0.625).abs() < 1e-3);
}

#[test]
fn a_slice_half_a_step_off_is_uneven() {
    let stack = arranged(axial(&[0.0, 3.0, 6.5, 9.0, 12.0])).unwrap();
    assert_eq!(codes(&stack), ["resampled_grid"]);
    assert!(stack.uneven.is_some());
    assert!(stack.notes[0].to_string().contains("unevenly spaced (2.50 to 3.50 mm)"));
}

#[test]
fn missing_slices_are_counted_and_where_a_protocol_has_two_spacings_none_is() {
    let mut gaps = vec![3.0; 20];
    gaps[4] = 9.0;
    gaps[12] = 6.0;
    let stack = arranged(axial(&heights(&gaps))).unwrap();
    assert_eq!(codes(&stack), ["missing_slices", "resampled_grid"]);
    let Note::SlicesMissing { slices, of, behind } = &stack.notes[0] else {
        panic!("{:?}", stack.notes);
    };
    assert_eq!((*slices, *of, &behind[..]), (3, 21, &[5, 13][..]));
    assert_eq!(stack.grid.shape()[2], 24);

    let gaps: Vec<f64> = (0..20).map(|n| if n < 10 { 2.5 } else { 5.0 }).collect();
    let stack = arranged(axial(&heights(&gaps))).unwrap();
    assert_eq!(codes(&stack), ["resampled_grid"]);
    assert!((stack.grid.spacing()[2] - 2.5).abs() < 1e-9);
}

#[test]
fn a_tilted_gantry_is_inferred_and_the_grid_is_upright_around_all_slices() {
    let tilt = 18.5_f64.to_radians();
    let orientation = [1.0, 0.0, 0.0, 0.0, tilt.cos(), -tilt.sin()];
    let images = (0..28).map(|k| image([-125.0, -136.0, 40.0 + 5.0 * f64::from(k)], orientation, i64::from(k)));
    let stack = arranged(images.collect()).unwrap();
    let Note::Resampled {
        tilt_degrees: Some(found),
        gaps_mm: None,
        spacing_mm,
    } = stack.notes[0]
    else {
        panic!("{:?}", stack.notes);
    };
    assert!((found - 18.5).abs() < 1e-6);
    assert!((spacing_mm - 5.0 * tilt.cos()).abs() < 1e-9);
    let [columns, rows, slices] = stack.grid.shape();
    // 27 steps, each 5 mm times the sine of the tilt along the rows.
    let shift = (27.0 * 5.0 * tilt.sin() / 0.5_f64).ceil() as usize;
    assert_eq!((columns, rows, slices), (40, 30 + shift, 28));
    // Upright: the axes are at right angles.
    let corner = |voxel| stack.grid.to_world(voxel);
    let [origin, across, up] = [corner([0.0; 3]), corner([0.0, 1.0, 0.0]), corner([0.0, 0.0, 1.0])];
    assert!(dot(minus(across, origin), minus(up, origin)).abs() < 1e-9);
    // Every slice's first pixel is where its position says.
    for (image, place) in stack.images.iter().zip(&stack.uneven.as_ref().unwrap().places) {
        let world = stack.grid.to_world(*place);
        let position = image.place.position;
        assert!(length(minus(world, [-position[0], -position[1], position[2]])) < 1e-9);
    }
}

#[test]
fn localizers_are_left_out_and_other_planes_are_listed() {
    let scout = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
    let with = |localizer| {
        let mut images = axial(&[0.0, 2.0, 4.0]);
        images.push(Image {
            localizer,
            ..image([0.0, 0.0, 50.0], scout, 9)
        });
        images
    };
    let stack = arranged(with(true)).unwrap();
    assert_eq!(codes(&stack), ["localizers_left_out"]);
    assert_eq!(stack.images.len(), 3);
    let error = arranged(with(false)).unwrap_err().to_string();
    assert!(
        error.contains("#0: axial, 40 x 30, 3 image(s)\n  #1: sagittal, 40 x 30, 1 image(s)"),
        "{error}"
    );
    assert_eq!(arrange(&with(false), Some(0), &differ).unwrap().images.len(), 3);
    assert!(matches!(
        arrange(&with(false), Some(1), &differ),
        Err(SeriesError::SingleSlice)
    ));
    assert!(matches!(
        arrange(&with(false), Some(2), &differ),
        Err(SeriesError::NoVolume { asked: 2, volumes: 2 })
    ));
}

#[test]
fn echoes_at_the_same_places_are_volumes_to_choose_from() {
    let mut images = axial(&[0.0, 2.0, 4.0, 0.0, 2.0, 4.0]);
    for (n, image) in images.iter_mut().enumerate() {
        image.marks[1] = Some(if n < 3 { "80" } else { "9.5" }.to_owned());
    }
    let error = arranged(images.clone()).unwrap_err().to_string();
    assert!(
        error.contains("Echo Time") && error.contains("#0: 9.5, 3 image(s)\n  #1: 80, 3 image(s)"),
        "{error}"
    );
    let second = arrange(&images, Some(1), &differ).unwrap();
    assert_eq!(
        second.images.iter().map(|image| image.order).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn copies_are_left_out_and_other_images_at_the_same_place_are_an_error() {
    let images = axial(&[0.0, 2.0, 2.0, 4.0]);
    let stack = arrange(&images, None, &|_| Ok(true)).unwrap();
    assert_eq!(codes(&stack), ["duplicate_slices"]);
    assert_eq!(stack.images.len(), 3);
    assert!(matches!(arranged(images), Err(SeriesError::Duplicates { places: 1 })));
}

#[test]
fn one_slice_is_no_volume_and_odd_vectors_are_no_orientation() {
    assert!(matches!(arranged(axial(&[1.0])), Err(SeriesError::SingleSlice)));
    for orientation in [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 1.0, 0.0], [0.0; 6]] {
        let images = vec![image([0.0; 3], orientation, 0), image([0.0, 0.0, 1.0], orientation, 1)];
        assert!(
            matches!(arranged(images), Err(SeriesError::Nonsense { .. })),
            "{orientation:?}"
        );
    }
    let far = arranged(axial(&[0.0, 1e6])).unwrap_err();
    assert!(matches!(far, SeriesError::Nonsense { .. }));
}

/// Two directions at right angles from three angles.
fn turned(angles: [f64; 3]) -> [f64; 6] {
    let turn = nalgebra::Rotation3::from_euler_angles(angles[0], angles[1], angles[2]);
    let (row, column) = (turn * nalgebra::Vector3::x(), turn * nalgebra::Vector3::y());
    [row.x, row.y, row.z, column.x, column.y, column.z]
}

proptest! {
    #[test]
    fn whatever_the_order_of_the_files_every_slice_lies_where_it_says(
        angles in [-3.0..3.0_f64, -1.5..1.5, -3.0..3.0],
        origin in [-300.0..300.0_f64, -300.0..300.0, -300.0..300.0],
        gaps in proptest::collection::vec(0.5..6.0_f64, 1..12),
        sideways in [-3.0..3.0_f64, -3.0..3.0],
        seed in any::<u64>(),
    ) {
        let orientation = turned(angles);
        let plane = Plane { size: [40, 30], spacing: [0.8, 0.5], orientation };
        let mut images: Vec<Image<Told>> = heights(&gaps).iter().enumerate().map(|(n, depth)| {
            let along = scaled(plane.normal(), *depth);
            let shift = plus(scaled(plane.row(), sideways[0] * depth), scaled(plane.column(), sideways[1] * depth));
            image(plus(origin, plus(along, shift)), orientation, n as i64)
        }).collect();
        let order: Vec<i64> = (0..images.len() as i64).collect();
        // Any permutation will do.
        images.sort_by_key(|image| (image.order as u64).wrapping_mul(seed | 1).rotate_left(17));
        let stack = arranged(images).unwrap();
        prop_assert_eq!(stack.images.iter().map(|image| image.order).collect::<Vec<_>>(), order);
        for (k, image) in stack.images.iter().enumerate() {
            let place = match &stack.uneven {
                Some(uneven) => uneven.places[k],
                None => [0.0, 0.0, k as f64],
            };
            let allowed = if stack.uneven.is_some() { 1e-6 } else { 0.31 };
            let position = image.place.position;
            let off = length(minus(stack.grid.to_world(place), [-position[0], -position[1], position[2]]));
            prop_assert!(off < allowed, "{} mm", off);
            // And the whole slice lies within the grid.
            for (axis, size) in stack.plane.size.into_iter().enumerate() {
                prop_assert!(place[axis] > -1.001e-3 && place[axis] + (size as f64) <= stack.grid.shape()[axis] as f64 + 1.001e-3);
            }
        }
    }
}
