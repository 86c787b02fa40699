//! How long measuring takes on a whole-body scan of 512 x 512 x 800 voxels, and what memory: `cargo bench --bench measure`.
//!
//! Every figure is of a process of its own, since memory is the kernel's count of the process's peak: this program starts itself
//! once a mask and step with `--kind K --step S`, and prints a line of JSON for each. "Beyond" is what the step took at its peak beyond
//! the masks and the image, which were in memory when it began. `--shape I,J,K` measures on another grid.

use rayon::prelude::*;
use sat_mcp::measure::{Measuring, compare, measure};
use sat_mcp::volume::{Affine, Grid, Mask, Modality, Run, Volume};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Masks, from the usual to the worst.
const KINDS: [&str; 7] = ["organ", "torso", "lesions", "tissue", "specks", "noise", "whole"];
/// What is timed, noise against the torso left out: most of two hundred million corners are far from it, and it takes a minute. `shifted` holds the mask against itself moved by three, two and one voxels, `other` against a torso.
const STEPS: [&str; 4] = ["alone", "image", "shifted", "other"];

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pairs = words
        .windows(2)
        .filter_map(|pair| Some((pair[0].strip_prefix("--")?, pair[1].as_str())));
    let arguments: HashMap<&str, &str> = pairs.collect();
    let mut shape = [512, 512, 800];
    if let Some(given) = arguments.get("shape") {
        for (axis, length) in given.split(',').take(3).enumerate() {
            shape[axis] = length.parse()?;
        }
    }
    let (kind, step) = (arguments.get("kind").copied(), arguments.get("step").copied());
    if let (Some(kind), Some(step)) = (kind, step) {
        println!("{}", one(kind, step, shape)?);
        return Ok(());
    }
    for kind in KINDS.into_iter().filter(|&each| kind.is_none_or(|kind| kind == each)) {
        let default = |each: &str| step.map_or((kind, each) != ("noise", "other"), |step| step == each);
        for step in STEPS.into_iter().filter(|&each| default(each)) {
            let shape = shape.map(|length| length.to_string()).join(",");
            std::process::Command::new(std::env::current_exe()?)
                .args(["--kind", kind, "--step", step, "--shape", &shape])
                .status()?;
        }
    }
    Ok(())
}

fn one(kind: &str, step: &str, shape: [usize; 3]) -> Result<Value, Failure> {
    // Turned a little, as scans are; the diameter and the boxes take the longer way then.
    let turn = nalgebra::Rotation3::from_euler_angles(0.05, -0.02, 0.1).to_homogeneous();
    let affine: Affine = turn * Affine::from_diagonal(&[-0.8, -0.8, 1.0, 1.0].into());
    let grid = Arc::new(Grid::new(shape, affine));
    let mask = made(&grid, kind, [0; 3]);
    let reference = match step {
        "shifted" => Some(made(&grid, kind, [3, 2, 1])),
        "other" => Some(made(&grid, "torso", [0; 3])),
        _ => None,
    };
    let image = (step == "image").then(|| image(&grid));
    let with = Measuring {
        image: image.as_ref(),
        modality: Some(Modality::Ct),
        ..Measuring::default()
    };
    let before = at_rest();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let components = match &reference {
        Some(reference) => {
            black_box(compare(&mask, reference)?);
            None
        }
        None => Some(black_box(measure(kind, &mask, &with)).components),
    };
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let beyond = memory("VmHWM:").saturating_sub(before);
    Ok(json!({
        "kind": kind, "step": step, "voxels": mask.count(), "runs": mask.runs().len(), "components": components,
        "wall_s": wall, "cpu_s": cpu, "beyond": beyond,
    }))
}

/// A mask, by its kind, moved by some voxels.
fn made(grid: &Arc<Grid>, kind: &str, shift: [usize; 3]) -> Mask {
    let [ni, nj, nk] = grid.shape();
    let half = [ni, nj, nk].map(|n| n as f64 / 2.0);
    let at = move |v: [usize; 3]| [0, 1, 2].map(|a| v[a] as f64 - shift[a] as f64);
    // An ellipse in every slice with a wavy outline: 45 % of the grid.
    let torso = move |p: [f64; 3]| {
        let [x, y] = [0, 1].map(|a| p[a] / half[a] - 1.0);
        let wave = 0.03 * ((9.0 * y.atan2(x)).sin() + (p[2] / 17.0).sin());
        (x / 0.95).powi(2) + (y / 0.62).powi(2) < (1.0 + wave).powi(2)
    };
    // A bent ellipsoid with bumps, of a liver's size at 0.8 x 0.8 x 1 mm.
    let organ = move |p: [f64; 3]| {
        let [x, y, z] = [0, 1, 2].map(|a| (p[a] - half[a]) / half[a]);
        let bumps = 0.05 * ((60.0 * x).sin() + (50.0 * y).sin() + (80.0 * z).sin());
        ((x + y * y) / 0.45).powi(2) + (y / 0.36).powi(2) + (z / 0.12).powi(2) < 1.0 + bumps
    };
    // One ball of 2 to 8 voxels' radius in most cells of 24 voxels: thousands.
    let lesion = move |p: [f64; 3]| {
        let cell = p.map(|v| (v / 24.0).floor());
        let dice = hash(cell.map(|v| v as i64));
        let radius = 2.0 + (dice & 0xff) as f64 / 42.0;
        let centre =
            [0, 1, 2].map(|a| (cell[a] + 0.5) * 24.0 + f64::from((dice >> (8 + 3 * a) & 7) as u32) / 2.0 - 1.75);
        dice >> 60 != 0 && (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() < radius * radius
    };
    // A gyroid within the torso: walls of six voxels and as much between them, as lung, fat or muscle have.
    let tissue = move |p: [f64; 3]| {
        let [x, y, z] = p.map(|v| v * std::f64::consts::TAU / 18.0);
        torso(p) && x.sin() * y.cos() + y.sin() * z.cos() + z.sin() * x.cos() > 0.0
    };
    let random =
        move |p: [f64; 3], share: f64| (hash(p.map(|v| v as i64)) >> 11) as f64 / ((1u64 << 53) as f64) < share;
    let inside = move |v: [usize; 3]| match kind {
        "organ" => organ(at(v)),
        "torso" => torso(at(v)),
        "lesions" => lesion(at(v)),
        "tissue" => tissue(at(v)),
        "specks" => random(at(v), 0.03),
        "noise" => random(at(v), 0.5),
        _ => (0..3).all(|a| v[a] >= shift[a]),
    };
    let slices = (0..nk).into_par_iter().map(|k| {
        let mut runs: Vec<Run> = Vec::new();
        for j in 0..nj {
            for i in (0..ni).filter(|&i| inside([i, j, k])) {
                let index = grid.index([i, j, k]) as u64;
                match runs.last_mut() {
                    Some(last) if last.end == index => last.end += 1,
                    _ => runs.push(Run {
                        start: index,
                        end: index + 1,
                    }),
                }
            }
        }
        runs
    });
    let slices: Vec<Vec<Run>> = slices.collect();
    let mut builder = sat_mcp::volume::MaskBuilder::new(Arc::clone(grid));
    slices.into_iter().flatten().for_each(|run| builder.push_run(run));
    builder.finish()
}

/// Tissue with noise, in Hounsfield units that are no whole numbers.
fn image(grid: &Arc<Grid>) -> Volume {
    let mut voxels = vec![0.0; grid.len()];
    voxels
        .par_iter_mut()
        .enumerate()
        .for_each(|(n, voxel)| *voxel = (hash([n as i64, 0, 0]) >> 48) as f32 / 97.0 - 200.0);
    Volume::new(Arc::clone(grid), voxels, Some(Modality::Ct))
}

/// Random bits that belong to a voxel.
fn hash(at: [i64; 3]) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for value in at {
        state = (state ^ value as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 29;
    }
    state.wrapping_mul(0x94D0_49BB_1331_11EB) ^ (state >> 32)
}

/// Bytes in use, from where the peak is counted anew.
fn at_rest() -> u64 {
    // Linux: "5" takes the peak back to what is in use now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    memory("VmRSS:")
}

/// A line of /proc/self/status, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Seconds of all processors, from /proc (in hundredths).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}
