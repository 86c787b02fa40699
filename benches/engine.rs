//! One run of the engine in numbers, for `make bench` (benches/compare.py) and for curious people:
//!
//! ```text
//! cargo bench --bench engine -- --model onnx/sat-mini --image share/demo/colin27-t1.nii.gz --modality mri --targets 46
//! cargo bench --bench engine -- --model onnx/sat-mini --windows 10
//! ```
//! `--provider openvino --openvino-precision bf16` runs it elsewhere. With `--cache BYTES` features are kept, and a second
//! question to the same image is timed.
//! Prints one line of JSON: seconds on the wall and of the processors, where they went, and the peak of memory. With `--windows`
//! the backbone alone runs on noise, and memory is told after each window.

use sat_mcp::model::{Backend, ModelFolder, Network, NumericClass, ProviderOptions, Runtime, Setup};
use sat_mcp::segment::{Ahead, Cancel, FeatureCache, Preparation, Prompt, Search, Silent, segment};
use sat_mcp::volume::{Modality, Volume, read};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments = arguments(std::env::args().skip(1));
    let Some(model) = arguments.get("model") else {
        // `cargo bench` runs every bench, this one without a question.
        println!("engine: name a model with --model DIR; see the top of benches/engine.rs");
        return Ok(());
    };
    let text = |name: &str, default: &str| arguments.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let folder = ModelFolder::open(&PathBuf::from(model))?;
    let runtime = Runtime::load(std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from).as_deref())?;
    let setup = Setup {
        provider: text("provider", "cpu").parse()?,
        options: ProviderOptions {
            openvino: toml::from_str(&format!("precision = \"{}\"", text("openvino-precision", "f32")))?,
            ..ProviderOptions::default()
        },
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        cache: None,
    };
    let mut network = Network::open(&runtime, folder.clone(), &setup, NumericClass::Reduced)?;
    let loaded = json!({
        "provider": network.provider().as_str(),
        "precision": network.precision().as_str(),
        "loaded": memory(),
    });
    let figures = match arguments.get("windows") {
        Some(count) => windows(&mut network, folder.manifest().window.size, count.parse()?)?,
        None => {
            let modality: Modality = serde_json::from_value(json!(text("modality", "ct")))?;
            let image = read(&PathBuf::from(text("image", "")))?;
            let cache: usize = text("cache", "0").parse()?;
            search(
                &mut network,
                &folder,
                &image,
                modality,
                text("targets", "1").parse()?,
                cache,
            )?
        }
    };
    println!("{}", json!({"engine": loaded, "figures": figures}));
    Ok(())
}

/// `--name value` pairs; what `cargo bench` adds by itself is passed over.
fn arguments(words: impl Iterator<Item = String>) -> HashMap<String, String> {
    let words: Vec<String> = words.collect();
    let pairs = words
        .windows(2)
        .filter_map(|pair| Some((pair[0].strip_prefix("--")?, &pair[1])));
    pairs.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

fn windows(network: &mut Network, size: [usize; 3], count: usize) -> Result<Value, Failure> {
    let mut state = 1u64;
    let noise = (0..size.iter().product::<usize>()).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    });
    let image: Vec<f32> = noise.collect();
    let mut each = Vec::new();
    for _ in 0..count {
        let (began, before) = (Instant::now(), cpu_seconds());
        drop(network.window(&image)?);
        each.push(
            json!({"wall_s": began.elapsed().as_secs_f64(), "cpu_s": cpu_seconds() - before, "memory": memory()}),
        );
    }
    Ok(json!(each))
}

fn search(
    network: &mut Network,
    folder: &ModelFolder,
    image: &Volume,
    modality: Modality,
    targets: usize,
    cache: usize,
) -> Result<Value, Failure> {
    let manifest = folder.manifest();
    let how = Preparation {
        orientation: manifest.preparation.orientation.parse()?,
        spacing: manifest.preparation.spacing_mm,
        ct_window: manifest.preparation.ct_window_hu,
        percentiles: manifest.preparation.percentiles,
        anchor: manifest.preparation.anchor,
    };
    let prompt = |text: &str| Prompt {
        text: text.to_owned(),
        threshold: 0.5,
    };
    // A model may have an entry for each modality of a name.
    let mut named = HashSet::new();
    let first: Vec<Prompt> = manifest
        .classes
        .iter()
        .filter(|class| named.insert(class.prompt()))
        .take(targets)
        .map(|class| prompt(class.prompt()))
        .collect();
    let second = vec![prompt("something nobody foresaw")];
    let mut features = FeatureCache::new(cache);
    let mut one = |prompts: &[Prompt]| -> Result<Value, Failure> {
        let (began, before) = (Instant::now(), cpu_seconds());
        let search = Search {
            volume: image,
            modality,
            how: &how,
            window: manifest.window.size,
            prompts,
            next: &[],
            ahead: Ahead::Off,
            key: "image",
        };
        let made = segment(&search, network, &mut features, &Silent, &Cancel::new())?;
        let spent = made.spent;
        Ok(json!({
            "wall_s": began.elapsed().as_secs_f64(),
            "cpu_s": cpu_seconds() - before,
            "prepare_s": spent.prepare.as_secs_f64(),
            "text_s": spent.text.as_secs_f64(),
            "network_s": spent.network.as_secs_f64(),
            "masks_s": spent.masks.as_secs_f64(),
            "windows": made.windows,
            "voxels": made.masks.iter().map(|found| found.mask.count()).sum::<u64>(),
            "found": made.masks.iter().filter(|found| !found.mask.is_empty()).count(),
            "mask_bytes": made.masks.iter().map(|found| found.mask.bytes()).sum::<usize>(),
            "memory": memory(),
        }))
    };
    let first = one(&first)?;
    let second = if cache > 0 { one(&second)? } else { Value::Null };
    Ok(json!({"first": first, "second": second}))
}

/// Bytes now and at most, as the kernel counts them.
fn memory() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    };
    json!({"now": bytes("VmRSS"), "peak": bytes("VmHWM")})
}

/// Seconds of all processors, from /proc (in hundredths).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
