//! A report as words: where each lies, and what lies between it and the word before.
//!
//! What parts two words decides what may be read across them: a name is read across a space, a hyphen or the wrap of a line; a
//! list across commas; a cue ("no", "history of") across both, but never across the end of a sentence.

use unicode_normalization::char::is_combining_mark;

/// What lies between a word and the word before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// White space, a line's wrap included.
    Space,
    /// A hyphen or dash without white space: L4-L5.
    Hyphen,
    /// A dash between white space.
    Dash,
    /// `/`
    Slash,
    /// `&` or `+`
    And,
    /// A decimal point.
    Point,
    /// A comma.
    Comma,
    /// An opening or closing bracket.
    Bracket,
    /// A colon.
    Colon,
    /// Other signs.
    Other,
    /// The end of a sentence, an item or a paragraph.
    Sentence,
}

/// A word of the report.
#[derive(Debug, Clone)]
pub(super) struct Token<'r> {
    /// As written.
    pub text: &'r str,
    /// In lower case.
    pub lower: String,
    /// Where it begins, in bytes.
    pub byte: usize,
    /// Where it begins and ends, in characters.
    pub start: usize,
    pub end: usize,
    /// Line, from 1.
    pub line: usize,
    /// Character within its line, from 1.
    pub column: usize,
    pub gap: Gap,
    /// A question mark stands before it: "?stroke".
    pub asked: bool,
    /// Its sentence, counted from 0.
    pub sentence: usize,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub fn byte_end(&self) -> usize {
        self.byte + self.text.len()
    }

    /// All its letters are capitals.
    pub fn is_upper(&self) -> bool {
        self.text.chars().any(char::is_uppercase) && !self.text.chars().any(char::is_lowercase)
    }

    /// It is a number in figures.
    pub fn is_number(&self) -> bool {
        self.text.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Words after which a full stop ends no sentence.
const SHORT_FORMS: &[&str] = &[
    "lt", "rt", "l", "r", "dr", "mr", "mrs", "vs", "approx", "ca", "fig", "e.g", "i.e", "bilat", "ant", "inf", "resp",
];
/// Words that no sentence ends with: what follows on the next line belongs to them.
const UNFINISHED: &[&str] = &[
    "the", "a", "an", "of", "in", "at", "and", "or", "to", "from", "with", "without", "for", "on", "by", "no", "left",
    "right", "both", "is", "are", "was", "were", "than", "through", "within", "near",
];
/// A line shorter than this that is followed by a capital was not wrapped: it ended.
const WRAPPED: usize = 56;

/// The words of a report in order.
pub(super) fn tokens(report: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut place = Place::default();
    let mut letters = report.char_indices().peekable();
    let mut gap_from = 0;
    while let Some((byte, letter)) = letters.next() {
        let at = place;
        place.pass(letter);
        if !letter.is_alphanumeric() {
            continue;
        }
        let mut end = byte + letter.len_utf8();
        while let Some((next, c)) = letters.peek().copied() {
            let inside = c.is_alphanumeric() || is_combining_mark(c) || is_apostrophe(c) && joins(report, next, c);
            if !inside {
                break;
            }
            place.pass(c);
            end = next + c.len_utf8();
            letters.next();
        }
        let text = &report[byte..end];
        let (gap, asked) = between(tokens.last(), &report[gap_from..byte], text);
        let sentence = tokens
            .last()
            .map_or(0, |last| last.sentence + usize::from(gap == Gap::Sentence));
        tokens.push(Token {
            text,
            lower: text.to_lowercase(),
            byte,
            start: at.char,
            end: place.char,
            line: at.line + 1,
            column: at.column + 1,
            gap,
            asked,
            sentence,
        });
        gap_from = end;
    }
    tokens
}

/// The words from `from` to before `to` as written, with the bracket that they open.
pub(super) fn written<'r>(report: &'r str, tokens: &[Token], from: usize, to: usize) -> &'r str {
    let (start, end) = (tokens[from].byte, tokens[to - 1].byte_end());
    let text = &report[start..end];
    match text.contains('(') && !text.contains(')') && report[end..].starts_with(')') {
        true => &report[start..=end],
        false => text,
    }
}

/// Where the reader is, in characters.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    char: usize,
    line: usize,
    column: usize,
}

impl Place {
    fn pass(&mut self, letter: char) {
        self.char += 1;
        self.column += 1;
        if letter == '\n' {
            self.line += 1;
            self.column = 0;
        }
    }
}

fn is_apostrophe(c: char) -> bool {
    c == '\'' || c == '’'
}

/// Whether an apostrophe stands within a word: "Morison's".
fn joins(report: &str, at: usize, apostrophe: char) -> bool {
    report[at + apostrophe.len_utf8()..]
        .chars()
        .next()
        .is_some_and(char::is_alphabetic)
}

/// What lies between two words, and whether a question mark stands before the second.
fn between(last: Option<&Token>, gap: &str, next: &str) -> (Gap, bool) {
    // "?stroke", but not "stroke?"
    let asked = gap
        .strip_suffix('?')
        .is_some_and(|before| before.is_empty() || before.ends_with([' ', '\n', '\t', '(']));
    let Some(last) = last else {
        return (Gap::Sentence, asked);
    };
    let signs = if asked { gap.trim_end_matches('?') } else { gap };
    (sort(last, signs, next), asked)
}

fn sort(last: &Token, gap: &str, next: &str) -> Gap {
    let spaced = gap.contains(|c: char| c.is_whitespace() || c.is_control());
    let signs: String = gap.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    if let Some((before, after)) = gap.split_once('\n') {
        if before.trim_end().ends_with(':') {
            return Gap::Colon;
        }
        if new_item(last, after, next) {
            return Gap::Sentence;
        }
    }
    match signs.as_str() {
        "" => Gap::Space,
        "." if !spaced && last.is_number() => Gap::Point,
        "." if !spaced => Gap::Other,
        "." if short_form(last, next) => Gap::Space,
        "/" => Gap::Slash,
        "&" | "+" => Gap::And,
        "," => Gap::Comma,
        "-" | "–" | "—" | "‐" | "‑" | "−" if spaced => Gap::Dash,
        "-" | "–" | "—" | "‐" | "‑" | "−" => Gap::Hyphen,
        "(" | ")" | "[" | "]" => Gap::Bracket,
        _ if signs.contains([';', '!', '?', '.', '•', '。', '；']) => Gap::Sentence,
        _ if signs.contains(':') => Gap::Colon,
        _ if signs.contains(',') => Gap::Comma,
        _ => Gap::Other,
    }
}

fn short_form(last: &Token, next: &str) -> bool {
    let side = matches!(last.lower.as_str(), "lt" | "rt" | "dr");
    SHORT_FORMS.contains(&last.lower.as_str()) && (side || next.starts_with(|c: char| c.is_lowercase()))
}

/// Whether what follows a line's end begins something new: a paragraph, an item of a list, a line of its own.
fn new_item(last: &Token, after: &str, next: &str) -> bool {
    if after.contains('\n') || after.contains(['-', '*', '•', '#', '>', '|', '–']) {
        return true;
    }
    let width = last.column + last.text.chars().count();
    let capital = next.starts_with(char::is_uppercase) || next.starts_with(|c: char| c.is_ascii_digit());
    // "at the level of\nL4": a short word, or one in figures and capitals only, may well go on.
    let name = next.chars().count() <= 4 && next.chars().all(|c| c.is_uppercase() || c.is_ascii_digit());
    capital
        && width < WRAPPED
        && !(UNFINISHED.contains(&last.lower.as_str()) || name && !next.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(report: &str) -> Vec<Gap> {
        tokens(report).iter().skip(1).map(|token| token.gap).collect()
    }

    #[test]
    fn signs_between_words_say_what_may_be_read_across_them() {
        assert_eq!(
            gaps("left-sided L4/5, T12 (bone) 2.5 cm"),
            [
                Gap::Hyphen,
                Gap::Space,
                Gap::Slash,
                Gap::Comma,
                Gap::Bracket,
                Gap::Bracket,
                Gap::Point,
                Gap::Space
            ]
        );
        assert_eq!(
            gaps("Lt. kidney. Spleen: normal"),
            [Gap::Space, Gap::Sentence, Gap::Colon]
        );
    }

    #[test]
    fn a_wrapped_line_goes_on_and_a_new_one_does_not() {
        let long = "There is a small simple cyst in the upper pole of the left\nkidney, unchanged.";
        assert!(!gaps(long).contains(&Gap::Sentence));
        assert_eq!(
            gaps("Liver normal\nSpleen absent"),
            [Gap::Space, Gap::Sentence, Gap::Space]
        );
        assert_eq!(gaps("seen at\nL4"), [Gap::Space, Gap::Space]);
        assert_eq!(gaps("liver\r\n\r\nspleen\n- kidney"), [Gap::Sentence, Gap::Sentence]);
    }

    #[test]
    fn places_count_characters_not_bytes() {
        let found = tokens("Größe\r\nö Leber");
        let last = &found[2];
        assert_eq!((last.start, last.end, last.line, last.column), (9, 14, 2, 3));
    }
}
