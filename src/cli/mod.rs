//! Commands for people, one file each. Results go to stdout, everything else to stderr.

mod anatomy;
mod arguments;
mod bar;
mod demo;
mod dicomweb;
mod doctor;
mod http;
mod measure;
mod memory;
mod results;
mod segment;
mod serve;
mod settings;
mod table;
mod targets;
mod view;
mod words;

use crate::service::{Code, Fault};
use arguments::{Arguments, Command};
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;

/// Done.
const DONE: u8 = 0;
/// Anything that is neither success nor wrong usage.
const FAILED: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;

/// Runs the command line of this process. Exit codes: 0 done, 2 wrong usage, 1 anything else.
pub fn main() -> ExitCode {
    settle_environment();
    match Arguments::read() {
        Ok(arguments) => obey(arguments),
        Err(error) => misused(&error),
    }
}

/// The same for the test build's own program: `serve --http` offers the conformance suites' fixtures beside the tools.
#[cfg(feature = "fixtures")]
pub fn main_with_fixtures() -> ExitCode {
    settle_environment();
    match Arguments::read() {
        Ok(mut arguments) => {
            if let Command::Serve(serve) = &mut arguments.command {
                serve.fixtures = true;
            }
            obey(arguments)
        }
        Err(error) => misused(&error),
    }
}

fn obey(arguments: Arguments) -> ExitCode {
    // Held to the end of the process: what is left to tell goes out when it is dropped.
    let _telemetry = crate::serve::telemetry(arguments.common.log_format);
    let json = arguments.command.json();
    let code = match run(arguments) {
        Ok(true) => DONE,
        Ok(false) => FAILED,
        Err(fault) => {
            tell(&fault, json);
            if fault.code == Code::InvalidArgument {
                USAGE
            } else {
                FAILED
            }
        }
    };
    ExitCode::from(code)
}

/// What ONNX Runtime reads from the environment and has no option for. TensorRT counts in TF32 where it may; a result named
/// fp32 has to be fp32. And Microsoft's builds keep a device's identity and send events from the moment they are loaded: the
/// option against that comes too late.
#[allow(unsafe_code)]
fn settle_environment() {
    // SAFETY: this is the process's first deed; no other thread can be reading the environment.
    unsafe {
        if std::env::var_os("NVIDIA_TF32_OVERRIDE").is_none() {
            std::env::set_var("NVIDIA_TF32_OVERRIDE", "0");
        }
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
    }
}

/// Prints help or the version, or what was wrong with the command line: for people as clap says it, and under `--json`
/// also as the contract's error object.
fn misused(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.exit_code() == 0 {
        return ExitCode::from(DONE);
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let (what, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fault = Fault::new(Code::InvalidArgument, line(what.trim_start_matches("error: "))).hint(line(rest));
        // A reader of stdout that has gone away can be told nothing.
        let _ = print_json(&serde_json::json!({ "error": fault }));
    }
    ExitCode::from(USAGE)
}

/// Whether all is well; only the doctor can find that it is not without failing itself.
fn run(arguments: Arguments) -> Result<bool, Fault> {
    let common = &arguments.common;
    let done = match arguments.command {
        Command::Demo(demo) => demo::run(common, &demo),
        Command::Serve(serve) => serve::run(common, &serve),
        Command::Segment(segment) => segment::run(common, &segment),
        Command::Measure(measure) => measure::run(common, &measure),
        Command::Anatomy(anatomy) => anatomy::run(common, &anatomy),
        Command::Targets(targets) => targets::run(common, &targets),
        Command::Results(results) => results::run(common, &results),
        Command::View(view) => view::run(common, &view),
        Command::Doctor(doctor) => return doctor::run(common, &doctor),
    };
    done.map(|()| true)
}

fn tell(fault: &Fault, json: bool) {
    eprintln!("error: {}", fault.message);
    if let Some(hint) = &fault.hint {
        eprintln!("{hint}");
    }
    if json {
        // A reader of stdout that has gone away can be told nothing.
        let _ = print_json(&serde_json::json!({ "error": fault }));
    }
}

/// Prints to stdout; a reader that has gone away is no error of ours.
fn print(text: &str) -> Result<(), Fault> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|error| Fault::new(Code::Internal, format!("stdout cannot be written: {error}."))),
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Fault::new(Code::Internal, error.to_string()))?;
    print(&text)
}
