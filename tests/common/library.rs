//! ONNX Runtime for tests that open networks themselves.

use sat_mcp::model::Runtime;
use std::path::{Path, PathBuf};

/// The library of ORT_DYLIB_PATH, else of the checkout's .venv.
pub fn runtime() -> Runtime {
    let asked = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let in_checkout = || {
        let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/lib");
        let python = std::fs::read_dir(lib).ok()?.next()?.ok()?.path();
        let files = std::fs::read_dir(python.join("site-packages/onnxruntime/capi")).ok()?;
        files
            .filter_map(|file| Some(file.ok()?.path()))
            .find(|path| path.to_string_lossy().contains("libonnxruntime.so."))
    };
    Runtime::load(asked.or_else(in_checkout).as_deref()).expect("the tests need ONNX Runtime: make test brings it")
}
