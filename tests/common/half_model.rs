//! The tests' own model, whose backbone counts in half precision (tests/golden/make_half_model.py).

use std::path::Path;

/// Copies it into `folder`, with sat-mini's tokenizer.
pub fn copy_to(folder: &Path) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = std::fs::read_dir(checkout.join("tests/data/half-model")).unwrap();
    let tokenizer = checkout.join("onnx/sat-mini/tokenizer.json");
    for path in made.map(|entry| entry.unwrap().path()).chain([tokenizer]) {
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
}
