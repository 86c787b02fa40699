//! Operations that say by their name what was taken out: a splenectomy's spleen is not there to be segmented.

use super::scan::{Found, Left, Removed, Scan};
use super::tables;
use super::tokens::{Gap, Token};

/// An operation.
struct Operation {
    word: &'static str,
    structure: &'static str,
    /// By its name a piece stays.
    partial: bool,
}

const fn all(word: &'static str, structure: &'static str) -> Operation {
    Operation {
        word,
        structure,
        partial: false,
    }
}

const fn some(word: &'static str, structure: &'static str) -> Operation {
    Operation {
        word,
        structure,
        partial: true,
    }
}

const OPERATIONS: &[Operation] = &[
    all("adrenalectomy", "adrenal gland"),
    all("cholecystectomy", "gallbladder"),
    all("colectomy", "colon"),
    all("cystectomy", "urinary bladder"),
    all("cystoprostatectomy", "urinary bladder"),
    all("enucleation", "eyeball"),
    all("esophagectomy", "esophagus"),
    all("gastrectomy", "stomach"),
    some("hemicolectomy", "colon"),
    some("hemithyroidectomy", "thyroid gland"),
    some("hepatectomy", "liver"),
    all("hysterectomy", "uterus"),
    all("laryngectomy", "larynx"),
    all("lobectomy", "lobe"),
    some("mandibulectomy", "mandible"),
    all("mastectomy", "breast"),
    all("nephrectomy", "kidney"),
    all("oesophagectomy", "esophagus"),
    all("pancreatectomy", "pancreas"),
    some("pancreaticoduodenectomy", "pancreas"),
    all("parotidectomy", "parotid gland"),
    all("pneumonectomy", "lung"),
    all("prostatectomy", "prostate"),
    all("splenectomy", "spleen"),
    all("thymectomy", "thymus"),
    all("thyroidectomy", "thyroid gland"),
];
/// What a lobectomy takes out, by the word before it.
const LOBES: &[(&str, &str)] = &[
    ("frontal", "frontal lobe"),
    ("hepatic", "lobe of liver"),
    ("occipital", "occipital lobe"),
    ("parietal", "parietal lobe"),
    ("temporal", "temporal lobe"),
    ("thyroid", "thyroid"),
];
/// Words that something was taken out by, with "of" behind them.
pub(super) const RESECTIONS: &[&str] = &["excision", "extirpation", "removal", "resection"];
/// Words before those that say of an operation that it did not take place yet.
const PLANNED: &[&str] = &[
    "awaiting",
    "before",
    "candidate",
    "consider",
    "considered",
    "for",
    "if",
    "planned",
    "planning",
    "possible",
    "potential",
    "recommend",
    "recommended",
    "scheduled",
];
/// Words between "of" and what was taken out.
const SMALL: &[&str] = &["a", "an", "entire", "her", "his", "of", "the", "their", "this", "whole"];
/// Words there that leave a piece.
const PIECE: &[&str] = &["most", "part", "parts", "portion", "portions"];
/// What takes the place of an organ, or is one.
const TRANSPLANTS: &[&str] = &[
    "allograft",
    "allografts",
    "transplant",
    "transplantation",
    "transplanted",
    "transplants",
];
/// A joint's replacement leaves no bone to find where the head was.
const REPLACED: &[&str] = &["replacement", "arthroplasty", "prosthesis"];
/// Words before an operation that leave a piece.
const PARTIAL: &[&str] = &[
    "partial",
    "subtotal",
    "distal",
    "proximal",
    "sleeve",
    "segmental",
    "sigmoid",
    "wedge",
    "hemi",
    "incomplete",
    "limited",
    "near",
    "transurethral",
    "transverse",
];
/// Words before an operation that say how it was done, and lobes.
const MANNER: &[&str] = &[
    "assisted",
    "completion",
    "extended",
    "laparoscopic",
    "lower",
    "middle",
    "modified",
    "open",
    "radical",
    "robotic",
    "simple",
    "total",
    "upper",
];
/// Words between two things that were taken out together.
const MOST_BETWEEN: usize = 4;
/// How far before the word its side may stand.
const BEFORE: usize = 4;

impl Scan<'_, '_, '_> {
    /// An operation at `i`, which may be its side or manner: "left partial nephrectomy", "right hip replacement".
    pub(super) fn removal(&mut self, i: usize) -> Option<usize> {
        let fits = |scan: &Self, k: usize| k == i || matches!(scan.gap(k), Gap::Space | Gap::Hyphen);
        let mut word = i;
        while word < i + BEFORE && fits(self, word) && self.describes(word) {
            word += 1;
        }
        if !fits(self, word) {
            return None;
        }
        let described = i..word;
        let is = |table: &[&str], k: usize| table.contains(&self.lower(k));
        let partial = described.clone().any(|k| is(PARTIAL, k));
        let both = described.clone().any(|k| is(tables::BOTH, k));
        let (structure, part, mut to) = match OPERATIONS.iter().find(|operation| operation.word == self.lower(word)) {
            Some(operation) => (operation.structure, operation.partial, word + 1),
            None if self.lower(word) == "hip" && is(REPLACED, word + 1) && fits(self, word + 1) => {
                ("hip", true, word + 2)
            }
            None => return None,
        };
        let mut side = described.clone().find_map(|k| tables::side(self.lower(k)));
        if side.is_none()
            && let Some((after, behind)) = self.side_at(to)
        {
            side = Some(after);
            to = behind;
        }
        let lobe = described
            .clone()
            .map(|k| self.lower(k))
            .find(|word| matches!(*word, "upper" | "middle" | "lower"))
            .filter(|_| structure == "lobe");
        let other = |k: usize| {
            LOBES
                .iter()
                .find(|(word, _)| *word == self.lower(k))
                .map(|(_, lobe)| *lobe)
        };
        let structure = match described.clone().find_map(other).filter(|_| structure == "lobe") {
            Some(other) => other,
            None if structure == "lobe" && lobe.is_none() => return Some(to),
            None => structure,
        };
        let words: Vec<&str> = side.into_iter().chain(lobe).chain([structure]).collect();
        let sided = words.join(" ");
        // "left splenectomy": a side that the structure does not have
        let phrase = if self.lexicon.name(&sided).is_some() {
            sided
        } else {
            structure.to_owned()
        };
        // of a pair, one that is not said stays
        let all = side.is_some() || both || self.lexicon.name(&format!("left {structure}")).is_none();
        self.found.push(Found {
            from: i,
            to,
            phrase,
            removed: Some(Removed {
                word,
                left: match partial || part {
                    _ if structure == "hip" || !all => Left::Unsure,
                    true => Left::Piece,
                    false => Left::Nothing,
                },
            }),
            adjective: false,
        });
        Some(to)
    }

    /// "resection of the left upper lobe and of the spleen": what was taken out, as the words before it say.
    pub(super) fn resections(&mut self) {
        let mut last: Option<(Found, usize)> = None;
        for i in 0..self.found.len() {
            let found = self.found[i].clone();
            let goes_on = |(before, from): &(Found, usize)| {
                let joins = |k: usize| {
                    let word = self.lower(k);
                    matches!(word, "and" | "or") || SMALL.contains(&word)
                };
                let between = before.to.min(found.from)..found.from;
                let tied = between.len() <= MOST_BETWEEN
                    && between.clone().all(joins)
                    && self.gap(found.from) != Gap::Sentence;
                (tied && (before.to == found.to || self.carries_on(before.to, found.from)))
                    .then_some((*from, self.found[i - 1].removed?))
            };
            // of a lobe's tumour it is the tumour
            let behind = self.gap(found.to) == Gap::Space
                && (self.found.get(i + 1).is_some_and(|next| next.from == found.to)
                    || tables::FINDINGS.contains(&self.lower(found.to)));
            let said = match found.removed {
                Some(_) => None,
                None if behind => None,
                None => self.resected(found.from).or_else(|| last.as_ref().and_then(goes_on)),
            };
            last = said.map(|(from, _)| (found, from));
            if let Some((from, removed)) = said {
                self.found[i].from = from;
                self.found[i].removed = Some(removed);
            }
        }
    }

    /// Whether a sign or a word for it joins what ends before `to` and what stands at `from`.
    fn carries_on(&self, to: usize, from: usize) -> bool {
        matches!(self.gap(to), Gap::Comma | Gap::Slash | Gap::And)
            || from > to && matches!(self.lower(to), "and" | "or") && self.gap(to) == Gap::Space
    }

    /// Where the words begin that say that what stands at `from` was taken out.
    fn resected(&self, from: usize) -> Option<(usize, Removed)> {
        let is = |table: &[&str], k: usize| table.contains(&self.lower(k));
        let joined = |k: usize| k > 0 && matches!(self.gap(k), Gap::Space | Gap::Hyphen | Gap::Point);
        let piece = |k: usize| is(PARTIAL, k) || is(PIECE, k);
        let size = |k: usize| self.measures[k] || is(tables::UNITS, k) || self.lower(k) == "x";
        let (mut first, mut partial) = (from, false);
        while joined(first) && (is(SMALL, first - 1) || piece(first - 1) || size(first - 1)) {
            partial |= piece(first - 1);
            first -= 1;
        }
        let word = first.checked_sub(1).filter(|word| is(RESECTIONS, *word))?;
        if self.lower(first) != "of" || self.gap(first) != Gap::Space {
            return None;
        }
        first = word;
        while joined(first) && (piece(first - 1) || is(MANNER, first - 1)) {
            partial |= piece(first - 1);
            first -= 1;
        }
        let planned = (first.saturating_sub(3)..first)
            .any(|k| self.tokens[k].sentence == self.tokens[word].sentence && is(PLANNED, k));
        let left = if partial { Left::Piece } else { Left::Nothing };
        (!planned).then_some((first, Removed { word, left }))
    }

    /// "liver transplant": an organ that is there, whatever "status post" says of it.
    pub(super) fn is_transplant(tokens: &[Token], found: &Found) -> bool {
        let is = |k: usize| {
            tokens
                .get(k)
                .is_some_and(|token| TRANSPLANTS.contains(&token.lower.as_str()))
        };
        let near = |k: usize| tokens.get(k).is_some_and(|token| token.gap == Gap::Space);
        (found.from..found.to).any(is)
            || near(found.to) && is(found.to)
            || found.from > 0 && near(found.from) && is(found.from - 1)
    }

    fn describes(&self, i: usize) -> bool {
        let word = self.lower(i);
        tables::side(word).is_some()
            || tables::BOTH.contains(&word)
            || PARTIAL.contains(&word)
            || MANNER.contains(&word)
            || LOBES.iter().any(|(lobe, _)| *lobe == word)
    }
}
