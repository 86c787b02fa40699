#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nalgebra::{Rotation3, Vector3};
use proptest::prelude::*;

use super::*;
use crate::volume::Axis;

fn place(linear: nalgebra::Matrix3<f64>, origin: [f64; 3]) -> Affine {
    let mut affine = Affine::identity();
    affine.fixed_view_mut::<3, 3>(0, 0).copy_from(&linear);
    affine.fixed_view_mut::<3, 1>(0, 3).copy_from(&Vector3::from(origin));
    affine
}

fn grids() -> impl Strategy<Value = Grid> {
    let turn = prop::array::uniform3(-3.2_f64..3.2);
    let zoom = prop::array::uniform3(0.2_f64..6.0);
    let flip = prop::array::uniform3(any::<bool>());
    let origin = prop::array::uniform3(-300.0_f64..300.0);
    (prop::array::uniform3(1_usize..9), turn, zoom, flip, origin).prop_map(|(shape, turn, zoom, flip, origin)| {
        let signed = Vector3::from([0, 1, 2].map(|n| if flip[n] { -zoom[n] } else { zoom[n] }));
        let rotation = Rotation3::from_euler_angles(turn[0], turn[1], turn[2]);
        Grid::new(
            shape,
            place(rotation.matrix() * nalgebra::Matrix3::from_diagonal(&signed), origin),
        )
    })
}

fn codes() -> impl Strategy<Value = AxisCode> {
    (Just([0, 1, 2]).prop_shuffle(), prop::array::uniform3(any::<bool>()))
        .prop_map(|(order, up)| AxisCode::new([0, 1, 2].map(|n| Axis::new(order[n], up[n]))).unwrap())
}

fn near(a: [f64; 3], b: [f64; 3]) -> bool {
    (0..3).all(|axis| (a[axis] - b[axis]).abs() < 1e-7)
}

#[derive(serde::Deserialize)]
struct Golden {
    affines: Vec<GoldenAffine>,
}

#[derive(serde::Deserialize)]
struct GoldenAffine {
    linear: [[f64; 3]; 3],
    code: String,
}

#[test]
fn axis_codes_are_those_of_nibabel() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/orientations.json")).unwrap();
    assert!(golden.affines.len() > 200);
    for GoldenAffine { linear, code } in golden.affines {
        let linear = nalgebra::Matrix3::from_fn(|row, column| linear[row][column]);
        let grid = Grid::new([4, 5, 6], place(linear, [0.0; 3]));
        assert_eq!(grid.axis_code().to_string(), code, "{linear}");
    }
}

#[test]
fn an_axis_code_is_three_letters_of_three_axes() {
    assert_eq!("asr".parse::<AxisCode>(), Ok(AxisCode::ASR));
    for wrong in ["", "RA", "RASS", "RLS", "XYZ", "RÄS"] {
        let error = wrong.parse::<AxisCode>().unwrap_err();
        assert!(error.to_string().contains("such as RAS"), "{error}");
    }
}

#[test]
fn spacing_and_volume_come_from_the_affine() {
    let grid = Grid::new(
        [2, 3, 4],
        place(
            nalgebra::Matrix3::new(0.0, -2.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.5),
            [1.0; 3],
        ),
    );
    assert_eq!(grid.spacing(), [3.0, 2.0, 0.5]);
    assert!((grid.voxel_volume() - 3.0).abs() < 1e-12);
    assert_eq!(grid.axis_code().to_string(), "ALS");
    assert_eq!(grid.axis_code().stored_axis(2), 2);
}

#[test]
fn grids_agree_when_no_corner_moves() {
    let grid = Grid::new([100, 3, 4], Affine::identity());
    let moved = |by: f64| Grid::new([100, 3, 4], place(nalgebra::Matrix3::identity(), [by, 0.0, 0.0]));
    assert!(grid.agrees_with(&moved(5e-4)));
    assert!(!grid.agrees_with(&moved(2e-3)));
    assert!(!grid.agrees_with(&Grid::new([100, 4, 3], Affine::identity())));
    let mut stretched = Affine::identity();
    stretched[(0, 0)] = 1.0001;
    assert!(
        !grid.agrees_with(&Grid::new([100, 3, 4], stretched)),
        "the far corner is 0.01 mm off"
    );
}

proptest! {
    #[test]
    fn millimetres_lead_back_to_the_voxel(grid in grids(), voxel in prop::array::uniform3(-20.0_f64..20.0)) {
        prop_assert!(near(grid.to_voxel(grid.to_world(voxel)), voxel));
    }

    #[test]
    fn a_linear_index_leads_back_to_the_voxel(grid in grids()) {
        let voxels = (0..grid.len()).map(|index| grid.voxel(index));
        for (index, voxel) in voxels.enumerate() {
            prop_assert_eq!(grid.index(voxel), index);
        }
    }

    #[test]
    fn reorienting_moves_no_voxel_in_the_patient(grid in grids(), code in codes()) {
        let (turned, turn) = grid.reoriented(code);
        prop_assert_eq!(turned.axis_code(), code);
        for index in 0..grid.len() {
            let old = grid.voxel(index).map(|n| n as f64);
            let new = turn.apply(old);
            prop_assert!((0..3).all(|axis| new[axis] >= 0.0 && new[axis] < turned.shape()[axis] as f64));
            prop_assert_eq!(turn.undo(new), old);
            prop_assert!(near(turned.to_world(new), grid.to_world(old)));
        }
    }

    #[test]
    fn reorienting_there_and_back_changes_nothing(grid in grids(), code in codes()) {
        let (back, _) = grid.reoriented(code).0.reoriented(grid.axis_code());
        prop_assert_eq!(back.shape(), grid.shape());
        prop_assert!(back.agrees_with(&grid));
        prop_assert!((back.voxel_volume() - grid.voxel_volume()).abs() < 1e-9);
    }
}
