//! Titles of examinations: "CT CHEST WITH CONTRAST" names what was scanned, not what was seen.

use super::tokens::{Gap, Token};

/// Words for examinations that a title turns on.
const EXAMINATIONS: &[&str] = &[
    "ct", "cta", "ctpa", "cect", "ncct", "hrct", "mr", "mri", "mra", "mrcp", "pet", "fdg",
];
/// Words that may stand before them.
const BEFORE: &[&str] = &[
    "3t",
    "cardiac",
    "contrast",
    "dose",
    "dynamic",
    "enhanced",
    "fetal",
    "high",
    "low",
    "multiparametric",
    "non",
    "noncontrast",
    "plain",
    "resolution",
    "unenhanced",
    "whole",
    "body",
];
/// Words of sentences, which no title has.
const SENTENCE: &[&str] = &[
    "are",
    "demonstrated",
    "demonstrates",
    "is",
    "negative",
    "no",
    "normal",
    "positive",
    "reveals",
    "show",
    "showed",
    "shows",
    "unremarkable",
    "was",
    "were",
];
/// Most words before one for the examination.
const MOST_BEFORE: usize = 3;
/// Longest title in words, and where only a full stop ends it.
const LONGEST: usize = 14;
const LONGEST_SENTENCE: usize = 10;

/// Whether a title may begin with this word.
pub(super) fn is_title_word(token: &Token) -> bool {
    EXAMINATIONS.contains(&token.lower.as_str())
}

/// How many words from `i` on, where a line or sentence begins, are a title: those before a colon, a line of their own, or the
/// report's first sentence.
pub(super) fn title(tokens: &[Token], i: usize) -> usize {
    let rest = &tokens[i..];
    let before = rest
        .iter()
        .take(MOST_BEFORE)
        .take_while(|token| BEFORE.contains(&token.lower.as_str()))
        .count();
    if !rest.get(before).is_some_and(is_title_word) {
        return 0;
    }
    let goes_on = |token: &&Token| token.line == rest[0].line && !matches!(token.gap, Gap::Colon | Gap::Sentence);
    let words = 1 + rest[1..].iter().take(LONGEST).take_while(goes_on).count();
    let title = &rest[..words];
    let Some(next) = rest.get(words).filter(|_| words <= LONGEST) else {
        return 0;
    };
    let sentence = title.iter().any(|token| SENTENCE.contains(&token.lower.as_str()));
    let first = i == 0;
    let ends = match next.gap {
        Gap::Colon => true,
        _ if next.line != rest[0].line => first || title.iter().all(|token| token.is_upper() || token.is_number()),
        _ => first && words <= LONGEST_SENTENCE,
    };
    if ends && !sentence { words } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::title;

    #[test]
    fn a_title_names_the_examination_and_ends_with_a_colon_its_line_or_its_sentence() {
        for (report, words) in [
            ("MRI spine: L4 is fused.", 2),
            ("CT chest with contrast: The lungs are clear.", 4),
            ("MRI BRAIN W/WO CONTRAST\nThe brain is normal.", 5),
            ("PET/CT skull base to mid-thigh:\nTumor.", 7),
            ("Low-dose CT chest: nodule", 4),
            ("MRI brain, T1-weighted. Indication: memory complaints.", 4),
            ("CT of the abdomen and pelvis\n\nThe liver is normal.", 6),
            ("CT shows a nodule: 3 mm", 0),
            ("MRI brain is normal. No stroke.", 0),
            ("CT abdomen", 0),
            ("Liver on CT: normal", 0),
            ("The liver: normal", 0),
        ] {
            assert_eq!(title(&tokens(report), 0), words, "{report}");
        }
    }
}
