//! Names of the catalogue in a radiology report: what it speaks of, and what of that is worth segmenting.
//!
//! [`Resolver::mentions`] reads a report in English with the matcher that `segment` asks, so that every target it gives is taken
//! by `segment` as it stands. Longest names first; sides, lists and ranges are told apart; a mention that is negated, past or
//! uncertain says by which words, after NegEx (Chapman et al. 2001, doi:10.1006/jbin.2001.1029). No model is needed and the same
//! report always gives the same answer.
//!
//! The way of a report: [`tokens`] → [`sections`] and [`cues`]; [`scan`] (with [`levels`], [`lists`], [`adjectives`], [`removed`], [`share`]) finds names through
//! the [`lexicon`]; [`scope`] joins them with the cues; [`targets`] picks.

mod adjectives;
#[rustfmt::skip] // tables are packed
mod cue_tables;
mod cues;
mod levels;
mod lexicon;
mod lists;
mod removed;
mod report;
mod scan;
mod scope;
mod sections;
mod share;
#[rustfmt::skip] // tables are packed
mod tables;
mod targets;
mod text;
mod titles;
mod tokens;

pub use report::{ReportError, report_text};
pub use sections::Section;

use super::resolve::{Resolved, Resolver};
use super::{Kind, ResolveError};
use crate::volume::Modality;
use cues::Cue;
use lexicon::Lexicon;
use scan::{Found, Left, Removed, Scan};
use schemars::JsonSchema;
use scope::{Said, Spot};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Not;
use tokens::Token;

/// What a report mentions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mentions {
    /// Kind of scan that it reports on.
    pub modality: Modality,
    /// The loaded model that `available` speaks of; absent where the whole catalogue was gone by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Every known name, in the order of the report. A list on the same words gives one for each of its items.
    pub mentions: Vec<Mention>,
    /// Phrases worth handing to `segment`, each class once, in the order of first mention.
    pub targets: Vec<String>,
    /// What was mentioned and is no target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A name in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Mention {
    /// As written.
    pub text: String,
    /// Where it begins, in Unicode characters of the report.
    pub start: usize,
    /// Where it ends, exclusive.
    pub end: usize,
    /// Line of its first character, from 1.
    pub line: usize,
    /// Character within that line, from 1.
    pub column: usize,
    /// The phrase to hand to `segment`.
    pub target: String,
    /// The class it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model's classes that are joined for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composed_of: Option<Vec<String>>,
    /// Structure or abnormality.
    pub kind: Kind,
    /// Region of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Said not to be there.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub negated: bool,
    /// Said of the past, or taken out.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub history: bool,
    /// Said to be possible.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub uncertain: bool,
    /// The words that say so; absent where the section does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cue: Option<CueText>,
    /// The part of the report, where it does not say what this scan shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<Section>,
    /// Whether the loaded model can segment it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    /// Why `segment` would not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Words that negate a mention, put it into the past or in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct CueText {
    /// As written.
    pub text: String,
    /// Where they begin, in Unicode characters of the report.
    pub start: usize,
    /// Where they end, exclusive.
    pub end: usize,
}

/// Why `segment` would not take a mention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Problem {
    /// `ambiguous_target`, `unknown_target` (the catalogue knows why it has no such class), `not_in_modality` or `not_in_model`.
    pub code: String,
    /// In words.
    pub message: String,
    /// Names that would be taken, or nearly so.
    pub candidates: Vec<String>,
    /// The class that it would be without the side, where it is only the side that SAT has no class for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_side: Option<String>,
}

/// A phrase that is no target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LeftOut {
    /// As in the mention.
    pub target: String,
    /// Why, in a few words.
    pub reason: String,
}

impl Resolver {
    /// The names that a report on a scan of this modality mentions, and which of them to hand to `segment`.
    ///
    /// ```
    /// use sat_mcp::anatomy::{Catalogue, Offered, Resolver};
    /// use sat_mcp::volume::Modality;
    /// let resolver = Resolver::new(Catalogue::load(), &Offered::everything("sat-nano", Catalogue::load()));
    /// let found = resolver.mentions("Cyst in the R kidney. No pleural effusion.", Modality::Ct);
    /// assert_eq!(found.targets, ["Cyst in the R kidney", "R kidney"]);
    /// ```
    pub fn mentions(&self, report: &str, modality: Modality) -> Mentions {
        let tokens = tokens::tokens(report);
        let sections = sections::sections(&tokens);
        let (mut found, mut lexicon) = Scan::new(report, &tokens, self, modality).run();
        found.sort_by_key(|found| (found.from, std::cmp::Reverse(found.to)));
        let spots: Vec<Spot> = found
            .iter()
            .map(|found| Spot {
                is_finding: lexicon
                    .read(&found.phrase)
                    .is_some_and(|reading| lexicon.is_finding(&reading)),
                found,
            })
            .collect();
        let cues = cues::cues(&tokens);
        let said = scope::said(&tokens, &spots, &cues);
        // an operation that did not take place says nothing of the organ
        let (found, said): (Vec<Found>, Vec<Said>) = (found.iter().cloned().zip(said))
            .filter(|(found, said)| found.removed.is_none() || said.negated.is_none())
            .unzip();
        let reader = Reader {
            resolver: self,
            report,
            tokens: &tokens,
            modality,
        };
        let mut mentions: Vec<Mention> = found
            .iter()
            .zip(&said)
            .map(|(found, said)| reader.mention(found, said, sections[found.from], &mut lexicon))
            .collect();
        reader.without_removed(&found, &mut mentions);
        let beside: Vec<Option<CueText>> = said.iter().map(|said| Some(reader.cue(said.beside?))).collect();
        let (targets, left_out) = targets::pick(&mentions, &beside);
        Mentions {
            modality,
            model: Some(self.model.clone()),
            mentions,
            targets,
            left_out,
        }
    }
}

impl Mentions {
    /// The same where no model is loaded: the catalogue was gone by, and nothing is said of what is available.
    pub fn without_model(mut self) -> Mentions {
        self.model = None;
        self.mentions.iter_mut().for_each(|mention| mention.available = None);
        self
    }
}

/// A report while its mentions are written down.
struct Reader<'a> {
    resolver: &'a Resolver,
    report: &'a str,
    tokens: &'a [Token<'a>],
    modality: Modality,
}

impl Reader<'_> {
    fn mention(&self, found: &Found, said: &Said, section: Option<Section>, lexicon: &mut Lexicon) -> Mention {
        let (name, composed_of, problem) = match self.resolver.resolve(&found.phrase, self.modality, false) {
            Ok(Resolved::Class { name, .. }) => (Some(name), None, None),
            Ok(Resolved::Union { name, parts, .. }) => (Some(name), Some(parts), None),
            Ok(Resolved::Untrained { .. }) => (None, None, None),
            Err(error) => {
                let name = match &error {
                    ResolveError::NotInModality { name, .. } | ResolveError::NotInModel { name, .. } => {
                        Some(name.clone())
                    }
                    _ => None,
                };
                (name, None, Some(problem(&error)))
            }
        };
        // a range is no name of its own: its first piece says where it lies; nor is a side that SAT has no class for
        let piece = composed_of.as_ref().and_then(|parts| parts.first());
        let piece = piece.or_else(|| problem.as_ref()?.without_side.as_ref());
        let reading = lexicon.read(&found.phrase).or_else(|| lexicon.read(piece?));
        let removed = found.removed;
        let first = &self.tokens[found.from];
        // of a transplant the past is only that it was done
        let past = match removed {
            Some(removed) => removed.left != Left::Piece,
            None => said.history.is_some() && !Scan::is_transplant(self.tokens, found),
        };
        let cue = match removed {
            Some(removed) if removed.left == Left::Piece => None,
            Some(removed) => Some(self.word(removed.word)),
            None => said
                .negated
                .or(said.history.filter(|_| past))
                .or(said.uncertain)
                .map(|cue| self.cue(cue)),
        };
        let (text, end) = self.written(found.from, found.to);
        Mention {
            start: first.start,
            end,
            text,
            line: first.line,
            column: first.column,
            target: found.phrase.clone(),
            available: Some(problem.is_none()),
            name,
            composed_of,
            kind: reading
                .as_ref()
                .map_or(Kind::Structure, |reading| lexicon.kind(reading)),
            region: reading.and_then(|reading| lexicon.region(&reading)).map(str::to_owned),
            negated: said.negated.is_some() || removed.is_some_and(|removed| removed.left == Left::Nothing),
            history: section == Some(Section::History) || past,
            uncertain: said.uncertain.is_some() && removed.is_none(),
            cue,
            section,
            problem,
        }
    }

    /// The words from `from` to before `to`, with the bracket that they open, and where they end.
    fn written(&self, from: usize, to: usize) -> (String, usize) {
        let text = tokens::written(self.report, self.tokens, from, to);
        (text.to_owned(), self.tokens[from].start + text.chars().count())
    }

    fn word(&self, place: usize) -> CueText {
        let token = &self.tokens[place];
        CueText {
            text: token.text.to_owned(),
            start: token.start,
            end: token.end,
        }
    }

    fn cue(&self, cue: Cue) -> CueText {
        // a question mark right before a mention is no word of its own
        if cue.from == cue.to {
            let at = self.tokens[cue.from].start;
            return CueText {
                text: "?".into(),
                start: at.saturating_sub(1),
                end: at,
            };
        }
        let (text, end) = self.written(cue.from, cue.to);
        CueText {
            text,
            start: self.tokens[cue.from].start,
            end,
        }
    }

    /// "Gallbladder: status post cholecystectomy": what a sentence says was taken out is not there in that sentence.
    fn without_removed(&self, found: &[Found], mentions: &mut [Mention]) {
        let sentence = |found: &Found| self.tokens[found.from].sentence;
        let mut gone: HashMap<(usize, String), Option<CueText>> = HashMap::new();
        for (found, mention) in found.iter().zip(mentions.iter()) {
            if let (
                Some(Removed {
                    left: Left::Nothing, ..
                }),
                Some(name),
            ) = (found.removed, &mention.name)
            {
                gone.insert((sentence(found), name.clone()), mention.cue.clone());
            }
        }
        if gone.is_empty() {
            return;
        }
        for (found, mention) in found.iter().zip(mentions).filter(|(_, mention)| !mention.negated) {
            let removal = mention.name.clone().and_then(|name| gone.get(&(sentence(found), name)));
            if let Some(cue) = removal {
                mention.negated = true;
                mention.cue = cue.clone();
            }
        }
    }
}

fn problem(error: &ResolveError) -> Problem {
    Problem {
        code: error.code().to_owned(),
        message: error.to_string(),
        candidates: error
            .candidates()
            .iter()
            .map(|candidate| candidate.name.clone())
            .collect(),
        without_side: error.without_side().map(str::to_owned),
    }
}
