//! Which cue speaks of which mention.
//!
//! A cue reaches a few words, further along a list, never beyond its sentence or a word that ends it. It speaks of findings;
//! of a structure only where it stands right beside it: "no lesion in the liver" leaves the liver where it is.

use super::cues::{Cue, Says};
use super::scan::Found;
use super::tokens::{Gap, Token};

/// Words that a cue reaches.
const REACH: usize = 8;
/// Words between it and an operation that did not take place.
const PAST: [&str; 7] = ["a", "any", "evidence", "history", "of", "previous", "prior"];
/// Words that it reaches along a list.
const LIST_REACH: usize = 60;

/// What is said of a mention, by which cue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub negated: Option<Cue>,
    pub history: Option<Cue>,
    pub uncertain: Option<Cue>,
    /// It is there, but named only for something that is not: the spleen of "no splenic lesion".
    pub beside: Option<Cue>,
}

/// A mention as far as scopes need it.
pub(super) struct Spot<'f> {
    pub found: &'f Found,
    pub is_finding: bool,
}

/// What the cues say of each mention. Both in the order of the report.
pub(super) fn said(tokens: &[Token], spots: &[Spot], cues: &[Cue]) -> Vec<Said> {
    let mut said = vec![Said::default(); spots.len()];
    let scope = Scope { tokens, spots, cues };
    for (i, cue) in cues.iter().enumerate() {
        match cue.says {
            Says::NoneOf | Says::HistoryOf | Says::Earlier | Says::Perhaps => scope.ahead(i, *cue, &mut said),
            Says::IsNot | Says::IsPerhaps => scope.behind(i, *cue, &mut said),
            Says::Nothing | Says::Still | Says::End => {}
        }
    }
    // the present is told after the past, whatever the order of the cues
    for cue in cues.iter().filter(|cue| cue.says == Says::Still) {
        scope.still(*cue, &mut said);
    }
    for (spot, said) in spots.iter().zip(&mut said) {
        let first = &tokens[spot.found.from];
        if first.asked && spot.is_finding && said.uncertain.is_none() {
            said.uncertain = Some(Cue {
                from: spot.found.from,
                to: spot.found.from,
                says: Says::Perhaps,
            });
        }
    }
    said
}

struct Scope<'s, 'r> {
    tokens: &'s [Token<'r>],
    spots: &'s [Spot<'s>],
    cues: &'s [Cue],
}

impl Scope<'_, '_> {
    /// Marks what follows a cue.
    fn ahead(&self, place: usize, cue: Cue, said: &mut [Said]) {
        let sentence = self.tokens[cue.from].sentence;
        let farthest = cue.to + LIST_REACH;
        let end = self.cues[place + 1..]
            .iter()
            .take_while(|next| next.from < farthest)
            .find(|next| {
                next.from >= cue.to && (next.says == Says::End || next.says == Says::IsNot && cue.says != Says::NoneOf)
            })
            .map_or(farthest, |next| next.from);
        let mut reached = cue.to;
        let first = self.spots.partition_point(|spot| spot.found.from < cue.to);
        for (spot, said) in self.spots[first..].iter().zip(&mut said[first..]) {
            let Found { from, to, .. } = *spot.found;
            let near = from < cue.to + REACH || self.goes_on(reached, from);
            if from >= end || self.tokens[from].sentence != sentence || !near {
                break;
            }
            reached = reached.max(to);
            match (cue.says, spot.is_finding) {
                // "no prior nephrectomy", but not "no stone after nephrectomy"
                (Says::NoneOf, _) if spot.found.removed.is_some() => {
                    let straight = self.tokens[cue.to.min(from)..from]
                        .iter()
                        .all(|token| PAST.contains(&token.lower.as_str()));
                    said.negated = said.negated.or(Some(cue).filter(|_| straight));
                }
                (Says::NoneOf, true) => said.negated = said.negated.or(Some(cue)),
                (Says::NoneOf, false) if spot.found.adjective => said.beside = said.beside.or(Some(cue)),
                (Says::NoneOf, false) if self.touches(cue.to, from) && self.is_whole(to) => {
                    said.negated = said.negated.or(Some(cue));
                }
                (Says::HistoryOf, _) | (Says::Earlier, true) => said.history = said.history.or(Some(cue)),
                (Says::Perhaps, true) => said.uncertain = said.uncertain.or(Some(cue)),
                _ => {}
            }
        }
    }

    /// Takes the past from what is said to be there now: what stands right before, and the list or place that it ends.
    fn still(&self, cue: Cue, said: &mut [Said]) {
        const ON: [&str; 8] = ["and", "at", "in", "of", "on", "or", "the", "within"];
        const PARTING: [&str; 4] = ["and", "but", "with", "without"];
        let parted = |token: &Token| token.gap == Gap::Comma || PARTING.contains(&token.lower.as_str());
        let on = |token: &Token| token.gap != Gap::Comma && ON.contains(&token.lower.as_str());
        let sentence = self.tokens[cue.from].sentence;
        let before = self.spots.partition_point(|spot| spot.found.from < cue.from);
        let mut reached = cue.from;
        for (spot, said) in self.spots[..before].iter().zip(&mut said[..before]).rev() {
            let Found { from, to, .. } = *spot.found;
            if self.tokens[from].sentence != sentence || from + LIST_REACH < cue.from {
                break;
            }
            if to <= reached {
                let between = &self.tokens[to..reached];
                let near = match reached == cue.from {
                    true => {
                        between.len() <= REACH && !between.iter().any(parted) && self.tokens[reached].gap != Gap::Comma
                    }
                    false => between.len() <= 4 && between.iter().all(on) && self.tokens[reached].gap != Gap::Comma,
                };
                if !near {
                    break;
                }
            }
            said.history = None;
            reached = reached.min(from);
        }
    }

    /// Whether the words between two mentions only carry a list on.
    fn goes_on(&self, reached: usize, from: usize) -> bool {
        let between = &self.tokens[reached.min(from)..from];
        let joined = between
            .iter()
            .any(|token| matches!(token.lower.as_str(), "and" | "or" | "nor"));
        let comma = self.tokens[reached.min(from)..=from]
            .iter()
            .any(|token| token.gap == Gap::Comma);
        between.len() <= 4 && (joined || comma)
    }

    /// "no spleen", "absent left kidney": nothing but small words between a cue and a structure.
    fn touches(&self, cue: usize, from: usize) -> bool {
        const SMALL: [&str; 9] = [
            "a",
            "an",
            "any",
            "the",
            "visible",
            "identifiable",
            "discernible",
            "residual",
            "remaining",
        ];
        self.tokens[cue.min(from)..from]
            .iter()
            .all(|token| SMALL.contains(&token.lower.as_str()) && token.gap == Gap::Space)
            && self.tokens[from].gap == Gap::Space
    }

    /// The structure is not the beginning of something else: not "no kidney stone", not "no liver or spleen lesion".
    fn is_whole(&self, to: usize) -> bool {
        const AFTER: [&str; 14] = [
            "is",
            "are",
            "was",
            "were",
            "seen",
            "identified",
            "visualized",
            "visualised",
            "visible",
            "present",
            "on",
            "in",
            "detected",
            "due",
        ];
        let Some(next) = self.tokens.get(to) else { return true };
        match next.gap {
            Gap::Sentence | Gap::Colon | Gap::Bracket => true,
            Gap::Comma => !matches!(next.lower.as_str(), "and" | "or"),
            Gap::Space => AFTER.contains(&next.lower.as_str()),
            _ => false,
        }
    }

    /// Marks what stands before a cue: the list that it ends.
    fn behind(&self, place: usize, cue: Cue, said: &mut [Said]) {
        const SMALL: [&str; 22] = [
            "is",
            "are",
            "was",
            "were",
            "has",
            "have",
            "been",
            "being",
            "be",
            "surgically",
            "congenitally",
            "again",
            "now",
            "completely",
            "and",
            "or",
            "the",
            "both",
            "clearly",
            "also",
            "status",
            "since",
        ];
        let sentence = self.tokens[cue.from].sentence;
        let end = self.cues[..place]
            .iter()
            .rev()
            .take_while(|before| before.from + LIST_REACH > cue.from)
            .find(|before| before.to <= cue.from && !matches!(before.says, Says::Nothing | Says::Earlier | Says::Still))
            .map_or(0, |before| before.to);
        let mut reached = cue.from;
        let mut findings_only = false;
        let before = self.spots.partition_point(|spot| spot.found.from < cue.from);
        for (spot, said) in self.spots[..before].iter().zip(&mut said[..before]).rev() {
            let Found { from, to, .. } = *spot.found;
            if from < end || self.tokens[from].sentence != sentence || from + REACH + 4 < cue.from {
                break;
            }
            if to <= reached {
                let between = &self.tokens[to..reached];
                let small = between.iter().all(|token| SMALL.contains(&token.lower.as_str()));
                findings_only |= !small;
                if between.len() > REACH {
                    break;
                }
            }
            reached = reached.min(from);
            match (cue.says, spot.is_finding) {
                (Says::IsNot, true) => said.negated = said.negated.or(Some(cue)),
                (Says::IsNot, false) if spot.found.adjective => said.beside = said.beside.or(Some(cue)),
                (Says::IsNot, false) if !findings_only && to <= cue.from => said.negated = said.negated.or(Some(cue)),
                (Says::IsPerhaps, true) => said.uncertain = said.uncertain.or(Some(cue)),
                _ => {}
            }
        }
    }
}
