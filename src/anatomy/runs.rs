//! "L2 to L4", "left ribs 3-5", "liver segments V to VIII": numbered structures from one to another, asked for as one.
//!
//! Only the ends have to be said; what they are numbers of is read from either. A run means all of its members together,
//! which `segment` joins. Nothing is guessed: an end that is no level, a side said twice, a word too many, and it is no run.

use super::words::{has_digit, is_side, spell};

/// A run of numbered structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// How to call it: `L2 to L4`, `left ribs 3 to 5`.
    pub name: String,
    /// A name of each member, from the first to the last.
    pub members: Vec<String>,
    /// What the same words are also a name of: "L4-L5" may be the disc between them.
    pub or_else: Option<String>,
}

/// What the numbers are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vertebra,
    Rib,
    Segment,
}

/// One end of a run, as far as its words say.
#[derive(Debug, Default)]
struct End {
    kind: Option<Kind>,
    /// Of a vertebra: c, t, l or s.
    letter: Option<char>,
    side: Option<&'static str>,
    number: Option<u8>,
    /// Segments were spoken of.
    segments: bool,
}

/// The run that a phrase is, if it is one.
pub(super) fn run(phrase: &str) -> Option<Run> {
    if !phrase.contains(|c: char| c.is_ascii_digit() || matches!(c, 'i' | 'v' | 'x' | 'I' | 'V' | 'X')) {
        return None;
    }
    let plain = phrase.to_lowercase().replace(['–', '—', '−', '‐', '‑'], "-");
    let words = [" to ", " through ", " thru ", " until "];
    let between = |by: &str| {
        plain
            .split_once(by)
            .map(|(first, last)| (first.to_owned(), last.to_owned()))
    };
    let (first, last, dashed) = match words.iter().find_map(|by| between(by)) {
        Some((first, last)) => (first, last, false),
        None => between("-").map(|(first, last)| (first, last, true))?,
    };
    // "liver segments V-VIII": a lone V is a number only beside the word that it numbers
    let counted = ["segment", "rib"]
        .into_iter()
        .find(|word| plain.contains(word))
        .unwrap_or("");
    let (first, last) = (end(&first, counted)?, end(&last, counted)?);
    if first.side.is_some() && last.side.is_some() {
        return None;
    }
    let kind = first.kind.or(last.kind)?;
    let others = last.kind.is_some_and(|other| other != kind);
    if others || ((first.segments || last.segments) && kind != Kind::Segment) {
        return None;
    }
    let (from, to) = (first.number?, last.number?);
    let side = first.side.or(last.side);
    match kind {
        Kind::Vertebra if side.is_none() => {
            let letter = first.letter.or(last.letter)?;
            vertebrae(
                (first.letter.unwrap_or(letter), from),
                (last.letter.unwrap_or(letter), to),
                dashed,
            )
        }
        Kind::Rib => {
            let side = side.map(|side| format!("{side} ")).unwrap_or_default();
            numbered(from, to, 12, format!("{side}ribs"), |n| format!("{side}rib {n}"))
        }
        Kind::Segment if side.is_none() => {
            numbered(from, to, 8, "liver segments".into(), |n| format!("liver segment {n}"))
        }
        _ => None,
    }
}

fn end(text: &str, counted: &str) -> Option<End> {
    let mut end = End::default();
    let alone = text.trim().len() <= 4 && !has_digit(text) && !counted.is_empty();
    let text = if alone {
        format!("{counted} {text}")
    } else {
        text.to_owned()
    };
    for word in spell(&text).words {
        if is_side(&word) {
            let side = if word == "left" { "left" } else { "right" };
            end.side.replace(side).is_none().then_some(())?;
        } else if let Ok(number) = word.parse() {
            end.number.replace(number).is_none().then_some(())?;
        } else if let Some((letter, number)) = level(&word) {
            (end.letter, end.kind) = (Some(letter), Some(Kind::Vertebra));
            end.number.replace(number).is_none().then_some(())?;
        } else {
            let (kind, letter) = match word.as_str() {
                "rib" | "costa" => (Some(Kind::Rib), None),
                "couinaud" => (Some(Kind::Segment), None),
                // the lung has segments, too: the organ has to be said
                "segment" => {
                    end.segments = true;
                    (None, None)
                }
                "cervical" => (Some(Kind::Vertebra), Some('c')),
                "thoracic" | "dorsal" => (Some(Kind::Vertebra), Some('t')),
                "lumbar" => (Some(Kind::Vertebra), Some('l')),
                "vertebra" => (Some(Kind::Vertebra), None),
                "level" | "spine" => (Some(Kind::Vertebra), None),
                "liver" | "hepatic" => (Some(Kind::Segment), None),
                // what says nothing more than the numbers do
                "from" => (None, None),
                _ => return None,
            };
            if let (Some(kind), Some(known)) = (kind, end.kind)
                && kind != known
            {
                return None;
            }
            end.kind = end.kind.or(kind);
            end.letter = end.letter.or(letter);
        }
    }
    Some(end)
}

/// A vertebra: the letter of its part of the spine, and its number there.
pub(super) type Level = (char, u8);

/// The vertebrae that most people have, from the head down.
const SPINE: [Level; 4] = [('c', 7), ('t', 12), ('l', 5), ('s', 1)];

/// `l4`: an evened-out word that may be a level.
fn level(word: &str) -> Option<Level> {
    let mut letters = word.chars();
    let letter = letters
        .next()
        .filter(|letter| matches!(letter, 'c' | 't' | 'l' | 's'))?;
    Some((letter, letters.as_str().parse().ok()?))
}

/// The vertebra that a word names, however it is written: L4, Th12, D7.
pub(super) fn vertebra(word: &str) -> Option<Level> {
    match spell(word).words.as_slice() {
        [word] => level(word).filter(|level| (1..=highest(level.0)).contains(&level.1)),
        _ => None,
    }
}

/// The highest number in a part of the spine; a few people have a sixth lumbar vertebra.
pub(super) fn highest(letter: char) -> u8 {
    let usual = SPINE.iter().find(|part| part.0 == letter).map_or(0, |part| part.1);
    if letter == 'l' { usual + 1 } else { usual }
}

/// How a level is called: L4.
pub(super) fn said((letter, number): Level) -> String {
    format!("{}{number}", letter.to_ascii_uppercase())
}

/// The vertebrae from one to another, from the head down; `dashed` where a sign and no word joins them.
pub(super) fn vertebrae(from: Level, to: Level, dashed: bool) -> Option<Run> {
    let mut spine: Vec<(char, u8)> = SPINE
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(|number| (*letter, number)))
        .collect();
    if [from, to].contains(&('l', 6)) {
        // the few who have it; "L5 to S1" means it no more than "T12 to L1" means T13
        let after = spine.iter().position(|level| *level == ('l', 5))? + 1;
        spine.insert(after, ('l', 6));
    }
    let place = |level| spine.iter().position(|known| *known == level);
    let (first, last) = (place(from)?, place(to)?);
    let (first, last) = (first.min(last), first.max(last));
    if first == last {
        return None;
    }
    let (upper, lower) = (said(spine[first]), said(spine[last]));
    Some(Run {
        name: format!("{upper} to {lower}"),
        or_else: (dashed && last == first + 1).then(|| format!("{upper}-{lower} disc")),
        members: spine[first..=last].iter().map(|level| said(*level)).collect(),
    })
}

fn numbered(from: u8, to: u8, most: u8, whole: String, member: impl Fn(u8) -> String) -> Option<Run> {
    let (from, to) = (from.min(to), from.max(to));
    (from >= 1 && from < to && to <= most).then(|| Run {
        name: format!("{whole} {from} to {to}"),
        members: (from..=to).map(member).collect(),
        or_else: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(phrase: &str) -> String {
        run(phrase).map_or_else(String::new, |run| run.members.join(" "))
    }

    #[test]
    fn a_run_is_read_however_it_is_written() {
        for phrase in [
            "L2 to L4",
            "L2-L4",
            "L2–L4",
            "l2 through l4",
            "L2-4",
            "L2 - L4",
            "vertebrae L2 to L4",
            "L4 to L2",
            "lumbar vertebrae 2 to 4",
            "L2-L4 levels",
            "from L2 to L4",
            "2nd to 4th lumbar vertebra",
        ] {
            assert_eq!(members(phrase), "L2 L3 L4", "{phrase}");
        }
        assert_eq!(members("T11-L2"), "T11 T12 L1 L2");
        assert_eq!(members("Th12 to L1"), "T12 L1");
        assert_eq!(members("L5 to S1"), "L5 S1");
        assert_eq!(members("L4 to L6"), "L4 L5 L6");
        assert_eq!(members("C6-T1"), "C6 C7 T1");
        assert_eq!(members("left ribs 3-5"), "left rib 3 left rib 4 left rib 5");
        assert_eq!(members("3rd to 4th left ribs"), "left rib 3 left rib 4");
        assert_eq!(members("ribs 11 to 12"), "rib 11 rib 12");
        assert_eq!(members("liver segments V-VIII").len(), "liver segment 5 ".len() * 4 - 1);
        assert_eq!(
            members("segments 5 to 6 of the liver"),
            "liver segment 5 liver segment 6"
        );
        assert_eq!(run("L2-L4").unwrap().name, "L2 to L4");
        assert_eq!(run("3rd-5th right ribs").unwrap().name, "right ribs 3 to 5");
    }

    #[test]
    fn neighbours_with_a_dash_may_be_a_disc() {
        assert_eq!(run("L4-L5").unwrap().or_else.as_deref(), Some("L4-L5 disc"));
        assert_eq!(run("L4-5").unwrap().or_else.as_deref(), Some("L4-L5 disc"));
        assert_eq!(run("L4 to L5").unwrap().or_else, None);
        assert_eq!(run("L3-L5").unwrap().or_else, None);
    }

    #[test]
    fn what_is_no_run_is_none() {
        for phrase in [
            "L4",
            "L2 to",
            "to L4",
            "L4 to L4",
            "L2 to T",
            "C3-C8",
            "T0-T3",
            "rib 3 to L4",
            "ribs 3 to 13",
            "3 to 5",
            "left ribs 3 to right 5",
            "L2 to left L4",
            "L2 to L4 fracture",
            "liver to spleen",
            "kidney-liver",
            "segments 2 to 9",
            "L2 L3 to L4",
            "x to v",
            "i-ii",
            "C-spine",
            "1-2 cm",
        ] {
            assert_eq!(run(phrase), None, "{phrase}");
        }
    }
}
