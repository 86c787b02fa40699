//! Which models there are, and what the loaded one offers.

use super::{Code, Engine, Fault, Loaded, Service};
use crate::anatomy::{Laterality, Offered, OfferedClass};
use crate::model::{ModelError, ModelFolder, Network, NumericClass, Precision, Provider, Runtime, Setup, checkout_of};
use crate::segment::FeatureCache;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A folder of model folders, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsFolder {
    /// The folder.
    pub path: PathBuf,
    /// In words.
    pub found_by: String,
}

/// The folder of models: the one asked for, else `share/sat-mcp/models` beside the executable's prefix, else `onnx/` of the
/// checkout that the executable lies in. Never the working directory, which may hold anybody's files.
pub fn find_models(asked: Option<&Path>) -> Option<ModelsFolder> {
    if let Some(path) = asked {
        return Some(ModelsFolder {
            path: path.to_owned(),
            found_by: "asked for by --models or SAT_MCP_MODELS".into(),
        });
    }
    let executable = std::env::current_exe().ok()?.canonicalize().ok()?;
    let installed = executable
        .parent()?
        .parent()
        .map(|prefix| prefix.join("share/sat-mcp/models"));
    let installed = installed.filter(|folder| folder.is_dir());
    installed
        .map(|path| ModelsFolder {
            path,
            found_by: "installed with sat-mcp".into(),
        })
        .or_else(|| {
            Some(ModelsFolder {
                path: checkout_of(&executable)?.join("onnx"),
                found_by: "of the checkout".into(),
            })
        })
}

/// How a folder is opened: [`ModelFolder::open`] or [`ModelFolder::promised`].
pub(super) type Open = fn(&Path) -> Result<ModelFolder, ModelError>;

/// Opens a model by name, or by folder where `name` is a path.
pub(super) fn open(name: &str, models: Option<&Path>, open: Open) -> Result<ModelFolder, Fault> {
    // A bare name is never looked for in the working directory, which may hold anybody's files.
    if name.contains(['/', '\\']) {
        return Ok(open(Path::new(name))?);
    }
    let Some(models) = find_models(models) else {
        return Err(Fault::new(
            Code::NotFound,
            format!("The model {name} was not found: no models folder is installed."),
        )
        .hint("Name the folder that holds models with --models DIR, or one model with --model DIR."));
    };
    let path = models.path.join(name);
    if !path.is_dir() {
        let there = names(&models.path).join(", ");
        let there = if there.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are: {there}")
        };
        return Err(Fault::new(
            Code::NotFound,
            format!("There is no model {name:?} in {}.", models.path.display()),
        )
        .hint(format!("Of models {there}.")));
    }
    Ok(open(&path)?)
}

/// Names of the models in a folder.
pub(super) fn names(models: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(models)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok());
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("model.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// A model's classes as the anatomy room wants them.
pub(super) fn offered(folder: &ModelFolder) -> Offered {
    let manifest = folder.manifest();
    let classes = manifest.classes.iter().map(|class| OfferedClass {
        name: class.name.clone(),
        modalities: class.modalities.clone(),
        region: class.region.clone(),
        laterality: class.laterality.as_deref().and_then(Laterality::from_word),
        synonyms: class.synonyms.clone(),
        part_of: class.part_of.clone(),
        experimental: class.experimental,
        dice: class.dice.map(|dice| dice as f32),
    });
    Offered {
        model: manifest.name.clone(),
        classes: classes.collect(),
    }
}

impl Service {
    /// The folder of the model that a request names: the server's own, or another in the models folder. Never a path:
    /// callers of a server name models, they do not point at files.
    pub(super) fn model_for(&self, asked: Option<&str>) -> Result<ModelFolder, Fault> {
        match asked {
            None => Ok(self.model()?.clone()),
            Some(name) if name == self.model()?.manifest().name => Ok(self.model()?.clone()),
            Some(name) if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') => Err(Fault::new(
                Code::InvalidArgument,
                format!("{name:?} is not the name of a model."),
            )
            .hint("Give a name, not a path; `sat-mcp doctor` lists the models there are.")),
            Some(name) => {
                let mut others = self.others.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if let Some(known) = others.get(name).filter(|folder| folder.is_unchanged()) {
                    return Ok(known.clone());
                }
                let folder = match open(name, self.settings.models.as_deref(), ModelFolder::open) {
                    // Where it was looked for is nothing to a caller.
                    Err(fault) if fault.code == Code::NotFound => {
                        let none = Fault::new(Code::NotFound, format!("There is no model {name:?} here."));
                        return Err(
                            none.hint("Leave model out, or see sat://models or `sat-mcp doctor` for those there are.")
                        );
                    }
                    opened => opened?,
                };
                others.insert(name.to_owned(), folder.clone());
                Ok(folder)
            }
        }
    }

    /// What networks are opened with.
    pub(super) fn setup(&self) -> Setup {
        Setup {
            provider: self.settings.provider,
            options: self.settings.options.clone(),
            threads: self.settings.threads.unwrap_or_else(processors),
            cache: Some(self.settings.cache.clone()),
        }
    }

    /// How finely the network of `folder` will count at the least, which is part of a result's name. No session is started
    /// for it.
    pub(super) fn precision(&self, folder: &ModelFolder) -> Precision {
        let library = self.settings.ort_lib.as_deref();
        // Without a library nothing will run, and what is stored in single precision can still be had.
        let built_in = |provider: Provider| Runtime::load(library).is_ok() && provider.built_in();
        self.setup().planned(folder.manifest(), built_in).precision
    }

    /// The network of `folder`, of class `numeric` or finer, loaded at the first need and kept for the next request.
    pub(super) fn network(&self, folder: &ModelFolder, numeric: NumericClass) -> Result<Arc<Mutex<Engine>>, Fault> {
        let mut loaded = self.loaded.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(same) = loaded.as_ref().filter(|loaded| loaded.sha256 == folder.sha256()) {
            // Weights are mapped and the text encoder may start later: what lies there must still be what was checked.
            folder.check_unchanged()?;
            return Ok(same.engine.clone());
        }
        // The old one goes first: two models may not fit.
        *loaded = None;
        let runtime = Runtime::load(self.settings.ort_lib.as_deref())?;
        let network = Network::open(&runtime, folder.clone(), &self.setup(), numeric)?;
        let engine = Arc::new(Mutex::new(Engine {
            network,
            features: FeatureCache::new(self.settings.feature_cache),
        }));
        *loaded = Some(Loaded {
            sha256: folder.sha256().to_owned(),
            engine: engine.clone(),
        });
        Ok(engine)
    }
}

/// Processors that this process may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map(usize::from).unwrap_or(1)
}
