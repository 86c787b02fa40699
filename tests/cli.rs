//! The program as a person meets it: exit codes, sentences, and nothing half-written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/nifti_bytes.rs"]
mod nifti_bytes;

use nifti_bytes::{Nifti, gzip};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A results folder, a folder for files, and the program set to use them.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).display().to_string()
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sat-mcp"));
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx");
        command
            .args(arguments)
            .env("SAT_MCP_RESULTS", self.path("results"))
            .env("SAT_MCP_MODELS", models);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Told {
        Told::of(self.command(arguments).output().unwrap())
    }

    /// Runs `segment` on an image that must fail, and returns what was told; nothing may be left behind.
    fn refused(&self, image: &str, more: &[&str]) -> Told {
        let mut arguments = vec!["segment", "--image", image, "--json"];
        arguments.extend(if more.is_empty() {
            &["--modality", "mri", "--target", "brainstem"]
        } else {
            more
        });
        let told = self.run(&arguments);
        assert_ne!(told.code, 0, "{image} was accepted");
        assert_eq!(self.results(), Vec::<String>::new(), "{image} left something behind");
        told
    }

    fn results(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("results")).into_iter().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "masks")
            .collect();
        names.sort();
        names
    }
}

/// `segment IMAGE` for targets in MR, as JSON.
fn mr(image: &str, targets: &[&str], more: &[&str]) -> Vec<String> {
    let mut arguments = vec!["segment", "--image", image, "--modality", "mri", "--json"];
    targets.iter().for_each(|target| arguments.extend(["--target", target]));
    arguments.extend(more);
    arguments.into_iter().map(str::to_owned).collect()
}

struct Told {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Told {
    fn of(output: Output) -> Told {
        Told {
            code: output.status.code().expect("the program ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    /// Code and message of the error object.
    fn error(&self) -> (String, String) {
        let error = &self.json()["error"];
        let hint = error["hint"].as_str().unwrap_or_default();
        let text = format!("{} {hint}", error["message"].as_str().unwrap());
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        (error["code"].as_str().unwrap().to_owned(), text)
    }
}

#[test]
fn images_that_cannot_be_used_are_refused_with_the_fault_and_nothing_is_left() {
    let desk = Desk::new();
    let mut huge = Nifti::new();
    huge.dim(&[3, 30_000, 30_000, 30_000]);
    let mut flat = Nifti::new();
    flat.dim(&[2, 4, 6]);
    let mut series = Nifti::new();
    series.dim(&[4, 4, 3, 1, 2]);
    let mut nan = Nifti::new();
    nan.datatype(16, 32).floats(&[f32::NAN; 24]);
    let mut infinite = Nifti::new();
    infinite.datatype(16, 32).floats(&[f32::INFINITY; 24]);
    let mut constant = Nifti::new();
    constant.datatype(16, 32).floats(&[7.0; 24]);
    let mut absurd = Nifti::new();
    absurd.sform([[1e9, 0.0, 0.0, 0.0], [0.0, 1e9, 0.0, 0.0], [0.0, 0.0, 1e9, 0.0]]);
    let mut singular = Nifti::new();
    singular.sform([[2.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]]);
    let whole = gzip(&Nifti::new().bytes());
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    let cases: [(&str, Vec<u8>, &str); 13] = [
        (
            "not-nifti.nii",
            b"a letter, and not an image at all, however long it may go on and on".repeat(9),
            "not a nifti",
        ),
        ("empty.nii.gz", Vec::new(), "empty"),
        ("cut.nii.gz", whole[..whole.len() - 12].to_vec(), "cut short"),
        ("damaged.nii.gz", damaged, "damaged"),
        ("cut.nii", Nifti::new().bytes()[..360].to_vec(), "cut short"),
        ("flat.nii", flat.bytes(), "dimension"),
        ("series.nii", series.bytes(), "2 volumes"),
        ("nan.nii", nan.bytes(), "24"),
        ("infinite.nii", infinite.bytes(), "24"),
        ("constant.nii", constant.bytes(), "constant"),
        ("absurd.nii", absurd.bytes(), "mm"),
        ("singular.nii", singular.bytes(), "singular"),
        ("huge.nii", huge.bytes(), "27000000000000"),
    ];
    for (name, bytes, word) in cases {
        let image = desk.file(name, &bytes);
        let told = desk.refused(&image, &[]);
        let (code, text) = told.error();
        assert_eq!((told.code, code.as_str()), (1, "bad_image"), "{name}: {text}");
        assert!(text.contains(name), "{name} is not named: {text}");
        assert!(
            text.to_lowercase().contains(word),
            "{name}: {word:?} is not in {text:?}"
        );
    }
}

#[test]
fn an_image_that_is_mostly_padding_to_the_network_is_told() {
    let desk = Desk::new();
    let mut small = Nifti::new();
    small
        .dim(&[3, 6, 5, 4])
        .floats(&(0..120).map(|n| n as f32).collect::<Vec<_>>());
    let image = desk.file("small.nii", &small.bytes());
    let told = desk.run(&[
        "segment",
        "--image",
        &image,
        "--modality",
        "mri",
        "--target",
        "brain",
        "--json",
    ]);
    let warnings = told.json()["warnings"].clone();
    let found = warnings
        .as_array()
        .unwrap()
        .iter()
        .find(|warning| warning["code"] == "small_image");
    let text = found.unwrap()["message"].as_str().unwrap().to_owned();
    assert!(
        text.contains("12 x 10 x 8 mm") && text.contains("224 x 256 x 224 mm"),
        "{text}"
    );
}

#[test]
fn a_path_that_is_no_file_is_told() {
    let desk = Desk::new();
    let (code, text) = desk
        .refused(&desk.path("nothing.nii.gz").display().to_string(), &[])
        .error();
    assert!(code == "not_found" && text.contains("no such file"), "{code} {text}");
    let (code, text) = desk.refused(&desk.dir.path().display().to_string(), &[]).error();
    assert!(code == "bad_image" && text.contains("folder"), "{code} {text}");
}

#[test]
fn targets_that_cannot_be_had_are_answered_with_names_that_can() {
    let desk = Desk::new();
    let image = desk.file("a.nii", &Nifti::new().bytes());
    let of = |targets: &[&str], modality: &str| {
        let mut more = vec!["--modality", modality];
        targets.iter().for_each(|target| more.extend(["--target", target]));
        desk.refused(&image, &more)
    };
    let told = of(&["left hippocampus body"], "mri");
    let (code, text) = told.error();
    assert_eq!((told.code, code.as_str()), (1, "unknown_target"), "{text}");
    assert!(text.contains("hippocampus"), "{text}");
    assert!(
        told.json()["error"]["candidates"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );

    let (code, text) = of(&["left kidney"], "mri").error();
    assert_eq!(code, "not_in_model", "{text}");
    let (code, text) = of(&["left caudate nucleus"], "pet").error();
    assert!(code == "not_in_modality" || code == "not_in_model", "{code} {text}");
    let (code, text) = of(&["left"], "mri").error();
    assert!(
        ["unknown_target", "ambiguous_target"].contains(&code.as_str()),
        "{code} {text}"
    );

    let told = of(&["brainstem", "xyzzy", "left kidney"], "mri");
    let (_, text) = told.error();
    assert!(
        text.contains("xyzzy") && text.contains("left kidney") && text.contains("2 targets"),
        "{text}"
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let desk = Desk::new();
    let image = desk.file("a.nii", &Nifti::new().bytes());
    for arguments in [
        &["segment"][..],
        &["segment", "--image", &image],
        &[
            "segment",
            "--image",
            &image,
            "--target",
            "brainstem",
            "--modality",
            "xray",
        ],
        &["segment", "--image", &image, "--target", "brainstem"], // NIfTI does not say what made it
        &[
            "segment",
            "--image",
            &image,
            "--target",
            "brainstem",
            "--modality",
            "mri",
            "--formats",
            "dicom-seg",
        ],
        &["measure"],
        &["measure", "--mask", &image, "--result", "abc"],
        &["nonsense"],
        &["anatomy", "--limit", "0"],
        &[
            "segment",
            "--provider",
            "abacus",
            "--image",
            &image,
            "--target",
            "brainstem",
        ],
    ] {
        let told = desk.run(arguments);
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.stderr);
        assert!(
            !told.stderr.is_empty() && told.stdout.is_empty(),
            "{arguments:?}: {}",
            told.stdout
        );
    }
}

#[test]
fn a_results_folder_that_cannot_be_written_is_told_before_any_work() {
    let desk = Desk::new();
    let image = desk.file("a.nii", &Nifti::new().bytes());
    let blocked = desk.file("a-file", b"");
    let results = format!("{blocked}/results");
    let arguments = mr(&image, &["brainstem"], &["--results", &results]);
    let told = desk.run(&arguments);
    let (_, text) = told.error();
    assert!(
        told.code == 1 && text.contains("a-file") && text.contains("--results"),
        "{text}"
    );
}

#[test]
fn a_model_that_is_missing_or_damaged_is_refused_with_the_reason() {
    let desk = Desk::new();
    let anatomy = |model: &str| {
        let told = desk.run(&["anatomy", "brainstem", "--json", "--model", model]);
        assert_eq!(told.code, 1, "{model}");
        assert!(!told.stderr.contains("Call again"), "no way out: {}", told.stderr);
        told.error().1
    };
    let text = anatomy("no-such-model");
    assert!(text.contains("no-such-model") && text.contains("sat-mini"), "{text}");
    let text = anatomy(&desk.path("nowhere").display().to_string());
    assert!(text.contains("nowhere"), "{text}");
    std::fs::create_dir(desk.path("empty")).unwrap();
    let text = anatomy(&desk.path("empty").display().to_string());
    assert!(text.contains("model.toml"), "{text}");

    let copy = desk.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/sat-mini")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let copied = copy.display().to_string();
    assert_eq!(desk.run(&["anatomy", "brainstem", "--model", &copied]).code, 0);
    let graph = copy.join("query_decoder.onnx");
    let mut bytes = std::fs::read(&graph).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&graph, bytes).unwrap();
    let text = anatomy(&copied);
    assert!(text.contains("query_decoder.onnx") && text.contains("sha256"), "{text}");
    std::fs::remove_file(&graph).unwrap();
    let text = anatomy(&copied);
    assert!(
        text.contains("query_decoder.onnx") && text.contains("not there"),
        "{text}"
    );
    std::fs::write(copy.join("model.toml"), "format = 1\nname = \"x\"\n").unwrap();
    let text = anatomy(&copied);
    assert!(text.contains("model.toml") && text.contains("version"), "{text}");
}

#[test]
fn without_onnx_runtime_the_line_that_installs_it_is_given() {
    let desk = Desk::new();
    let image = desk.file("a.nii", &Nifti::new().bytes());
    let mut command = desk.command(&mr(&image, &["brainstem"], &[]));
    let told = Told::of(
        command
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
            .output()
            .unwrap(),
    );
    let (code, text) = told.error();
    assert_eq!((told.code, code.as_str()), (1, "provider_unavailable"), "{text}");
    assert!(
        text.contains("pip install onnxruntime") && text.contains("/nowhere/libonnxruntime.so"),
        "{text}"
    );
    assert_eq!(desk.results(), Vec::<String>::new());

    let letter = desk.file("libonnxruntime.so.1.99.0", b"not a library");
    let mut command = desk.command(&mr(&image, &["brainstem"], &[]));
    let told = Told::of(command.env("ORT_DYLIB_PATH", &letter).output().unwrap());
    let (code, text) = told.error();
    assert_eq!(code, "provider_unavailable", "{text}");
    assert!(text.contains(&letter), "{text}");
}

#[test]
fn a_provider_asked_for_by_name_runs_or_is_an_error() {
    let desk = Desk::new();
    let image = desk.file("a.nii", &varied().bytes());
    for provider in ["cuda", "tensorrt"] {
        let told = desk.run(&mr(&image, &["brainstem"], &["--provider", provider]));
        if told.code == 0 {
            // On a machine with such a card, it must be what ran.
            assert_eq!(told.json()["execution"]["provider"], provider);
            continue;
        }
        let (code, text) = told.error();
        assert_eq!(code, "provider_unavailable", "{text}");
        assert!(text.contains("onnxruntime-gpu"), "{text}");
    }
}

/// A small image that the network can look at: no head, so nothing need be found.
fn varied() -> Nifti {
    let mut nifti = Nifti::new();
    let values: Vec<f32> = (0..24 * 24 * 24).map(|i| ((i * 7919) % 251) as f32 + 1.0).collect();
    nifti.dim(&[3, 24, 24, 24]).datatype(16, 32).floats(&values);
    nifti
}

#[test]
fn an_image_far_smaller_than_a_window_gives_whole_results_that_are_found_again() {
    let desk = Desk::new();
    let image = desk.file("small.nii", &varied().bytes());
    let out = desk.path("out");
    let arguments = mr(
        &image,
        &["brainstem", "L hippocampus"],
        &["--out", &out.display().to_string()],
    );
    let first = desk.run(&arguments);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let answer = first.json();
    assert_eq!(answer["status"], "done");
    assert_eq!(answer["masks"][1]["name"], "left hippocampus");
    assert_eq!(answer["masks"][1]["target"], "L hippocampus");
    assert_eq!(answer["execution"]["cached"], false);
    for file in [
        "brainstem.nii.gz",
        "left_hippocampus.nii.gz",
        "labelmap.nii.gz",
        "preview.png",
        "result.json",
    ] {
        assert!(out.join(file).is_file(), "{file} is not in --out");
    }
    let id = answer["result_id"].as_str().unwrap();
    assert_eq!(desk.results(), [id]);

    let again = desk.run(&arguments).json();
    assert_eq!(again["result_id"], id);
    assert_eq!(again["execution"]["cached"], true);
    assert_eq!(again["masks"], answer["masks"]);

    // Other targets of the same image: another result, but the masks that are there are used again.
    let fewer = desk.run(&mr(&image, &["brain stem"], &[])).json();
    assert_ne!(fewer["result_id"], id);
    assert_eq!(fewer["execution"]["cached"], true);
    assert_eq!(
        fewer["masks"][0]["measurement"]["voxels"],
        answer["masks"][0]["measurement"]["voxels"]
    );

    let measured = desk.run(&["measure", "--result", id, "--json"]).json();
    assert_eq!(measured["measurements"][0], answer["masks"][0]["measurement"]);
    let listed = desk.run(&["results", "--json"]).json();
    assert_eq!(listed["results"].as_array().unwrap().len(), 2);
    assert_eq!(desk.run(&["results", "--delete", id]).code, 0);
    assert_eq!(desk.run(&["measure", "--result", id, "--json"]).error().0, "not_found");
    assert_eq!(desk.run(&["results", "--prune", "--max-gb", "0"]).code, 0);
    assert_eq!(desk.results(), Vec::<String>::new());
}

#[test]
fn a_kept_mask_that_was_damaged_is_made_again() {
    let desk = Desk::new();
    let image = desk.file("small.nii", &varied().bytes());
    let arguments = mr(&image, &["brain"], &[]);
    let first = desk.run(&arguments).json();
    let id = first["result_id"].as_str().unwrap();
    assert_eq!(desk.run(&["results", "--delete", id]).code, 0);
    for image in std::fs::read_dir(desk.path("results/masks")).unwrap() {
        for mask in std::fs::read_dir(image.unwrap().path()).unwrap() {
            let path = mask.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 0x55;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let again = desk.run(&arguments).json();
    assert_eq!(again["execution"]["cached"], false);
    assert_eq!(again["masks"], first["masks"]);
}

#[test]
fn what_was_answered_ahead_is_what_asking_gives() {
    let ask = |desk: &Desk, targets: &[&str], ahead: &str| {
        let image = desk.file("small.nii", &varied().bytes());
        desk.run(&mr(&image, targets, &["--answer-ahead", ahead])).json()
    };
    let desk = Desk::new();
    assert_eq!(ask(&desk, &["brain"], "on")["execution"]["cached"], false);
    let next = ask(&desk, &["cerebellum", "left thalamus"], "off");
    assert_eq!(next["execution"]["cached"], true);
    let other = Desk::new();
    assert_eq!(ask(&other, &["brain"], "off")["execution"]["cached"], false);
    let asked = ask(&other, &["cerebellum", "left thalamus"], "off");
    assert_eq!(asked["execution"]["cached"], false);
    for i in 0..2 {
        assert_eq!(
            next["masks"][i]["files"][0]["sha256"],
            asked["masks"][i]["files"][0]["sha256"]
        );
        assert_eq!(next["masks"][i]["measurement"], asked["masks"][i]["measurement"]);
    }
}

#[test]
fn a_mask_does_not_depend_on_what_else_was_asked() {
    let desk = Desk::new();
    let image = desk.file("small.nii", &varied().bytes());
    let alone = mr(&image, &["brain"], &[]);
    let hash = |answer: &Value, i: usize| answer["masks"][i]["files"][0]["sha256"].as_str().unwrap().to_owned();
    let alone = hash(&desk.run(&alone).json(), 0);
    let other = Desk::new();
    let image = other.file("small.nii", &varied().bytes());
    let together = mr(&image, &["cerebellum", "left thalamus", "brain"], &[]);
    assert_eq!(hash(&other.run(&together).json(), 2), alone);
}

#[test]
fn the_settings_file_is_read_and_a_wrong_one_is_told() {
    let desk = Desk::new();
    let kept = desk.path("kept");
    let good = desk.file(
        "good.toml",
        format!("results = {:?}\nresults_max_days = 3\n", kept.display()).as_bytes(),
    );
    let mut command = desk.command(&["results", "--json", "--config", &good]);
    let told = Told::of(command.env_remove("SAT_MCP_RESULTS").output().unwrap());
    assert_eq!(told.json()["folder"], kept.display().to_string());
    let bad = desk.file("bad.toml", b"modle = \"sat-mini\"\n");
    let told = desk.run(&["results", "--json", "--config", &bad]);
    assert_eq!(told.code, 2);
    assert!(told.error().1.contains("modle"), "{}", told.stderr);
}

#[test]
fn the_doctor_says_what_works() {
    let desk = Desk::new();
    let report = desk.run(&["doctor", "--json"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    let report = report.json();
    assert_eq!(report["ok"], true);
    let cpu = report["providers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|provider| provider["name"] == "cpu")
        .unwrap();
    assert_eq!(cpu["starts"], true);
    assert!(
        report["models"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["name"] == "sat-mini" && model["used"] == true)
    );
    assert!(report["onnxruntime"]["version"].as_str().is_some());
}

#[test]
fn label_maps_are_compared_label_by_label() {
    let desk = Desk::new();
    let mut labels = Nifti::new();
    labels.data = (0..24_i16).map(|i| i % 4).flat_map(i16::to_le_bytes).collect();
    let map = desk.file("labels.nii", &labels.bytes());
    let told = desk
        .run(&["measure", "--mask", &map, "--reference", &map, "--json"])
        .json();
    let measurements = told["measurements"].as_array().unwrap();
    assert_eq!(measurements.len(), 3);
    assert!(
        measurements.iter().all(|one| one["comparison"]["dice"] == 1.0),
        "{told}"
    );
    let mut one = Nifti::new();
    one.data = (0..24_i16)
        .map(|i| i16::from(i % 4 == 1))
        .flat_map(i16::to_le_bytes)
        .collect();
    let binary = desk.file("one.nii", &one.bytes());
    let (code, text) = desk
        .run(&["measure", "--mask", &binary, "--reference", &map, "--json"])
        .error();
    assert!(code == "bad_mask" && text.contains("3 labels"), "{code} {text}");
}

#[test]
fn a_doctor_who_finds_nothing_working_still_gives_one_report() {
    let desk = Desk::new();
    let mut command = desk.command(&["doctor", "--json"]);
    let told = Told::of(
        command
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
            .output()
            .unwrap(),
    );
    assert_eq!((told.code, &told.json()["ok"]), (1, &Value::Bool(false)));
}

#[test]
fn a_model_is_never_taken_from_the_working_directory() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("sat-mini")).unwrap();
    std::fs::write(desk.path("sat-mini/model.toml"), "name = \"planted\"").unwrap();
    let mut command = desk.command(&["anatomy", "brainstem"]);
    let told = Told::of(command.current_dir(desk.dir.path()).output().unwrap());
    assert_eq!(told.code, 0, "{}", told.stderr);
}

#[test]
fn a_result_that_lost_a_file_is_made_again_and_the_one_just_made_is_never_pruned() {
    let desk = Desk::new();
    let image = desk.file("small.nii", &varied().bytes());
    let settings = desk.file("tight.toml", b"results_max_gb = 0.0\n");
    let arguments = mr(&image, &["brain"], &["--config", &settings]);
    let first = desk.run(&arguments).json();
    let mask = first["masks"][0]["files"][0]["path"].as_str().unwrap();
    assert!(Path::new(mask).is_file());
    std::fs::remove_file(mask).unwrap();
    let again = desk.run(&arguments).json();
    assert!(Path::new(mask).is_file());
    assert_eq!(again["masks"], first["masks"]);
}
