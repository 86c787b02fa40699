//! From a phrase to a class of the loaded model, or to an error that says what would work.

use super::entries::{Entry, Reach};
use super::matcher::{Meant, Names};
use super::suggest::{HIGHEST, LOWEST_OFFERED, Suggester};
use super::unnamed::BOTH_SIDES;
use super::words::{Spelling, spell};
use super::{Catalogue, Offered};
use crate::volume::Modality;

/// Longer phrases are no names.
const LONGEST: usize = 200;
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

/// A name that would work, or nearly so.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Candidate {
    /// The class.
    pub name: String,
    /// How near it is to the phrase, below 0.8.
    pub score: f64,
    /// Whether the loaded model has it in this modality.
    pub available: bool,
    /// Near by what the model's text encoder makes of the phrase, not by its words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_meaning: bool,
}

impl Candidate {
    /// The highest score of a suggestion: from 0.8 on `segment` would take the phrase for it.
    pub const HIGHEST: f64 = HIGHEST;
}

/// Why a phrase is no target here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// Empty, or far too long to be a name.
    #[error("{phrase:?} cannot be the name of anything: {why}")]
    NotAName {
        /// The phrase, shortened.
        phrase: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody knows it.
    #[error("{phrase:?} is no class that SAT or the loaded model knows{}", sentence(note))]
    Unknown {
        /// The phrase as asked.
        phrase: String,
        /// Why it asks back, where that is known.
        note: Option<String>,
        /// The nearest names.
        candidates: Vec<Candidate>,
    },
    /// It may mean several classes.
    #[error("{phrase:?} may mean several classes in {modality}", modality = said(*modality))]
    Ambiguous {
        /// The phrase as asked.
        phrase: String,
        /// The modality of the image.
        modality: Modality,
        /// What it may mean.
        candidates: Vec<Candidate>,
    },
    /// SAT was taught it, but not in this kind of scan.
    #[error("{name:?} was taught in {} only, not in {asked}", listed(modalities), asked = said(*modality))]
    NotInModality {
        /// The phrase as asked.
        phrase: String,
        /// The class it means.
        name: String,
        /// The modality of the image.
        modality: Modality,
        /// Where SAT has it.
        modalities: Vec<Modality>,
        /// The nearest names in this modality.
        candidates: Vec<Candidate>,
    },
    /// SAT has it, the loaded model does not.
    #[error("the model {model} does not have {name:?}")]
    NotInModel {
        /// The phrase as asked.
        phrase: String,
        /// The class it means.
        name: String,
        /// The loaded model.
        model: String,
        /// What this model has nearby.
        candidates: Vec<Candidate>,
    },
}

impl ResolveError {
    /// The contract's code.
    pub fn code(&self) -> &'static str {
        match self {
            ResolveError::NotAName { .. } => "invalid_argument",
            ResolveError::Unknown { .. } => "unknown_target",
            ResolveError::Ambiguous { .. } => "ambiguous_target",
            ResolveError::NotInModality { .. } => "not_in_modality",
            ResolveError::NotInModel { .. } => "not_in_model",
        }
    }

    /// The phrase that failed.
    pub fn phrase(&self) -> &str {
        match self {
            ResolveError::NotAName { phrase, .. }
            | ResolveError::Unknown { phrase, .. }
            | ResolveError::Ambiguous { phrase, .. }
            | ResolveError::NotInModality { phrase, .. }
            | ResolveError::NotInModel { phrase, .. } => phrase,
        }
    }

    /// Whether it was `asked` that failed.
    pub fn is_about(&self, asked: &str) -> bool {
        match tidy(asked) {
            Ok(phrase) => phrase == self.phrase(),
            Err(error) => error == *self,
        }
    }

    /// Names that would have worked, those that the model has first.
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            ResolveError::NotAName { .. } => &[],
            ResolveError::Unknown { candidates, .. }
            | ResolveError::Ambiguous { candidates, .. }
            | ResolveError::NotInModality { candidates, .. }
            | ResolveError::NotInModel { candidates, .. } => candidates,
        }
    }

    /// What the caller can do, as one sentence.
    pub fn hint(&self) -> String {
        let had: Vec<&str> = self
            .candidates()
            .iter()
            .filter(|c| c.available)
            .map(|c| c.name.as_str())
            .collect();
        match (self, had.is_empty()) {
            (ResolveError::NotAName { .. }, _) => "Give an anatomical name such as \"left kidney\"; list_anatomy has them.".into(),
            (ResolveError::Ambiguous { .. }, false) => format!("Say which: {}.", quoted(&had)),
            (ResolveError::Ambiguous { candidates, .. }, true) => {
                let names: Vec<&str> = candidates.iter().map(|c| c.name.as_str()).collect();
                format!("It may be {}; the loaded model has none of them.", quoted(&names))
            }
            (_, false) => format!("Near and available: {}.", quoted(&had)),
            (_, true) => "The loaded model has nothing near for this kind of scan; list_anatomy without a query begins with what it has.".into(),
        }
    }
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
            Meant::One(place, score) => self.had(phrase, &spelling, &self.names.entries[place], modality, score),
            Meant::Run(entry, score) => self.had(phrase, &spelling, entry, modality, score),
            Meant::Ask(choices, None) => Err(ResolveError::Ambiguous {
                phrase,
                modality,
                candidates: self.choices(&choices, modality),
            }),
            Meant::Ask(choices, Some(why)) => Err(ResolveError::Unknown {
                phrase,
                note: Some(why.to_owned()),
                candidates: self.choices(&choices, modality),
            }),
            Meant::Elsewhere(place) => {
                Err(self.not_in_modality(phrase, &spelling, &self.names.entries[place], modality))
            }
            Meant::Nothing => Err(match self.several(&phrase, modality) {
                None if let Some(place) = self.of_both_sides(&spelling, modality) => ResolveError::Unknown {
                    candidates: self.choices(&[place], modality),
                    phrase,
                    note: Some(format!("Its {:?} {BOTH_SIDES}.", self.names.entries[place].name)),
                },
                Some(places) => ResolveError::Unknown {
                    candidates: self.choices(&places, modality),
                    phrase,
                    note: Some("It names several structures: give each as a target of its own.".into()),
                },
                None => ResolveError::Unknown {
                    candidates: self.near(&spelling, modality, None, false),
                    phrase,
                    note: None,
                },
            }),
        }
    }

    /// How the loaded model has what a phrase means, if it does.
    fn had(
        &self,
        phrase: String,
        spelling: &Spelling,
        entry: &Entry,
        modality: Modality,
        score: f64,
    ) -> Result<Resolved, ResolveError> {
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
                candidates: self.near(spelling, modality, Some(entry), true),
                phrase,
                name: entry.name.clone(),
                model: self.model.clone(),
            }),
            Reach::Nothing => Err(self.not_in_modality(phrase, spelling, entry, modality)),
        }
    }

    fn not_in_modality(&self, phrase: String, spelling: &Spelling, entry: &Entry, modality: Modality) -> ResolveError {
        ResolveError::NotInModality {
            candidates: self.near(spelling, modality, Some(entry), false),
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

    fn choices(&self, choices: &[usize], modality: Modality) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = choices
            .iter()
            .map(|place| {
                let entry = &self.names.entries[*place];
                Candidate {
                    name: entry.name.clone(),
                    score: HIGHEST,
                    available: entry.reach(modality).reachable(),
                    by_meaning: false,
                }
            })
            .collect();
        found.sort_by_key(|candidate| !candidate.available);
        found
    }

    /// Names near to a phrase in a modality, those that the model has first: relatives of `meant`, then shared words.
    fn near(
        &self,
        spelling: &Spelling,
        modality: Modality,
        meant: Option<&Entry>,
        only_available: bool,
    ) -> Vec<Candidate> {
        let mut scores = self.suggester.scores(spelling);
        if let Some(meant) = meant {
            for (own, likeness) in scores.iter_mut().zip(self.suggester.scores(&spell(&meant.name))) {
                *own = own.max(likeness);
            }
            for (entry, score) in self.names.entries.iter().zip(&mut scores) {
                // a piece of it, or what it is a piece of; the same side first
                let related = meant.parts(Some(modality)).contains(&entry.name)
                    || entry.has_part(&meant.name)
                    || meant.part_of() == Some(&entry.name);
                let nearness = match (related, entry.laterality == meant.laterality) {
                    (true, true) => HIGHEST - 0.01,
                    (true, false) => HIGHEST - 0.02,
                    (false, _) => 0.0,
                };
                *score = score.max(nearness);
            }
        }
        let mut found: Vec<Candidate> = (self.names.entries.iter().zip(&scores))
            .filter(|(entry, score)| **score >= LOWEST_OFFERED && meant.is_none_or(|meant| meant.name != entry.name))
            .filter(|(entry, _)| entry.reach(modality).known())
            .map(|(entry, score)| Candidate {
                name: entry.name.clone(),
                score: (score * 100.0).round() / 100.0,
                available: entry.reach(modality).reachable(),
                by_meaning: false,
            })
            .filter(|candidate| candidate.available || !only_available)
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

/// The phrase with control characters and white space evened out, or why it is no name.
pub(super) fn tidy(phrase: &str) -> Result<String, ResolveError> {
    let short = || phrase.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
    if phrase.chars().nth(LONGEST).is_some() {
        return Err(ResolveError::NotAName {
            phrase: short() + "…",
            why: "it is longer than 200 characters",
        });
    }
    let plain: String = phrase.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let tidy = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if !tidy.chars().any(char::is_alphanumeric) {
        return Err(ResolveError::NotAName {
            phrase: short(),
            why: "it has no letters",
        });
    }
    Ok(tidy)
}

fn sentence(note: &Option<String>) -> String {
    note.as_ref()
        .map(|note| format!(". {}", note.trim_end_matches('.')))
        .unwrap_or_default()
}

/// CT, MR or PET, as people write it.
pub(super) fn said(modality: Modality) -> &'static str {
    match modality {
        Modality::Ct => "CT",
        Modality::Mri => "MR",
        Modality::Pet => "PET",
    }
}

fn listed(modalities: &[Modality]) -> String {
    modalities
        .iter()
        .map(|modality| said(*modality))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
