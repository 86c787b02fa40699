//! Sections of a report: what a mention is worth depends on whether it stands under FINDINGS or under HISTORY.

use super::titles;
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
/// Headings that say where the findings begin.
const BODY: &[&str] = &["findings", "report", "result", "results"];
/// Words that make a sentence one of what the scan shows.
const SHOWN: &[&str] = &["are", "demonstrates", "is", "measures", "shows", "there"];
/// Words that make it one of the patient or the examination all the same.
const NOT_SHOWN: &[&str] = &[
    "exam",
    "examination",
    "he",
    "image",
    "images",
    "imaging",
    "pain",
    "patient",
    "pt",
    "scan",
    "scans",
    "she",
    "study",
    "symptoms",
    "who",
];
/// Longest sentence that is looked through for them.
const SENTENCE: usize = 60;

/// The section that each word stands in; None for findings.
pub(super) fn sections(tokens: &[Token]) -> Vec<Option<Section>> {
    let first = |i: usize| i == 0 || tokens[i - 1].line != tokens[i].line || tokens[i].gap == Gap::Sentence;
    let headings: Vec<Option<Option<Section>>> = (0..tokens.len())
        .map(|i| first(i).then(|| heading(&tokens[i..])).flatten())
        .collect();
    let last = headings.iter().rposition(Option::is_some).unwrap_or(0);
    let ends = ends(tokens, &headings);
    let mut title = 0;
    let mut current = None;
    let mut sections = Vec::with_capacity(tokens.len());
    for (i, token) in tokens.iter().enumerate() {
        // where no heading follows, a new paragraph is what was found
        let paragraph = i > last && token.line > tokens[i - 1].line + 1;
        current = match headings[i] {
            Some(next) => next,
            None if paragraph || ends[i] => None,
            None => current,
        };
        if first(i) && headings[i].is_none() && current.is_none() {
            title = title.max(i + titles::title(tokens, i));
        }
        sections.push(if i < title { Some(Section::Technique) } else { current });
    }
    sections
}

/// The words at which a section is over though no heading says so: where nothing but findings can follow, its content is what
/// stands on the heading's line, up to the first sentence of what the scan shows.
fn ends(tokens: &[Token], headings: &[Option<Option<Section>>]) -> Vec<bool> {
    let mut ends = vec![false; tokens.len()];
    let body = (0..tokens.len())
        .rev()
        .find(|i| headings[*i] == Some(None) && line(tokens, *i).any(|token| BODY.contains(&token.lower.as_str())));
    let mut next = tokens.len();
    for start in (0..tokens.len()).rev() {
        let Some(opens) = headings[start] else { continue };
        let alone = body.is_none_or(|body| body < start) && headings.get(next).is_none_or(|next| *next == Some(None));
        if let Some(section) = opens.filter(|_| alone)
            && let Some(end) = end(tokens, section, start, next)
        {
            ends[end] = true;
        }
        next = start;
    }
    ends
}

/// Where the section is over whose heading is at `start`, before the next heading.
fn end(tokens: &[Token], section: Section, start: usize, next: usize) -> Option<usize> {
    let begun = |k: &usize| tokens[*k].gap == Gap::Colon || tokens[*k].line != tokens[start].line;
    let content = (start + 1..next).find(begun)?;
    let own_line = tokens[content].line == tokens[start].line;
    (content + 1..next)
        .filter(|k| tokens[*k].gap == Gap::Sentence)
        .find(|k| {
            let new_line = tokens[*k].line > tokens[*k - 1].line;
            new_line && own_line || is_shown(&tokens[*k..next], section)
        })
}

/// Whether the sentence at the beginning of `tokens` is one of what the scan shows.
fn is_shown(tokens: &[Token], section: Section) -> bool {
    let sentence = || {
        tokens
            .iter()
            .take(SENTENCE)
            .take_while(|token| token.sentence == tokens[0].sentence)
    };
    let any = |table: &[&str]| sentence().any(|token| table.contains(&token.lower.as_str()));
    match section {
        // a scan or a date is what was compared with
        Section::Comparison => !titles::is_title_word(&tokens[0]) && !tokens[0].is_number(),
        Section::History | Section::Technique => {
            let named = sentence().skip(1).take(3).any(|token| token.gap == Gap::Colon);
            (named || any(SHOWN)) && !any(NOT_SHOWN)
        }
    }
}

/// The first words of the line that `i` begins.
fn line<'t, 'r>(tokens: &'t [Token<'r>], i: usize) -> impl Iterator<Item = &'t Token<'r>> {
    let line = tokens[i].line;
    tokens[i..]
        .iter()
        .take(LONGEST)
        .take_while(move |token| token.line == line)
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

    #[test]
    fn where_no_findings_are_headed_a_section_is_over_with_its_line_or_sentence() {
        let history = Some(Section::History);
        let report = "Indication: memory complaints, stroke.\nThe left hippocampus is smaller.\nIMPRESSION: atrophy";
        assert_eq!(of(report, "stroke"), history);
        assert_eq!(of(report, "hippocampus"), None);
        assert_eq!(of("COMPARISON: None. The liver is enlarged.", "liver"), None);
        assert_eq!(
            of("COMPARISON: CT chest. MRI of the liver.", "liver"),
            Some(Section::Comparison)
        );
        assert_eq!(of("Indication: pain. The liver is enlarged.", "liver"), None);
        assert_eq!(of("Indication: pain. Liver: enlarged.", "enlarged"), None);
        assert_eq!(
            of("HISTORY: pain. The patient is tender over the liver.", "liver"),
            history
        );
        assert_eq!(
            of("HISTORY: pain.\nProven liver metastasis.\nTECHNIQUE: CT", "liver"),
            history
        );
        assert_eq!(
            of("HISTORY: pain.\nTumor of the liver.\nFINDINGS: none", "liver"),
            history
        );
        let wrapped = "HISTORY: a long story of many words that goes on to the line behind in a\nsmall liver";
        assert_eq!(of(wrapped, "liver"), history);
    }
}
