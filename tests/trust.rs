//! What an answer says beside its numbers: how much the model was taught, what was published of it, what an organ's mask holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/half_model.rs"]
mod half_model;
#[path = "common/library.rs"]
mod library;
#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

#[path = "common/service.rs"]
mod service;

use sat_mcp::model::{Provider, ProviderOptions};
use sat_mcp::service::{SegmentAnswer, SegmentRequest, Trust};
use sat_mcp::volume::Modality;
use std::path::Path;

const TAUGHT_AS_SAT: &str = r#"
[training]
data = "SAT-DS"

[published]
source = "SAT-Nano in a paper"
lesions = 0.46

[published.dice]
abdomen = 0.77
"head and neck" = 0.74
"#;

/// The tests' model, offered for these classes on CT. Almost every voxel belongs to each of them.
fn segment(dir: &Path, facts: &str, classes: &[&str], targets: &[&str]) -> SegmentAnswer {
    let model = dir.join("model");
    std::fs::create_dir(&model).unwrap();
    half_model::copy_to(&model);
    let manifest = std::fs::read_to_string(model.join("model.toml")).unwrap();
    let (head, _) = manifest.split_once("[[classes]]").unwrap();
    let class = |name: &&str| {
        format!("[[classes]]\nname = {name:?}\nmodalities = [\"ct\"]\nthreshold = 0.000001\ndice = 0.8\n")
    };
    let classes: String = classes.iter().map(class).collect();
    std::fs::write(model.join("model.toml"), format!("{head}{facts}\n{classes}")).unwrap();
    let service = service::service(dir, &model, Provider::Cpu, ProviderOptions::default());
    let request = SegmentRequest {
        image: service::scan(dir),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        modality: Some(Modality::Ct),
        ..SegmentRequest::default()
    };
    service::segment(&service, &request).unwrap()
}

fn warned(answer: &SegmentAnswer, code: &str) -> Vec<String> {
    let of_code = answer.warnings.iter().filter(|warning| warning.code == code);
    of_code.map(|warning| warning.message.clone()).collect()
}

const CLASSES: [&str; 5] = [
    "kidney",
    "kidney tumor",
    "left anterior eyeball",
    "lumbar vertebrae 2 (l2)",
    "lumbar vertebrae 3 (l3)",
];

#[test]
fn a_model_taught_as_sat_was_says_scans_published_dice_and_what_lies_inside() {
    let dir = tempfile::tempdir().unwrap();
    let targets = [
        "kidney",
        "renal mass",
        "kidney tumor",
        "left anterior eyeball",
        "L2 to L3",
    ];
    let answer = segment(dir.path(), TAUGHT_AS_SAT, &CLASSES, &targets);
    let trust = |place: usize| answer.masks[place].trust.clone().unwrap();
    let (kidney, tumor) = (trust(0), trust(2));
    assert_eq!(
        kidney,
        Trust {
            training_scans: Some(3952),
            model_dice: Some(0.8),
            published_dice: Some(0.77)
        }
    );
    assert_eq!(
        (tumor.training_scans, tumor.published_dice),
        (Some(559), Some(0.46)),
        "a lesion's figure"
    );
    assert_eq!(trust(4).training_scans, Some(1831), "of a union, its weakest class");
    assert_eq!(
        trust(4).published_dice,
        None,
        "nothing was published here for the spine"
    );
    assert_eq!(answer.model.published.as_deref(), Some("SAT-Nano in a paper"));

    assert_eq!(
        answer.masks[0].includes.as_deref(),
        Some(["kidney tumor".to_owned(), "kidney cyst".to_owned()].as_slice())
    );
    assert_eq!(
        warned(&answer, "overlapping"),
        ["kidney: holds kidney tumor, so do not add the volumes."]
    );
    assert_eq!(
        warned(&answer, "long_tail"),
        ["left anterior eyeball: taught from 41 scans only, so trust it less."]
    );
    let lesion = warned(&answer, "lesion_accuracy");
    assert!(
        lesion.len() == 2 && lesion[0].contains("published Dice of 0.46"),
        "once for each phrase: {lesion:?}"
    );
    assert_eq!(answer.masks[4].composed_of.as_ref().unwrap().len(), 2);

    let text = answer.text();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(
        line("- kidney:").contains(" ! Holds kidney tumor, so do not add"),
        "{text}"
    );
    assert!(
        line("- left anterior eyeball:").ends_with(" ! Taught from 41 scans only, so trust it less."),
        "{text}"
    );
    assert!(
        line("- L2 to L3:").contains("The union of lumbar vertebrae 2 (l2), lumbar vertebrae 3 (l3)."),
        "{text}"
    );
    assert!(text.contains("of 5 targets 5 cut off by the image's edge"), "{text}");
    assert!(
        text.contains(
            "Published mean Dice: 0.77 kidney; 0.46 kidney tumor; 0.74 left anterior eyeball (SAT-Nano in a paper)."
        ),
        "{text}"
    );
}

#[test]
fn an_organ_alone_says_that_its_lesions_count_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let answer = segment(dir.path(), TAUGHT_AS_SAT, &CLASSES, &["kidney"]);
    assert!(
        answer
            .text()
            .contains(" Any kidney tumor or kidney cyst in it counts to it."),
        "{}",
        answer.text()
    );
    assert!(warned(&answer, "overlapping").is_empty());
}

#[test]
fn what_holds_for_sat_is_not_said_of_a_model_that_was_taught_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let answer = segment(
        dir.path(),
        "",
        &CLASSES,
        &["kidney", "kidney tumor", "left anterior eyeball"],
    );
    for mask in &answer.masks {
        let own = Trust {
            model_dice: Some(0.8),
            ..Trust::default()
        };
        assert_eq!(
            (mask.trust.as_ref(), mask.includes.as_ref()),
            (Some(&own), None),
            "{}",
            mask.name
        );
    }
    for code in ["long_tail", "lesion_accuracy", "overlapping"] {
        assert!(warned(&answer, code).is_empty(), "{code}");
    }
}

#[test]
fn what_sat_was_taught_on_fetuses_alone_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let answer = segment(
        dir.path(),
        TAUGHT_AS_SAT,
        &["white matter", "kidney"],
        &["white matter", "kidney"],
    );
    assert_eq!(
        warned(&answer, "fetuses_only"),
        ["white matter: taught on scans of fetuses only, so on anyone else it is an experiment."]
    );
}

#[test]
fn a_published_dice_beyond_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    half_model::copy_to(dir.path());
    let manifest = std::fs::read_to_string(dir.path().join("model.toml")).unwrap();
    let spoilt = manifest.replacen(
        "[[classes]]",
        "[published]\nsource = \"x\"\ndice = { brain = 73.9 }\n\n[[classes]]",
        1,
    );
    std::fs::write(dir.path().join("model.toml"), spoilt).unwrap();
    let error = sat_mcp::model::ModelFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("[published] has a Dice of 73.9"), "{error}");
}
