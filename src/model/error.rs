//! Why a model cannot be used.

use super::Provider;
use std::path::PathBuf;

/// Why a model could not be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The folder is not there.
    #[error("{path}: no such model folder", path = .path.display())]
    NoFolder {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The folder has no manifest.
    #[error("{path}: this folder has no model.toml, so it is not a model of sat-mcp", path = .path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is not what this program reads.
    #[error("{path}: {fault}", path = .path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A file that the manifest names is missing.
    #[error("{path}: the manifest names this file, but it is not there", path = .path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not the one that the manifest promises.
    #[error("{path}: its sha256 is {found}, the manifest promises {promised}: the file is damaged or from another version", path = .path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// What model.toml says.
        promised: String,
        /// What the file has.
        found: String,
    },
    /// The tokenizer cannot be used.
    #[error("{path}: this tokenizer cannot be used: {fault}", path = .path.display())]
    BadTokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// A prompt could not be tokenized.
    #[error("the prompt {prompt:?} could not be tokenized: {fault}")]
    Prompt {
        /// The prompt.
        prompt: String,
        /// Why.
        fault: String,
    },
    /// A graph does not load or does not fit its manifest.
    #[error("{path}: {fault}", path = .path.display())]
    BadGraph {
        /// The graph.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// No ONNX Runtime was found.
    #[error("no ONNX Runtime library was found (looked at: {})", .looked.join(", "))]
    NoRuntime {
        /// Where it was looked for.
        looked: Vec<String>,
    },
    /// The library found does not load.
    #[error("{path}: this ONNX Runtime does not load: {fault}", path = .path.display())]
    BadRuntime {
        /// The library.
        path: PathBuf,
        /// Why.
        fault: String,
    },
    /// The files of a model are no longer the ones that were checked.
    #[error("{path}: this model's files were changed while sat-mcp was running", path = .path.display())]
    Changed {
        /// The folder.
        path: PathBuf,
    },
    /// The library has no such execution provider.
    #[error("the ONNX Runtime at {library} was built without the execution provider {provider}", library = .library.display())]
    NotBuiltIn {
        /// Which.
        provider: Provider,
        /// The library.
        library: PathBuf,
    },
    /// An execution provider does not start.
    #[error("the execution provider {provider} does not start here: {fault}")]
    Provider {
        /// Which.
        provider: Provider,
        /// What ONNX Runtime said.
        fault: String,
    },
    /// The network failed while it ran.
    #[error("the network failed: {fault}")]
    Run {
        /// What ONNX Runtime said.
        fault: String,
    },
}

impl ModelError {
    /// What the user can do about it, where the message does not already say.
    pub fn hint(&self) -> Option<String> {
        match self {
            ModelError::NoFolder { .. } | ModelError::NoManifest { .. } => Some(
                "Name a model with --model NAME (a folder of --models) or --model DIR; `sat-mcp doctor` lists what is there."
                    .to_owned(),
            ),
            ModelError::BadManifest { .. }
            | ModelError::MissingFile { .. }
            | ModelError::WrongHash { .. }
            | ModelError::BadTokenizer { .. }
            | ModelError::BadGraph { .. } => Some(
                "Copy the whole model folder again, or export it again, or name another model with --model.".to_owned(),
            ),
            ModelError::NoRuntime { .. } => Some(
                "Install it with `pip install onnxruntime` (CPU), `pip install onnxruntime-gpu` or `pip install \
                 onnxruntime-openvino`, in the environment that sat-mcp lies in, or give the library with --ort-lib PATH or \
                 ORT_DYLIB_PATH."
                    .to_owned(),
            ),
            ModelError::BadRuntime { .. } => Some(
                "sat-mcp needs ONNX Runtime 1.24 or newer for this machine; `sat-mcp doctor` says which it found."
                    .to_owned(),
            ),
            ModelError::NotBuiltIn { provider, .. } => Some(format!(
                "Install the one that has it, `pip install {}`, in an environment without another onnxruntime package, or \
                 give its library with --ort-lib PATH or ORT_DYLIB_PATH; --provider auto takes what there is.",
                provider.package()
            )),
            ModelError::Provider { provider, fault } => {
                Some(provider.remedy(fault)).filter(|remedy| !remedy.is_empty())
            }
            ModelError::Run { fault } if ["memory", "alloc"].iter().any(|word| fault.to_lowercase().contains(word)) => Some(
                "Memory seems to have run out: free some, take --provider cpu, a smaller [cuda] memory_limit_gb, or a model \
                 with a smaller window."
                    .to_owned(),
            ),
            ModelError::Changed { .. } => Some("Start sat-mcp again.".to_owned()),
            _ => None,
        }
    }
}
