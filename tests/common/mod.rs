//! What the tests of the whole program share: where it finds its model, and a scan for it to read.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod wire;

use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// A folder with a scan in it, and an empty one for results.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("scans")).unwrap();
        write_head(&folder.path().join("scans/head.nii.gz"));
        Place { folder }
    }

    pub fn scans(&self) -> PathBuf {
        self.folder.path().join("scans")
    }

    /// `sat-mcp serve` on the folder of scans, not yet started.
    pub fn serve(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sat-mcp"));
        command.arg("serve").arg("--data-root").arg(self.scans()).args(options);
        command.env("SAT_MCP_RESULTS", self.folder.path().join("results"));
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("SAT_MCP_MODELS").is_none() {
            command.env("SAT_MCP_MODELS", checkout.join("onnx"));
        }
        if std::env::var_os("ORT_DYLIB_PATH").is_none()
            && let Some(library) = runtime(&checkout.join(".venv/lib"))
        {
            command.env("ORT_DYLIB_PATH", library);
        }
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// A started server and a wire to it.
    pub fn wire(&self, options: &[&str]) -> (wire::Wire<ChildStdout, ChildStdin>, tokio::process::Child) {
        let mut child = self.serve(options).spawn().unwrap();
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        (wire::Wire::new(reader, writer), child)
    }
}

/// The libonnxruntime of the checkout's Python environment.
fn runtime(lib: &Path) -> Option<PathBuf> {
    let python = std::fs::read_dir(lib).ok()?.next()?.ok()?.path();
    let files = std::fs::read_dir(python.join("site-packages/onnxruntime/capi")).ok()?;
    let names = files.filter_map(|file| Some(file.ok()?.path()));
    names
        .into_iter()
        .find(|path| path.to_string_lossy().contains("libonnxruntime.so."))
}

/// A bright ball in a dark one, 3 mm voxels: small, but a head to the program.
pub fn write_head(path: &Path) {
    let shape = [48i16, 56, 40];
    let mut header = vec![0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    let dimensions = [3, shape[0], shape[1], shape[2], 1, 1, 1, 1];
    dimensions
        .iter()
        .enumerate()
        .for_each(|(i, n)| put(40 + 2 * i, &n.to_le_bytes()));
    put(70, &4i16.to_le_bytes()); // int16
    put(72, &16i16.to_le_bytes());
    [1f32, 3.0, 3.0, 3.0]
        .iter()
        .enumerate()
        .for_each(|(i, mm)| put(76 + 4 * i, &mm.to_le_bytes()));
    put(108, &352f32.to_le_bytes());
    put(112, &1f32.to_le_bytes()); // scl_slope
    put(254, &1i16.to_le_bytes()); // sform_code
    let rows = [[3f32, 0.0, 0.0, -72.0], [0.0, 3.0, 0.0, -84.0], [0.0, 0.0, 3.0, -60.0]];
    rows.iter()
        .flatten()
        .enumerate()
        .for_each(|(i, value)| put(280 + 4 * i, &value.to_le_bytes()));
    put(344, b"n+1\0");
    let middle = shape.map(|n| f32::from(n) / 2.0);
    for k in 0..shape[2] {
        for j in 0..shape[1] {
            for i in 0..shape[0] {
                let place = [i, j, k];
                let radius = (0..3)
                    .map(|axis| (f32::from(place[axis]) / middle[axis] - 1.0).powi(2))
                    .sum::<f32>();
                let value: i16 = if radius < 0.1 {
                    160
                } else if radius < 0.9 {
                    80
                } else {
                    0
                };
                header.extend((value + (i * 7 + j * 13 + k * 5) % 5).to_le_bytes());
            }
        }
    }
    let mut file = flate2::write::GzEncoder::new(std::fs::File::create(path).unwrap(), flate2::Compression::fast());
    file.write_all(&header).unwrap();
    file.finish().unwrap();
}
