//! Masks: label maps from anywhere, and the store's own packed masks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::volume::{Affine, Grid, PackedMask, read_labels_bytes};
use sat_mcp_fuzz::{Case, LIMITS, Limited};
use std::sync::Arc;

#[global_allocator]
static MEMORY: Limited = Limited;

fuzz_target!(|data: &[u8]| {
    if data.starts_with(b"SMB1") {
        // What the seeds are of.
        let grid = Arc::new(Grid::new([9, 8, 7], Affine::identity()));
        if let Ok(mask) = PackedMask::decode(Arc::clone(&grid), data) {
            let whole = mask.unpack();
            assert_eq!(whole.count(), mask.count());
            assert!(whole.count() <= grid.len() as u64);
            let again = PackedMask::decode(grid, &mask.encode()).unwrap();
            assert_eq!(again.unpack().runs(), whole.runs());
        }
        return;
    }
    let Some(Case { start, voxels, choice }) = Case::of(data) else {
        return;
    };
    let Ok(labels) = read_labels_bytes(start, voxels, choice, &LIMITS) else {
        return;
    };
    assert_eq!(labels.labels().len(), labels.grid().len());
    let foreground = labels.foreground().count();
    // As `measure` does, which takes no more labels than these.
    let values: Vec<u32> = labels.values().into_iter().take(16).collect();
    let counted: u64 = values.iter().map(|value| labels.mask(*value).count()).sum();
    assert!(counted <= foreground);
});
