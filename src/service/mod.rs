//! The three tools as plain functions, called by the command line and the server alike.
//!
//! A [`Service`] holds what lasts from one request to the next: the model, the store, who may read what. A request comes in as
//! `request`, leaves as `answer`, or fails as a [`Fault`] with a code, a sentence and a way out.

mod answer;
mod archives;
mod budget;
mod caller;
mod card;
mod detail;
mod discreet;
mod display;
mod fault;
mod faults;
mod files;
mod formats;
mod found;
mod given;
mod images;
mod mask_file;
mod masks;
mod meaning;
mod measure;
mod mentions;
mod models;
mod objects;
mod paths;
mod plan;
mod remote;
mod request;
mod resources;
mod run;
mod slices;
pub(crate) mod text;
mod trust;
mod underway;
mod unresolved;
mod uris;
mod waiting;
mod warnings;
mod written;

pub use crate::anatomy::Detail;
pub use crate::segment::{Ahead, Cancel, Progress, Step};
pub use crate::store::{Place, RENEWED_WITHIN};
pub use answer::{
    Execution, FileAnswer, ImageIdentity, LabelAnswer, LabelmapAnswer, MaskAnswer, MeasureAnswer, ModelIdentity,
    PreviewAnswer, RunStatus, SegmentAnswer, SentAnswer, Trust, Warning,
};
pub use caller::Caller;
pub use card::{ClassCard, Data, Figures, ModelCard, ModelName, Source};
pub use detail::{Omissions, page};
pub use display::{Page, viewer};
pub use fault::{Candidate, Code, Fault};
pub use given::Stamp;
pub(crate) use images::too_large;
pub use images::{ImageUpload, ReceivedImage};
pub use mentions::report_mentions;
pub use models::{ModelsFolder, find_models};
pub use paths::Access;
pub use plan::Plan;
pub use request::{Format, MeasureRequest, Orientation, SegmentRequest};
pub use resources::{ResourceFile, ResultFiles, StoredResult};
pub use underway::{Standing, Underway, UnderwayStatus};
pub use uris::displayed;
pub(crate) use uris::mime_of;
pub use waiting::WaitingPlan;

use crate::anatomy::{Catalogue, ListAnswer, ListRequest, Resolver};
use crate::dicomweb::Archives;
use crate::model::{ModelFolder, Network, ProviderChoice, ProviderOptions};
use crate::segment::FeatureCache;
use crate::store::{Limits, Store};
use crate::volume::ReadLimits;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// What a service is opened with; the command line settles where each figure comes from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Model by name (a folder of `models`) or by folder.
    pub model: String,
    /// Folder of model folders.
    pub models: Option<PathBuf>,
    /// Hardware to run on.
    pub provider: ProviderChoice,
    /// The providers' options.
    pub options: ProviderOptions,
    /// ONNX Runtime library; searched for where absent.
    pub ort_lib: Option<PathBuf>,
    /// Threads of the network; all processors where absent.
    pub threads: Option<usize>,
    /// Whether to find, in a first pass, what may be asked for next.
    pub ahead: Ahead,
    /// Bytes that the last image's features may take between two requests.
    pub feature_cache: usize,
    /// Results folder.
    pub results: PathBuf,
    /// Folder for what is worth keeping between runs but can be made again: text queries, TensorRT's engines.
    pub cache: PathBuf,
    /// How much may stay there.
    pub limits: Limits,
    /// How large a file may be that is read.
    pub reading: ReadLimits,
    /// Which files callers may name.
    pub access: Access,
    /// Servers of DICOMweb, from which images are fetched and to which objects are sent.
    pub archives: Archives,
}

/// The product behind the command line and the server.
pub struct Service {
    settings: Settings,
    store: Store,
    model: Option<Model>,
    /// Whether the model's files are what its manifest promises, once that is known.
    verified: Arc<OnceLock<Result<(), Fault>>>,
    /// The network last used; loaded at the first need, since listing names needs none.
    loaded: Mutex<Option<Loaded>>,
    /// Room for the scans of plans that wait.
    waiting: waiting::Room,
    /// Other models that requests have named, so that their files are hashed once.
    others: Mutex<HashMap<String, ModelFolder>>,
}

/// The model that answers where a request names none.
struct Model {
    folder: ModelFolder,
    /// Its names, which take some milliseconds to set up.
    resolver: Resolver,
}

/// A network and the sha256 of its model folder. The lock on it is held by the one run that is at work.
struct Loaded {
    sha256: String,
    engine: Arc<Mutex<Engine>>,
}

/// A network, and what it said of the last image.
struct Engine {
    network: Network,
    features: FeatureCache,
}

impl Service {
    /// Opens the model's folder and the store. ONNX Runtime is not loaded yet.
    pub fn open(settings: Settings) -> Result<Service, Fault> {
        Service::of(settings, ModelFolder::open)
    }

    /// The same before the model's files have been read, which takes seconds where they are large: whoever starts a server
    /// waits for its first word. They are read meanwhile, and what needs them waits for that; where they are not what the
    /// manifest promises, `refused` hears it.
    pub fn open_unread(settings: Settings, refused: impl FnOnce(Fault) + Send + 'static) -> Result<Service, Fault> {
        let service = Service {
            verified: Arc::new(OnceLock::new()),
            ..Service::of(settings, ModelFolder::promised)?
        };
        let (folder, verified) = (service.model()?.clone(), service.verified.clone());
        std::thread::spawn(move || {
            // Whoever waits must not wait for ever, whatever comes of this.
            let found = catch_unwind(AssertUnwindSafe(|| folder.verify().map_err(Fault::from)));
            let found = found.unwrap_or_else(|_| Err(Fault::broke_off("check of the model's files")));
            if let Err(fault) = verified.get_or_init(|| found) {
                refused(fault.clone());
            }
        });
        Ok(service)
    }

    /// Opens the model's folder to look at names: results are neither read nor written.
    pub fn for_names(settings: Settings) -> Result<Service, Fault> {
        Service::with_model(settings, ModelFolder::open, Service::for_looking)
    }

    /// Opens what results there are, to measure and to show them: the folder may be read-only or missing.
    pub fn for_looking(settings: Settings) -> Result<Service, Fault> {
        let store = Store::as_it_is(&settings.results);
        Ok(Service::with_store(settings, store))
    }

    fn of(settings: Settings, how: models::Open) -> Result<Service, Fault> {
        Service::with_model(settings, how, Service::without_model)
    }

    fn with_model(
        settings: Settings,
        how: models::Open,
        without: impl FnOnce(Settings) -> Result<Service, Fault>,
    ) -> Result<Service, Fault> {
        let folder = models::open(&settings.model, settings.models.as_deref(), how)?;
        let resolver = Resolver::new(Catalogue::load(), &models::offered(&folder));
        Ok(Service {
            model: Some(Model { folder, resolver }),
            ..without(settings)?
        })
    }

    /// Opens the store alone, to write into it.
    pub fn without_model(settings: Settings) -> Result<Service, Fault> {
        let store = Store::open(&settings.results)?;
        Ok(Service::with_store(settings, store))
    }

    fn with_store(settings: Settings, store: Store) -> Service {
        Service {
            settings,
            store,
            model: None,
            verified: Arc::new(OnceLock::from(Ok(()))),
            loaded: Mutex::new(None),
            waiting: waiting::Room::default(),
            others: Mutex::default(),
        }
    }

    /// The `list_anatomy` tool.
    pub fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault> {
        Ok(self.own_model()?.resolver.list(request)?)
    }

    /// The store, for listing and pruning.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model that answers where a request names none.
    pub fn model(&self) -> Result<&ModelFolder, Fault> {
        Ok(&self.own_model()?.folder)
    }

    fn own_model(&self) -> Result<&Model, Fault> {
        self.model
            .as_ref()
            .ok_or_else(|| Fault::new(Code::Internal, "This service was opened without a model."))
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a service whose results lie in `folder`.
    pub(super) fn settings(folder: &std::path::Path) -> Settings {
        Settings {
            model: "none".into(),
            models: None,
            provider: ProviderChoice::Auto,
            options: ProviderOptions::default(),
            ort_lib: None,
            threads: None,
            ahead: Ahead::Off,
            feature_cache: 0,
            results: folder.join("results"),
            cache: folder.join("cache"),
            limits: Limits::default(),
            reading: ReadLimits::default(),
            access: Access::Anything,
            archives: Archives::default(),
        }
    }
}
