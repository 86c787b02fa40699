//! Measurements of real masks against figures from SimpleITK, nibabel, numpy and DeepMind's surface-distance
//! (tests/golden/make_measure.py), on a straight grid and on an oblique one stored sagittally.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use sat_mcp::measure::{Measuring, compare, measure};
use sat_mcp::volume::{Mask, Modality, Run, read, read_labels};
use serde_json::{Value, json};

fn golden() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/measure.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn data(case: &Value, what: &str) -> std::path::PathBuf {
    let name = format!("tests/data/measure/{}-{what}.nii.gz", case["case"].as_str().unwrap());
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Sentences about figures that disagree; only what the golden file says is looked at.
fn differences(ours: &Value, theirs: &Value, path: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (_, Value::Object(fields)) => {
            for (key, value) in fields {
                let ours = ours.get(key).unwrap_or(&Value::Null);
                differences(ours, value, &format!("{path}.{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{path}[{n}]"), found);
            }
        }
        (Value::Number(a), Value::Number(b)) if b.is_f64() || a.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // Half of the last digit that is kept, and a little for the oracle's own rounding.
            let places = |end: &str| {
                path.rsplit('.')
                    .take(3)
                    .any(|part| part.split('[').next().unwrap().ends_with(end))
            };
            let half = match () {
                _ if places("_ml") => 0.00051,
                _ if places("_mm") || places("intensity") => 0.0051,
                _ => 0.000051,
            };
            if (a - b).abs() > half + 1e-5 * b.abs() {
                found.push(format!("{path}: {a}, not {b}"));
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: {ours}, not {theirs}")),
    }
}

#[test]
fn measurements_of_real_masks_are_those_of_simpleitk_and_numpy() {
    let mut found = Vec::new();
    for case in golden() {
        let image = read(&data(&case, "ct")).unwrap();
        let labels = read_labels(&data(&case, "labels")).unwrap();
        for expected in case["measurements"].as_array().unwrap() {
            let mask = labels.mask(expected["label"].as_u64().unwrap() as u32);
            let with = Measuring {
                image: Some(&image),
                modality: Some(Modality::Ct),
                ..Measuring::default()
            };
            let name = expected["name"].as_str().unwrap();
            let mut ours = serde_json::to_value(measure(name, &mask, &with)).unwrap();
            ours["label"] = expected["label"].clone();
            assert_eq!(ours["intensity"]["unit"], json!("HU"));
            differences(&ours, expected, &format!("{} {name}", case["case"]), &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn comparisons_of_real_masks_are_those_of_surface_distance() {
    let mut found = Vec::new();
    for case in golden() {
        let labels = read_labels(&data(&case, "labels")).unwrap();
        for expected in case["comparisons"].as_array().unwrap() {
            let label = |key: &str| labels.mask(expected[key].as_u64().unwrap() as u32);
            let mask = moved(&label("mask"), expected["shift"].as_i64().unwrap());
            let mut ours = serde_json::to_value(compare(&mask, &label("reference")).unwrap()).unwrap();
            for key in ["mask", "reference", "shift"] {
                ours[key] = expected[key].clone();
            }
            let path = format!("{} {} {}", case["case"], expected["mask"], expected["reference"]);
            differences(&ours, expected, &path, &mut found);
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The mask moved along the first stored axis, without coming in again at the other end.
fn moved(mask: &Mask, shift: i64) -> Mask {
    let width = mask.grid().shape()[0] as i64;
    let runs = mask.rows().filter_map(|(first, length)| {
        let row = mask.grid().index([0, first[1], first[2]]) as i64;
        let start = (first[0] as i64 + shift).clamp(0, width);
        let end = (first[0] as i64 + length as i64 + shift).clamp(0, width);
        (start < end).then(|| Run {
            start: (row + start) as u64,
            end: (row + end) as u64,
        })
    });
    Mask::from_runs(mask.shared_grid(), runs.collect())
}
