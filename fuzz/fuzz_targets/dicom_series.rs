//! DICOM series: whatever files come, they are read or refused, within the limits, and no decoder's panic gets out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::volume::{Mask, read_dicom_bytes};
use sat_mcp_fuzz::{LIMITS, Limited, Series, is_sound};
use std::convert::Infallible;

#[global_allocator]
static MEMORY: Limited = Limited;

// libFuzzer's hook ends the process at every panic, and those of decoders are caught: only what gets out counts, and of that
// libfuzzer-sys hears all the same.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |data: &[u8]| {
    let Some(Series { files, choice }) = Series::of(data) else {
        return;
    };
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let Ok(image) = read_dicom_bytes(&files, choice, &LIMITS) else {
        return;
    };
    is_sound(&image);
    let grid = image.shared_grid();
    // As a segmentation of it would be written, slice by slice.
    let Some(series) = image.series() else {
        return;
    };
    let [columns, rows] = series.size();
    let all = Mask::from_predicate(grid, |_| true);
    let mut planes = 0;
    let Ok(()) = series.each_plane(&all, |_, pixels| {
        assert_eq!(pixels.len(), columns * rows);
        planes += 1;
        Ok::<_, Infallible>(())
    });
    assert!(planes <= series.frames().len());
});
