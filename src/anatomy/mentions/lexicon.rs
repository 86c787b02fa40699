//! What a run of words is to `segment`: the same matcher, asked only where the words can be a name.
//!
//! A report is mostly ordinary words. A word that occurs in no name is told at once; one that is a letter off counts only
//! where it is long and no word of its own ("hippocampas", but not "optical").

use super::super::matcher::{Meant, Names};
use super::super::words::{has_digit, is_side, spell};
use super::super::{Catalogue, Kind, Laterality};
use super::tables;
use super::tokens::Token;
use crate::volume::Modality;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Words of reports that lie a letter away from words of names.
static ORDINARY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("ordinary_words.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
});

/// Shortest word that may be a misspelling in running text.
const SHORTEST_SLIP: usize = 7;
/// Least score of a name that is one letter off.
const ONE_SLIP: f64 = 0.85;

/// What a word alone can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Occurs in no name.
    Strange,
    /// Article, "of", "in", "both": part of a name only between or before its words.
    Glue,
    /// `left` or `right`, in any spelling.
    Side,
    /// Occurs in a name, or is a number.
    Known,
    /// One letter off a word that does.
    Slip,
}

/// What a run of words names.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// A name, in this modality or only in another.
    Name {
        /// Place among the entries.
        entry: usize,
        /// It means something in this modality.
        here: bool,
    },
    /// It asks back.
    Ask {
        /// The choices' places.
        choices: Vec<usize>,
        /// By its own words it is something found: a stone, though all that SAT has near is organs.
        found: bool,
    },
}

/// The names, as one report asks for them.
pub(super) struct Lexicon<'n> {
    names: &'n Names,
    modality: Modality,
    words: HashMap<String, Word>,
    read: HashMap<String, Option<Reading>>,
}

impl<'n> Lexicon<'n> {
    pub fn new(names: &'n Names, modality: Modality) -> Lexicon<'n> {
        Lexicon {
            names,
            modality,
            words: HashMap::new(),
            read: HashMap::new(),
        }
    }

    /// What a word alone can be.
    pub fn word(&mut self, token: &Token) -> Word {
        if let Some(known) = self.words.get(&token.lower) {
            return *known;
        }
        let word = self.look_at(&token.lower);
        self.words.insert(token.lower.clone(), word);
        word
    }

    fn look_at(&self, lower: &str) -> Word {
        let spelling = spell(lower);
        match spelling.words.as_slice() {
            [] => Word::Glue,
            words if words.iter().all(|word| is_side(word)) => Word::Side,
            words if words.iter().all(|word| self.names.knows(word) || has_digit(word)) => Word::Known,
            [word] if self.is_slip(lower, word) => Word::Slip,
            _ => Word::Strange,
        }
    }

    fn is_slip(&self, lower: &str, spelled: &str) -> bool {
        let long = lower.chars().count() >= SHORTEST_SLIP && lower.chars().all(char::is_alphabetic);
        long && !ORDINARY.contains(lower) && !ORDINARY.contains(spelled) && self.names.is_one_slip_off(spelled)
    }

    /// Whether two words that no name has are one that some name has: "gall bladder".
    pub fn joins(&self, first: &str, second: &str) -> bool {
        let together = spell(&format!("{first}{second}"));
        matches!(together.words.as_slice(), [word] if !has_digit(word) && self.names.knows(word))
    }

    /// What a phrase names.
    pub fn read(&mut self, phrase: &str) -> Option<Reading> {
        let key = phrase.to_lowercase();
        if let Some(known) = self.read.get(&key) {
            return known.clone();
        }
        let found = self.find(phrase);
        self.read.insert(key, found.clone());
        found
    }

    fn find(&self, phrase: &str) -> Option<Reading> {
        let spelling = spell(phrase);
        let as_written = spelling
            .words
            .iter()
            .all(|word| self.names.knows(word) || has_digit(word) || is_side(word));
        match self.names.settle(&self.names.hits(phrase, &spelling), self.modality) {
            Meant::One(entry, score) if as_written || score >= ONE_SLIP => Some(Reading::Name { entry, here: true }),
            Meant::Ask(choices, _) if as_written => Some(Reading::Ask {
                choices,
                found: spelling
                    .words
                    .iter()
                    .any(|word| tables::FINDINGS.contains(&word.as_str())),
            }),
            Meant::Elsewhere(entry) if as_written => Some(Reading::Name { entry, here: false }),
            _ => None,
        }
    }

    /// The place of the name that a phrase is, wherever it exists.
    pub fn name(&mut self, phrase: &str) -> Option<usize> {
        match self.read(phrase) {
            Some(Reading::Name { entry, .. }) => Some(entry),
            _ => None,
        }
    }

    /// Structure or abnormality; a question is about an abnormality where all its choices are.
    pub fn kind(&self, reading: &Reading) -> Kind {
        let abnormal = match reading {
            Reading::Name { entry, .. } => self.kind_of(*entry) == Kind::Abnormality,
            Reading::Ask { choices, found } => {
                let abnormal = |choice: &usize| self.kind_of(*choice) == Kind::Abnormality;
                *found || !choices.is_empty() && choices.iter().all(abnormal)
            }
        };
        if abnormal { Kind::Abnormality } else { Kind::Structure }
    }

    /// Whether it is something found rather than an organ; a question is where all its choices are.
    pub fn is_finding(&self, reading: &Reading) -> bool {
        let found = |entry: &usize| Catalogue::load().is_finding(&self.names.entries[*entry].name);
        match reading {
            _ if self.kind(reading) == Kind::Abnormality => true,
            Reading::Name { entry, .. } => found(entry),
            Reading::Ask { choices, .. } => !choices.is_empty() && choices.iter().all(found),
        }
    }

    fn kind_of(&self, entry: usize) -> Kind {
        self.names.entries[entry].kind()
    }

    /// The region that a name is listed under; a question's where all its choices share one.
    pub fn region(&self, reading: &Reading) -> Option<&'n str> {
        let region = |entry: usize| self.names.entries[entry].region(Some(self.modality));
        match reading {
            Reading::Name { entry, .. } => Some(region(*entry)),
            Reading::Ask { choices, .. } => {
                let first = region(*choices.first()?);
                choices.iter().all(|choice| region(*choice) == first).then_some(first)
            }
        }
    }

    /// The side of a name.
    pub fn side(&self, entry: usize) -> Option<Laterality> {
        self.names.entries[entry].laterality
    }
}
