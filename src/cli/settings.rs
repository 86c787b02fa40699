//! Where each setting comes from: the flag or its environment variable (clap knows both), then sat-mcp.toml, then the default.

use super::arguments::{Common, Switch};
use super::http::{HttpTable, OAuthTable};
use super::memory::MemorySize;
use crate::model::{CudaOptions, OpenVinoOptions, ProviderChoice, ProviderOptions, TensorRtOptions};
use crate::service::{Access, Ahead, Code, Fault, Settings};
use crate::store::Limits;
use crate::volume::ReadLimits;
use etcetera::BaseStrategy;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Gigabytes that results may take by default.
const RESULTS_MAX_GB: f64 = 20.0;
/// Share of free memory that the last image's features may take by default.
const FEATURE_CACHE: f64 = 0.25;
/// The model that ships.
const MODEL: &str = "sat-mini";

/// sat-mcp.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub model: Option<String>,
    pub models: Option<PathBuf>,
    pub provider: Option<String>,
    pub ort_lib: Option<PathBuf>,
    pub threads: Option<usize>,
    pub answer_ahead: Option<Switch>,
    pub feature_cache: Option<String>,
    pub max_voxels: Option<u64>,
    pub max_unpacked_gb: Option<f64>,
    pub results: Option<PathBuf>,
    pub results_max_gb: Option<f64>,
    pub results_max_days: Option<f64>,
    #[serde(default)]
    pub data_roots: Vec<PathBuf>,
    #[serde(default)]
    pub http: HttpTable,
    #[serde(default)]
    pub oauth: OAuthTable,
    /// Servers of DICOMweb, whose keys are looked at one by one so that no message repeats a secret.
    #[serde(default)]
    pub dicomweb: HiddenTable,
    #[serde(default)]
    pub openvino: OpenVinoOptions,
    #[serde(default)]
    pub cuda: CudaOptions,
    #[serde(default)]
    pub tensorrt: TensorRtOptions,
    /// The file it was read from, if any.
    #[serde(skip)]
    pub path: Option<PathBuf>,
}

/// A table with secrets in it.
#[derive(Default, Deserialize)]
pub(super) struct HiddenTable(toml::Table);

impl std::fmt::Debug for HiddenTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What is wrong with a settings file. The line is shown, as TOML's reader does it, unless it may hold a secret.
fn wrong_line(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else {
        return error.to_string();
    };
    let start = text.get(..span.start).unwrap_or_default();
    let (line, from) = (start.matches('\n').count(), start.rfind('\n').map_or(0, |at| at + 1));
    let to = text
        .get(span.end..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |at| span.end + at);
    let shown = text.get(from..to).unwrap_or_default().to_ascii_lowercase();
    match ["password", "token", "://"].iter().any(|word| shown.contains(word)) {
        // What TOML's reader says of a key names the key; of a value it may repeat the value.
        true if error.message().starts_with("unknown field") => format!("line {}: {}", line + 1, error.message()),
        true => format!(
            "TOML parse error in line {}, which may hold a secret and is not shown",
            line + 1
        ),
        false => error.to_string(),
    }
}

impl Config {
    /// The file that was named, which must be there, or the user's own, which may be.
    pub fn read(named: Option<&Path>) -> Result<Config, Fault> {
        let own = || {
            etcetera::choose_base_strategy()
                .ok()
                .map(|base| base.config_dir().join("sat-mcp/sat-mcp.toml"))
        };
        let Some(path) = named
            .map(Path::to_owned)
            .or_else(|| own().filter(|path| path.is_file()))
        else {
            return Ok(Config::default());
        };
        let wrong = |fault: String| {
            Fault::new(Code::InvalidArgument, format!("{}: {fault}", path.display()))
                .hint("Correct the settings file, or name another with --config.")
        };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let config: Config = toml::from_str(&text).map_err(|error| wrong(wrong_line(&text, &error)))?;
        Ok(Config {
            path: Some(path),
            ..config
        })
    }

    /// Settings of a service that reads any file.
    pub fn settings(&self, common: &Common) -> Result<Settings, Fault> {
        let provider = match (&common.provider, &self.provider) {
            (Some(provider), _) => *provider,
            (None, Some(word)) => word
                .parse()
                .map_err(|error: String| Fault::new(Code::InvalidArgument, error))?,
            (None, None) => ProviderChoice::Auto,
        };
        let results = self.results(common)?;
        let threads = common.threads.or(self.threads);
        if threads.is_some_and(|threads| threads == 0 || threads > 1024) {
            return Err(Fault::new(Code::InvalidArgument, "threads is not within 1 to 1024."));
        }
        let feature_cache = match (common.feature_cache, &self.feature_cache) {
            (Some(size), _) => size,
            (None, Some(text)) => text
                .parse()
                .map_err(|error: String| Fault::new(Code::InvalidArgument, error))?,
            (None, None) => MemorySize::OfFree(FEATURE_CACHE),
        };
        Ok(Settings {
            model: common
                .model
                .clone()
                .or_else(|| self.model.clone())
                .unwrap_or_else(|| MODEL.to_owned()),
            models: common.models.clone().or_else(|| self.models.clone()),
            provider,
            options: ProviderOptions {
                openvino: self.openvino.clone(),
                cuda: self.cuda.clone(),
                tensorrt: self.tensorrt.clone(),
            },
            ort_lib: common.ort_lib.clone().or_else(|| self.ort_lib.clone()),
            threads,
            ahead: match common.answer_ahead.or(self.answer_ahead) {
                Some(Switch::On) => Ahead::On,
                Some(Switch::Off) => Ahead::Off,
                None => Ahead::WhereCheap,
            },
            feature_cache: feature_cache.bytes(),
            cache: cache_beside(&results),
            results,
            limits: limits(self.results_max_gb.or(Some(RESULTS_MAX_GB)), self.results_max_days)?,
            reading: self.reading(common)?,
            access: Access::Anything,
            archives: super::dicomweb::archives(&self.dicomweb.0, self.path.as_deref())?,
        })
    }

    /// How large a file may be that is read.
    fn reading(&self, common: &Common) -> Result<ReadLimits, Fault> {
        let mut limits = ReadLimits::DEFAULT;
        if let Some(voxels) = common.max_voxels.or(self.max_voxels) {
            if voxels == 0 {
                return Err(Fault::new(
                    Code::InvalidArgument,
                    "max_voxels is 0, and no image is that small.",
                ));
            }
            limits.voxels = voxels;
        }
        if let Some(gigabytes) = common.max_unpacked_gb.or(self.max_unpacked_gb) {
            if !(gigabytes.is_finite() && gigabytes > 0.0) {
                return Err(Fault::new(
                    Code::InvalidArgument,
                    "max_unpacked_gb must be a number above 0.",
                ));
            }
            limits.unpacked_bytes = (gigabytes * 1e9) as u64;
        }
        Ok(limits)
    }

    fn results(&self, common: &Common) -> Result<PathBuf, Fault> {
        if let Some(named) = common.results.clone().or_else(|| self.results.clone()) {
            return Ok(named);
        }
        let base = etcetera::choose_base_strategy().map_err(|error| {
            Fault::new(
                Code::InvalidArgument,
                format!("There is no home folder to keep results in ({error})."),
            )
            .hint("Name a folder with --results DIR or SAT_MCP_RESULTS.")
        })?;
        Ok(base.data_dir().join("sat-mcp/results"))
    }
}

/// The sibling of the results folder for what can be made again: `cache` beside `results`, `NAME-cache` beside any other.
fn cache_beside(results: &Path) -> PathBuf {
    match results.file_name() {
        Some(name) if name != "results" => {
            let mut name = name.to_owned();
            name.push("-cache");
            results.with_file_name(name)
        }
        _ => results.with_file_name("cache"),
    }
}

/// Folders that callers may name files in: those of the flag, else SAT_MCP_DATA_ROOTS (folders as in PATH), else
/// sat-mcp.toml's. None where nobody said.
pub(super) fn given_roots(flag: &[PathBuf], config: &Config) -> Vec<PathBuf> {
    if !flag.is_empty() {
        return flag.to_owned();
    }
    let variable = std::env::var_os("SAT_MCP_DATA_ROOTS").unwrap_or_default();
    let named: Vec<PathBuf> = std::env::split_paths(&variable)
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    match named.is_empty() {
        true => config.data_roots.clone(),
        false => named,
    }
}

/// Limits from gigabytes and days.
pub(super) fn limits(gigabytes: Option<f64>, days: Option<f64>) -> Result<Limits, Fault> {
    let wrong = |name: &str| {
        Fault::new(
            Code::InvalidArgument,
            format!("{name} must be a number that is not negative."),
        )
    };
    if gigabytes.is_some_and(|gb| !(gb.is_finite() && gb >= 0.0)) {
        return Err(wrong("The limit in gigabytes"));
    }
    let max_age = days.map(|days| Duration::try_from_secs_f64(days * 86_400.0).map_err(|_| wrong("The limit in days")));
    Ok(Limits {
        max_bytes: gigabytes.map(|gb| (gb * 1e9) as u64),
        max_age: max_age.transpose()?,
    })
}

/// Settings of one request, from the command line and the settings file: features are not kept for a next one.
pub(super) fn settings(common: &Common) -> Result<Settings, Fault> {
    let settings = Config::read(common.config.as_deref())?.settings(common)?;
    Ok(Settings {
        feature_cache: 0,
        ..settings
    })
}

/// The same, and whether anybody asked for a model or a folder of models.
pub(super) fn with_model_asked_for(common: &Common) -> Result<(Settings, bool), Fault> {
    let config = Config::read(common.config.as_deref())?;
    let asked = common.model.is_some() || common.models.is_some() || config.model.is_some() || config.models.is_some();
    Ok((config.settings(common)?, asked))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_cache_lies_beside_the_results_and_never_among_them() {
        let of = |results: &str| cache_beside(Path::new(results)).display().to_string();
        assert_eq!(
            of("/home/a/.local/share/sat-mcp/results"),
            "/home/a/.local/share/sat-mcp/cache"
        );
        assert_eq!(of("/scratch/alice"), "/scratch/alice-cache");
        assert_eq!(of("results"), "cache");
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_shown() {
        let told = |text: &str| wrong_line(text, &toml::from_str::<Config>(text).unwrap_err());
        for text in [
            "threads = 1\n[dicomweb]\npassword = hunter2",
            "threads = 1\n\npassword = \"hunter2\"",
            "[dicomweb]\n\ntoken = \"hunter2",
            "dicomweb = 1\n\nurl: https://u:hunter2@a",
        ] {
            let told = told(text);
            assert!(told.contains("line 3") || !told.contains("hunter2"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(told("threads = \"many\"").contains("many"));
        let config: Config = toml::from_str("[dicomweb]\nurl = \"https://a\"\ntoken = \"hunter2\"").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn tables_of_providers_are_read_and_a_misspelt_one_is_refused() {
        let config: Config =
            toml::from_str("provider = \"cuda\"\n[cuda]\ndevice_id = 1\n[openvino]\nprecision = \"bf16\"").unwrap();
        let settings = config.settings(&Common::default()).unwrap();
        assert_eq!(settings.options.cuda.device_id.0, 1);
        assert!(settings.options.openvino.precision.is_some());
        let error = toml::from_str::<Config>("[tensorflow]\nprecision = \"fp16\"").unwrap_err();
        assert!(error.to_string().contains("`tensorrt`"), "{error}");
    }
}
