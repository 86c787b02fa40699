//! Finds the names in a report: from each word on, the longest run of words that is one.
//!
//! Lists come before plain names, since "L2 to L4" is more than its first level and "right and left kidneys" more than kidneys.

use super::super::{Resolver, words};
use super::lexicon::{Lexicon, Reading, Word};
use super::tables;
use super::tokens::{self, Gap, Token};
use crate::volume::Modality;

/// What an operation's name says of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Removed {
    /// The word that says so.
    pub word: usize,
    /// What of it is left.
    pub left: Left,
}

/// What an operation leaves of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing: it is not there to be segmented.
    Nothing,
    /// A piece, which is.
    Piece,
    /// Something else in its place, or one of two without a word which.
    Unsure,
}

/// Longest name in words, articles included.
const LONGEST: usize = 10;

/// A name as found: which words, and the phrase to ask for it by. A list gives several on the same words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Its first word.
    pub from: usize,
    /// The word after its last.
    pub to: usize,
    /// What to hand to `segment`.
    pub phrase: String,
    /// Where the words say that it was taken out.
    pub removed: Option<Removed>,
    /// It is said by its adjective, of something else: "splenic infarct".
    pub adjective: bool,
}

/// A report while it is read.
pub(super) struct Scan<'s, 'r, 'n> {
    pub report: &'r str,
    pub tokens: &'s [Token<'r>],
    pub words: Vec<Word>,
    /// Which words are numbers with a unit or pieces of one.
    pub measures: Vec<bool>,
    pub resolver: &'n Resolver,
    pub lexicon: Lexicon<'n>,
    pub modality: Modality,
    /// The report speaks of the liver, so that its segments are the liver's.
    pub of_liver: bool,
    pub found: Vec<Found>,
}

impl<'s, 'r, 'n> Scan<'s, 'r, 'n> {
    pub fn new(
        report: &'r str,
        tokens: &'s [Token<'r>],
        resolver: &'n Resolver,
        modality: Modality,
    ) -> Scan<'s, 'r, 'n> {
        let mut lexicon = Lexicon::new(&resolver.names, modality);
        let measures: Vec<bool> = (0..tokens.len()).map(|i| is_measure(tokens, i)).collect();
        let mut words: Vec<Word> = tokens.iter().map(|token| lexicon.word(token)).collect();
        for i in 0..tokens.len() {
            if measures[i] {
                words[i] = Word::Strange;
            }
            let pair = i > 0 && matches!(tokens[i].gap, Gap::Space | Gap::Hyphen);
            if pair
                && (words[i - 1] == Word::Strange || words[i] == Word::Strange)
                && !tokens[i].is_number()
                && lexicon.joins(&tokens[i - 1].lower, &tokens[i].lower)
            {
                words[i - 1] = Word::Known;
                words[i] = Word::Known;
            }
        }
        Scan {
            of_liver: tokens.iter().any(|token| tables::LIVER.contains(&token.lower.as_str())),
            report,
            tokens,
            words,
            measures,
            resolver,
            lexicon,
            modality,
            found: Vec::new(),
        }
    }

    /// Reads the whole report.
    pub fn run(mut self) -> (Vec<Found>, Lexicon<'n>) {
        let mut i = 0;
        while i < self.tokens.len() {
            let next = self
                .no_name(i)
                .or_else(|| self.removal(i))
                .or_else(|| self.ribs(i))
                .or_else(|| self.liver_segments(i))
                .or_else(|| self.together(i))
                .or_else(|| self.levels(i))
                .or_else(|| self.name(i))
                .or_else(|| self.adjective(i));
            i = next.unwrap_or(i + 1);
        }
        self.share();
        self.without_all_discs();
        self.resections();
        (self.found, self.lexicon)
    }

    /// The words from `from` to before `to` on one line, without control characters.
    pub fn phrase(&self, from: usize, to: usize) -> String {
        let plain: String = tokens::written(self.report, self.tokens, from, to)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn lower(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |token| token.lower.as_str())
    }

    pub fn gap(&self, i: usize) -> Gap {
        self.tokens.get(i).map_or(Gap::Sentence, |token| token.gap)
    }

    /// A side at `i`, behind a name: "on the left", or "left" where nothing follows that it could belong to. With the place
    /// behind it.
    pub fn side_at(&self, i: usize) -> Option<(&'static str, usize)> {
        let on = match self.lower(i) {
            "on" => 1 + usize::from(self.lower(i + 1) == "the"),
            _ => 0,
        };
        let side = tables::side(self.lower(i + on))?;
        let behind = i + on + 1;
        let alone = self.side_ends(i + on) || on > 0 && self.words[behind] == Word::Strange;
        let near = matches!(self.gap(i), Gap::Space | Gap::Comma | Gap::Bracket);
        (near && alone).then_some((side, behind))
    }

    pub fn add(&mut self, from: usize, to: usize, phrase: String) {
        self.found.push(Found {
            from,
            to,
            phrase,
            removed: None,
            adjective: false,
        });
    }

    /// Words that contain a name and mean something else: "mass effect", "T2-weighted".
    fn no_name(&self, i: usize) -> Option<usize> {
        let collocation = tables::OTHER_THINGS.iter().find_map(|phrase| {
            let mut at = i;
            for word in phrase.split(' ') {
                let joined = at == i || matches!(self.gap(at), Gap::Space | Gap::Hyphen);
                if !joined || self.lower(at) != word {
                    return None;
                }
                at += 1;
            }
            Some(at)
        });
        collocation.or_else(|| self.sequence(i))
    }

    /// A plain name at `i`, and the structure within a finding ("cyst in the left kidney").
    fn name(&mut self, i: usize) -> Option<usize> {
        let (to, reading) = self.longest(i)?;
        let phrase = self.phrase(i, to);
        self.add(i, to, phrase);
        if self.lexicon.is_finding(&reading)
            && let Some(within) = (i + 1..to).find(|k| matches!(self.lower(*k), "in" | "of"))
        {
            let inner = (within + 1..to).find_map(|k| Some((k, self.longest(k)?)));
            if let Some((from, (end, reading))) = inner
                && !self.lexicon.is_finding(&reading)
            {
                let phrase = self.phrase(from, end);
                self.add(from, end, phrase);
            }
        }
        // "right lung nodule" is a lung nodule, too
        if self.words[i] == Word::Side
            && let Some((end, reading)) = self.longest(i + 1)
            && end > to
            && self.lexicon.is_finding(&reading)
        {
            let phrase = self.phrase(i + 1, end);
            self.add(i + 1, end, phrase);
            return Some(end);
        }
        Some(self.heir(i, to).unwrap_or(to))
    }

    /// "gluteus maximus and medius": a word behind a name that is none itself but is one with the name's first words.
    fn heir(&mut self, i: usize, to: usize) -> Option<usize> {
        let at = to + 1;
        let follows =
            matches!(self.lower(to), "and" | "or") && self.gap(to) == Gap::Space && self.gap(at) == Gap::Space;
        if !follows || to - i < 2 || self.words[at] != Word::Known || self.longest(at).is_some() {
            return None;
        }
        let phrase = format!("{} {}", self.phrase(i, to - 1), self.tokens[at].text);
        self.lexicon.name(&phrase)?;
        self.add(at, at + 1, phrase);
        Some(at + 1)
    }

    /// The longest run of words from `i` on that is a name, and what it is.
    pub fn longest(&mut self, i: usize) -> Option<(usize, Reading)> {
        if !self.opens(i) {
            return None;
        }
        (i + 1..=self.reach(i)).rev().find_map(|to| {
            if !self.closes(i, to) {
                return None;
            }
            let reading = self.lexicon.read(&self.phrase(i, to))?;
            self.fits(i, to, &reading).then_some((to, reading))
        })
    }

    /// How far a name that begins at `i` may go.
    fn reach(&self, i: usize) -> usize {
        let mut to = i + 1;
        while to < self.tokens.len() && to - i < LONGEST && self.words[to] != Word::Strange {
            let across = match self.gap(to) {
                Gap::Space | Gap::Hyphen | Gap::Slash => true,
                Gap::Bracket => {
                    self.words[to] == Word::Side && self.report[self.tokens[to].byte_end()..].starts_with([')', ']'])
                }
                Gap::Comma => self.words[to] == Word::Side && self.side_ends(to),
                _ => false,
            };
            if !across {
                break;
            }
            to += 1;
        }
        to
    }

    fn opens(&self, i: usize) -> bool {
        match self.words[i] {
            Word::Strange => false,
            Word::Glue => tables::BOTH.contains(&self.lower(i)),
            // "to the left of the kidney" says where, not which
            Word::Side => self.lower(i + 1) != "of",
            Word::Known | Word::Slip => !tables::JOINING.contains(&self.lower(i)),
        }
    }

    fn closes(&self, i: usize, to: usize) -> bool {
        let last = to - 1;
        match self.words[last] {
            Word::Strange | Word::Glue => false,
            Word::Side => last > i && self.side_ends(last),
            Word::Known | Word::Slip => !tables::JOINING.contains(&self.lower(last)),
        }
    }

    /// A side after a name belongs to it only where nothing follows that it could belong to.
    fn side_ends(&self, side: usize) -> bool {
        !matches!(self.gap(side + 1), Gap::Space | Gap::Hyphen)
    }

    /// Whether a run of words that reads as a name is meant as one here.
    fn fits(&self, i: usize, to: usize, reading: &Reading) -> bool {
        // "left atrium and right atrium" are two
        if (i..to).filter(|k| self.words[*k] == Word::Side).count() > 1 {
            return false;
        }
        let mut content = (i..to).filter(|k| matches!(self.words[*k], Word::Known | Word::Slip));
        let (Some(only), None) = (content.next(), content.next()) else {
            return true;
        };
        // a bone infarct is not the skeleton
        let modifies = tables::MODIFIERS.contains(&self.lower(only)) && only + 1 == to && self.is_noun(to);
        if tables::NEVER_ALONE.contains(&self.lower(only)) || modifies || !self.is_spelled_out(only) {
            return false;
        }
        // "coronary artery" is no artery of the catalogue: a general word asks back only where nothing says which it is
        let general = matches!(reading, Reading::Ask { .. })
            && tables::GENERAL.contains(&words::spell(self.lower(only)).key().as_str());
        let said_which = i > 0
            && matches!(self.gap(i), Gap::Space | Gap::Hyphen)
            && !tables::NEUTRAL.contains(&self.lower(i - 1))
            && !self.tokens[i - 1].is_number();
        !(general && said_which)
    }

    /// A word of more than four letters, a short one that is a word, or an abbreviation in capitals; where prose uses the same
    /// letters, an abbreviation counts only beside another word of its kind.
    fn is_spelled_out(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        // a number has a letter before it, "L 4", or it would be no name
        let doubtful = tables::DOUBTFUL.contains(&token.lower.as_str());
        let is_word = tables::SHORT_WORDS.contains(&token.lower.as_str());
        if token.is_number() || token.lower.chars().count() > 4 || is_word && !doubtful {
            return true;
        }
        if !token.is_upper() && !is_word {
            return false;
        }
        let counted = i > 0 && self.tokens[i - 1].is_number() && matches!(self.gap(i), Gap::Space | Gap::Hyphen);
        !counted && (!doubtful || self.has_company(i))
    }

    /// Another abbreviation or word of the same sentence that says what this one is about.
    fn has_company(&self, i: usize) -> bool {
        let sentence = self.tokens[i].sentence;
        let near = i.saturating_sub(12)..self.tokens.len().min(i + 13);
        near.filter(|k| *k != i && self.tokens[*k].sentence == sentence)
            .any(|k| {
                tables::COMPANY
                    .iter()
                    .any(|(short, words)| *short == self.tokens[i].lower && words.contains(&self.lower(k)))
            })
    }
}

/// A number with a unit, or a piece of a decimal number, a size or a date.
fn is_measure(tokens: &[Token], i: usize) -> bool {
    let is_number = |k: usize| tokens.get(k).is_some_and(Token::is_number);
    let gap = |k: usize| tokens.get(k).map(|token| token.gap);
    let after = tokens
        .get(i + 1)
        .filter(|next| matches!(next.gap, Gap::Space | Gap::Hyphen));
    if !is_number(i) {
        return false;
    }
    let unit = after.is_some_and(|next| tables::UNITS.contains(&next.lower.as_str()));
    let by = after.is_some_and(|next| next.lower == "x" || next.lower == "by") || i > 0 && tokens[i - 1].lower == "x";
    let decimal = gap(i) == Some(Gap::Point) || gap(i + 1) == Some(Gap::Point);
    let date = gap(i) == Some(Gap::Slash) && gap(i + 1) == Some(Gap::Slash) || tokens[i].text.len() > 2;
    unit || by || decimal || date
}
