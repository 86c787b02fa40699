//! Images: whatever comes is read or refused, within the limits, and what is read makes sense and can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::volume::{self, Head, Mask, read_bytes};
use sat_mcp_fuzz::{Case, LIMITS, Limited, is_sound};

#[global_allocator]
static MEMORY: Limited = Limited;

fuzz_target!(|data: &[u8]| {
    let Some(Case { start, voxels, choice }) = Case::of(data) else {
        return;
    };
    let _ = Head::of(&start);
    let Ok(image) = read_bytes(start, voxels, choice, &LIMITS) else {
        return;
    };
    is_sound(&image);
    let grid = image.shared_grid();
    let mask = Mask::from_predicate(grid, |index| index % 3 == 0);
    let mut written = Vec::new();
    volume::write_mask_to(&mut written, &mask, image.placement()).unwrap();
    let again = volume::read_labels_bytes(written, None, None, &LIMITS);
    // NIfTI-1 keeps float32: what NIfTI-2 has beyond that may be too large for it, or a quaternion too long.
    if let Ok(again) = again {
        assert_eq!(again.foreground().runs(), mask.runs());
    }
});
