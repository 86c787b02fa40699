//! Names nearest in meaning to a phrase that nobody knows, by the model's own text encoder. Suggestions only: an encoder places
//! every phrase somewhere.

use super::Service;
use crate::anatomy::{Candidate, Laterality, ResolveError};
use crate::model::{ModelError, ModelFolder, Runtime, TextEncoder};
use crate::volume::Modality;

/// How many names are suggested.
const MOST: usize = 3;
/// For how many phrases of a request at most.
const MOST_PHRASES: usize = 8;
/// Queries as alike as this are one to an encoder.
const SAME: f32 = 0.999;
/// A caller who mistyped a name is not kept waiting longer than this for a suggestion.
const PATIENCE_S: f64 = 3.0;

impl Service {
    /// Adds names near in meaning to the errors about phrases that nobody knows. An encoder that can't be had, or that would
    /// take long, leaves the errors as they are: they stand without.
    pub(super) fn suggest_by_meaning(&self, folder: &ModelFolder, modality: Modality, errors: &mut [ResolveError]) {
        let mut unknown: Vec<(&str, &mut Vec<Candidate>)> = errors
            .iter_mut()
            .filter_map(|error| match error {
                ResolveError::Unknown {
                    phrase,
                    note: None,
                    candidates,
                } => Some((phrase.as_str(), candidates)),
                _ => None,
            })
            .take(MOST_PHRASES)
            .collect();
        if unknown.is_empty() {
            return;
        }
        let phrases: Vec<&str> = unknown.iter().map(|(phrase, _)| *phrase).collect();
        match self.nearest(folder, modality, &phrases) {
            Ok(found) => {
                for ((_, candidates), near) in unknown.iter_mut().zip(found) {
                    // behind those that share words with the phrase: an encoder's nearness is a guess
                    let known: Vec<String> = candidates.iter().map(|candidate| candidate.name.clone()).collect();
                    candidates.extend(near.into_iter().filter(|candidate| !known.contains(&candidate.name)));
                    candidates.sort_by_key(|candidate| !candidate.available);
                }
            }
            Err(error) => tracing::debug!(%error, "no suggestions by meaning"),
        }
    }

    /// For each phrase the model's nearest names, none where the encoder would take too long.
    fn nearest(
        &self,
        folder: &ModelFolder,
        modality: Modality,
        phrases: &[&str],
    ) -> Result<Vec<Vec<Candidate>>, ModelError> {
        let runtime = Runtime::load(self.settings.ort_lib.as_deref())?;
        let mut encoder = TextEncoder::new(&runtime, folder, &self.setup())?;
        let classes = folder.manifest().classes.iter();
        let classes: Vec<_> = classes.filter(|class| class.modalities.contains(&modality)).collect();
        let prompts: Vec<&str> = classes.iter().map(|class| class.prompt()).collect();
        if prompts.is_empty() || encoder.seconds(&prompts, modality) > PATIENCE_S {
            return Ok(Vec::new());
        }
        let rows = encoder.queries(&prompts, modality)?;
        let rows: Vec<Vec<f32>> = rows.rows().into_iter().map(|row| unit(row.to_vec())).collect();
        let near_enough = near_enough(&rows);
        let mut found = Vec::new();
        for phrase in phrases {
            let query = unit(encoder.once(phrase, modality)?);
            let mut near: Vec<(usize, f32)> = rows.iter().map(|row| cosine(row, &query)).enumerate().collect();
            let side = Laterality::of_name(phrase);
            near.retain(|(class, likeness)| {
                *likeness >= near_enough && Laterality::of_name(&classes[*class].name) == side
            });
            near.sort_by(|a, b| b.1.total_cmp(&a.1));
            let candidates = near.iter().take(MOST).map(|(class, likeness)| {
                let score = (Candidate::HIGHEST * f64::from(*likeness) * 100.0).floor() / 100.0;
                Candidate {
                    name: classes[*class].name.clone(),
                    score: score.min(Candidate::HIGHEST),
                    available: true,
                    by_meaning: true,
                    instead: false,
                }
            });
            found.push(candidates.collect());
        }
        Ok(found)
    }
}

/// How alike a phrase and a name must be, which every encoder measures on a scale of its own: as much as the more alike quarter
/// of the names are to their nearest. Nothing is near by an encoder that cannot tell names apart.
fn near_enough(rows: &[Vec<f32>]) -> f32 {
    let nearest = |i: usize| {
        let others = rows.iter().enumerate().filter(|(j, _)| *j != i);
        others.map(|(_, other)| cosine(&rows[i], other)).fold(-1.0, f32::max)
    };
    let mut nearest: Vec<f32> = (0..rows.len()).map(nearest).collect();
    nearest.sort_by(f32::total_cmp);
    let limit = nearest.get(rows.len() * 3 / 4).copied().unwrap_or(f32::INFINITY);
    if limit < SAME { limit } else { f32::INFINITY }
}

fn unit(row: Vec<f32>) -> Vec<f32> {
    let length = row
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    row.into_iter().map(|value| value / length).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
