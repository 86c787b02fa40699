//! What a name sounds like: spellings that mean the same become the same words.
//!
//! [`spell`] is the only place where case, accents, punctuation, plurals, word order, side words, numerals and British
//! or Latin spelling are evened out. Catalogue and question go through it alike, so a rule need only be harmless, not
//! beautiful: "vertebrae" becoming "vertebra" matters, "lens" staying "lens" matters, what is printed never comes from here.

use super::Laterality;
use super::word_table::WORDS;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A phrase in its evened-out form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spelling {
    /// Its words, in the order written, without articles and "of"; numerals as digits; sides as `left` and `right`.
    pub words: Vec<String>,
    /// "both", "bilateral" or two sides were said.
    pub both: bool,
}

impl Spelling {
    /// The same for every word order: two phrases with one key are the same name.
    pub fn key(&self) -> String {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    }

    /// The same wherever the gaps between words are ("gall bladder"): sides first, then everything written together.
    /// None where figures would run into one another.
    pub fn run_together(&self) -> Option<String> {
        if self.words.iter().any(|word| has_digit(word)) {
            return None;
        }
        let (sides, rest): (Vec<&str>, Vec<&str>) =
            self.words.iter().map(String::as_str).partition(|word| is_side(word));
        (!rest.is_empty()).then(|| format!("{} {}", sides.concat(), rest.concat()))
    }

    /// The side it names, where it names exactly one.
    pub fn side(&self) -> Option<Laterality> {
        let left = self.words.iter().any(|word| word == "left");
        let right = self.words.iter().any(|word| word == "right");
        match (left, right) {
            (true, false) => Some(Laterality::Left),
            (false, true) => Some(Laterality::Right),
            _ => None,
        }
    }

    /// The same without its sides, where it says any.
    pub fn without_side(&self) -> Option<Spelling> {
        let words: Vec<String> = self.words.iter().filter(|word| !is_side(word)).cloned().collect();
        let said = self.both || words.len() < self.words.len();
        (said && !words.is_empty()).then_some(Spelling { words, both: false })
    }

    /// The same with another word at `place`.
    pub fn with(&self, place: usize, word: &str) -> Spelling {
        let mut other = self.clone();
        if let Some(slot) = other.words.get_mut(place) {
            *slot = word.to_owned();
        }
        other
    }
}

/// `left` or `right`.
pub(super) fn is_side(word: &str) -> bool {
    word == "left" || word == "right"
}

/// A name without its side: "head of left femur" is "head of femur".
pub(super) fn without_side(name: &str) -> String {
    let words = name.split(' ').filter(|word| !is_side(word));
    words.collect::<Vec<_>>().join(" ")
}

/// Levels and numbers, which no misspelling may change.
pub(super) fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

/// The evened-out form of a phrase.
pub(super) fn spell(phrase: &str) -> Spelling {
    let raw = split(phrase);
    let evened: Vec<String> = raw.iter().map(|word| even_out(word)).collect();
    let numbered = evened.iter().any(|word| NUMBERED.contains(&word.as_str()));
    let mut words: Vec<String> = Vec::with_capacity(raw.len());
    let mut both = false;
    let mut rest = raw.iter().map(String::as_str).zip(evened).peekable();
    while let Some((word, evened)) = rest.next() {
        if STOP.contains(&word) {
            continue;
        }
        // "L 4", "C-7": a level written in two pieces, unless the letter is a side ("L rib 4" keeps its L apart).
        if matches!(word, "c" | "t" | "th" | "l" | "s" | "d")
            && let Some((next, _)) = rest.peek()
            && next.len() <= 2
            && next.bytes().all(|byte| byte.is_ascii_digit())
            && !numbered
        {
            words.push(level(word, next));
            rest.next();
            continue;
        }
        if BOTH.contains(&word) {
            both = true;
        } else if let Some(side) = side_word(word) {
            words.push(side.to_owned());
        } else if let Some(number) = numeral(word, numbered) {
            words.push(number);
        } else if let Some(level) = level_word(word) {
            words.push(level);
        } else {
            words.push(evened);
        }
    }
    let sides = ["left", "right"]
        .iter()
        .filter(|side| words.iter().any(|word| word == *side))
        .count();
    if sides == 2 {
        both = true;
        words.retain(|word| !is_side(word) && word != "and");
    }
    Spelling { words, both }
}

/// Lower-case words without accents; everything that is no letter or digit parts them.
fn split(phrase: &str) -> Vec<String> {
    let mut plain: String = match phrase.is_ascii() {
        true => phrase.to_ascii_lowercase(),
        false => phrase
            .nfkd()
            .filter(|c| !is_combining_mark(*c))
            .flat_map(char::to_lowercase)
            .collect::<String>()
            .replace('’', "'")
            .replace('æ', "ae")
            .replace('œ', "oe")
            .replace('ß', "ss"),
    };
    if plain.contains(['\'', '&']) {
        plain = (plain + " ").replace("'s ", " ").replace('&', " and ");
    }
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

const STOP: &[&str] = &["the", "of", "a", "an", "in", "sided", "side"];
const BOTH: &[&str] = &["both", "bilateral", "bilat", "bilaterally", "bl"];
/// Words after or before which a lone I, V or X is a number.
const NUMBERED: &[&str] = &[
    "segment",
    "rib",
    "costa",
    "ventricle",
    "ventriculus",
    "vertebra",
    "lumbar",
    "cervical",
    "thoracic",
    "couinaud",
    "nerve",
    "sacral",
];

fn side_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "left" | "l" | "lt" | "lft" | "sin" | "sinist" | "sinister" | "sinistra" | "sinistrum" | "sinistri"
        | "sinistrae" | "lhs" => "left",
        "right" | "r" | "rt" | "rgt" | "dex" | "dext" | "dextr" | "dexter" | "dextra" | "dextrum" | "dextri"
        | "dextrae" | "rhs" => "right",
        _ => return None,
    })
}

/// Third, 3rd, III and 3 are one number.
fn numeral(word: &str, numbered: bool) -> Option<String> {
    const ORDINALS: [&str; 12] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
        "twelfth",
    ];
    const LATIN: [&str; 6] = ["primus", "secundus", "tertius", "quartus", "quintus", "sextus"];
    const ROMAN: [&str; 12] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"];
    const WRITTEN: [&str; 12] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    let place = |table: &[&str]| {
        table
            .iter()
            .position(|entry| *entry == word)
            .map(|place| (place + 1).to_string())
    };
    if let Some(number) = place(&ORDINALS).or_else(|| place(&LATIN)) {
        return Some(number);
    }
    if (numbered || word.len() > 1)
        && let Some(number) = place(&ROMAN)
    {
        return Some(number);
    }
    if numbered && let Some(number) = place(&WRITTEN) {
        return Some(number);
    }
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let ending = &word[digits.len()..];
    if !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(ending, "" | "st" | "nd" | "rd" | "th")
    {
        let number = digits.trim_start_matches('0');
        return Some(if number.is_empty() {
            "0".to_owned()
        } else {
            number.to_owned()
        });
    }
    None
}

/// L4, Th12, D7: the level of a vertebra.
fn level_word(word: &str) -> Option<String> {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let letters = &word[..word.len() - digits.len()];
    let plain = !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && matches!(letters, "c" | "t" | "th" | "l" | "s" | "d")).then(|| level(letters, digits))
}

fn level(letters: &str, digits: &str) -> String {
    let letter = if matches!(letters, "th" | "d") { "t" } else { letters };
    format!("{letter}{}", digits.trim_start_matches('0'))
}

/// One word: Latin and British spelling, then the singular.
fn even_out(word: &str) -> String {
    if let Ok(found) = WORDS.binary_search_by(|(from, _)| (*from).cmp(word)) {
        return WORDS[found].1.to_owned();
    }
    let word = singular(word);
    if let Ok(found) = WORDS.binary_search_by(|(from, _)| (*from).cmp(word.as_str())) {
        return WORDS[found].1.to_owned();
    }
    let word = match word.contains("ae") || word.contains("oe") {
        true => word.replace("ae", "e").replace("oe", "e"),
        false => word,
    };
    match word.strip_suffix("our") {
        Some(stem) if stem.len() > 2 => format!("{stem}or"),
        _ => word,
    }
}

fn singular(word: &str) -> String {
    if word.len() < 4 || !word.ends_with('s') || ["us", "is", "ss", "as"].iter().any(|ending| word.ends_with(ending)) {
        return word.to_owned();
    }
    for (plural, one) in [
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
    ] {
        if let Some(stem) = word.strip_suffix(plural) {
            return format!("{stem}{one}");
        }
    }
    word.strip_suffix('s').unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(phrase: &str) -> String {
        spell(phrase).key()
    }

    #[test]
    fn order_side_words_plural_case_and_punctuation_do_not_matter() {
        for phrase in [
            "caudate nucleus, left",
            "L caudate nucleus",
            "Caudate nuclei (L)",
            "the left-sided caudate nucleus",
            "lt. caudate nucleus",
        ] {
            assert_eq!(key(phrase), key("left caudate nucleus"), "{phrase}");
        }
        assert_eq!(key("Ösophagus"), key("osophagus"));
        assert_eq!(key("OESOPHAGUS"), key("esophagus"));
        assert_eq!(key("kidney tumours"), key("kidney tumor"));
        assert_eq!(key("gray matter"), key("grey matter"));
        assert_eq!(key("coeliac trunk"), key("celiac trunk"));
    }

    #[test]
    fn numerals_are_one_number_however_they_are_written() {
        for phrase in [
            "segment IV",
            "segment 4",
            "4th segment",
            "fourth segment",
            "Segment 04",
            "segment four",
        ] {
            assert_eq!(key(phrase), "4 segment", "{phrase}");
        }
        assert_eq!(key("segment V"), "5 segment");
        assert_eq!(key("V"), "v", "a lone letter is no number");
        assert_eq!(key("Th12"), "t12");
        assert_eq!(key("L 4"), "l4");
        assert_eq!(key("L-4"), "l4");
        assert_eq!(key("left rib 4"), key("L 4th rib"));
        assert_ne!(key("L4"), key("left 4"));
    }

    #[test]
    fn two_sides_are_both() {
        assert!(spell("left and right kidneys").both);
        assert_eq!(key("left and right kidneys"), "kidney");
        assert!(spell("bilateral kidneys").both);
        assert_eq!(spell("left kidney").side(), Some(Laterality::Left));
    }

    #[test]
    fn and_is_kept_because_a_kidney_and_a_tumor_are_two_things() {
        assert_ne!(key("kidney and tumor"), key("kidney tumor"));
        assert_eq!(key("portal vein & splenic vein"), key("portal and splenic veins"));
    }
}
