//! A mask without a model: the voxels of an image above a value, written on the image's own grid.
//!
//! `cargo run --example threshold_mask -- IMAGE VALUE MASK` (tests/python/test_written_masks.py holds its files against
//! nibabel).

use std::error::Error;
use std::path::Path;

use sat_mcp::volume::{self, Mask};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [image, value, mask] = arguments.as_slice() else {
        return Err("usage: threshold_mask IMAGE VALUE MASK".into());
    };
    let value: f32 = value.parse()?;
    let image = volume::read(Path::new(image))?;
    let above = Mask::from_predicate(image.shared_grid(), |index| image.voxels()[index] > value);
    volume::write_mask(Path::new(mask), &above, image.placement())?;
    println!(
        "{} voxels, {} mL",
        above.count(),
        above.count() as f64 * image.grid().voxel_volume() / 1000.0
    );
    Ok(())
}
