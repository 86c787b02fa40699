//! Levels of the spine: one, several, a range of them, and the disc between two.

use super::super::runs::{self, Level};
use super::lexicon::Reading;
use super::lists::number;
use super::scan::Scan;
use super::tables;
use super::tokens::Gap;
use crate::volume::Modality;

/// How far from two levels a word may stand that says whether the disc or the bones are meant.
const DISC_REACH: usize = 16;

impl Scan<'_, '_, '_> {
    /// T1 and T2 in front of or behind a word for MR signal are no vertebrae.
    pub(super) fn sequence(&self, i: usize) -> Option<usize> {
        if !matches!(self.lower(i), "t1" | "t2" | "t1w" | "t2w") {
            return None;
        }
        let said = |k: usize| tables::SIGNAL.contains(&self.lower(k));
        let mut next = i + 1;
        // "T1 and T2 weighted"
        while matches!(self.lower(next), "and" | "or" | "t1" | "t2") && self.gap(next) != Gap::Sentence && next < i + 4
        {
            next += 1;
        }
        let behind = self.gap(next) != Gap::Sentence && said(next);
        let before = i > 0 && self.gap(i) != Gap::Sentence && tables::BEFORE_SIGNAL.contains(&self.lower(i - 1));
        // On MR both words are sequences unless something says that they are bones.
        let bone = [i.wrapping_sub(1), i + 1, i + 2].iter().any(|k| {
            tables::SPINE.contains(&self.lower(*k)) || (*k != i && self.level(*k).is_some_and(|level| level.1 > 2))
        });
        let unsaid = self.modality == Modality::Mri && !bone;
        (behind || before || unsaid).then_some(i + 1)
    }

    fn level(&self, i: usize) -> Option<Level> {
        let token = self.tokens.get(i)?;
        // "d12" in small letters is a day or a dose
        let dorsal = !token.lower.starts_with('d') || token.is_upper();
        let short = token.text.len() <= 4 && token.text.ends_with(|c: char| c.is_ascii_digit()) && !token.is_number();
        (short && dorsal).then(|| runs::vertebra(&token.lower)).flatten()
    }

    /// The level at the other end of a range that goes on at `i`: whole, or as a bare number of the same part.
    fn other_end(&self, first: Level, i: usize) -> Option<Level> {
        let bare = || number(self.lower(i), runs::highest(first.0)).map(|number| (first.0, number));
        let measure = self.measures.get(i).copied().unwrap_or(true);
        self.level(i).or_else(bare).filter(|_| !measure)
    }

    /// A level of the spine, several, or a range of them; a disc is left to its name or to what is said of it.
    pub(super) fn levels(&mut self, i: usize) -> Option<usize> {
        let first = self.level(i)?;
        let signed = matches!(self.gap(i + 1), Gap::Hyphen | Gap::Slash | Gap::Dash);
        let range = match self.gap(i + 1) {
            _ if signed => Some(i + 1),
            Gap::Space if tables::TO.contains(&self.lower(i + 1)) && self.gap(i + 2) == Gap::Space => Some(i + 2),
            _ => None,
        };
        let run = range.and_then(|k| {
            let run = runs::vertebrae(first, self.other_end(first, k)?, signed)?;
            (run.members.first() == Some(&runs::said(first))).then_some((k + 1, run))
        });
        let end = run.as_ref().map_or(i + 1, |(end, _)| *end);
        // a question such as that of the vertebral body is left to the level: in a report its bone is what is looked at
        if let Some((to, Reading::Name { .. })) = self.longest(i)
            && to > end
        {
            let phrase = self.phrase(i, to);
            self.add(i, to, phrase);
            return Some(to);
        }
        if tables::NOT_THE_BONE.contains(&self.lower(end)) && self.gap(end) == Gap::Space {
            return Some(end);
        }
        let Some((_, run)) = run else {
            return Some(self.alone_or_several(i, first));
        };
        if let Some(disc) = &run.or_else
            && self.is_of_disc(i, end)
            && self.is_here(disc)
        {
            self.add(i, end, disc.clone());
            return Some(end);
        }
        if let Some(to) = self.discs_between(i, end, &run.members) {
            return Some(to);
        }
        let to = self.swallow(end, tables::VERTEBRA);
        self.add_range(i, to, run.name, run.members);
        Some(to)
    }

    fn is_here(&mut self, phrase: &str) -> bool {
        matches!(self.lexicon.read(phrase), Some(Reading::Name { here: true, .. }))
    }

    /// "L2-L5 discs": each of those between.
    fn discs_between(&mut self, from: usize, to: usize, levels: &[String]) -> Option<usize> {
        let said = self.gap(to) == Gap::Space && matches!(self.lower(to), "discs" | "disks");
        let discs: Vec<String> = (levels.windows(2))
            .map(|pair| format!("{} disc", pair.join("-")))
            .filter(|disc| said && self.is_here(disc))
            .collect();
        if discs.is_empty() {
            return None;
        }
        discs.into_iter().for_each(|disc| self.add(from, to + 1, disc));
        Some(to + 1)
    }

    /// "L2", or "L2, 3 and 4", where bare numbers go on with the level's letter.
    fn alone_or_several(&mut self, i: usize, first: Level) -> usize {
        let here = self.lower(i).to_owned();
        let read = |word: &str| {
            if word == here {
                Some(first.1)
            } else {
                number(word, runs::highest(first.0))
            }
        };
        let (numbers, _, end) = self.numbers(i, read).unwrap_or((vec![first.1], false, i + 1));
        let tied = numbers.len() > 2
            || end > i + 2
                && (matches!(self.lower(end - 2), "and" | "or")
                    || matches!(self.gap(end - 1), Gap::Slash | Gap::And | Gap::Hyphen));
        let counted = self.gap(end) == Gap::Space && tables::COUNTED.contains(&self.lower(end));
        let (numbers, end) = match tied && !counted {
            true => (numbers, end),
            false => (vec![first.1], i + 1),
        };
        let to = self.swallow(end, tables::VERTEBRA);
        match numbers.as_slice() {
            [_] => {
                let phrase = self.phrase(i, i + 1);
                self.add(i, to, phrase);
            }
            _ => numbers
                .iter()
                .for_each(|number| self.add(i, to, runs::said((first.0, *number)))),
        }
        to
    }

    /// Whether the nearest word of the sentence that says so makes the levels from `from` to before `to` a disc; a colon behind
    /// them does where no word says either, since reports on the spine go from disc to disc.
    fn is_of_disc(&self, from: usize, to: usize) -> bool {
        let sentence = self.tokens[from].sentence;
        let says = |k: usize| {
            let word = self.tokens.get(k).filter(|token| token.sentence == sentence)?;
            let disc = tables::DISC.contains(&word.lower.as_str());
            (disc || tables::BONE.contains(&word.lower.as_str())).then_some(disc)
        };
        (0..DISC_REACH)
            .find_map(|step| says(to + step).or_else(|| says(from.checked_sub(step + 1)?)))
            .unwrap_or(self.gap(to) == Gap::Colon)
    }

    /// "L4-5: disc bulge" speaks of that disc, not of all.
    pub(super) fn without_all_discs(&mut self) {
        let tokens = self.tokens;
        let sentence = |from: usize| tokens[from].sentence;
        let one: Vec<usize> = (self.found.iter())
            .filter(|found| found.phrase.ends_with(" disc") && runs::run(&found.phrase.replace(" disc", "")).is_some())
            .map(|found| sentence(found.from))
            .collect();
        self.found.retain(|found| {
            let all = found.to == found.from + 1 && matches!(tokens[found.from].lower.as_str(), "disc" | "disk");
            !(all && one.binary_search(&sentence(found.from)).is_ok())
        });
    }
}
