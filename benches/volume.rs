//! How fast an image is read, prepared and a mask brought back and written: `cargo bench --bench volume`.
//!
//! Plain timings of whole steps, since each takes long enough for a clock: best of a few runs, in milliseconds.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use sat_mcp::segment::{ModelBox, Preparation, Restore, prepare};
use sat_mcp::volume::{self, Affine, Anchor, AxisCode, Grid, Modality, PackedMask, Volume};

fn timed<T>(what: &str, runs: usize, mut step: impl FnMut() -> T) -> T {
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        last = Some(black_box(step()));
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("  {what:<46} {:>8.1} ms", best * 1e3);
    last.unwrap_or_else(|| unreachable!())
}

/// Something with structure and noise, above 0 in a ball and below outside, as CT has it.
fn image(shape: [usize; 3], affine: Affine) -> Volume {
    let grid = Grid::new(shape, affine);
    let centre = shape.map(|length| length as f32 / 2.0);
    let mut seed = 1_u32;
    let voxels = (0..grid.len())
        .map(|index| {
            let voxel = grid.voxel(index);
            let radius: f32 = (0..3)
                .map(|axis| ((voxel[axis] as f32 - centre[axis]) / centre[axis]).powi(2))
                .sum();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (seed >> 26) as f32;
            if radius < 0.9 {
                (40.0 + noise).round()
            } else {
                -1000.0 + noise.round()
            }
        })
        .collect();
    Volume::new(grid, voxels, Some(Modality::Ct))
}

fn diagonal(spacing: [f64; 3]) -> Affine {
    Affine::from_diagonal(&[spacing[0], spacing[1], spacing[2], 1.0].into())
}

fn main() {
    let folder = std::env::temp_dir().join(format!("sat-mcp-bench-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&folder);
    let mut sheared = diagonal([0.7, 0.7, 1.0]);
    sheared[(1, 2)] = 0.3;
    let mut sagittal = Affine::zeros();
    (sagittal[(1, 0)], sagittal[(2, 1)], sagittal[(0, 2)], sagittal[(3, 3)]) = (1.0, -1.0, 1.0, 1.0);
    for (name, shape, affine) in [
        ("256 x 256 x 256 at 1 mm", [256; 3], diagonal([1.0; 3])),
        ("256 x 256 x 256 at 1 mm, stored sagittally", [256; 3], sagittal),
        (
            "512 x 512 x 300 at 0.7 x 0.7 x 1 mm",
            [512, 512, 300],
            diagonal([-0.7, -0.7, 1.0]),
        ),
        ("the same, sheared by 17 degrees", [512, 512, 300], sheared),
    ] {
        println!("{name}, {} threads", rayon::current_num_threads());
        measure(image(shape, affine), &folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn measure(source: Volume, folder: &Path) {
    let how = Preparation {
        orientation: AxisCode::RAS,
        spacing: [1.0, 1.0, 3.0],
        ct_window: [-500.0, 1000.0],
        percentiles: [0.5, 99.5],
        anchor: Anchor::Published,
    };
    timed("hash", 3, || source.content_hash());
    let _ = timed("prepare, CT", 5, || prepare(&source, Modality::Ct, &how));
    let Ok(prepared) = timed("prepare, MR (percentiles)", 5, || prepare(&source, Modality::Mri, &how)) else {
        return;
    };

    let shape = prepared.shape();
    let ball = |part: ModelBox| -> Vec<f32> {
        let size = part.shape();
        let value = |at: usize| {
            let voxel = [at / (size[1] * size[2]), at / size[2] % size[1], at % size[2]];
            let far: f32 = (0..3)
                .map(|axis| (2.0 * voxel[axis] as f32 / size[axis] as f32 - 1.0).powi(2))
                .sum();
            (1.2 - 0.7 * far).clamp(0.0, 1.0)
        };
        (0..part.len()).map(value).collect()
    };
    let whole = ball(ModelBox::whole(shape));
    timed("restore, a ball that fills the image", 5, || {
        Restore::new(&prepared).mask(&whole, 0.5)
    });
    let organ = ModelBox {
        min: shape.map(|n| n / 3),
        max: shape.map(|n| n / 2),
    };
    let organ_probability = ball(organ);
    let mask = timed("restore, an organ's box (a sixth a side)", 5, || {
        Restore::new(&prepared).mask_of_box(organ, &organ_probability, 0.5)
    });
    println!("  {:<46} {:>8} runs, {} voxels", "", mask.runs().len(), mask.count());
    let file = folder.join("mask.nii.gz");
    let _ = timed("write the organ's mask", 3, || volume::write_mask(&file, &mask, None));
    let _ = timed("read it as labels", 3, || volume::read_labels(&file));
    timed("pack", 3, || PackedMask::from(&mask));
}
