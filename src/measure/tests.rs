//! [`measure`] on made masks, where every figure is known.

use std::sync::Arc;

use super::testing::{mask_of, mask_on, oblique};
use super::*;
use crate::volume::{Affine, Grid, IntensityUnit};

/// Voxels of 2 x 3 x 4 mm whose axes run to the left, the back and the head.
fn lps() -> Arc<Grid> {
    let mut affine = Affine::from_diagonal(&[-2.0, -3.0, 4.0, 1.0].into());
    (affine[(0, 3)], affine[(1, 3)], affine[(2, 3)]) = (50.0, 60.0, -70.0);
    Arc::new(Grid::new([12, 10, 8], affine))
}

#[test]
fn a_block_has_the_figures_worked_out_by_hand() {
    let mask = mask_on(lps(), |i, j, k| {
        (2..5).contains(&i) && (3..7).contains(&j) && (1..3).contains(&k)
    });
    let m = measure("block", &mask, &Measuring::default());
    assert_eq!((m.voxels, m.volume_ml), (24, 0.576));
    // Centre at voxel (3, 4.5, 1.5).
    assert_eq!(m.centroid_mm, Some([44.0, 46.5, -64.0]));
    assert_eq!(
        m.bounding_box_voxel,
        Some(BoundingBox {
            min: [2, 3, 1],
            max: [4, 6, 2]
        })
    );
    assert_eq!(
        m.bounding_box_mm,
        Some(BoundingBox {
            min: [41.0, 40.5, -68.0],
            max: [47.0, 52.5, -60.0]
        })
    );
    assert_eq!(m.extent_mm, Some([6.0, 12.0, 8.0]));
    // In a slice from (2, 3) to (4, 6): 4 mm by 9 mm.
    assert_eq!(m.longest_diameter_mm, Some(9.85));
    assert_eq!(
        (m.components, m.largest_component_ml, m.status),
        (1, Some(0.576), Status::Present)
    );
    assert!(m.truncated_at.is_empty() && m.warnings.is_empty() && m.intensity.is_none());
    assert_eq!(m.parts.len(), 1);
}

#[test]
fn faces_are_named_by_anatomy_whatever_the_axes_are() {
    let at = |i: usize, j: usize, k: usize| mask_on(lps(), move |x, y, z| (x, y, z) == (i, j, k));
    let faces = |mask: &Mask| measure("m", mask, &Measuring::default()).truncated_at;
    assert_eq!(faces(&at(0, 5, 5)), [Face::Right]);
    assert_eq!(faces(&at(11, 5, 5)), [Face::Left]);
    assert_eq!(faces(&at(5, 0, 0)), [Face::Anterior, Face::Inferior]);
    assert_eq!(faces(&at(5, 9, 7)), [Face::Posterior, Face::Superior]);
    // Stored sagittally: the second axis runs to the head, the third to the left.
    let mut affine = Affine::zeros();
    (affine[(1, 0)], affine[(2, 1)], affine[(0, 2)], affine[(3, 3)]) = (1.0, 1.0, -1.0, 1.0);
    let mask = mask_on(Arc::new(Grid::new([5, 5, 5], affine)), |i, j, k| {
        i == 2 && j == 4 && k == 0
    });
    assert_eq!(faces(&mask), [Face::Right, Face::Superior]);
    // A slab of one slice touches both of its faces.
    let slab = mask_of([5, 5, 1], |i, j, _| i == 2 && j == 2);
    assert_eq!(faces(&slab), [Face::Inferior, Face::Superior]);
}

#[test]
fn turning_a_grid_changes_no_volume_diameter_or_count_and_moves_the_centroid_with_it() {
    let shape = [14, 12, 10];
    let inside = |i: usize, j: usize, k: usize| i + 2 * j > 9 && i < 9 && j < 8 && k > 2 && k < 6;
    let spacing = [1.5, 0.8, 2.0];
    let straight = Arc::new(Grid::new(shape, Affine::from_diagonal(&[1.5, 0.8, 2.0, 1.0].into())));
    let turned = Arc::new(Grid::new(shape, oblique(spacing)));
    let [a, b] = [straight, turned].map(|grid| {
        let m = measure("m", &mask_on(grid.clone(), inside), &Measuring::default());
        (grid.to_voxel(m.centroid_mm.unwrap()), m)
    });
    assert_eq!(
        (a.1.volume_ml, a.1.longest_diameter_mm),
        (b.1.volume_ml, b.1.longest_diameter_mm)
    );
    assert!((0..3).all(|n| (a.0[n] - b.0[n]).abs() < 0.02), "{:?} {:?}", a.0, b.0);
}

#[test]
fn the_world_box_of_an_oblique_grid_hugs_the_mask() {
    let grid = Arc::new(Grid::new([9, 9, 9], oblique([1.0, 2.0, 3.0])));
    let mask = mask_on(grid.clone(), |i, j, k| {
        i.abs_diff(4) + j.abs_diff(4) + k.abs_diff(4) <= 3
    });
    let m = measure("m", &mask, &Measuring::default());
    let (mut min, mut max) = ([f64::MAX; 3], [f64::MIN; 3]);
    for n in mask.indices() {
        let v = grid.voxel(n as usize).map(|v| v as f64);
        for corner in 0..8 {
            let p = grid.to_world(std::array::from_fn(|a| {
                v[a] + if corner >> a & 1 == 0 { -0.5 } else { 0.5 }
            }));
            for a in 0..3 {
                (min[a], max[a]) = (p[a].min(min[a]), p[a].max(max[a]));
            }
        }
    }
    let got = m.bounding_box_mm.unwrap();
    for a in 0..3 {
        assert!(
            (got.min[a] - min[a]).abs() < 0.006 && (got.max[a] - max[a]).abs() < 0.006,
            "{got:?} {min:?} {max:?}"
        );
    }
}

#[test]
fn an_empty_mask_is_an_answer_without_a_place() {
    let m = measure(
        "spleen",
        &mask_of([4, 4, 4], |_, _, _| false),
        &Measuring {
            mean_probability: Some(0.0),
            ..Default::default()
        },
    );
    assert_eq!(
        (m.voxels, m.volume_ml, m.components, m.status),
        (0, 0.0, 0, Status::Empty)
    );
    let json = serde_json::to_value(&m).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "name",
            "voxels",
            "volume_ml",
            "components",
            "truncated_at",
            "status",
            "warnings"
        ]
    );
    assert_eq!(m.warnings[0].code, "empty_mask");
}

#[test]
fn pieces_are_listed_largest_first_and_crumbs_are_counted_but_not_listed() {
    // Bars of 30, 40 and 21 voxels of 1 mm3, one of 20 (exactly 0.02 mL, so not over it) and a single voxel.
    let bars = [(30, 2), (40, 6), (21, 10), (20, 14), (1, 18)];
    let mask = mask_of([50, 21, 5], |i, j, k| {
        k == 2 && i > 0 && bars.iter().any(|&(n, row)| row == j && i <= n)
    });
    let values = (0..mask.grid().len()).map(|n| (n / 50 % 21) as f32).collect();
    let image = Volume::new(mask.shared_grid(), values, None);
    let m = measure(
        "lesions",
        &mask,
        &Measuring {
            image: Some(&image),
            ..Default::default()
        },
    );
    assert_eq!((m.components, m.largest_component_ml), (5, Some(0.04)));
    let listed: Vec<_> = m
        .parts
        .iter()
        .map(|p| (p.volume_ml, p.longest_diameter_mm, p.mean_intensity))
        .collect();
    assert_eq!(
        listed,
        [
            (0.04, 39.0, Some(6.0)),
            (0.03, 29.0, Some(2.0)),
            (0.021, 20.0, Some(10.0))
        ]
    );
    assert_eq!(m.parts[0].centroid_mm, [20.5, 6.0, 2.0]);
}

#[test]
fn no_more_than_fifty_pieces_are_listed() {
    let mask = mask_of([30, 122, 3], |i, j, k| k == 1 && j % 2 == 1 && i > 1 && i < 28);
    let m = measure("m", &mask, &Measuring::default());
    assert_eq!((m.components, m.parts.len()), (61, 50));
}

#[test]
fn an_image_elsewhere_gives_no_intensity_but_a_warning() {
    let mask = mask_of([4, 4, 4], |i, _, _| i == 1);
    let image = Volume::new(Grid::new([4, 4, 4], Affine::identity() * 2.0), vec![1.0; 64], None);
    let m = measure(
        "m",
        &mask,
        &Measuring {
            image: Some(&image),
            ..Default::default()
        },
    );
    assert!(m.intensity.is_none() && m.parts.iter().all(|p| p.mean_intensity.is_none()));
    assert_eq!(m.warnings[0].code, "image_grid_differs");
}

#[test]
fn voxels_without_a_number_are_left_out_and_said() {
    let mask = mask_of([4, 1, 1], |_, _, _| true);
    let image = Volume::new(
        mask.shared_grid(),
        vec![1.0, f32::NAN, 3.0, f32::INFINITY],
        Some(Modality::Ct),
    );
    let m = measure(
        "m",
        &mask,
        &Measuring {
            image: Some(&image),
            modality: Some(Modality::Ct),
            ..Default::default()
        },
    );
    let i = m.intensity.unwrap();
    assert_eq!((i.unit.as_str(), i.mean, i.min, i.max), ("HU", 2.0, 1.0, 3.0));
    assert_eq!(m.warnings[0].code, "not_finite");
}

#[test]
fn the_unit_is_the_files_own_where_it_says_one_and_the_modalitys_otherwise() {
    let mask = mask_of([4, 1, 1], |_, _, _| true);
    let image = || Volume::new(mask.shared_grid(), vec![1.0; 4], Some(Modality::Pet));
    let unit = |image: &Volume, modality| {
        let with = Measuring {
            image: Some(image),
            modality,
            ..Default::default()
        };
        let found = measure("m", &mask, &with);
        (found.intensity.as_ref().unwrap().unit.clone(), found.sentence())
    };
    for (known, word) in [
        (IntensityUnit::Hounsfield, "HU"),
        (IntensityUnit::SuvBodyWeight, "SUVbw"),
        (IntensityUnit::BecquerelPerMl, "Bq/mL"),
        (IntensityUnit::Other("counts".into()), "counts"),
    ] {
        let (shown, sentence) = unit(&image().with_unit(known), Some(Modality::Pet));
        assert_eq!(shown, word);
        assert!(sentence.contains(&format!("intensity 1.00 ± 0 {word}")), "{sentence}");
    }
    for (modality, word) in [
        (Some(Modality::Ct), "HU"),
        (Some(Modality::Mri), "a.u."),
        (Some(Modality::Pet), "as stored"),
        (None, "as stored"),
    ] {
        assert_eq!(unit(&image(), modality).0, word);
    }
}

#[test]
fn an_image_without_numbers_inside_the_mask_has_no_intensity_and_says_why() {
    let mask = mask_of([30, 2, 1], |_, j, _| j == 0);
    let image = Volume::new(mask.shared_grid(), vec![f32::NAN; 60], None);
    let with = Measuring {
        image: Some(&image),
        ..Default::default()
    };
    let m = measure("m", &mask, &with);
    assert!(m.intensity.is_none() && m.parts[0].mean_intensity.is_none());
    assert!(m.warnings[0].code == "not_finite" && m.warnings[0].message.contains("so intensity is left out"));
}

#[test]
fn diameters_and_pieces_do_not_depend_on_which_axis_runs_to_the_head() {
    let inside = |x: usize, y: usize, z: usize| (x * 7 + y * 5 + z * 11) % 6 < 2 && x + y > 4 && (z + x) % 7 != 3;
    let [a, b, c] = [[0, 1, 2], [2, 0, 1], [1, 2, 0]].map(|order: [usize; 3]| {
        // Stored axis n runs along the patient's axis order[n].
        let (shape, spacing) = ([9, 8, 7], [3.1, 2.7, 4.9]);
        let mut affine = Affine::zeros();
        affine[(3, 3)] = 1.0;
        order
            .iter()
            .enumerate()
            .for_each(|(n, &axis)| affine[(axis, n)] = spacing[axis]);
        let grid = Arc::new(Grid::new(order.map(|axis| shape[axis]), affine));
        let mask = mask_on(grid, |i, j, k| {
            let mut at = [0; 3];
            order.iter().zip([i, j, k]).for_each(|(&axis, v)| at[axis] = v);
            inside(at[0], at[1], at[2])
        });
        let mut m = measure("m", &mask, &Measuring::default());
        m.parts.sort_by(|a, b| a.centroid_mm[0].total_cmp(&b.centroid_mm[0]));
        (m.longest_diameter_mm, m.components, m.centroid_mm, m.parts)
    });
    assert!(a.1 >= 1 && !a.3.is_empty());
    assert_eq!(a, b);
    assert_eq!(a, c);
}

#[test]
fn the_summary_keeps_what_the_contract_says() {
    let mask = mask_of([9, 9, 9], |i, j, k| {
        (4..8).contains(&i) && (1..8).contains(&j) && (1..8).contains(&k)
    });
    let image = Volume::new(mask.shared_grid(), vec![7.0; 729], None);
    let with = Measuring {
        image: Some(&image),
        laterality: Some(Laterality::Left),
        ..Default::default()
    };
    let mut m = measure("m", &mask, &with);
    m.checks.push(Check {
        ok: true,
        ..m.checks[0].clone()
    });
    assert!(!m.checks[0].ok);
    let json = serde_json::to_value(m.summary()).unwrap();
    for gone in ["parts", "bounding_box_voxel", "bounding_box_mm", "extent_mm"] {
        assert!(json.get(gone).is_none(), "{gone}");
    }
    assert_eq!(json["checks"].as_array().unwrap().len(), 1);
    assert!(json["intensity"].get("p50").is_none() && json["intensity"]["mean"] == 7.0);
}

#[test]
fn the_schema_has_no_null_types_and_requires_only_what_is_always_there() {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Measurement>();
    let text = serde_json::to_string(&schema).unwrap();
    assert!(!text.contains("null"), "{text}");
    assert_eq!(
        schema.get("required").unwrap(),
        &serde_json::json!(["name", "voxels", "volume_ml", "components", "truncated_at", "status"])
    );
}
