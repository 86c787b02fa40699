//! Lists and ranges: ribs, segments of the liver, and names that share a word.

use super::super::words::spell;
use super::lexicon::Word;
use super::scan::Scan;
use super::tables;
use super::tokens::Gap;

/// Most items that share a word.
const MOST_ITEMS: usize = 5;
/// Most numbers in a list: all ribs of both sides.
const MOST_NUMBERS: usize = 24;
/// Most words for a side and a place before a rib.
const MOST_ASIDES: usize = 3;
/// Longest item before the last, in words.
const LONGEST_ITEM: usize = 3;

impl Scan<'_, '_, '_> {
    /// The phrase for a whole range where `segment` takes it, otherwise one for each of its pieces.
    pub(super) fn add_range(&mut self, from: usize, to: usize, whole: String, each: Vec<String>) {
        if self.resolver.resolve(&whole, self.modality, false).is_ok() {
            self.add(from, to, whole);
        } else {
            each.into_iter().for_each(|phrase| self.add(from, to, phrase));
        }
    }

    /// The place after the words of `table` that follow at `i`.
    pub(super) fn swallow(&self, mut i: usize, table: &[&str]) -> usize {
        while self.gap(i) == Gap::Space && table.contains(&self.lower(i)) {
            i += 1;
        }
        i
    }

    /// Numbers joined by commas, "and", "to" and the like: what they are, whether they are one range, and the place behind.
    pub(super) fn numbers(&self, i: usize, read: impl Fn(&str) -> Option<u8>) -> Option<(Vec<u8>, bool, usize)> {
        let at = |k: usize| {
            (self.measures.get(k) == Some(&false))
                .then(|| read(self.lower(k)))
                .flatten()
        };
        let mut numbers = vec![at(i)?];
        let mut to = i + 1;
        let (mut joins, mut one_range) = (0, false);
        while numbers.len() < MOST_NUMBERS {
            let joining = matches!(self.lower(to), "and" | "or") && matches!(self.gap(to), Gap::Space | Gap::Comma);
            let word = tables::TO.contains(&self.lower(to)) && self.gap(to) == Gap::Space;
            let (next, range) = match self.gap(to) {
                _ if joining => (to + 1, false),
                _ if word => (to + 1, true),
                Gap::Hyphen | Gap::Dash => (to, true),
                Gap::Comma | Gap::Slash | Gap::And => (to, false),
                _ => break,
            };
            let Some(number) = at(next) else { break };
            let last = numbers.last().copied().unwrap_or(number);
            if numbers.contains(&number) {
                break;
            }
            if range && number > last {
                numbers.extend(last + 1..number);
                one_range = joins == 0;
            }
            numbers.push(number);
            joins += 1;
            to = next + 1;
        }
        Some((numbers, one_range && joins == 1, to))
    }

    /// "4th to 7th left ribs", "ribs 4-7 on the left", "left posterior 5th rib".
    pub(super) fn ribs(&mut self, i: usize) -> Option<usize> {
        let joined = |scan: &Self, k: usize| k == i || matches!(scan.gap(k), Gap::Space | Gap::Hyphen);
        let is_rib = |scan: &Self, k: usize| matches!(scan.lower(k), "rib" | "ribs") && joined(scan, k);
        let mut to = i;
        let mut side = None;
        let mut aside = |scan: &Self, to: &mut usize| {
            for _ in 0..MOST_ASIDES {
                if !joined(scan, *to) {
                    break;
                }
                match tables::side(scan.lower(*to)) {
                    Some(found) => side = Some(found),
                    None if tables::RIB_PLACES.contains(&scan.lower(*to)) => {}
                    None => break,
                }
                *to += 1;
            }
        };
        aside(self, &mut to);
        let (numbers, one_range, mut to) = if is_rib(self, to) {
            self.numbers(to + 1, |word| rib_number(word, true))
                .filter(|_| joined(self, to + 1))?
        } else {
            let ranged = |scan: &Self, k: usize| {
                matches!(scan.gap(k + 1), Gap::Hyphen | Gap::Dash | Gap::Slash)
                    || tables::TO.contains(&scan.lower(k + 1))
            };
            if !joined(self, to) {
                return None;
            }
            let plain = ranged(self, to);
            let (numbers, one_range, mut to) = self.numbers(to, |word| rib_number(word, plain))?;
            aside(self, &mut to);
            is_rib(self, to).then_some((numbers, one_range, to + 1))?
        };
        if let Some((found, behind)) = self.side_at(to) {
            side = Some(found);
            to = behind;
        }
        let side = side.map_or(String::new(), |side| format!("{side} "));
        let each: Vec<String> = numbers.iter().map(|number| format!("{side}rib {number}")).collect();
        match (one_range, numbers.first(), numbers.last()) {
            (true, Some(first), Some(last)) => self.add_range(i, to, format!("{side}ribs {first} to {last}"), each),
            _ => each.into_iter().for_each(|phrase| self.add(i, to, phrase)),
        }
        Some(to)
    }

    /// "segment 7", "hepatic segments II/III", "segments 5-8 of the liver", where the report speaks of the liver.
    pub(super) fn liver_segments(&mut self, i: usize) -> Option<usize> {
        let named = usize::from(tables::LIVER.contains(&self.lower(i)));
        let at = i + named;
        if !self.of_liver
            || !matches!(self.lower(at), "segment" | "segments" | "seg")
            || at > i && self.gap(at) != Gap::Space
            || !matches!(self.gap(at + 1), Gap::Space | Gap::Hyphen)
        {
            return None;
        }
        if i > 0 && self.gap(i) == Gap::Space && tables::OTHER_SEGMENTS.contains(&self.lower(i - 1)) {
            return None;
        }
        let (numbers, _, mut to) = self.numbers(at + 1, segment_number)?;
        let of = self.swallow(to, &["of", "the"]);
        if of > to && self.lower(of) == "liver" {
            to = of + 1;
        }
        for number in numbers {
            self.add(i, to, format!("liver segment {number}"));
        }
        Some(to)
    }

    /// Names that share a word: "right and left kidneys", "superior and inferior vena cava", "right upper and lower lobes".
    pub(super) fn together(&mut self, i: usize) -> Option<usize> {
        let mut items: Vec<(usize, usize)> = Vec::new();
        let mut from = i;
        let mut joined = false;
        while let Some((to, next, by_word)) = self.item(from) {
            if items.len() == MOST_ITEMS {
                return None;
            }
            // "left and right thalamus, left and right putamen": a name by itself is where the list ends
            if self.lexicon.name(&self.phrase(from, to)).is_some() {
                break;
            }
            items.push((from, to));
            joined = by_word;
            from = next;
        }
        if items.is_empty() || !joined || from >= self.tokens.len() {
            return None;
        }
        let side = tables::side(self.lower(i));
        let last = self.last_item(from, side);
        let to = match &last {
            Some((to, _)) => *to,
            None => self.unnamed_item(from, &items, side)?,
        };
        let mut phrases = Vec::with_capacity(items.len() + 1);
        for item in items {
            phrases.push(self.composed(item, (from, to), side)?);
        }
        phrases.extend(last.map(|(_, phrase)| phrase));
        let mut entries: Vec<Option<usize>> = phrases.iter().map(|phrase| self.lexicon.name(phrase)).collect();
        entries.sort_unstable();
        entries.dedup();
        if entries.len() < phrases.len() {
            return None;
        }
        phrases.into_iter().for_each(|phrase| self.add(i, to, phrase));
        Some(to)
    }

    /// The end of a last item that is no name here though the others are: of "third and fourth ventricles" SAT has the third.
    fn unnamed_item(&mut self, from: usize, items: &[(usize, usize)], side: Option<&str>) -> Option<usize> {
        let first = *items.first()?;
        (from + 2..=(from + 3).min(self.tokens.len()))
            .rev()
            .find(|to| self.is_run(from, *to) && self.composed(first, (from, *to), side).is_some())
    }

    /// Whether the words from `from` to before `to` may be the last item of a list.
    fn is_run(&self, from: usize, to: usize) -> bool {
        (from + 1..to).all(|k| matches!(self.gap(k), Gap::Space | Gap::Hyphen))
            && (from..to).all(|k| self.words[k] != Word::Strange)
            && !matches!(self.words[to - 1], Word::Glue | Word::Side)
    }

    /// An item at `from` that "and", a comma or a slash follows: its end, where the next begins, whether more than a comma does.
    fn item(&self, from: usize) -> Option<(usize, usize, bool)> {
        for to in from + 1..=from + LONGEST_ITEM {
            let part = to - 1;
            let usable = part < self.tokens.len()
                && matches!(self.words[part], Word::Known | Word::Side)
                && !tables::JOINING.contains(&self.lower(part));
            if !usable || to >= self.tokens.len() {
                return None;
            }
            let conjunction = matches!(self.lower(to), "and" | "or");
            match self.gap(to) {
                Gap::Space | Gap::Comma if conjunction && self.gap(to + 1) == Gap::Space => {
                    return Some((to, to + 1, true));
                }
                Gap::Comma => return Some((to, to, false)),
                Gap::Slash | Gap::And => return Some((to, to, true)),
                Gap::Space | Gap::Hyphen => {}
                _ => return None,
            }
        }
        None
    }

    /// The last item, which has the shared word: with the first item's side where it has none of its own.
    fn last_item(&mut self, from: usize, side: Option<&str>) -> Option<(usize, String)> {
        let own = tables::side(self.lower(from)).is_some();
        for to in (from + 1..=(from + 7).min(self.tokens.len())).rev() {
            if !self.is_run(from, to) {
                continue;
            }
            let plain = self.phrase(from, to);
            let sided = side.filter(|_| !own).map(|side| format!("{side} {plain}"));
            for phrase in sided.into_iter().chain([plain]) {
                if self.lexicon.name(&phrase).is_some() {
                    let phrase = self.singular(phrase, to);
                    return Some((to, phrase));
                }
            }
        }
        None
    }

    /// An earlier item with the words that the last one shares with it: as many as make a name.
    fn composed(&mut self, item: (usize, usize), last: (usize, usize), side: Option<&str>) -> Option<String> {
        let own = self.phrase(item.0, item.1);
        let sided = tables::side(self.lower(item.0)).is_some();
        for from in last.0 + 1..last.1 {
            let plain = format!("{own} {}", self.phrase(from, last.1));
            let with_side = side.filter(|_| !sided).map(|side| format!("{side} {plain}"));
            for phrase in with_side.into_iter().chain([plain]) {
                if self.lexicon.name(&phrase).is_some() {
                    return Some(self.singular(phrase, last.1));
                }
            }
        }
        None
    }

    /// The phrase with its last word, which stands before `to`, in the singular: of two kidneys each is a kidney.
    fn singular(&self, phrase: String, to: usize) -> String {
        let one = phrase.strip_suffix('s').unwrap_or_default();
        // not "left thalamu", which is a name with a slip
        match self.lower(to - 1).ends_with('s') && spell(one) == spell(&phrase) {
            true => one.to_owned(),
            false => phrase,
        }
    }
}

/// A number in figures from 1 to `highest`.
pub(super) fn number(digits: &str, highest: u8) -> Option<u8> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|number| plain && (1..=highest).contains(number))
}

/// Fourth, 4th or, where `plain`, 4.
fn rib_number(word: &str, plain: bool) -> Option<u8> {
    let place = tables::ORDINALS.iter().position(|ordinal| *ordinal == word);
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    match (place, &word[digits.len()..]) {
        (Some(place), _) => u8::try_from(place + 1).ok(),
        (None, "") if plain => number(digits, 12),
        (None, "st" | "nd" | "rd" | "th") => number(digits, 12),
        _ => None,
    }
}

/// 7, VII, 4a, IVb.
fn segment_number(word: &str) -> Option<u8> {
    const ROMAN: [&str; 8] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii"];
    let half = word.strip_suffix(['a', 'b']).unwrap_or(word);
    let roman = ROMAN
        .iter()
        .position(|roman| *roman == half)
        .and_then(|place| u8::try_from(place + 1).ok());
    roman.or_else(|| number(half, 8))
}
