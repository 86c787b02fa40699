//! DICOM segmentations: whatever file comes, its masks lie on their grid, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::volume::read_segmentation_bytes;
use sat_mcp_fuzz::{LIMITS, Limited, Series};
use std::sync::Arc;

#[global_allocator]
static MEMORY: Limited = Limited;

// As in dicom_series.rs: decoders' panics are caught.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    let Some(Series { files, .. }) = Series::of(data) else {
        return;
    };
    let read: Vec<_> = files
        .iter()
        .filter_map(|file| read_segmentation_bytes(file, &LIMITS).ok())
        .collect();
    let Some(first) = read.first() else {
        return;
    };
    let Ok(grid) = first.grid(read.get(1)) else {
        return;
    };
    assert!(grid.len() as u64 <= LIMITS.voxels);
    assert!(grid.voxel_volume() > 0.0);
    let grid = Arc::new(grid);
    // Its own grid holds a segmentation; the second one's may be another.
    let masks = first.on_grid(Arc::clone(&grid)).unwrap();
    assert_eq!(masks.len(), first.segments().len());
    for mask in &masks {
        assert!(mask.count() <= grid.len() as u64);
    }
    if let Some(second) = read.get(1) {
        let _ = second.on_grid(grid);
    }
});
