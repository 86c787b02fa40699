//! Finding and loading ONNX Runtime.
//!
//! The library is not linked in: the Python packages `onnxruntime`, `onnxruntime-gpu` and `onnxruntime-openvino` each
//! carry a `libonnxruntime` built for other hardware, and the user's choice among them is the choice of provider.

use super::ModelError;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An ONNX Runtime library on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLibrary {
    /// The library.
    pub path: PathBuf,
    /// How it was found, in words.
    pub found_by: String,
    /// Its version, where its file name or its Python package tells.
    pub version: Option<String>,
    /// ONNX Runtime packages in the same Python environment; more than one overwrite each other's files.
    pub packages: Vec<String>,
}

/// ONNX Runtime, loaded. There is one in a process.
#[derive(Debug, Clone)]
pub struct Runtime {
    library: RuntimeLibrary,
    environment: ort::environment::Environment,
}

static LOADED: OnceLock<Result<Runtime, (PathBuf, String)>> = OnceLock::new();

impl Runtime {
    /// Loads the library that `asked` (`--ort-lib`, ORT_DYLIB_PATH) or the search finds. The first call decides for the
    /// whole process.
    pub fn load(asked: Option<&Path>) -> Result<Runtime, ModelError> {
        let library = find(asked, std::env::current_exe().ok().as_deref())?;
        let loaded = LOADED.get_or_init(|| {
            let path = library.path.clone();
            // Telemetry is on by default in Microsoft's builds; nothing about patients' scans leaves the machine. Newer ones
            // have sent an event by then: the program sets ORT_DISABLE_TELEMETRY before it does anything.
            let environment = ort::init_from(&path)
                .map_err(|error| (path.clone(), error.to_string()))?
                .with_name("sat-mcp")
                .with_telemetry(false)
                .build()
                .map_err(|error| (path.clone(), error.to_string()))?;
            environment.set_log_level(ort::logging::LogLevel::Error);
            Ok(Runtime { library, environment })
        });
        loaded
            .clone()
            .map_err(|(path, fault)| ModelError::BadRuntime { path, fault })
    }

    /// Which library it is.
    pub fn library(&self) -> &RuntimeLibrary {
        &self.library
    }

    /// Loads what the Python packages of CUDA, cuDNN and TensorRT hold beside ONNX Runtime's own, where they are there:
    /// the linker would not look into them. What is missing the provider itself will say.
    pub(super) fn load_nvidia(&self) {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            for library in nvidia_libraries(&self.library.path) {
                if let Err(error) = ort::util::preload_dylib(&library) {
                    tracing::info!(library = %library.display(), %error, "does not load");
                }
            }
        });
    }

    /// ONNX Runtime's own word about its build.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    pub(super) fn environment(&self) -> &ort::environment::Environment {
        &self.environment
    }
}

/// The library to use: the one asked for; else beside the executable; else in the Python environment the executable was
/// installed into; else in the `.venv` of the checkout that the executable lies in.
pub fn find(asked: Option<&Path>, executable: Option<&Path>) -> Result<RuntimeLibrary, ModelError> {
    if let Some(path) = asked {
        return match path.is_file() {
            true => Ok(library(path.to_owned(), "asked for by --ort-lib or ORT_DYLIB_PATH")),
            false => Err(ModelError::NoRuntime {
                looked: vec![path.display().to_string()],
            }),
        };
    }
    let mut looked = Vec::new();
    // A link in ~/bin must not hide the environment that the program really lies in.
    let executable = executable.and_then(|path| path.canonicalize().ok());
    if let Some(folder) = executable.as_deref().and_then(Path::parent) {
        looked.push(folder.display().to_string());
        if let Some(path) = library_in(folder) {
            return Ok(library(path, "beside the executable"));
        }
        if let Some(prefix) = folder.parent() {
            looked.push(prefix.join("lib").display().to_string());
            if let Some(path) = site_packages(prefix)
                .iter()
                .find_map(|site| library_in(&site.join("onnxruntime/capi")))
            {
                return Ok(library(
                    path,
                    "in the Python environment that sat-mcp was installed into",
                ));
            }
        }
    }
    if let Some(checkout) = executable.as_deref().and_then(checkout_of) {
        let venv = checkout.join(".venv");
        looked.push(venv.display().to_string());
        if let Some(path) = site_packages(&venv)
            .iter()
            .find_map(|site| library_in(&site.join("onnxruntime/capi")))
        {
            return Ok(library(path, "in the .venv of the checkout"));
        }
    }
    Err(ModelError::NoRuntime { looked })
}

/// The source checkout that `executable` was built in, if any: the nearest folder above with `Cargo.toml` and `onnx/`.
pub fn checkout_of(executable: &Path) -> Option<PathBuf> {
    executable
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("Cargo.toml").is_file() && folder.join("onnx").is_dir())
        .map(Path::to_owned)
}

/// Beginnings of NVIDIA's libraries, each after those that it needs.
const NVIDIA: [&str; 12] = [
    "libcudart.so",
    "libnvJitLink.so",
    "libcublasLt.so",
    "libcublas.so",
    "libnvrtc.so",
    "libcurand.so",
    "libcufft.so",
    "libcudnn.so",
    "libcudnn_",
    "libnvinfer.so",
    "libnvinfer_plugin.so",
    "libnvonnxparser.so",
];

/// NVIDIA's libraries in the Python environment of the ONNX Runtime at `runtime`, in the order to load them in.
fn nvidia_libraries(runtime: &Path) -> Vec<PathBuf> {
    let Some(site) = site_of(runtime) else {
        return Vec::new();
    };
    let entries = |folder: PathBuf| {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        paths
    };
    let folders = entries(site.join("nvidia"))
        .into_iter()
        .map(|package| package.join("lib"));
    let folders = folders.chain([site.join("tensorrt_libs")]);
    let files: Vec<PathBuf> = folders.flat_map(entries).collect();
    let begins = |path: &Path, with: &str| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(with))
    };
    NVIDIA
        .iter()
        .flat_map(|name| files.iter().filter(|path| begins(path, name)).cloned())
        .collect()
}

/// The folder of Python packages that a file lies in.
fn site_of(path: &Path) -> Option<&Path> {
    path.ancestors()
        .find(|folder| folder.ends_with("site-packages") || folder.ends_with("dist-packages"))
}

fn library(path: PathBuf, found_by: &str) -> RuntimeLibrary {
    let packages = site_of(&path).map(runtime_packages).unwrap_or_default();
    let from_name = path.file_name().and_then(|name| version_in(&name.to_string_lossy()));
    let from_package = || match packages.as_slice() {
        [one] => one.split_once(' ').map(|(_, version)| version.to_owned()),
        _ => None,
    };
    RuntimeLibrary {
        version: from_name.or_else(from_package),
        found_by: found_by.to_owned(),
        packages,
        path,
    }
}

/// `libonnxruntime.so.1.31.0` -> `1.31.0`.
fn version_in(file_name: &str) -> Option<String> {
    let digits = file_name
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .trim_end_matches(".dylib");
    (digits.matches('.').count() == 2).then(|| digits.to_owned())
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            name == "onnxruntime.dll"
                || name.starts_with("libonnxruntime.so")
                || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
        })
        .collect();
    found.sort();
    found.pop()
}

fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut found = vec![prefix.join("Lib/site-packages")];
    let versions = std::fs::read_dir(prefix.join("lib"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    for version in versions.filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("python3"))
    }) {
        found.push(version.join("site-packages"));
        found.push(version.join("dist-packages"));
    }
    found.retain(|folder| folder.is_dir());
    found.sort();
    found
}

/// `onnxruntime 1.31.0` and the like, for each of its packages in a Python environment.
fn runtime_packages(site: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(site)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok());
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (package, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
            let ours = [
                "onnxruntime",
                "onnxruntime_gpu",
                "onnxruntime_openvino",
                "onnxruntime_directml",
            ]
            .contains(&package);
            ours.then(|| format!("{} {version}", package.replace('_', "-")))
        })
        .collect();
    found.sort();
    found
}

/// The library that tests run with: ORT_DYLIB_PATH's, else that of the checkout's .venv.
#[cfg(test)]
#[allow(clippy::expect_used)]
pub(super) fn for_tests() -> Runtime {
    let asked = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv");
    let in_checkout = || {
        site_packages(&venv)
            .iter()
            .find_map(|site| library_in(&site.join("onnxruntime/capi")))
    };
    Runtime::load(asked.or_else(in_checkout).as_deref()).expect("the tests need ONNX Runtime: make test brings it")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn touch(path: PathBuf) -> PathBuf {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"").unwrap();
        path
    }

    #[test]
    fn the_library_beside_the_executable_comes_before_the_python_environment() {
        let dir = tempfile::tempdir().unwrap();
        let exe = touch(dir.path().join("bin/sat-mcp"));
        let site = dir.path().join("lib/python3.12/site-packages");
        let python = touch(site.join("onnxruntime/capi/libonnxruntime.so.1.31.0"));
        touch(site.join("onnxruntime_gpu-1.31.0.dist-info/METADATA"));
        let found = find(None, Some(&exe)).unwrap();
        assert_eq!(
            (&found.path, found.version.as_deref()),
            (&python.canonicalize().unwrap(), Some("1.31.0"))
        );
        assert_eq!(found.packages, ["onnxruntime-gpu 1.31.0"]);
        let beside = touch(dir.path().join("bin/libonnxruntime.so.1.24.2"));
        assert_eq!(find(None, Some(&exe)).unwrap().path, beside.canonicalize().unwrap());
    }

    #[test]
    fn two_packages_in_one_environment_are_both_named() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/python3.11/site-packages");
        let path = touch(site.join("onnxruntime/capi/libonnxruntime.so.1.31.0"));
        touch(site.join("onnxruntime-1.31.0.dist-info/METADATA"));
        touch(site.join("onnxruntime_openvino-1.24.1.dist-info/METADATA"));
        assert_eq!(
            find(Some(&path), None).unwrap().packages,
            ["onnxruntime 1.31.0", "onnxruntime-openvino 1.24.1"]
        );
    }

    #[test]
    fn nvidias_python_packages_beside_the_library_are_found_in_the_order_of_their_needs() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("lib/python3.12/site-packages");
        let runtime = touch(site.join("onnxruntime/capi/libonnxruntime.so.1.31.0"));
        for file in [
            "nvidia/cu13/lib/libcublas.so.13",
            "nvidia/cu13/lib/libcublasLt.so.13",
            "nvidia/cu13/lib/libcudart_static.a",
            "nvidia/cudnn/lib/libcudnn_ops.so.9",
            "nvidia/cudnn/lib/libcudnn.so.9",
            "tensorrt_libs/libnvinfer.so.10",
        ] {
            touch(site.join(file));
        }
        let found = nvidia_libraries(&runtime);
        let names: Vec<_> = found
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        let wanted = [
            "libcublasLt.so.13",
            "libcublas.so.13",
            "libcudnn.so.9",
            "libcudnn_ops.so.9",
            "libnvinfer.so.10",
        ];
        assert_eq!(names, wanted);
        assert!(nvidia_libraries(Path::new("/usr/lib/libonnxruntime.so")).is_empty());
    }

    #[test]
    fn a_library_asked_for_that_is_not_there_is_an_error_and_not_a_search() {
        let error = find(Some(Path::new("/nowhere/libonnxruntime.so")), None).unwrap_err();
        assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
        assert!(error.hint().unwrap().contains("pip install onnxruntime"));
    }
}
