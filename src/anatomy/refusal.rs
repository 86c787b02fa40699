//! Why a phrase is no target, what it is near to, and what would work.

use crate::volume::Modality;

/// The highest score of a suggestion: `segment` would not take the phrase for it.
pub(super) const HIGHEST: f64 = 0.79;
/// Below this a list has nothing to do with its query.
pub(super) const LOWEST: f64 = 0.35;
/// Below this an error doesn't offer a name: lower, because any help is welcome there.
pub(super) const LOWEST_OFFERED: f64 = 0.25;

/// Longer phrases are no names.
const LONGEST: usize = 200;

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
    /// It may stand in the phrase's place without changing what is asked for.
    #[serde(skip)]
    pub instead: bool,
}

impl Candidate {
    /// The highest score of a suggestion: from 0.8 on `segment` would take the phrase for it.
    pub const HIGHEST: f64 = HIGHEST;
}

/// What is known of a phrase that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// A sentence of the catalogue's.
    #[error("{0}")]
    Why(String),
    /// The candidates are what it lists.
    #[error("It names several structures: give each as a target of its own.")]
    Several,
    /// A side of this class, which SAT has as one for all of it.
    #[error("Its {0:?} is one class without sides.")]
    WithoutSides(String),
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
        /// What is known of it all the same.
        note: Option<Note>,
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
    #[error("{}", not_here(name, modalities, *modality))]
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

    /// Whether the phrase names several structures, which are the candidates.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            ResolveError::Unknown {
                note: Some(Note::Several),
                ..
            }
        )
    }

    /// The class that the phrase would be without its side, where it is only the side that SAT has no class for.
    pub fn without_side(&self) -> Option<&str> {
        match self {
            ResolveError::Unknown {
                note: Some(Note::WithoutSides(class)),
                ..
            } => Some(class),
            _ => None,
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
            (ResolveError::NotInModality { .. } | ResolveError::NotInModel { .. }, false) => {
                format!("Related to it or beside it, and available: {}.", quoted(&had))
            }
            (_, false) => format!("Near and available: {}.", quoted(&had)),
            (_, true) => "The loaded model has nothing near for this kind of scan; list_anatomy without a query begins with what it has.".into(),
        }
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

fn sentence(note: &Option<Note>) -> String {
    note.as_ref()
        .map(|note| format!(". {}", note.to_string().trim_end_matches('.')))
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

/// Why a class is none in a modality.
pub(super) fn not_here(name: &str, modalities: &[Modality], asked: Modality) -> String {
    format!(
        "{name:?} was taught in {} only, not in {}",
        listed(modalities),
        said(asked)
    )
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
