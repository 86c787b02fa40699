//! Operations that say by their name what was taken out: a splenectomy's spleen is not there to be segmented.

use super::scan::{Found, Scan};
use super::tables;
use super::tokens::Gap;

/// What an operation's name says of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// The word that says so.
    pub word: usize,
    /// The whole of it is gone, not a piece.
    pub whole: bool,
}

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
    "near",
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
        if structure == "lobe" && lobe.is_none() {
            return Some(to);
        }
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
                whole: !partial && !part && all,
            }),
        });
        Some(to)
    }

    fn describes(&self, i: usize) -> bool {
        let word = self.lower(i);
        tables::side(word).is_some()
            || tables::BOTH.contains(&word)
            || PARTIAL.contains(&word)
            || MANNER.contains(&word)
    }
}
