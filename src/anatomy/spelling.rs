//! Misspelled words: which known words are a letter or two away.
//!
//! Only a word that nobody knows may be a misspelling. Sides, levels, numbers and short words are never touched, so left
//! cannot become right nor L4 L5; real words that SAT has no class for (`known_words.txt`) are no misspellings either.

use super::words::{Spelling, has_digit, is_side};
use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that are near to the catalogue's but mean something else.
static REAL_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("known_words.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect()
});

/// Every word of every name and synonym.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    words: HashSet<String>,
}

impl Vocabulary {
    pub fn learn(&mut self, spelling: &Spelling) {
        for word in &spelling.words {
            if !self.words.contains(word) {
                self.words.insert(word.clone());
            }
        }
    }

    pub fn knows(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether `word`, a long one that nobody knows, is one letter away from a known one.
    pub fn is_one_slip_off(&self, word: &str) -> bool {
        let same = |a: &str, b: &str| {
            let ahead = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
            let behind = a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
            ahead + behind
        };
        // all but a letter or two agree from one end or the other: far cheaper to see than a distance
        let near = |known: &str| known.len().abs_diff(word.len()) <= 1 && same(known, word) + 2 >= known.len();
        !untouchable(word)
            && self
                .words
                .iter()
                .filter(|known| near(known) && !has_digit(known) && !is_side(known))
                .any(|known| strsim::osa_distance(known, word) == 1)
    }

    /// The phrase with its unknown words replaced by known ones, `distance` letters away in all.
    pub fn corrections(&self, spelling: &Spelling, distance: usize) -> Vec<Spelling> {
        let unknown: Vec<usize> = (0..spelling.words.len())
            .filter(|i| !self.words.contains(&spelling.words[*i]))
            .collect();
        if unknown.is_empty() || unknown.len() > 2 || unknown.iter().any(|i| untouchable(&spelling.words[*i])) {
            return Vec::new();
        }
        let near = |place: usize| self.near(&spelling.words[place]);
        let mut found = Vec::new();
        match unknown.as_slice() {
            [one] => {
                for (word, d) in near(*one) {
                    if d == distance {
                        found.push(spelling.with(*one, word));
                    }
                }
            }
            [one, two] if distance == 2 => {
                for (first, d) in near(*one) {
                    for (second, e) in near(*two) {
                        if d + e == distance {
                            found.push(spelling.with(*one, first).with(*two, second));
                        }
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// Known words within reach of a misspelling, with their distance.
    fn near(&self, word: &str) -> Vec<(&str, usize)> {
        let length = word.chars().count();
        let mut found: Vec<(&str, usize)> = self
            .words
            .iter()
            .filter(|known| known.len().abs_diff(word.len()) <= 2 && !has_digit(known) && !is_side(known))
            .filter_map(|known| {
                let (shorter, longer) = (length.min(known.len()), length.max(known.len()));
                if shorter < 4 || longer < 5 {
                    return None;
                }
                // "rkidney" says a side: taken for a slip, it would be lost
                if word.strip_prefix(['l', 'r']) == Some(known.as_str()) {
                    return None;
                }
                let distance = strsim::osa_distance(known, word);
                let same_start = known.as_bytes().first() == word.as_bytes().first();
                let within = match distance {
                    1 => same_start || shorter >= 6,
                    2 => same_start && shorter >= 8,
                    _ => false,
                };
                within.then_some((known.as_str(), distance))
            })
            .collect();
        found.sort_unstable();
        found
    }
}

/// Words that are no misspellings of anything.
fn untouchable(word: &str) -> bool {
    has_digit(word) || is_side(word) || REAL_WORDS.contains(word) || word.chars().count() < 4
}
