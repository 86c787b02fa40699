//! From a phrase to a class of the loaded model, or to an error that says what would work.

use super::entries::{Entry, Reach};
use super::matcher::{Meant, Names};
use super::refusal::{Candidate, HIGHEST, LOWEST_OFFERED, Note, ResolveError, tidy};
use super::suggest::Suggester;
use super::words::{Spelling, spell, without_side};
use super::{Catalogue, Offered};
use crate::volume::Modality;

/// How many names an error offers.
const OFFERED: usize = 6;

/// What `segment` does for a phrase.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// One class of the model.
    Class {
        /// The model's name for it.
        name: String,
        /// 1.0 for the name itself, 0.9 for a synonym, at least 0.8 for a misspelling.
        score: f64,
        /// The model is weak at it.
        experimental: bool,
    },
    /// A union of the model's classes.
    Union {
        /// The phrase as asked.
        phrase: String,
        /// The name whose pieces these are.
        name: String,
        /// The model's classes to join.
        parts: Vec<String>,
        /// As for a class.
        score: f64,
        /// The model is weak at one of the parts.
        experimental: bool,
    },
    /// Nothing that the model was taught here, tried because the caller asked for that.
    Untrained {
        /// The phrase, its white space evened out.
        phrase: String,
        /// What to try it as: the class that it means, where it means one, otherwise the phrase.
        prompt: String,
        /// Why it is no target otherwise.
        why: String,
    },
}

/// Finds out what phrases mean for one model.
#[derive(Debug)]
pub struct Resolver {
    pub(super) names: Names,
    pub(super) suggester: Suggester,
    pub(super) model: String,
    pub(super) catalogue: &'static Catalogue,
}

impl Resolver {
    /// For the model that offers `offered`. Takes some milliseconds; keep it.
    pub fn new(catalogue: &'static Catalogue, offered: &Offered) -> Resolver {
        let names = Names::new(catalogue, offered);
        let suggester = Suggester::new(&names);
        Resolver {
            names,
            suggester,
            model: offered.model.clone(),
            catalogue,
        }
    }

    /// The class, or the union of classes, that `segment` takes `phrase` for on a scan of this modality.
    ///
    /// With `allow_untrained`, a phrase that names no class the model could use here is handed on all the same.
    ///
    /// ```
    /// use sat_mcp::anatomy::{Catalogue, Offered, Resolved, Resolver};
    /// use sat_mcp::volume::Modality;
    /// let resolver = Resolver::new(Catalogue::load(), &Offered::everything("sat-nano", Catalogue::load()));
    /// let found = resolver.resolve("R kidney", Modality::Ct, false);
    /// assert!(matches!(found, Ok(Resolved::Class { name, .. }) if name == "right kidney"));
    /// ```
    pub fn resolve(&self, phrase: &str, modality: Modality, allow_untrained: bool) -> Result<Resolved, ResolveError> {
        let tidy = tidy(phrase)?;
        match self.meaning(&tidy, modality) {
            Err(error) if allow_untrained => Ok(Resolved::Untrained {
                why: error.to_string(),
                prompt: match error {
                    ResolveError::NotInModality { name, .. } | ResolveError::NotInModel { name, .. } => name,
                    _ => tidy.clone(),
                },
                phrase: tidy,
            }),
            other => other,
        }
    }

    fn meaning(&self, phrase: &str, modality: Modality) -> Result<Resolved, ResolveError> {
        let spelling = spell(phrase);
        let hits = self.names.hits(phrase, &spelling);
        let phrase = phrase.to_owned();
        match self.names.settle(&hits, modality) {
            Meant::One(place, score) => self.had(phrase, &self.names.entries[place], modality, score),
            Meant::Run(entry, score) => self.had(phrase, entry, modality, score),
            Meant::Ask(choices, None) => Err(ResolveError::Ambiguous {
                phrase,
                modality,
                candidates: self.choices(&choices, modality, false),
            }),
            Meant::Ask(choices, Some(why)) => Err(ResolveError::Unknown {
                phrase,
                note: Some(Note::Why(why.to_owned())),
                candidates: self.choices(&choices, modality, false),
            }),
            Meant::Elsewhere(place) => Err(self.not_in_modality(phrase, &self.names.entries[place], modality)),
            Meant::Nothing => Err(match self.several(&phrase, modality) {
                None if let Some(place) = self.of_both_sides(&spelling, modality) => ResolveError::Unknown {
                    candidates: self.choices(&[place], modality, true),
                    phrase,
                    note: Some(Note::WithoutSides(self.names.entries[place].name.clone())),
                },
                Some(places) => ResolveError::Unknown {
                    candidates: self.choices(&places, modality, true),
                    phrase,
                    note: Some(Note::Several),
                },
                None => ResolveError::Unknown {
                    candidates: self.near(&spelling, modality),
                    phrase,
                    note: None,
                },
            }),
        }
    }

    /// How the loaded model has what a phrase means, if it does.
    fn had(&self, phrase: String, entry: &Entry, modality: Modality, score: f64) -> Result<Resolved, ResolveError> {
        match entry.reach(modality) {
            Reach::Offered => Ok(Resolved::Class {
                name: entry.name.clone(),
                score,
                experimental: self.experimental(&entry.name, Some(modality)),
            }),
            Reach::Union(parts) => Ok(Resolved::Union {
                phrase,
                name: entry.name.clone(),
                parts: parts.clone(),
                score,
                experimental: parts.iter().any(|part| self.experimental(part, Some(modality))),
            }),
            Reach::Known => Err(ResolveError::NotInModel {
                candidates: {
                    let kin = self.relatives(entry, modality).into_iter();
                    kin.filter(|candidate| candidate.available).collect()
                },
                phrase,
                name: entry.name.clone(),
                model: self.model.clone(),
            }),
            Reach::Nothing => Err(self.not_in_modality(phrase, entry, modality)),
        }
    }

    fn not_in_modality(&self, phrase: String, entry: &Entry, modality: Modality) -> ResolveError {
        ResolveError::NotInModality {
            candidates: self.relatives(entry, modality),
            phrase,
            name: entry.name.clone(),
            modality,
            modalities: entry.modalities(),
        }
    }

    /// Whether the model is weak at a class of its own, in `modality` or in any.
    pub(super) fn experimental(&self, name: &str, modality: Option<Modality>) -> bool {
        self.names
            .named(name)
            .is_some_and(|place| self.names.entries[place].weak(modality))
    }

    fn choices(&self, choices: &[usize], modality: Modality, instead: bool) -> Vec<Candidate> {
        let entries = choices.iter().map(|place| &self.names.entries[*place]);
        let mut found: Vec<Candidate> = entries
            .map(|entry| candidate(entry, modality, HIGHEST, instead))
            .collect();
        found.sort_by_key(|candidate| !candidate.available);
        found
    }

    /// Names that share words with a phrase nobody knows, those that the model has first.
    fn near(&self, spelling: &Spelling, modality: Modality) -> Vec<Candidate> {
        let scores = self.suggester.scores(spelling);
        let near = self
            .names
            .entries
            .iter()
            .zip(scores)
            .filter(|(_, score)| *score >= LOWEST_OFFERED);
        let side = spelling.side();
        self.offer(
            modality,
            near.map(|(entry, score)| {
                // the phrase says this name and more: "please segment the liver"
                let whole = spell(&entry.name)
                    .words
                    .iter()
                    .all(|word| spelling.words.contains(word));
                (entry, score, whole && entry.laterality == side)
            }),
        )
    }

    /// What a class that cannot be had here is related to: its pieces, what it is a piece of, the other side of it. Shared words are
    /// no kinship: the rectum is not the straight gyrus. Where it has no kin, what lies beside it.
    fn relatives(&self, meant: &Entry, modality: Modality) -> Vec<Candidate> {
        let mut pieces: Vec<&str> = meant.parts(None).iter().map(String::as_str).collect();
        for at in 0.. {
            let Some(piece) = pieces.get(at).and_then(|name| self.names.named(name)) else {
                if at < pieces.len() { continue } else { break }
            };
            let more = self.names.entries[piece].parts(None).iter().map(String::as_str);
            let more: Vec<&str> = more.filter(|name| !pieces.contains(name)).collect();
            pieces.extend(more);
        }
        let base = without_side(&meant.name);
        let kinship = |entry: &Entry| {
            let kin = pieces.contains(&entry.name.as_str())
                || entry.has_part(&meant.name)
                || meant.part_of() == Some(&entry.name)
                || without_side(&entry.name) == base;
            match (kin, entry.laterality == meant.laterality) {
                (true, true) => HIGHEST - 0.01,
                (true, false) => HIGHEST - 0.02,
                (false, _) => 0.0,
            }
        };
        let others = self.names.entries.iter().filter(|entry| entry.name != meant.name);
        let kin = others
            .clone()
            .map(|entry| (entry, kinship(entry), false))
            .filter(|(_, score, _)| *score > 0.0);
        let kin = self.offer(modality, kin);
        if kin.iter().any(|candidate| candidate.available) {
            return kin;
        }
        let beside = meant.class.map_or(&[][..], |class| &class.neighbours);
        let around = others.filter(|entry| beside.contains(&entry.name));
        let around = self.offer(modality, around.map(|entry| (entry, LOWEST_OFFERED, false)));
        kin.into_iter().chain(around).take(OFFERED).collect()
    }

    /// Names that mean something in a modality as candidates, with their scores and whether they may stand in the phrase's place.
    fn offer<'a>(&self, modality: Modality, names: impl Iterator<Item = (&'a Entry, f64, bool)>) -> Vec<Candidate> {
        let known = names.filter(|(entry, ..)| entry.reach(modality).known());
        let mut found: Vec<Candidate> = known
            .map(|(entry, score, instead)| candidate(entry, modality, score, instead))
            .collect();
        found.sort_by(|a, b| {
            b.available
                .cmp(&a.available)
                .then(b.score.total_cmp(&a.score))
                .then_with(|| a.name.cmp(&b.name))
        });
        found.truncate(OFFERED);
        found
    }
}

fn candidate(entry: &Entry, modality: Modality, score: f64, instead: bool) -> Candidate {
    Candidate {
        name: entry.name.clone(),
        score: (score * 100.0).round() / 100.0,
        available: entry.reach(modality).reachable(),
        by_meaning: false,
        instead,
    }
}
