//! Which names a phrase is, and what it means in one modality.
//!
//! [`Names`] joins the catalogue with what a model offers. [`Names::hits`] finds the names that a phrase spells, without
//! regard to modality; [`Names::settle`] decides between them for one modality. Resolution and list both go this way.

use super::entries::Entry;
use super::reach::entries;
use super::refusal::HIGHEST;
use super::runs;
use super::spelling::Vocabulary;
use super::words::{Spelling, is_side, spell, without_side};
use super::{Catalogue, Laterality, Offered};
use crate::volume::Modality;
use std::collections::{HashMap, HashSet};

/// How sure a question that only one class can answer is, where it was asked of both sides.
const BOTH_SCORE: f64 = 0.82;

/// What a spelling may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Name(usize),
    Synonym(usize, bool /* the model's own */),
    Ask(usize),
}

/// A name that a phrase spells. The higher `rank`, the sooner it is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub entry: usize,
    pub score: f64,
    rank: u8,
}

/// All names that a phrase spells.
#[derive(Debug, Default)]
pub(super) struct Hits {
    names: Vec<Hit>,
    ask: Option<(usize, f64)>,
    /// The side that was said of what it asks back for: "left ilium".
    asked_side: Option<Laterality>,
    run: Option<Run>,
}

/// A phrase such as "L2 to L4": a name for the while of one question.
#[derive(Debug)]
struct Run {
    entry: Entry,
    /// What the phrase may mean instead, for which it asks back in every modality: who says "L4-L5" on CT means the disc, too.
    or_else: Option<Vec<usize>>,
}

/// What a phrase means in one modality.
#[derive(Debug, PartialEq)]
pub(super) enum Meant<'a> {
    /// This name.
    One(usize, f64),
    /// All from one to another, by a name made up for it.
    Run(&'a Entry, f64),
    /// Any of these, or none of them for the reason given.
    Ask(Vec<usize>, Option<&'a str>),
    /// A name of another modality.
    Elsewhere(usize),
    /// No name at all.
    Nothing,
}

/// The catalogue's names joined with a model's.
#[derive(Debug)]
pub(super) struct Names {
    pub entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    spelled: HashMap<String, Vec<Meaning>>,
    run_together: HashMap<String, Vec<Meaning>>,
    vocabulary: Vocabulary,
    catalogue: &'static Catalogue,
}

impl Names {
    pub fn new(catalogue: &'static Catalogue, offered: &Offered) -> Names {
        let entries = entries(catalogue, offered);
        let by_name = entries
            .iter()
            .enumerate()
            .map(|(i, entry)| (entry.name.clone(), i))
            .collect();
        let mut names = Names {
            entries,
            by_name,
            spelled: HashMap::new(),
            run_together: HashMap::new(),
            vocabulary: Vocabulary::default(),
            catalogue,
        };
        names.index();
        names
    }

    fn index(&mut self) {
        for i in 0..self.entries.len() {
            let name = spell(&self.entries[i].name);
            let mut keys = HashSet::from([name.key()]);
            self.learn(&name, Meaning::Name(i));
            let mut synonyms = std::mem::take(&mut self.entries[i].synonyms);
            synonyms.retain_mut(|synonym| {
                let spelling = spell(&synonym.text);
                synonym.key = spelling.key();
                let new = keys.insert(synonym.key.clone());
                if new {
                    self.learn(&spelling, Meaning::Synonym(i, synonym.own));
                }
                new
            });
            self.entries[i].synonyms = synonyms;
        }
        for (i, ask) in self.catalogue.asks().iter().enumerate() {
            for phrase in &ask.phrases {
                self.learn(&spell(phrase), Meaning::Ask(i));
            }
        }
    }

    fn learn(&mut self, spelling: &Spelling, meaning: Meaning) {
        self.vocabulary.learn(spelling);
        let keys = [
            (&mut self.spelled, Some(spelling.key())),
            (&mut self.run_together, spelling.run_together()),
        ];
        for (index, key) in keys {
            let Some(key) = key else { continue };
            let known = index.entry(key).or_default();
            if !known.contains(&meaning) {
                known.push(meaning);
            }
        }
    }

    /// The entry of exactly this name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether a word, evened out, occurs in any name.
    pub fn knows(&self, word: &str) -> bool {
        self.vocabulary.knows(word)
    }

    /// Whether a word, evened out, is one letter off a word of a name.
    pub fn is_one_slip_off(&self, word: &str) -> bool {
        self.vocabulary.is_one_slip_off(word)
    }

    /// The names that a phrase spells: as they are, else as a run of them, else with a letter or two put right.
    pub fn hits(&self, phrase: &str, spelling: &Spelling) -> Hits {
        let as_written = self.look_up(spelling, 0);
        if !as_written.is_empty() {
            return as_written;
        }
        if let Some(run) = runs::run(phrase).and_then(|run| self.run(&run)) {
            return Hits {
                run: Some(run),
                ..Hits::default()
            };
        }
        if let Some((ask, score)) = spelling.without_side().and_then(|plain| self.look_up(&plain, 0).ask) {
            // with a side it is no phrase of the table, so the answer is the question and never one of its choices
            return Hits {
                ask: Some((ask, score.min(HIGHEST))),
                asked_side: spelling.side(),
                ..Hits::default()
            };
        }
        for distance in 1..=2 {
            let mut found = Hits::default();
            for corrected in self.vocabulary.corrections(spelling, distance) {
                found.join(self.look_up(&corrected, distance));
            }
            if !found.is_empty() {
                return found;
            }
        }
        Hits::default()
    }

    fn run(&self, run: &runs::Run) -> Option<Run> {
        let exactly = |name: &String| {
            let hits = self.look_up(&spell(name), 0);
            hits.names.iter().max_by_key(|hit| hit.rank).map(|hit| hit.entry)
        };
        let members: Vec<usize> = run.members.iter().map(exactly).collect::<Option<_>>()?;
        let other = run.or_else.as_ref().and_then(exactly);
        let parts: Vec<&Entry> = members.iter().map(|i| &self.entries[*i]).collect();
        Some(Run {
            entry: Entry::joined(&run.name, &parts),
            or_else: run.or_else.as_ref().map(|_| other.into_iter().chain(members).collect()),
        })
    }

    fn look_up(&self, spelling: &Spelling, distance: usize) -> Hits {
        if spelling.words.iter().all(|word| is_side(word)) {
            return Hits::default();
        }
        let together = || spelling.run_together().and_then(|key| self.run_together.get(&key));
        let mut hits = Hits::default();
        for meaning in self
            .spelled
            .get(&spelling.key())
            .or_else(together)
            .into_iter()
            .flatten()
        {
            let slip = match distance {
                0 => 0.0,
                1 => 0.12,
                _ => 0.16,
            };
            let (entry, score, rank) = match *meaning {
                Meaning::Name(entry) => (
                    entry,
                    1.0 - slip,
                    if self.entries[entry].offered.is_some() { 4 } else { 3 },
                ),
                Meaning::Synonym(entry, own) if distance == 0 => (entry, 0.9, if own { 2 } else { 1 }),
                Meaning::Synonym(entry, own) => (entry, 0.97 - slip, if own { 2 } else { 1 }),
                Meaning::Ask(ask) => {
                    hits.ask = Some((ask, 0.9 - slip / 2.0));
                    continue;
                }
            };
            if spelling.both && !self.entries[entry].paired {
                continue;
            }
            hits.names.push(Hit {
                entry,
                score: if spelling.both { score.min(0.9) } else { score },
                rank,
            });
        }
        if spelling.both {
            hits.ask = None;
        }
        hits
    }

    /// What a phrase means in one modality, by these rules: names that the modality knows come first, the model's own
    /// before SAT's before synonyms; of equals, those the model has. If several are left, it asks back.
    pub fn settle<'a>(&'a self, hits: &'a Hits, modality: Modality) -> Meant<'a> {
        if let Some(run) = &hits.run {
            return match &run.or_else {
                Some(choices) => Meant::Ask(choices.clone(), None),
                None => Meant::Run(&run.entry, 0.9),
            };
        }
        let here: Vec<&Hit> = hits
            .names
            .iter()
            .filter(|hit| self.entries[hit.entry].reach(modality).known())
            .collect();
        if let Some(rank) = here.iter().map(|hit| hit.rank).max() {
            let best: Vec<usize> = here
                .iter()
                .filter(|hit| hit.rank == rank)
                .map(|hit| hit.entry)
                .collect();
            return match self.single(&best, modality) {
                Some(entry) => {
                    let scores = here.iter().filter(|hit| hit.entry == entry).map(|hit| hit.score);
                    Meant::One(entry, scores.fold(0.0, f64::max))
                }
                None => Meant::Ask(unique(best), None),
            };
        }
        if let Some((ask, score)) = hits.ask {
            let ask = &self.catalogue.asks()[ask];
            let choices = ask.choices.iter().filter_map(|choice| self.named(choice));
            let choices: Vec<usize> = choices.map(|choice| self.on_side(choice, hits.asked_side)).collect();
            let known = |i: &usize| self.entries[*i].reach(modality).known();
            let here: Vec<usize> = choices.iter().copied().filter(known).collect();
            return match (self.single(&here, modality), &ask.why) {
                (Some(entry), None) if score > HIGHEST => Meant::One(entry, score),
                // "both atria": of what it may mean, only one is here, and it has two sides
                (Some(entry), None) if hits.asked_side.is_none() && self.entries[entry].paired => {
                    Meant::One(entry, BOTH_SCORE)
                }
                (_, why) => Meant::Ask(if here.is_empty() { choices } else { here }, why.as_deref()),
            };
        }
        let elsewhere = hits.names.iter().max_by_key(|hit| hit.rank);
        elsewhere.map_or(Meant::Nothing, |hit| Meant::Elsewhere(hit.entry))
    }

    /// The same structure on a side, where there is one of it on that side.
    fn on_side(&self, entry: usize, side: Option<Laterality>) -> usize {
        let whole = &self.entries[entry];
        let is_it = |other: &Entry| other.laterality == side && without_side(&other.name) == whole.name;
        match side {
            Some(_) if whole.laterality.is_none() => self.entries.iter().position(is_it).unwrap_or(entry),
            _ => entry,
        }
    }

    /// The only one of `entries`, or the only one of them that the model has.
    fn single(&self, entries: &[usize], modality: Modality) -> Option<usize> {
        let reachable = |i: &usize| self.entries[*i].reach(modality).reachable();
        let entries = unique(entries.to_vec());
        let had: Vec<usize> = entries.iter().copied().filter(reachable).collect();
        match (had.as_slice(), entries.as_slice()) {
            ([only], _) | ([], [only]) => Some(*only),
            _ => None,
        }
    }
}

impl Hits {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.ask.is_none()
    }

    fn join(&mut self, other: Hits) {
        self.names.extend(other.names);
        self.ask = self.ask.or(other.ask);
    }
}

fn unique(mut entries: Vec<usize>) -> Vec<usize> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(*entry));
    entries
}
