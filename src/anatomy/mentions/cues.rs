//! Words that say of a mention that it is not there, was there once, or may be there.
//!
//! After NegEx (Chapman et al. 2001, doi:10.1006/jbin.2001.1029): cues before and behind a mention, phrases that only look like
//! cues, and words that end a cue's reach. The tables are our own.

use super::cue_tables::{EARLIER, END, EXAMINATIONS, HISTORY_OF, IS_NOT, IS_PERHAPS, NONE_OF, NOTHING, PERHAPS, STILL};
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
    /// What came before is there now.
    Still,
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

type Entry = (Vec<&'static str>, Says);

/// Cues by their first word, longest first.
static CUES: LazyLock<HashMap<&'static str, Vec<Entry>>> = LazyLock::new(|| {
    let tables = [
        (NOTHING, Says::Nothing),
        (NONE_OF, Says::NoneOf),
        (IS_NOT, Says::IsNot),
        (HISTORY_OF, Says::HistoryOf),
        (EARLIER, Says::Earlier),
        (STILL, Says::Still),
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
            // "now 8 mm", but not "now with seizures"
            let vague = *says == Says::Still
                && tokens[to - 1].lower == "now"
                && length == 1
                && !tokens.get(to).is_some_and(Token::is_number);
            if !compared && !heading && !vague {
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
