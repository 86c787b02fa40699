//! The walk of one request: window by window through the network, slab by slab to masks.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use super::blend::{Blend, FoundMask, StoredWindow, store};
use super::features::NotFinite;
use super::memory::{FeatureCache, SeenImage, SeenWindow};
use super::prepare::{Preparation, Prepared, prepare};
use super::restore::Restore;
use super::tiles::{Tiling, WindowIndex};
use super::windows::patch;
use super::{Cancel, Progress, Prompt, SegmentError, Step, kernel};
use crate::model::{Backend, ModelError, Queries, WindowOutput};
use crate::volume::{Modality, Volume};

/// The share of the network's time that answering ahead may add where nobody asked for it.
const CHEAP: f64 = 0.1;
/// Restoring and packing come on top of blending and cost about as much.
const BEYOND_BLENDING: f64 = 2.0;

/// What is to be found, and in what.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The image.
    pub volume: &'a Volume,
    /// What made it.
    pub modality: Modality,
    /// How the model wants it.
    pub how: &'a Preparation,
    /// Voxels of a window.
    pub window: [usize; 3],
    /// What was asked for.
    pub prompts: &'a [Prompt],
    /// What may be asked for next: found in the same pass where `ahead` says so.
    pub next: &'a [Prompt],
    /// Whether to find what may be asked for next.
    pub ahead: Ahead,
    /// Names the image as this model sees it, for the cache of features.
    pub key: &'a str,
}

/// Whether to find what was not asked for yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ahead {
    /// Where it adds less than a tenth to the network's time.
    #[default]
    WhereCheap,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Segmentation {
    /// In the order of the prompts.
    pub masks: Vec<FoundMask>,
    /// In the order of what may be asked for next; empty where that was not done.
    pub next: Vec<FoundMask>,
    /// Windows the image has.
    pub windows: u32,
    /// Where the time went.
    pub spent: Spent,
}

/// Where the time of a run went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Preparing the image.
    pub prepare: Duration,
    /// The text encoder.
    pub text: Duration,
    /// Waiting for the vision backbone and the query decoder.
    pub network: Duration,
    /// Features to masks: storing, blending, restoring, packing.
    pub masks: Duration,
}

impl Spent {
    /// Everything that is not the network.
    pub fn own(&self) -> Duration {
        self.prepare + self.masks
    }
}

fn timed<T>(clock: &mut Duration, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    *clock += began.elapsed();
    done
}

/// Finds every prompt of a search.
///
/// `cache` may hold the image's features from an earlier search, which spares the backbone, and keeps them for the next where
/// they fit. `progress` hears of each window; `cancel` is looked at between windows and between blocks of classes.
///
/// # Errors
/// When the image can't be prepared, the network fails or gives what is no number, or the run is cancelled.
pub fn segment(
    search: &Search<'_>,
    backend: &mut dyn Backend,
    cache: &mut FeatureCache,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Segmentation, SegmentError> {
    let mut spent = Spent::default();
    let queries = timed(&mut spent.text, || {
        encode(backend, search.prompts, search.modality, cancel)
    })?;
    if let Some(seen) = cache.take(search.key) {
        let found = again(search, backend, &seen, &queries, &mut spent, cancel);
        cache.put(search.key, seen);
        return found;
    }
    let prepared = timed(&mut spent.prepare, || {
        prepare(search.volume, search.modality, search.how)
    })?;
    cancel.heed()?; // a window may take a minute
    let tiling = Tiling::new(prepared.shape(), search.window);
    let walk = Walk {
        search,
        prepared: &prepared,
        tiling: &tiling,
        progress,
        cancel,
    };
    let (segmentation, seen) = walk.run(backend, queries, cache.room(), spent)?;
    if let Some(windows) = seen {
        cache.put(
            search.key,
            SeenImage {
                prepared: prepared.without_voxels(),
                tiling,
                windows,
            },
        );
    }
    Ok(segmentation)
}

/// Finds prompts in an image whose features are still there.
fn again(
    search: &Search<'_>,
    backend: &mut dyn Backend,
    seen: &SeenImage,
    queries: &Queries,
    spent: &mut Spent,
    cancel: &Cancel,
) -> Result<Segmentation, SegmentError> {
    let restore = Restore::new(&seen.prepared);
    let mut blend = Blend::new(&seen.tiling, &restore, thresholds(search.prompts));
    for (window, known) in seen.tiling.windows().zip(&seen.windows) {
        cancel.heed()?;
        let embeddings = timed(&mut spent.network, || backend.mask_embeddings(&known.memory, queries))?;
        timed(&mut spent.masks, || {
            blend.add(window, known.layers.clone(), embeddings, cancel)
        });
    }
    let masks = finish(blend, cancel, spent)?;
    Ok(Segmentation {
        masks,
        next: Vec::new(),
        windows: seen.windows.len() as u32,
        spent: *spent,
    })
}

/// Prompts encoded between two looks at whether anybody still waits.
const PROMPTS_AT_ONCE: usize = 16;

fn encode(
    backend: &mut dyn Backend,
    prompts: &[Prompt],
    modality: Modality,
    cancel: &Cancel,
) -> Result<Queries, SegmentError> {
    let mut queries = backend.queries(&[], modality)?;
    for some in prompts.chunks(PROMPTS_AT_ONCE) {
        cancel.heed()?;
        let rows = backend.queries(&texts(some), modality)?;
        queries.append(ndarray::Axis(0), rows.view()).map_err(mismatch)?;
    }
    Ok(queries)
}

fn texts(prompts: &[Prompt]) -> Vec<&str> {
    prompts.iter().map(|prompt| prompt.text.as_str()).collect()
}

fn thresholds(prompts: &[Prompt]) -> Vec<f32> {
    prompts.iter().map(|prompt| prompt.threshold).collect()
}

fn finish(blend: Blend<'_>, cancel: &Cancel, spent: &mut Spent) -> Result<Vec<FoundMask>, SegmentError> {
    cancel.heed()?;
    Ok(timed(&mut spent.masks, || blend.finish()))
}

/// A first look at an image.
struct Walk<'a> {
    search: &'a Search<'a>,
    prepared: &'a Prepared,
    tiling: &'a Tiling,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

type Seen = (WindowIndex, WindowOutput, ndarray::Array2<f32>);

impl Walk<'_> {
    /// `room`: bytes that features may take when all are done.
    fn run(
        &self,
        backend: &mut dyn Backend,
        mut queries: Queries,
        room: usize,
        mut spent: Spent,
    ) -> Result<(Segmentation, Option<Vec<SeenWindow>>), SegmentError> {
        let mut windows = self.tiling.windows();
        let total = windows.len() as u32;
        let mut thresholds = thresholds(self.search.prompts);
        let asked = thresholds.len();

        // The first window tells how long the network takes, and so what may be found besides.
        let mut first = None;
        if let Some(window) = windows.next() {
            let began = Instant::now();
            let output = backend.window(&self.voxels(window))?;
            let took = began.elapsed();
            spent.network += took;
            if let Some(next) = timed(&mut spent.text, || self.next_queries(backend, &output, took))? {
                queries.append(ndarray::Axis(0), next.view()).map_err(mismatch)?;
                thresholds.extend(self.search.next.iter().map(|prompt| prompt.threshold));
            }
            let embeddings = timed(&mut spent.network, || backend.mask_embeddings(&output.memory, &queries))?;
            first = Some((window, output, embeddings));
        }

        let restore = Restore::new(self.prepared);
        let mut blend = Blend::new(self.tiling, &restore, thresholds);
        let mut kept = Some(Vec::new());
        let mut done = 0;
        let mut take = |(window, output, embeddings): Seen, spent: &mut Spent| -> Result<(), SegmentError> {
            timed(&mut spent.masks, || {
                let width = embeddings.ncols();
                let layers = store(self.tiling, window, output.values(), width).map_err(|NotFinite| not_finite())?;
                keep(&mut kept, &output, &layers, room, total);
                drop(output);
                blend.add(window, layers, embeddings, self.cancel);
                Ok::<_, ModelError>(())
            })?;
            done += 1;
            self.progress.report(&Step {
                done,
                total: total + 1,
                sentence: format!("window {done} of {total}"),
            });
            Ok(())
        };
        if backend.on_device() {
            // While the device is at work on one window, the processor is at work on the one before.
            std::thread::scope(|scope| {
                let (send, receive) = sync_channel::<Seen>(0);
                let queries = &queries;
                let network = scope.spawn(move || {
                    for window in windows {
                        let seen = self.look(backend, window, queries)?;
                        if send.send(seen).is_err() {
                            break; // the other side has failed and says why
                        }
                    }
                    Ok::<_, SegmentError>(())
                });
                let mut result = first.map_or(Ok(()), |seen| take(seen, &mut spent));
                while result.is_ok() {
                    match timed(&mut spent.network, || receive.recv()) {
                        Ok(seen) => result = take(seen, &mut spent),
                        Err(_) => break,
                    }
                }
                drop(receive);
                let network = network.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result.and(network)
            })?;
        } else {
            first.map_or(Ok(()), |seen| take(seen, &mut spent))?;
            for window in windows {
                let seen = timed(&mut spent.network, || self.look(backend, window, &queries))?;
                take(seen, &mut spent)?;
            }
        }
        let mut masks = finish(blend, self.cancel, &mut spent)?;
        let next = masks.split_off(asked);
        let segmentation = Segmentation {
            masks,
            next,
            windows: total,
            spent,
        };
        Ok((segmentation, kept))
    }

    fn look(&self, backend: &mut dyn Backend, window: WindowIndex, queries: &Queries) -> Result<Seen, SegmentError> {
        self.cancel.heed()?;
        let output = backend.window(&self.voxels(window))?;
        let embeddings = backend.mask_embeddings(&output.memory, queries)?;
        Ok((window, output, embeddings))
    }

    fn voxels(&self, window: WindowIndex) -> Vec<f32> {
        let start = self.tiling.start(window);
        patch(self.prepared.voxels(), self.prepared.shape(), start, self.search.window)
    }

    /// Queries for what may be asked for next, where finding it is wanted. Nobody asked for it: what goes wrong with it is
    /// no fault of the request.
    fn next_queries(
        &self,
        backend: &mut dyn Backend,
        output: &WindowOutput,
        network: Duration,
    ) -> Result<Option<Queries>, SegmentError> {
        let next = self.search.next;
        if next.is_empty() || !self.is_worth_it(backend, output, network) {
            return Ok(None);
        }
        match encode(backend, next, self.search.modality, self.cancel) {
            Ok(queries) => Ok(Some(queries)),
            Err(SegmentError::Cancelled) => Err(SegmentError::Cancelled),
            Err(error) => {
                tracing::warn!(%error, "what may be asked for next cannot be found ahead");
                Ok(None)
            }
        }
    }

    /// Whether to find what was not asked for, when the first window took the network so long.
    fn is_worth_it(&self, backend: &mut dyn Backend, output: &WindowOutput, network: Duration) -> bool {
        match self.search.ahead {
            Ahead::On => true,
            Ahead::Off => false,
            Ahead::WhereCheap => {
                let next = self.search.next;
                let voxels = self.search.window.iter().product::<usize>();
                let threads = rayon::current_num_threads();
                let a_voxel = kernel::seconds_a_voxel(output.width(voxels), next.len()) / threads as f64;
                let room = CHEAP * network.as_secs_f64() - BEYOND_BLENDING * a_voxel * voxels as f64;
                // Blending comes with every window, texts once.
                let windows = self.tiling.windows().len() as f64;
                room > 0.0 && backend.text_seconds(&texts(next), self.search.modality) / windows < room
            }
        }
    }
}

/// Adds a window to what is kept, or lets all go where it will not fit.
fn keep(kept: &mut Option<Vec<SeenWindow>>, output: &WindowOutput, layers: &StoredWindow, room: usize, windows: u32) {
    let bytes: usize = layers.iter().flatten().map(|layer| layer.bytes()).sum();
    // Windows differ only by what of them lies outside the image.
    if bytes.saturating_mul(windows as usize) > room {
        *kept = None;
    } else if let Some(kept) = kept {
        kept.push(SeenWindow {
            memory: output.memory.clone(),
            layers: layers.clone(),
        });
    }
}

fn not_finite() -> ModelError {
    ModelError::Run {
        fault:
            "its features are not all finite numbers; the weights may be damaged, or half precision too narrow for them"
                .into(),
    }
}

fn mismatch(error: ndarray::ShapeError) -> ModelError {
    ModelError::Run {
        fault: error.to_string(),
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
