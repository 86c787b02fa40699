//! `sat-mcp targets` as a person meets it.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder for reports, and the program set to see no model but those it is given.
struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn report(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("report.txt");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The program with the models of the checkout.
    fn with_models(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sat-mcp"));
        command
            .arg("targets")
            .env_remove("SAT_MCP_MODEL")
            .env("SAT_MCP_MODELS", Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx"))
            .env("SAT_MCP_RESULTS", self.dir.path().join("results"))
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so");
        command
    }

    /// The program where no model is installed: a copy of it that lies in no checkout.
    fn without_models(&self) -> Command {
        let program = self.dir.path().join("sat-mcp");
        std::fs::copy(env!("CARGO_BIN_EXE_sat-mcp"), &program).unwrap();
        let mut command = Command::new(program);
        command
            .arg("targets")
            .env_remove("SAT_MCP_MODEL")
            .env_remove("SAT_MCP_MODELS")
            .env("SAT_MCP_RESULTS", self.dir.path().join("results"))
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"));
        command
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_report_is_read_by_the_models_names_and_needs_no_onnx_runtime() {
    let desk = Desk::new();
    let report = desk.report(b"FINDINGS:\r\nL caudate is small. No acute stroke. The liver is normal.\r\n");
    let output = desk
        .with_models()
        .arg(&report)
        .args(["--modality", "mri", "--json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let told = json(&output);
    assert_eq!((&told["modality"], &told["model"]), (&"mri".into(), &"sat-mini".into()));
    assert_eq!(told["targets"], serde_json::json!(["L caudate"]));
    let first = &told["mentions"][0];
    assert_eq!(first["name"], "left caudate nucleus");
    assert_eq!(
        (&first["start"], &first["end"], &first["line"]),
        (&11.into(), &20.into(), &2.into())
    );
    assert_eq!(first["available"], true);
    assert!(first.get("negated").is_none() && first.get("problem").is_none());
    assert_eq!(told["mentions"][1]["negated"], true);
    assert_eq!(told["mentions"][2]["problem"]["code"], "not_in_model");
    assert_eq!(
        std::fs::read_dir(desk.dir.path()).unwrap().count(),
        1,
        "nothing but the report is there"
    );
}

#[test]
fn without_a_model_the_whole_catalogue_is_gone_by_and_stdin_is_read() {
    let desk = Desk::new();
    let mut child = desk
        .without_models()
        .args(["-", "--modality", "ct"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"The R kidney and spleen are normal.\nNo pleural effusion.")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        stdout(&output),
        "1:5  \"R kidney\" -> right kidney\n\
         1:18  \"spleen\" -> spleen\n\
         2:4  \"pleural effusion\" -> lung effusion (abnormality, negated)\n\
         Left out:\n\
         - pleural effusion: negated (\"No\")\n\
         Targets for segment: --target \"R kidney\" --target \"spleen\"\n"
    );
    let report = desk.report(b"The spleen is normal.");
    let output = desk
        .without_models()
        .arg(&report)
        .args(["--modality", "ct", "--json"])
        .output()
        .unwrap();
    let told = json(&output);
    assert!(told.get("model").is_none() && told["mentions"][0].get("available").is_none());
    let named = desk
        .without_models()
        .arg(&report)
        .args(["--modality", "ct", "--model", "sat-nano", "--json"])
        .output()
        .unwrap();
    assert_eq!(
        (named.status.code(), &json(&named)["error"]["code"]),
        (Some(1), &"not_found".into())
    );
}

#[test]
fn what_is_no_report_is_refused_with_the_file_the_fault_and_a_way_out() {
    let desk = Desk::new();
    let long = vec![b'a'; (1 << 20) + 1];
    for (bytes, fault) in [
        (&b""[..], "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"liver \xff\xfe", "offset 6"),
        (&long, "more than 1048576 bytes"),
    ] {
        let report = desk.report(bytes);
        let output = desk
            .with_models()
            .arg(&report)
            .args(["--modality", "ct", "--json"])
            .output()
            .unwrap();
        let error = &json(&output)["error"];
        assert_eq!(
            (output.status.code(), &error["code"]),
            (Some(2), &"invalid_argument".into())
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(fault) && message.contains("report.txt"), "{message}");
        assert!(!error["hint"].as_str().unwrap().is_empty());
    }
    let output = desk
        .with_models()
        .args(["/nowhere/report.txt", "--modality", "ct", "--json"])
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), &json(&output)["error"]["code"]),
        (Some(1), &"not_found".into())
    );
    let output = desk.with_models().arg(desk.report(b"liver")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the modality is needed");
}
