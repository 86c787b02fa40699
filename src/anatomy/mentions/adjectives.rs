//! Organs by their adjectives: "left hippocampal atrophy" speaks of the left hippocampus.
//!
//! Only where no longer name is there ("renal cyst" is one), and only before a noun that leaves the organ the organ: a splenic
//! artery is no spleen.

use super::scan::{Found, Scan};
use super::tables;
use super::tokens::Gap;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Names by the adjectives for them.
static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    include_str!("adjectives.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .filter_map(|line| line.split_once('\t'))
        .collect()
});
/// Most adjectives that share a noun.
const MOST: usize = 4;

impl Scan<'_, '_, '_> {
    /// "bilateral hippocampal atrophy", "hepatic and splenic lesions". The place behind is the noun's, which may be a name, too.
    pub(super) fn adjective(&mut self, i: usize) -> Option<usize> {
        let (sides, first) = self.sides(i);
        let mut organs: Vec<(usize, &'static str)> = Vec::new();
        let mut at = first;
        let (mut noun, named) = loop {
            let name = NAMES.get(self.lower(at)).copied()?;
            if self.longest(at).is_some() {
                // "hepatic and renal cysts": the kidney has its own name
                break (at, true);
            }
            organs.push((at, name));
            match self.next_item(at + 1) {
                Some(next) if NAMES.contains_key(self.lower(next)) && organs.len() < MOST => at = next,
                // "hepatic and adrenal lesions", or a list that goes on
                Some(next) if NAMES.contains_key(self.lower(next)) || self.is_finding(next) => break (next, true),
                _ => break (at + 1, false),
            }
        };
        let next = noun;
        // adjectives that nothing follows are of nothing: "hepatic and splenic."
        if organs.is_empty() || !named && !self.is_noun(next) {
            return None;
        }
        // "renal cortical thinning", "cerebellar volume loss"
        let describing = ["al", "ar", "ic", "ous", "ed", "volume", "signal"];
        if describing.iter().any(|end| self.lower(noun).ends_with(end)) && self.is_noun(noun + 1) {
            noun += 1;
        }
        for (place, name) in organs {
            self.add_organ((i, first), (place, noun + 1), name, &sides);
        }
        Some(next)
    }

    /// The sides said at `i`, and the place behind them.
    fn sides(&self, i: usize) -> (Vec<&'static str>, usize) {
        let mut sides = Vec::new();
        let mut at = i;
        while let Some(side) = tables::side(self.lower(at)).filter(|side| !sides.contains(side)) {
            sides.push(side);
            at += 1;
            at += usize::from(self.lower(at) == "sided");
            if matches!(self.lower(at), "and" | "or") && tables::side(self.lower(at + 1)).is_some() {
                at += 1;
            }
        }
        at += usize::from(sides.is_empty() && tables::BOTH.contains(&self.lower(at)));
        let together = (i + 1..=at).all(|k| matches!(self.gap(k), Gap::Space | Gap::Hyphen));
        if together { (sides, at) } else { (Vec::new(), i) }
    }

    /// Where the next item of a list stands, whose joining word or sign is at `i`.
    fn next_item(&self, i: usize) -> Option<usize> {
        let joined = matches!(self.lower(i), "and" | "or") && matches!(self.gap(i), Gap::Space | Gap::Comma);
        match self.gap(i) {
            _ if joined => Some(i + 1),
            Gap::Comma | Gap::Slash | Gap::And => Some(i),
            _ => None,
        }
    }

    /// Whether a finding's name begins at `i`.
    fn is_finding(&mut self, i: usize) -> bool {
        i < self.tokens.len()
            && self
                .longest(i)
                .is_some_and(|(_, reading)| self.lexicon.is_finding(&reading))
    }

    /// Whether the word at `i` is a noun that leaves the word before it an organ's adjective.
    pub(super) fn is_noun(&self, i: usize) -> bool {
        let word = self.lower(i);
        self.gap(i) == Gap::Space
            && word.chars().count() > 2
            && word.chars().all(char::is_alphabetic)
            && !tables::NO_NOUNS.contains(&word)
            && !tables::NOT_THE_ORGAN.contains(&word)
    }

    /// The organ on each of the sides said, where it has sides. The words are those from a side or, where that is not the
    /// organ's, from the adjective on.
    fn add_organ(&mut self, start: (usize, usize), (place, to): (usize, usize), name: &str, sides: &[&str]) {
        let sided: Vec<String> = (sides.iter())
            .map(|side| format!("{side} {name}"))
            .filter(|phrase| self.lexicon.name(phrase).is_some())
            .collect();
        let from = match place == start.1 && (!sided.is_empty() || sides.is_empty()) {
            true => start.0,
            false => place,
        };
        let phrases = if sided.is_empty() { vec![name.to_owned()] } else { sided };
        for phrase in phrases {
            self.found.push(Found {
                from,
                to,
                phrase,
                removed: None,
                adjective: true,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use crate::anatomy::{Catalogue, Offered, Resolver};
    use crate::volume::Modality;

    #[test]
    fn every_adjective_stands_for_something_that_the_catalogue_knows() {
        let everything = Resolver::new(Catalogue::load(), &Offered::everything("sat", Catalogue::load()));
        for (adjective, name) in NAMES.iter() {
            let known = [Modality::Ct, Modality::Mri, Modality::Pet]
                .into_iter()
                .any(|modality| match everything.resolve(name, modality, false) {
                    Ok(_) => true,
                    Err(error) => !error.candidates().is_empty() && error.to_string().contains("SAT was"),
                });
            assert!(known, "{adjective}: {name}");
        }
        assert!(NAMES.len() > 30);
    }
}
