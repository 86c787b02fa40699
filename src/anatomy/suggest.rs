//! Which names are near to a phrase that is none of them: shared words count by how rare they are.

use super::Laterality;
use super::matcher::Names;
use super::refusal::HIGHEST;
use super::words::{Spelling, has_digit, spell};
use std::collections::HashMap;

/// Names and synonyms as words, with the weight of each word.
#[derive(Debug)]
pub(super) struct Suggester {
    words: Vec<String>,
    weights: Vec<f64>,
    /// One per name or synonym: the entry and its words.
    surfaces: Vec<(usize, Vec<usize>)>,
    sides: Vec<Option<Laterality>>,
}

impl Suggester {
    pub fn new(names: &Names) -> Suggester {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut counts: Vec<f64> = Vec::new();
        let mut surfaces: Vec<(usize, Vec<usize>)> = Vec::new();
        for (i, entry) in names.entries.iter().enumerate() {
            let mut seen: Vec<usize> = Vec::new();
            let name = spell(&entry.name).key();
            for key in std::iter::once(&name).chain(entry.synonyms.iter().map(|synonym| &synonym.key)) {
                let mut words: Vec<usize> = Vec::new();
                for word in key.split(' ').map(str::to_owned) {
                    let next = places.len();
                    let place = *places.entry(word).or_insert(next);
                    if place == counts.len() {
                        counts.push(0.0);
                    }
                    if !words.contains(&place) {
                        words.push(place);
                    }
                    if !seen.contains(&place) {
                        seen.push(place);
                        counts[place] += 1.0;
                    }
                }
                surfaces.push((i, words));
            }
        }
        let mut words = vec![String::new(); places.len()];
        for (word, place) in places {
            words[place] = word;
        }
        let total = names.entries.len() as f64;
        Suggester {
            words,
            weights: counts.iter().map(|count| (1.0 + total / count).ln()).collect(),
            surfaces,
            sides: names.entries.iter().map(|entry| entry.laterality).collect(),
        }
    }

    /// How near each entry is, 0 to [`HIGHEST`].
    pub fn scores(&self, spelling: &Spelling) -> Vec<f64> {
        let mut asked: Vec<&String> = spelling.words.iter().collect();
        asked.sort_unstable();
        asked.dedup();
        let likeness: Vec<Vec<f64>> = asked
            .iter()
            .map(|word| self.words.iter().map(|known| like(word, known)).collect())
            .collect();
        // a word that nobody knows says less than one that few names have
        let stranger = 0.6 * (1.0 + self.sides.len() as f64).ln();
        let weights: Vec<f64> = likeness
            .iter()
            .map(|row| {
                let nearest = row.iter().zip(&self.weights).max_by(|a, b| a.0.total_cmp(b.0));
                nearest
                    .filter(|(likeness, _)| **likeness > 0.0)
                    .map_or(stranger, |(_, weight)| *weight)
            })
            .collect();
        let asked_weight: f64 = weights.iter().sum();
        let mut scores = vec![0.0f64; self.sides.len()];
        if asked.is_empty() {
            return scores;
        }
        for (entry, words) in &self.surfaces {
            let covered: f64 = likeness
                .iter()
                .zip(&weights)
                .map(|(row, weight)| weight * words.iter().map(|word| row[*word]).fold(0.0, f64::max))
                .sum();
            if covered == 0.0 {
                continue;
            }
            let total: f64 = words.iter().map(|word| self.weights[*word]).sum();
            let met: f64 = words
                .iter()
                .map(|word| self.weights[*word] * likeness.iter().map(|row| row[*word]).fold(0.0, f64::max))
                .sum();
            let score = HIGHEST * covered / asked_weight * (0.65 + 0.35 * met / total);
            // a whole name within the phrase ("please segment the liver") is nearer than half of a longer one
            let whole = met > 0.999 * total;
            let score = if whole { 0.6 * HIGHEST + 0.4 * score } else { score };
            scores[*entry] = scores[*entry].max(score);
        }
        if let Some(side) = spelling.side() {
            for (score, other) in scores.iter_mut().zip(&self.sides) {
                if other.is_some_and(|other| other != side) {
                    *score *= 0.3;
                }
            }
        }
        scores
    }
}

/// 1 for the same word, less for a beginning of it or a few letters off, 0 for another word.
fn like(asked: &str, known: &str) -> f64 {
    if asked == known {
        return 1.0;
    }
    if has_digit(asked) || has_digit(known) || asked.len() < 3 || known.len() < 3 {
        return 0.0;
    }
    let (shorter, longer) = if asked.len() < known.len() {
        (asked, known)
    } else {
        (known, asked)
    };
    if shorter.len() >= 4 && longer.starts_with(shorter) {
        // "hippo" for hippocampus, "renal" is no start of anything
        return 0.6 + 0.4 * shorter.len() as f64 / longer.len() as f64;
    }
    let apart = longer.len() - shorter.len();
    if shorter.len() < 5 || apart > 2 || asked.as_bytes()[0] != known.as_bytes()[0] {
        return 0.0;
    }
    let distance = strsim::osa_distance(asked, known);
    let likeness = 1.0 - distance as f64 / longer.len() as f64;
    if likeness >= 0.7 { 0.9 * likeness } else { 0.0 }
}
