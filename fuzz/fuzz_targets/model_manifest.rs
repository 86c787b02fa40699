//! Manifests of models: whatever text comes is a manifest that makes sense, or an error in words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::model::Manifest;
use sat_mcp_fuzz::Limited;

#[global_allocator]
static MEMORY: Limited = Limited;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Manifest::parse(text) {
        Ok(manifest) => {
            assert!(manifest.window.size.iter().all(|length| *length > 0));
            assert!(!manifest.classes.is_empty());
        }
        Err(fault) => assert!(!fault.is_empty()),
    }
});
