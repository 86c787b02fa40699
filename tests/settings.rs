//! Where settings come from, and what is told of those that can't be meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program with its own folders for settings and results.
struct Desk {
    dir: tempfile::TempDir,
}

struct Told {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
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

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sat-mcp"));
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx");
        command
            .args(arguments)
            .env("SAT_MCP_RESULTS", self.path("results"))
            .env("SAT_MCP_MODELS", models)
            .env("XDG_CONFIG_HOME", self.path("config"))
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        Told {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs with a settings file.
    fn configured(&self, text: &str, arguments: &[&str]) -> Told {
        std::fs::write(self.path("sat-mcp.toml"), text).unwrap();
        let config = self.path("sat-mcp.toml").display().to_string();
        self.run(&[arguments, &["--config", &config]].concat(), &[])
    }
}

#[test]
fn a_command_line_that_is_wrong_is_told_in_json_where_json_was_asked_for() {
    let desk = Desk::new();
    for arguments in [
        &["segment", "--json"][..],
        &["segment", "--json", "--nonsense"],
        &["doctor", "--json", "--provider", "abacus"],
        &["measure", "--mask", "a.nii", "--result", "b", "--json"],
    ] {
        let told = desk.run(arguments, &[]);
        assert_eq!(told.code, 2, "{arguments:?}");
        let error = &told.json()["error"];
        assert_eq!(error["code"], "invalid_argument");
        assert!(!error["message"].as_str().unwrap().starts_with("error:"));
        assert!(told.stderr.starts_with("error:"), "{}", told.stderr);
    }
    let plain = desk.run(&["segment"], &[]);
    assert_eq!((plain.code, plain.stdout.as_str()), (2, ""));
    let help = desk.run(&["segment", "--json", "--help"], &[]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Usage:"), "{}", help.stdout);
}

#[test]
fn variables_that_are_set_to_nothing_count_as_unset() {
    let empty = [
        ("SAT_MCP_MODEL", ""),
        ("SAT_MCP_PROVIDER", ""),
        ("SAT_MCP_THREADS", ""),
        ("SAT_MCP_ANSWER_AHEAD", ""),
        ("SAT_MCP_FEATURE_CACHE", ""),
        ("SAT_MCP_CONFIG", ""),
        ("ORT_DYLIB_PATH", ""),
    ];
    let desk = Desk::new();
    let listed = desk.run(&["anatomy", "brainstem"], &empty);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let report = desk.run(&["doctor", "--json"], &empty).json();
    let found_by = report["onnxruntime"]["found_by"].as_str().unwrap_or_default();
    assert!(!found_by.contains("ORT_DYLIB_PATH"), "{found_by}");
    assert!(
        report["models"]
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["used"] == true)
    );
}

#[test]
fn the_doctor_names_the_data_roots_that_serve_would_take() {
    let desk = Desk::new();
    let (a, b) = (desk.path("a"), desk.path("b"));
    let both = std::env::join_paths([&a, &b]).unwrap().into_string().unwrap();
    let report = desk.run(&["doctor", "--json"], &[("SAT_MCP_DATA_ROOTS", &both)]).json();
    assert_eq!(report["data_roots"], serde_json::json!([a, b]));
    let report = desk
        .configured("data_roots = [\"/scans\"]", &["doctor", "--json"])
        .json();
    assert_eq!(report["data_roots"], serde_json::json!(["/scans"]));
}

#[test]
fn the_doctor_says_what_each_provider_counts_in_and_what_auto_comes_to() {
    let report = Desk::new().run(&["doctor", "--json"], &[]).json();
    let providers = report["providers"].as_array().unwrap();
    let cpu = providers.iter().find(|provider| provider["name"] == "cpu").unwrap();
    assert_eq!(cpu["precision"], "fp32");
    for other in providers.iter().filter(|provider| provider["starts"] == false) {
        assert!(!other["why_not"].as_str().unwrap().is_empty());
    }
    let auto = &report["auto"];
    let chosen = providers
        .iter()
        .find(|provider| provider["name"] == auto["provider"])
        .unwrap();
    assert_eq!(chosen["starts"], true);
    assert!(!auto["why"].as_str().unwrap().is_empty());
}

#[test]
fn a_provider_that_is_not_there_is_an_error_and_no_other_provider() {
    let desk = Desk::new();
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("share/demo/colin27-t1.nii.gz");
    let scan = scan.to_str().unwrap();
    let arguments = [
        "segment",
        "--image",
        scan,
        "--modality",
        "mri",
        "--target",
        "brainstem",
        "--json",
    ];
    let told = desk.run(&[&arguments[..], &["--provider", "tensorrt"]].concat(), &[]);
    assert_eq!(told.code, 1);
    let error = &told.json()["error"];
    assert_eq!(error["code"], "provider_unavailable");
    assert!(error["message"].as_str().unwrap().contains("tensorrt"), "{error}");
    assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
}

#[test]
fn an_option_of_a_provider_that_cannot_be_meant_is_refused_by_its_line() {
    let desk = Desk::new();
    for (text, told) in [
        ("[openvino]\nprecision = \"int8\"", "`bf16`"),
        ("[openvino]\ndevice = \"AUTO\"", "\"CPU\""),
        ("[cuda]\nmemory_limit = 3", "`memory_limit_gb`"),
        ("[tensorrt]\nprecision = \"bf16\"", "`fp16`"),
    ] {
        let refused = desk.configured(text, &["doctor", "--json"]);
        assert_eq!(refused.code, 2, "{text}");
        let message = refused.json()["error"]["message"].to_string();
        assert!(
            message.contains("line 2") && message.contains(&told.replace('"', "\\\"")),
            "{message}"
        );
    }
}

#[test]
fn how_much_is_read_is_set_by_the_flag_then_the_variable_then_the_file() {
    let desk = Desk::new();
    let scan = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/measure/straight-labels.nii.gz");
    let measure = ["measure", "--mask", scan.to_str().unwrap(), "--json"];
    let configured = |arguments: &[&str], variables: &[(&str, &str)]| {
        std::fs::write(desk.path("sat-mcp.toml"), "max_voxels = 7\nmax_unpacked_gb = 1.5\n").unwrap();
        let config = desk.path("sat-mcp.toml").display().to_string();
        desk.run(&[&measure[..], arguments, &["--config", &config]].concat(), variables)
    };
    let variable = [("SAT_MCP_MAX_VOXELS", "8")];
    for (told, limit) in [
        (configured(&[], &[]), 7),
        (configured(&[], &variable), 8),
        (configured(&["--max-voxels", "9"], &variable), 9),
    ] {
        let error = &told.json()["error"];
        assert_eq!((told.code, &error["code"]), (1, &"bad_mask".into()));
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("limit of {limit};")), "{message}");
        assert!(message.contains("max_voxels"), "{message}");
    }
    assert_eq!(configured(&["--max-voxels", "10000000"], &[]).code, 0);
    let small = configured(&["--max-voxels", "10000000", "--max-unpacked-gb", "0.0000001"], &[]);
    assert!(
        small.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("max_unpacked_gb")
    );
    for wrong in [
        ["--max-voxels", "0"],
        ["--max-voxels", "-1"],
        ["--max-unpacked-gb", "0"],
        ["--max-unpacked-gb", "nan"],
    ] {
        let told = desk.run(&[&measure[..], &wrong].concat(), &[]);
        assert_eq!(told.code, 2, "{wrong:?}: {}", told.stderr);
    }
}
