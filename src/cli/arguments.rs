//! The command line as a table.

use super::memory::MemorySize;
use super::words;
use crate::anatomy::Laterality;
use crate::model::ProviderChoice;
use crate::serve::LogFormat;
use crate::service::{Format, Orientation};
use crate::volume::Modality;
use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Organs and lesions in 3-D radiology scans, found by name: SAT (Segment Anything by Text) for people and, over the Model
/// Context Protocol, for agents. Not a medical device.
#[derive(Debug, Parser)]
#[command(name = "sat-mcp", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Reads the command line and the environment. A variable that is set to nothing counts as unset, as people mean it when
    /// they clear one.
    pub fn read() -> Result<Arguments, clap::Error> {
        let command = Arguments::command().mut_args(|argument| {
            let empty = argument
                .get_env()
                .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
            match empty {
                true => argument.env(Resettable::Reset),
                false => argument,
            }
        });
        let mut matches = command.clone().try_get_matches()?;
        without_http(command, &matches)?;
        Arguments::from_arg_matches_mut(&mut matches)
    }
}

/// Refuses options of HTTP on a command line without `--http`. A variable may be set for whoever needs it.
fn without_http(mut command: clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some(("serve", serve)) = matches.subcommand() else {
        return Ok(());
    };
    let on_the_line = |name: &&&str| serve.value_source(name) == Some(ValueSource::CommandLine);
    match super::http::ONLY_HTTP.iter().find(on_the_line) {
        Some(name) if !serve.contains_id("http") => {
            let option = command
                .find_subcommand("serve")
                .and_then(|serve| serve.get_arguments().find(|argument| argument.get_id() == name))
                .and_then(clap::Arg::get_long)
                .unwrap_or(name)
                .to_owned();
            Err(command.error(
                clap::error::ErrorKind::MissingRequiredArgument,
                format!("--{option} means nothing without --http <ADDR:PORT>"),
            ))
        }
        _ => Ok(()),
    }
}

/// Options of every command: the flag, then the environment variable, then sat-mcp.toml, then the default.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Common {
    /// Model to use: a folder of --models by name, or any folder by path [default: sat-mini]
    #[arg(long, global = true, env = "SAT_MCP_MODEL", value_name = "NAME|DIR")]
    pub model: Option<String>,
    /// Folder of models [default: the one installed with sat-mcp, or onnx/ of its checkout]
    #[arg(long, global = true, env = "SAT_MCP_MODELS", value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// What runs the network: auto, cpu, openvino, cuda or tensorrt. One asked for by name runs or is an error [default: auto]
    #[arg(long, global = true, env = "SAT_MCP_PROVIDER", value_name = "PROVIDER")]
    pub provider: Option<ProviderChoice>,
    /// ONNX Runtime's library [default: found beside the program or in its Python environment]
    #[arg(long, global = true, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
    /// Where results are kept [default: $XDG_DATA_HOME/sat-mcp/results]
    #[arg(long, global = true, env = "SAT_MCP_RESULTS", value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// Threads for the network [default: one a processor]
    #[arg(long, global = true, env = "SAT_MCP_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Find all that the model knows in the first pass over an image, so that later questions about it are look-ups: on or off
    /// [default: where it adds less than a tenth to the network's time]
    #[arg(long, global = true, env = "SAT_MCP_ANSWER_AHEAD", value_name = "on|off")]
    pub answer_ahead: Option<Switch>,
    /// Memory that the last image's features may take between two requests to a server: bytes (4GB), or a share of what is free
    /// (25%); 0 keeps none [default: 25%]
    #[arg(long, global = true, env = "SAT_MCP_FEATURE_CACHE", value_name = "SIZE")]
    pub feature_cache: Option<MemorySize>,
    /// Most voxels of an image or mask that is read [default: 1073741824]
    #[arg(long, global = true, env = "SAT_MCP_MAX_VOXELS", value_name = "N")]
    pub max_voxels: Option<u64>,
    /// Gigabytes that a compressed file may unpack to, up to the last voxel that is needed [default: 16]
    #[arg(long, global = true, env = "SAT_MCP_MAX_UNPACKED_GB", value_name = "GB")]
    pub max_unpacked_gb: Option<f64>,
    /// How lines on stderr look: text or json (one object a line)
    #[arg(
        long,
        global = true,
        env = "SAT_MCP_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
    /// Settings file [default: $XDG_CONFIG_HOME/sat-mcp/sat-mcp.toml, where it is there]
    #[arg(long, global = true, env = "SAT_MCP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Segment the head scan that ships with sat-mcp: the main job from end to end
    Demo(Demo),
    /// Serve the tools to agents over MCP, on stdin and stdout or over HTTP
    Serve(Serve),
    /// Find structures in a scan by name: masks and volumes
    Segment(Segment),
    /// Measure a mask, a label map or a result
    Measure(Measure),
    /// What can be asked for, and under which names
    Anatomy(Anatomy),
    /// Which names a radiology report mentions, ready for `segment`
    Targets(Targets),
    /// List, delete and prune kept results
    Results(Results),
    /// Look at a result in the browser: the scan, the masks in colour and their volumes
    View(View),
    /// Say which ONNX Runtime, providers, models and folders are in use, and which really work
    Doctor(Doctor),
}

impl Command {
    /// Whether the command was asked for JSON.
    pub fn json(&self) -> bool {
        match self {
            Command::Demo(demo) => demo.json,
            Command::Serve(_) => false,
            Command::Segment(segment) => segment.json,
            Command::Measure(measure) => measure.json,
            Command::Anatomy(anatomy) => anatomy.json,
            Command::Targets(targets) => targets.json,
            Command::Results(results) => results.json,
            Command::View(_) => false,
            Command::Doctor(doctor) => doctor.json,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Also put the files into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the tool's structuredContent
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Folders that callers may name files in; repeatable [default: the working directory]
    // A bundle's host puts every folder that was picked behind one flag.
    #[arg(long = "data-root", value_name = "DIR", num_args = 1..)]
    pub data_roots: Vec<PathBuf>,
    /// Serve Streamable HTTP at /mcp of this address instead of stdin and stdout, such as 127.0.0.1:8765
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<SocketAddr>,
    /// Seconds after which a caller without progress gets an answer, if only `status: running`
    #[arg(long, value_name = "SECONDS", default_value = "8", value_parser = words::seconds)]
    pub answer_within: Duration,
    #[command(flatten)]
    pub network: Box<super::http::Http>,
    /// Whether the conformance suites' fixtures are offered: the test build's own program says so, no option does
    #[cfg(feature = "fixtures")]
    #[arg(skip)]
    pub fixtures: bool,
}

#[derive(Debug, Args)]
pub(super) struct Segment {
    /// The scan: .nii, .nii.gz or .hdr/.img, a DICOM series' folder, a file:// URI of one, or dicomweb:STUDY/SERIES; of several
    /// volumes in it, PATH#3 is the fourth
    #[arg(long, value_name = "PATH")]
    pub image: String,
    /// What to find, by name; repeatable
    #[arg(long = "target", value_name = "NAME", required = true)]
    pub targets: Vec<String>,
    /// What made the scan; NIfTI files do not say
    #[arg(long)]
    pub modality: Option<ModalityWord>,
    /// Orientation the network reads it in: RAS, or ASR for spine MR read in the sagittal plane
    #[arg(long, ignore_case = true)]
    pub orientation: Option<OrientationWord>,
    /// Files wanted: nifti; of a DICOM scan also dicom-seg and dicom-sr [default: nifti]
    #[arg(long, value_delimiter = ',')]
    pub formats: Vec<FormatWord>,
    /// Send the DICOM objects to this DICOMweb server of sat-mcp.toml; --formats are then all by default
    #[arg(long, value_name = "NAME")]
    pub send_to: Option<String>,
    /// Try names that the model was never taught, as they stand
    #[arg(long)]
    pub allow_untrained: bool,
    /// Also put the files into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the tool's structuredContent
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["mask", "result"]))]
pub(super) struct Measure {
    /// A mask or label map: .nii, .nii.gz or .hdr/.img, or a DICOM SEG
    #[arg(long, value_name = "PATH")]
    pub mask: Option<String>,
    /// A result of `segment`
    #[arg(long, value_name = "ID")]
    pub result: Option<String>,
    /// Which of the result's masks; repeatable [default: all]
    #[arg(long = "target", value_name = "NAME", conflicts_with = "mask")]
    pub targets: Vec<String>,
    /// One label of a label map [default: every label]
    #[arg(long, value_name = "N", conflicts_with = "result")]
    pub label: Option<u32>,
    /// The scan, for intensities
    #[arg(long, value_name = "PATH")]
    pub image: Option<String>,
    /// A second mask on the same grid to compare with
    #[arg(long, value_name = "PATH")]
    pub reference: Option<String>,
    /// Print the tool's structuredContent
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Anatomy {
    /// A word or phrase
    pub query: Option<String>,
    /// Only what exists in this kind of scan
    #[arg(long)]
    pub modality: Option<ModalityWord>,
    /// Only this region of the body
    #[arg(long)]
    pub region: Option<String>,
    /// Only structures of this side
    #[arg(long)]
    pub laterality: Option<SideWord>,
    /// Items to print, 1 to 200 [default: 50]
    #[arg(long, value_name = "N")]
    pub limit: Option<i64>,
    /// Go on where an earlier answer's next_cursor says
    #[arg(long)]
    pub cursor: Option<String>,
    /// Print the tool's structuredContent
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Targets {
    /// The report, as UTF-8 text in English; - reads it from stdin
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// What made the scan that it reports on
    #[arg(long)]
    pub modality: ModalityWord,
    /// Print JSON, with every mention's place, problem and cue
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Results {
    /// Delete this result; repeatable
    #[arg(long, value_name = "ID")]
    pub delete: Vec<String>,
    /// Delete the least recently used results and kept masks until the limits are met
    #[arg(long)]
    pub prune: bool,
    /// Limit for --prune, in gigabytes [default: results_max_gb]
    #[arg(long, value_name = "GB", requires = "prune")]
    pub max_gb: Option<f64>,
    /// Limit for --prune, in days since last use [default: results_max_days]
    #[arg(long, value_name = "DAYS", requires = "prune")]
    pub max_days: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct View {
    /// The result, as `segment` and `sat-mcp results` name it
    #[arg(value_name = "RESULT_ID")]
    pub result: String,
    /// Write the page into this file, and do not open it [default: a file in a new folder of the user's own]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not open it in the browser
    #[arg(long)]
    pub no_open: bool,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ModalityWord {
    Ct,
    #[value(alias = "mr")]
    Mri,
    #[value(alias = "pt")]
    Pet,
}

impl From<ModalityWord> for Modality {
    fn from(word: ModalityWord) -> Modality {
        match word {
            ModalityWord::Ct => Modality::Ct,
            ModalityWord::Mri => Modality::Mri,
            ModalityWord::Pet => Modality::Pet,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SideWord {
    Left,
    Right,
}

impl From<SideWord> for Laterality {
    fn from(word: SideWord) -> Laterality {
        match word {
            SideWord::Left => Laterality::Left,
            SideWord::Right => Laterality::Right,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(super) enum OrientationWord {
    Ras,
    Asr,
}

impl From<OrientationWord> for Orientation {
    fn from(word: OrientationWord) -> Orientation {
        match word {
            OrientationWord::Ras => Orientation::Ras,
            OrientationWord::Asr => Orientation::Asr,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FormatWord {
    Nifti,
    DicomSeg,
    DicomSr,
}

impl From<FormatWord> for Format {
    fn from(word: FormatWord) -> Format {
        match word {
            FormatWord::Nifti => Format::Nifti,
            FormatWord::DicomSeg => Format::DicomSeg,
            FormatWord::DicomSr => Format::DicomSr,
        }
    }
}
