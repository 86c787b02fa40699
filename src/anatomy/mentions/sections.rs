//! Sections of a report: what a mention is worth depends on whether it stands under FINDINGS or under HISTORY.

use super::tokens::{Gap, Token};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A part of a report that does not say what this scan shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Section {
    /// History, indication, clinical information.
    History,
    /// Title, examination, technique.
    Technique,
    /// What it was compared with.
    Comparison,
}

/// Longest heading, in words.
const LONGEST: usize = 6;

/// Words that headings turn on; the first of them in a heading decides. None: findings, impression and the like.
const HEADINGS: &[(&str, Option<Section>)] = &[
    ("addendum", None),
    ("assessment", None),
    ("background", Some(Section::History)),
    ("comment", None),
    ("comments", None),
    ("comparison", Some(Section::Comparison)),
    ("comparisons", Some(Section::Comparison)),
    ("conclusion", None),
    ("conclusions", None),
    ("details", Some(Section::History)),
    ("diagnosis", None),
    ("exam", Some(Section::Technique)),
    ("examination", Some(Section::Technique)),
    ("findings", None),
    ("history", Some(Section::History)),
    ("impression", None),
    ("indication", Some(Section::History)),
    ("indications", Some(Section::History)),
    ("information", Some(Section::History)),
    ("interpretation", None),
    ("opinion", None),
    ("pmh", Some(Section::History)),
    ("procedure", Some(Section::Technique)),
    ("protocol", Some(Section::Technique)),
    ("question", Some(Section::History)),
    ("reason", Some(Section::History)),
    ("recommendation", None),
    ("recommendations", None),
    ("report", None),
    ("result", None),
    ("results", None),
    ("sequences", Some(Section::Technique)),
    ("study", Some(Section::Technique)),
    ("summary", None),
    ("technique", Some(Section::Technique)),
];
/// Words that may stand beside them in a heading.
const BESIDE: &[&str] = &[
    "and",
    "brief",
    "clinical",
    "ct",
    "for",
    "imaging",
    "medical",
    "mr",
    "mri",
    "of",
    "past",
    "pet",
    "pertinent",
    "present",
    "illness",
    "prior",
    "relevant",
    "scan",
    "surgical",
    "the",
    "type",
];
/// Words that a report's title begins with.
const TITLES: &[&str] = &["ct", "cta", "cect", "ncct", "hrct", "mr", "mri", "mra", "pet", "fdg"];

/// The section that each word stands in; None for findings.
pub(super) fn sections(tokens: &[Token]) -> Vec<Option<Section>> {
    let first = |i: usize| i == 0 || tokens[i - 1].line != tokens[i].line || tokens[i].gap == Gap::Sentence;
    let headings: Vec<Option<Option<Section>>> = (0..tokens.len())
        .map(|i| first(i).then(|| heading(&tokens[i..])).flatten())
        .collect();
    let last = headings.iter().rposition(Option::is_some).unwrap_or(0);
    let title = title(tokens);
    let mut current = None;
    let mut sections = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        // where no heading follows, a new paragraph is what was found
        let paragraph = i > last && token.line > tokens[i - 1].line + 1;
        current = match headings[i] {
            Some(next) => next,
            None if paragraph => None,
            None => current,
        };
        sections.push(if i < title { Some(Section::Technique) } else { current });
    }
    sections
}

/// Words of the title: a first line such as "CT ABDOMEN AND PELVIS WITH CONTRAST" that is no sentence.
fn title(tokens: &[Token]) -> usize {
    let Some(first) = tokens.first().filter(|first| TITLES.contains(&first.lower.as_str())) else {
        return 0;
    };
    let words = tokens.iter().take_while(|token| token.line == first.line).count();
    let sentence = tokens[..words].iter().any(|token| {
        matches!(
            token.lower.as_str(),
            "is" | "are" | "was" | "were" | "shows" | "showed" | "demonstrates"
        )
    });
    if sentence || words > 14 || words == tokens.len() {
        0
    } else {
        words
    }
}

/// The section that a heading at the beginning of `tokens` opens.
fn heading(tokens: &[Token]) -> Option<Option<Section>> {
    let first = tokens.first()?;
    let mut words = 1;
    while tokens
        .get(words)
        .is_some_and(|token| matches!(token.gap, Gap::Space | Gap::Slash | Gap::And) && token.line == first.line)
    {
        words += 1;
        if words > LONGEST {
            return None;
        }
    }
    // A colon ends it, or it stands alone on its line: in capitals, or as one word.
    let colon = tokens.get(words).is_some_and(|token| token.gap == Gap::Colon);
    let alone = tokens.get(words).is_none_or(|token| token.line != first.line);
    if !colon && !(alone && (words == 1 || tokens[..words].iter().all(Token::is_upper))) {
        return None;
    }
    let known = |token: &Token| {
        HEADINGS
            .iter()
            .find(|(word, _)| *word == token.lower)
            .map(|(_, section)| *section)
    };
    let all = tokens[..words]
        .iter()
        .all(|token| known(token).is_some() || BESIDE.contains(&token.lower.as_str()));
    tokens[..words].iter().find_map(known).filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    fn of(report: &str, word: &str) -> Option<Section> {
        let tokens = tokens(report);
        let at = tokens.iter().position(|token| token.text == word).unwrap_or_default();
        sections(&tokens)[at]
    }

    #[test]
    fn headings_open_sections_and_anatomical_ones_do_not() {
        let report = "CT ABDOMEN\nClinical history: lung cancer. COMPARISON: MRI brain.\n\nTECHNIQUE\nThrough the pelvis.\n\
                      FINDINGS:\nLiver: normal.\nIMPRESSION: cyst";
        assert_eq!(of(report, "ABDOMEN"), Some(Section::Technique));
        assert_eq!(of(report, "lung"), Some(Section::History));
        assert_eq!(of(report, "brain"), Some(Section::Comparison));
        assert_eq!(of(report, "pelvis"), Some(Section::Technique));
        assert_eq!(of(report, "Liver"), None);
        assert_eq!(of(report, "cyst"), None);
        assert_eq!(of("History of lung cancer", "lung"), None);
        assert_eq!(of("COMPARISON: Brain MRI.\n\nThe liver is normal.", "liver"), None);
    }
}
