//! Words that say of a mention that it is not there, was there once, or may be there.
//!
//! After NegEx (Chapman et al. 2001, doi:10.1006/jbin.2001.1029): cues before and behind a mention, phrases that only look like
//! cues, and words that end a cue's reach. The tables are our own.

use super::tokens::{Gap, Token};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a cue says, and on which side of it the mention stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// What follows is not there.
    NoneOf,
    /// What came before is not there.
    IsNot,
    /// What follows was, once; of structures, too.
    HistoryOf,
    /// What follows was found before: a finding's past says nothing against the organ.
    Earlier,
    /// What follows may be there.
    Perhaps,
    /// What came before may be there.
    IsPerhaps,
    /// Looks like a cue and is none.
    Nothing,
    /// Ends a cue's reach.
    End,
}

/// A cue in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cue {
    /// Its first word.
    pub from: usize,
    /// The word after its last.
    pub to: usize,
    pub says: Says,
}

const NONE_OF: &[&str] = &[
    "absence of",
    "absent",
    "cannot see",
    "clear of",
    "declined",
    "denied",
    "denies",
    "denying",
    "did not demonstrate",
    "did not reveal",
    "did not show",
    "does not demonstrate",
    "does not reveal",
    "does not show",
    "excludes",
    "fails to reveal",
    "free of",
    "lack of",
    "lacks",
    "negative for",
    "neither",
    "never had",
    "no",
    "no convincing",
    "no evidence for",
    "no evidence of",
    "no findings of",
    "no signs of",
    "no sign of",
    "no suggestion of",
    "non visualization of",
    "nonvisualization of",
    "not demonstrate",
    "rules out",
    "ruled out for",
    "unremarkable for",
    "without",
    "without evidence of",
    "resolution of",
    "interval resolution of",
    "resolved",
];
const IS_NOT: &[&str] = &[
    "absent",
    "are absent",
    "has been excluded",
    "has been removed",
    "has resolved",
    "have resolved",
    "have been removed",
    "has been resected",
    "is absent",
    "negative",
    "no longer present",
    "no longer seen",
    "no longer visible",
    "no longer visualized",
    "none",
    "not demonstrated",
    "not detected",
    "not evident",
    "not identified",
    "not noted",
    "not present",
    "not seen",
    "not visible",
    "not visualised",
    "not visualized",
    "removed",
    "resected",
    "resolved",
    "ruled out",
    "surgically absent",
    "surgically removed",
    "was removed",
    "was resected",
    "excluded",
    "unlikely",
    "nonvisualized",
];
const HISTORY_OF: &[&str] = &[
    "h o",
    "history",
    "history of",
    "hx",
    "hx of",
    "post operative status",
    "s p",
    "status post",
    "past history of",
    "treated for",
    "pmh",
];
const EARLIER: &[&str] = &[
    "known",
    "previous",
    "previously diagnosed",
    "prior",
    "previously treated",
];
const PERHAPS: &[&str] = &[
    "assess for",
    "cannot exclude",
    "can not exclude",
    "concern for",
    "concerning for",
    "could be",
    "could represent",
    "differential includes",
    "equivocal for",
    "evaluate for",
    "if",
    "likely",
    "may be",
    "may represent",
    "might represent",
    "most likely",
    "not exclude",
    "possibility of",
    "possible",
    "possibly",
    "potential",
    "presumed",
    "probable",
    "probably",
    "query",
    "question of",
    "questionable",
    "r o",
    "rule out",
    "suggesting",
    "suggestion of",
    "suggestive of",
    "suggests",
    "suspect",
    "suspected",
    "suspicion of",
    "suspicion for",
    "suspicious for",
    "to exclude",
    "versus",
    "vs",
    "worrisome for",
    "favor",
    "favored to represent",
    "likely representing",
    "compatible with possible",
];
const IS_PERHAPS: &[&str] = &[
    "cannot be excluded",
    "cannot be ruled out",
    "can not be excluded",
    "could be present",
    "is favored",
    "is likely",
    "is not excluded",
    "is possible",
    "is probable",
    "is questioned",
    "is suspected",
    "may be present",
    "not be excluded",
    "not excluded",
    "not ruled out",
    "suspected",
];
const NOTHING: &[&str] = &[
    "gram negative",
    "no change",
    "no interval change",
    "no significant change",
    "no significant interval change",
    "no substantial change",
    "no appreciable change",
    "no definite change",
    "no decrease",
    "no enlargement",
    "no growth",
    "no increase",
    "no interval increase",
    "no interval growth",
    "no progression",
    "no significant increase",
    "no other change",
    "no significant interval increase",
    "not only",
    "not necessarily",
    "not seen on prior",
    "not seen on the prior",
    "not seen on previous",
    "not seen previously",
    "not previously seen",
    "not present on prior",
    "not present on the prior",
    "not identified on prior",
    "not identified on the prior",
    "not visualized on prior",
    "without change",
    "without significant change",
    "without interval change",
    "without contrast",
    "without intravenous contrast",
    "without iv contrast",
    "with and without contrast",
    "if clinically",
    "if indicated",
    "if needed",
    "likely unchanged",
    "no further",
    "not resected",
    "not removed",
    "partially resected",
    "partly resected",
    "incompletely resected",
];
const END: &[&str] = &[
    "although",
    "apart from",
    "aside from",
    "because",
    "besides",
    "but",
    "except",
    "except for",
    "however",
    "nevertheless",
    "other than",
    "otherwise",
    "still",
    "there are",
    "there is",
    "though",
    "whereas",
    "which",
    "while",
    "yet",
    "are present",
    "is present",
    "are seen",
    "is seen",
    "is noted",
    "secondary to",
    "due to",
    "adjacent to",
    "in this patient with",
    "in patient with",
    "patient with",
    "now with",
];
/// Examinations: what is "prior" to them is compared with, not a finding.
const EXAMINATIONS: &[&str] = &[
    "ct",
    "cts",
    "exam",
    "exams",
    "examination",
    "examinations",
    "imaging",
    "mr",
    "mri",
    "mris",
    "pet",
    "radiograph",
    "radiographs",
    "report",
    "scan",
    "scans",
    "studies",
    "study",
    "ultrasound",
    "us",
    "xray",
];

type Entry = (Vec<&'static str>, Says);

/// Cues by their first word, longest first.
static CUES: LazyLock<HashMap<&'static str, Vec<Entry>>> = LazyLock::new(|| {
    let tables = [
        (NOTHING, Says::Nothing),
        (NONE_OF, Says::NoneOf),
        (IS_NOT, Says::IsNot),
        (HISTORY_OF, Says::HistoryOf),
        (EARLIER, Says::Earlier),
        (PERHAPS, Says::Perhaps),
        (IS_PERHAPS, Says::IsPerhaps),
        (END, Says::End),
    ];
    let mut cues: HashMap<&str, Vec<Entry>> = HashMap::new();
    for (table, says) in tables {
        for phrase in table {
            let words: Vec<&str> = phrase.split(' ').collect();
            if let Some(first) = words.first().copied() {
                cues.entry(first).or_default().push((words, says));
            }
        }
    }
    // stable, so that of equals the earlier table comes first
    cues.values_mut()
        .for_each(|entries| entries.sort_by_key(|(words, _)| std::cmp::Reverse(words.len())));
    cues
});

/// The cues of a report, in order. A word that is a cue both ways ("absent") is given both ways.
pub(super) fn cues(tokens: &[Token]) -> Vec<Cue> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let entries = CUES.get(tokens[i].lower.as_str()).map_or(&[][..], Vec::as_slice);
        let matching: Vec<&Entry> = entries
            .iter()
            .filter(|(words, _)| stands(words, &tokens[i..]))
            .collect();
        let Some(length) = matching.first().map(|(words, _)| words.len()) else {
            i += 1;
            continue;
        };
        let to = i + length;
        for (_, says) in matching.iter().filter(|(words, _)| words.len() == length) {
            let compared = *says == Says::Earlier
                && tokens[to..]
                    .iter()
                    .take(2)
                    .any(|next| EXAMINATIONS.contains(&next.lower.as_str()));
            // "HISTORY:" is a heading
            let heading = *says == Says::HistoryOf && tokens.get(to).is_some_and(|next| next.gap == Gap::Colon);
            if !compared && !heading {
                found.push(Cue {
                    from: i,
                    to,
                    says: *says,
                });
            }
        }
        i = to;
    }
    found
}

fn stands(words: &[&str], tokens: &[Token]) -> bool {
    words.len() <= tokens.len()
        && words.iter().zip(tokens).enumerate().all(|(i, (word, token))| {
            *word == token.lower && (i == 0 || matches!(token.gap, Gap::Space | Gap::Slash | Gap::Hyphen))
        })
}
