//! The masks of a plan: those that were kept, and one pass of the network for the others.

use super::faults::sentence;
use super::plan::{FORMAT, Piece, Plan, piece};
use super::{Code, Fault, Service, paths};
use crate::segment::{Cancel, FoundMask, Preparation, Progress, Prompt, Search, SegmentError, segment};
use crate::store::{KeptMask, MaskKey};
use std::collections::HashMap;

/// Masks by the name of their piece, and how they came to be.
pub(super) struct Masks {
    pub of_piece: HashMap<String, KeptMask>,
    pub windows: u32,
    pub provider: String,
    pub precision: String,
    /// What ran the query decoder, where that was something else.
    pub decoder: Option<String>,
    /// Whether all were kept from earlier.
    pub cached: bool,
}

impl Service {
    /// The masks of `pieces`. What else the model knows may be found in the same pass and kept for the next question.
    pub(super) fn masks(
        &self,
        plan: &Plan,
        pieces: &[Piece],
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Masks, Fault> {
        let grid = plan.volume.shared_grid();
        let mut found: Vec<Option<KeptMask>> = pieces
            .iter()
            .map(|piece| self.store.kept_mask(&key(plan, piece), &grid))
            .collect();
        let missing: Vec<usize> = (0..pieces.len()).filter(|i| found[*i].is_none()).collect();
        let (mut provider, mut precision, mut decoder) = ("none".to_owned(), plan.precision, None);
        if !missing.is_empty() {
            cancel.heed()?;
            let asked: Vec<&Piece> = missing.iter().map(|i| &pieces[*i]).collect();
            let next = self.next_pieces(plan, pieces);
            let engine = self.network(&plan.folder, plan.precision.class())?;
            let mut engine = engine.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let engine = &mut *engine;
            (provider, precision) = (engine.network.provider().to_string(), engine.network.precision());
            decoder = Some(engine.network.decoder_provider().to_string()).filter(|other| *other != provider);
            let manifest = plan.folder.manifest();
            let how = Preparation {
                orientation: plan.orientation,
                spacing: manifest.preparation.spacing_mm,
                ct_window: manifest.preparation.ct_window_hu,
                percentiles: manifest.preparation.percentiles,
                anchor: manifest.preparation.anchor,
            };
            let search = Search {
                volume: &plan.volume,
                modality: plan.image.modality,
                how: &how,
                window: manifest.window.size,
                prompts: &asked.iter().map(|piece| prompt(piece)).collect::<Vec<_>>(),
                next: &next.iter().map(prompt).collect::<Vec<_>>(),
                ahead: self.settings.ahead,
                key: &image_key(plan),
            };
            let span = tracing::info_span!(
                "network",
                provider,
                prompts = asked.len() as i64,
                windows = tracing::field::Empty
            );
            let computing = span.enter();
            let made = segment(&search, &mut engine.network, &mut engine.features, progress, cancel)
                .map_err(|error| about(error, &plan.image.uri))?;
            drop(computing);
            span.record("windows", i64::from(made.windows));
            tracing::debug!(spent = ?made.spent, ahead = made.next.len(), "segmented");
            for (piece, mask) in next.iter().zip(made.next) {
                self.keep(plan, piece, &kept(mask, made.windows));
            }
            for (i, mask) in missing.iter().zip(made.masks) {
                let kept = kept(mask, made.windows);
                self.keep(plan, &pieces[*i], &kept);
                found[*i] = Some(kept);
            }
        }
        let windows = found.iter().flatten().map(|kept| kept.windows).max().unwrap_or(0);
        let names = pieces.iter().map(|piece| piece.name.clone());
        let of_piece = names.zip(found.into_iter().flatten()).collect();
        Ok(Masks {
            of_piece,
            windows,
            provider,
            precision: precision.to_string(),
            decoder,
            cached: missing.is_empty(),
        })
    }

    /// What the model knows besides, and what is not kept yet.
    fn next_pieces(&self, plan: &Plan, pieces: &[Piece]) -> Vec<Piece> {
        let modality = plan.image.modality;
        let classes = plan.folder.manifest().classes.iter();
        classes
            .filter(|class| class.modalities.contains(&modality))
            .map(|class| piece(&plan.folder, &class.name, modality))
            .filter(|next| !pieces.iter().any(|piece| piece.name == next.name))
            .filter(|next| !self.store.has_mask(&key(plan, next)))
            .collect()
    }

    /// A mask that can't be kept is computed again next time; this answer needs it all the same.
    fn keep(&self, plan: &Plan, piece: &Piece, kept: &KeptMask) {
        if let Err(error) = self.store.keep_mask(&key(plan, piece), kept) {
            tracing::warn!(%error, "a mask could not be kept for later requests");
        }
    }
}

/// What is wrong with an image is told with its name: a caller may have several under way.
fn about(error: SegmentError, image: &str) -> Fault {
    match error {
        SegmentError::Prepare(error) => {
            Fault::new(Code::BadImage, sentence(format!("{}: {error}", paths::shown(image))))
        }
        other => other.into(),
    }
}

fn prompt(piece: &Piece) -> Prompt {
    Prompt {
        text: piece.prompt.clone(),
        threshold: piece.threshold,
    }
}

fn kept(found: FoundMask, windows: u32) -> KeptMask {
    KeptMask {
        mask: found.mask,
        mean_probability: found.mean_probability,
        windows,
    }
}

fn key(plan: &Plan, piece: &Piece) -> MaskKey {
    MaskKey {
        format: FORMAT,
        image: plan.image.sha256.clone(),
        owner: plan.caller.owner().map(str::to_owned),
        model: plan.folder.sha256().to_owned(),
        modality: plan.image.modality.as_str().to_owned(),
        orientation: plan.orientation.to_string(),
        numeric: plan.precision.class().to_string(),
        prompt: piece.prompt.clone(),
        threshold: piece.threshold.to_bits(),
    }
}

/// What an image's features are a function of, and for whom: how soon an answer comes would tell another that they are there.
fn image_key(plan: &Plan) -> String {
    let (model, modality) = (plan.folder.sha256(), plan.image.modality.as_str());
    let numeric = plan.precision.class();
    let owner = plan.caller.owner().unwrap_or_default();
    format!(
        "{} {model} {modality} {} {numeric} {owner}",
        plan.image.sha256, plan.orientation
    )
}
