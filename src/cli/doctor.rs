//! `sat-mcp doctor`: what is there, and what really works.

use super::arguments::{Common, Doctor};
use super::settings::{Config, given_roots};
use super::{print, print_json};
use crate::dicomweb::{Archive, Archives, Credentials};
use crate::model::{
    ModelError, ModelFolder, Network, Provider, ProviderChoice, Runtime, RuntimeLibrary, Setup, find_runtime,
};
use crate::service::{Fault, Settings, find_models};
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    config: Option<PathBuf>,
    onnxruntime: RuntimeReport,
    providers: Vec<ProviderReport>,
    auto: Option<AutoReport>,
    models_folder: Option<PathBuf>,
    models: Vec<ModelReport>,
    results: ResultsReport,
    data_roots: Vec<PathBuf>,
    dicomweb: Vec<ArchiveReport>,
    ok: bool,
}

#[derive(Debug, Default, Serialize)]
struct RuntimeReport {
    path: Option<PathBuf>,
    version: Option<String>,
    found_by: Option<String>,
    packages: Vec<String>,
    build: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct ProviderReport {
    name: &'static str,
    starts: bool,
    /// What it counts in.
    precision: Option<&'static str>,
    /// What runs the query decoder, where that is another provider.
    decoder: Option<&'static str>,
    why_not: Option<String>,
}

/// What `--provider auto` comes to.
#[derive(Debug, Serialize)]
struct AutoReport {
    provider: &'static str,
    precision: &'static str,
    why: String,
}

#[derive(Debug, Serialize)]
struct ModelReport {
    name: String,
    path: PathBuf,
    used: bool,
    version: Option<String>,
    classes: Option<usize>,
    sha256: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct ResultsReport {
    path: PathBuf,
    results: usize,
    error: Option<String>,
}

/// A DICOMweb server as the settings have it; nothing is asked of it.
#[derive(Debug, Serialize)]
struct ArchiveReport {
    name: String,
    url: String,
    /// How we show who we are.
    credentials: &'static str,
    default: bool,
}

impl ArchiveReport {
    fn of(archive: &Archive, archives: &Archives) -> ArchiveReport {
        ArchiveReport {
            name: archive.name.clone(),
            url: archive.url.to_string(),
            credentials: match archive.credentials {
                Credentials::None => "none",
                Credentials::Basic { .. } => "password",
                Credentials::Bearer(_) => "token",
            },
            default: archives.preset() == Some(archive),
        }
    }
}

/// Whether sat-mcp can segment here; the report itself says what is missing.
pub(super) fn run(common: &Common, arguments: &Doctor) -> Result<bool, Fault> {
    let config = Config::read(common.config.as_deref())?;
    let settings = config.settings(common)?;
    let report = examine(&config, &settings);
    match arguments.json {
        true => print_json(&report)?,
        false => print(&for_people(&report))?,
    }
    Ok(report.ok)
}

fn examine(config: &Config, settings: &Settings) -> Report {
    let models_folder = find_models(settings.models.as_deref()).map(|folder| folder.path);
    let (models, folder) = models(settings, models_folder.as_deref());
    let library = find_runtime(settings.ort_lib.as_deref(), std::env::current_exe().ok().as_deref());
    let mut onnxruntime = RuntimeReport::default();
    let mut providers = Vec::new();
    let mut auto = None;
    match library {
        Err(error) => onnxruntime.error = Some(told(&error.to_string(), error.hint())),
        Ok(library) => {
            onnxruntime.describe(&library);
            match Runtime::load(settings.ort_lib.as_deref()) {
                Err(error) => onnxruntime.error = Some(told(&error.to_string(), error.hint())),
                Ok(runtime) => {
                    onnxruntime.build = Some(runtime.build_info().to_owned());
                    providers = Provider::ALL
                        .map(|provider| try_out(&runtime, provider, settings, folder.as_ref()))
                        .into();
                    auto = folder.as_ref().and_then(|folder| try_auto(&runtime, settings, folder));
                }
            }
        }
    }
    let results = match Store::open(&settings.results) {
        Ok(store) => ResultsReport {
            path: store.root().to_owned(),
            results: store.results().map(|results| results.len()).unwrap_or(0),
            error: None,
        },
        Err(error) => ResultsReport {
            path: settings.results.clone(),
            results: 0,
            error: Some(error.to_string()),
        },
    };
    let wanted = |report: &ProviderReport| match settings.provider {
        ProviderChoice::Auto => report.starts,
        ProviderChoice::Named(provider) => report.starts && report.name == provider.as_str(),
    };
    let ok = providers.iter().any(wanted) && results.error.is_none();
    Report {
        version: env!("CARGO_PKG_VERSION"),
        config: config.path.clone(),
        onnxruntime,
        providers,
        auto,
        models_folder,
        models,
        results,
        data_roots: given_roots(&[], config),
        dicomweb: settings
            .archives
            .iter()
            .map(|archive| ArchiveReport::of(archive, &settings.archives))
            .collect(),
        ok,
    }
}

impl RuntimeReport {
    fn describe(&mut self, library: &RuntimeLibrary) {
        self.path = Some(library.path.clone());
        self.version.clone_from(&library.version);
        self.found_by = Some(library.found_by.clone());
        self.packages.clone_from(&library.packages);
        if library.packages.len() > 1 {
            self.error = Some(format!(
                "{} lie in one environment and have overwritten each other's files; uninstall all of them, then install the one you want",
                library.packages.join(" and ")
            ));
        }
    }
}

/// Loads the model's graphs on a provider: the only proof that it works.
fn try_out(runtime: &Runtime, provider: Provider, settings: &Settings, folder: Option<&ModelFolder>) -> ProviderReport {
    let mut report = ProviderReport {
        name: provider.as_str(),
        starts: false,
        precision: None,
        decoder: None,
        why_not: None,
    };
    let tried = match folder {
        Some(folder) => open(runtime, ProviderChoice::Named(provider), settings, folder),
        None if !provider.built_in() => Err(ModelError::NotBuiltIn {
            provider,
            library: runtime.library().path.clone(),
        }),
        None => {
            report.why_not = Some("no model to try it with".to_owned());
            return report;
        }
    };
    match tried {
        Ok(network) => {
            report.starts = true;
            report.precision = Some(network.precision().as_str());
            let decoder = network.decoder_provider();
            report.decoder = (decoder != provider).then_some(decoder.as_str());
        }
        // The line above it names the library, and the package says the rest.
        Err(ModelError::NotBuiltIn { provider, .. }) => {
            report.why_not = Some(format!(
                "this ONNX Runtime was built without it; `pip install {}` has it",
                provider.package()
            ));
        }
        Err(error) => {
            let why = match &error {
                ModelError::Provider { fault, .. } => fault.clone(),
                other => other.to_string(),
            };
            report.why_not = Some(told(&why, error.hint()));
        }
    }
    report
}

/// What `--provider auto` really starts.
fn try_auto(runtime: &Runtime, settings: &Settings, folder: &ModelFolder) -> Option<AutoReport> {
    let network = open(runtime, ProviderChoice::Auto, settings, folder).ok()?;
    let planned = setup(ProviderChoice::Auto, settings).planned(folder.manifest(), Provider::built_in);
    let (provider, precision) = (network.provider(), network.precision());
    let why = match provider {
        _ if precision != planned.precision => {
            format!("{} was planned, but {provider} has {precision}", planned.precision)
        }
        Provider::OpenVino => planned.why,
        _ => "the first of cuda, openvino and cpu that starts".to_owned(),
    };
    Some(AutoReport {
        provider: provider.as_str(),
        precision: precision.as_str(),
        why,
    })
}

fn setup(provider: ProviderChoice, settings: &Settings) -> Setup {
    Setup {
        provider,
        options: settings.options.clone(),
        threads: 1,
        cache: Some(settings.cache.clone()),
    }
}

fn open(
    runtime: &Runtime,
    provider: ProviderChoice,
    settings: &Settings,
    folder: &ModelFolder,
) -> Result<Network, ModelError> {
    if provider == ProviderChoice::Named(Provider::TensorRt) && Provider::TensorRt.built_in() {
        eprintln!("tensorrt builds an engine the first time, which can take minutes…");
    }
    let setup = setup(provider, settings);
    let numeric = setup.planned(folder.manifest(), Provider::built_in).precision.class();
    let mut network = Network::open(runtime, folder.clone(), &setup, numeric)?;
    network.prove()?;
    Ok(network)
}

/// Every model of the folder and the one in use, which is also handed back where it opens.
fn models(settings: &Settings, folder: Option<&Path>) -> (Vec<ModelReport>, Option<ModelFolder>) {
    let used = match settings.model.contains(['/', '\\']) {
        true => Some(PathBuf::from(&settings.model)),
        false => folder.map(|folder| folder.join(&settings.model)),
    };
    let entries = folder
        .and_then(|folder| std::fs::read_dir(folder).ok())
        .into_iter()
        .flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("model.toml").is_file())
        .collect();
    paths.extend(used.clone());
    paths.sort();
    paths.dedup();
    let mut opened = None;
    let reports = paths.into_iter().map(|path| {
        let in_use = used.as_ref() == Some(&path);
        let mut report = ModelReport {
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            path: path.clone(),
            used: in_use,
            version: None,
            classes: None,
            sha256: None,
            error: None,
        };
        match ModelFolder::open(&path) {
            Ok(folder) => {
                report.name.clone_from(&folder.manifest().name);
                report.version = Some(folder.manifest().version.clone());
                // One that is known by CT and by MR may stand there once for each.
                let names: BTreeSet<&str> = folder
                    .manifest()
                    .classes
                    .iter()
                    .map(|class| class.name.as_str())
                    .collect();
                report.classes = Some(names.len());
                report.sha256 = Some(folder.sha256().to_owned());
                if in_use {
                    opened = Some(folder);
                }
            }
            Err(error) => report.error = Some(told(&error.to_string(), error.hint())),
        }
        report
    });
    (reports.collect(), opened)
}

fn told(message: &str, hint: Option<String>) -> String {
    hint.map(|hint| format!("{message}. {hint}"))
        .unwrap_or_else(|| message.to_owned())
}

fn for_people(report: &Report) -> String {
    let mut text = format!("sat-mcp {}\n", report.version);
    let runtime = &report.onnxruntime;
    let path = |path: &Option<PathBuf>| {
        path.as_ref()
            .map_or("none".to_owned(), |path| path.display().to_string())
    };
    let _ = writeln!(text, "settings      {}", path(&report.config));
    let version = runtime.version.as_deref().unwrap_or("of unknown version");
    match &runtime.found_by {
        Some(by) => {
            let _ = writeln!(text, "ONNX Runtime  {version}, {by}: {}", path(&runtime.path));
        }
        None => text.push_str("ONNX Runtime  none\n"),
    }
    if let Some(error) = &runtime.error {
        let _ = writeln!(text, "              ! {error}");
    }
    for provider in &report.providers {
        let decoder = provider
            .decoder
            .map(|on| format!(", query decoder on {on}"))
            .unwrap_or_default();
        let state = match (&provider.why_not, provider.precision) {
            (Some(why), _) => format!("does not start: {why}"),
            (None, Some(precision)) => format!("starts, {precision}{decoder}"),
            (None, None) => "starts".to_owned(),
        };
        let _ = writeln!(text, "  {:<11} {state}", provider.name);
    }
    if let Some(auto) = &report.auto {
        let _ = writeln!(
            text,
            "  {:<11} {} in {}: {}",
            "auto", auto.provider, auto.precision, auto.why
        );
    }
    let _ = writeln!(text, "models        {}", path(&report.models_folder));
    for model in &report.models {
        let used = if model.used { " (in use)" } else { "" };
        let state = match (&model.error, &model.version, model.classes) {
            (Some(error), ..) => format!("! {error}"),
            (None, Some(version), Some(classes)) => format!("{version}, {classes} classes, files as their hashes say"),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {:<11} {state}{used}", model.name);
    }
    let _ = writeln!(
        text,
        "results       {} ({} kept)",
        report.results.path.display(),
        report.results.results
    );
    if let Some(error) = &report.results.error {
        let _ = writeln!(text, "              ! {error}");
    }
    for root in &report.data_roots {
        let _ = writeln!(text, "data root     {}", root.display());
    }
    for archive in &report.dicomweb {
        let ArchiveReport { name, url, .. } = archive;
        let default = if archive.default { ", default" } else { "" };
        let _ = writeln!(
            text,
            "DICOMweb      {name}: {url} (credentials: {}{default})",
            archive.credentials
        );
    }
    let _ = write!(text, "{}", if report.ok { "ready" } else { "not ready" });
    text
}
