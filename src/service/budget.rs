//! How long a summary may be. A model pays for every token that it reads, so a summary that would be too long leaves out
//! what a reader can best do without, in a fixed order, until it fits. All of it stays in `detail: full`.

use serde_json::{Map, Value};

/// Something that a summary may leave out.
pub(super) struct Cut {
    /// Where it lies: names from the top, `[]` for each element of a list.
    pub path: &'static str,
    /// Which of those values may go, by themselves and what they lie in.
    pub which: fn(&Value, &Map<String, Value>) -> bool,
}

pub(super) const fn cut(path: &'static str) -> Cut {
    cut_where(path, |_, _| true)
}

pub(super) const fn cut_where(path: &'static str, which: fn(&Value, &Map<String, Value>) -> bool) -> Cut {
    Cut { path, which }
}

/// Leaves out `cuts` one after the other until about `most` tokens are left.
pub(super) fn fit(answer: &mut Value, cuts: &[Cut], most: usize) {
    let mut left = cuts.iter();
    while tokens(answer) > most {
        let Some(cut) = left.next() else { return };
        remove(answer, cut.path, cut.which);
    }
}

fn remove(value: &mut Value, path: &str, which: fn(&Value, &Map<String, Value>) -> bool) {
    let (head, rest) = path
        .split_once('.')
        .map_or((path, None), |(head, rest)| (head, Some(rest)));
    let Some(object) = value.as_object_mut() else { return };
    match (head.strip_suffix("[]"), rest) {
        (Some(list), Some(rest)) => {
            let elements = object.get_mut(list).and_then(Value::as_array_mut);
            elements
                .into_iter()
                .flatten()
                .for_each(|element| remove(element, rest, which));
        }
        (None, Some(rest)) => {
            if let Some(inner) = object.get_mut(head) {
                remove(inner, rest, which);
            }
        }
        (_, None) => {
            if object.get(head).is_some_and(|value| which(value, object)) {
                object.shift_remove(head);
            }
        }
    }
}

/// About how many tokens a model reads where a host hands it the answer as JSON with a space after each colon and comma, the
/// longest form in use. Counted as o200k_base cuts text, by words, figures in threes and punctuation; tests/tokens.rs
/// holds the limits against the real thing.
pub(super) fn tokens(answer: &Value) -> usize {
    let text = answer.to_string();
    let mut count = 0;
    let mut run = (Sort::Gap, 0);
    for letter in text.chars() {
        let sort = Sort::of(letter);
        run = if sort == run.0 { (sort, run.1 + 1) } else { (sort, 1) };
        // a run's first letter begins a token, and so does every so-many-th after it
        count += usize::from(run.0.length().is_some_and(|length| run.1 % length == 1));
    }
    count * 23 / 20
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Letter,
    Digit,
    Mark,
    Gap,
}

impl Sort {
    fn of(letter: char) -> Sort {
        match letter {
            letter if letter.is_alphabetic() => Sort::Letter,
            letter if letter.is_ascii_digit() => Sort::Digit,
            letter if letter.is_whitespace() => Sort::Gap,
            _ => Sort::Mark,
        }
    }

    /// How much of a run a token holds.
    fn length(self) -> Option<usize> {
        match self {
            Sort::Letter => Some(7),
            Sort::Digit => Some(3),
            Sort::Mark => Some(4),
            Sort::Gap => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_can_best_be_missed_goes_first_and_only_as_much_as_needed() {
        let answer = json!({"items": [{"name": "left kidney", "kind": "structure"}, {"name": "liver tumor", "kind": "abnormality"}],
            "model": {"sha256": "0123456789abcdef"}});
        let plain = |value: &Value, _: &Map<String, Value>| value == "structure";
        let cuts = [
            cut("model.sha256"),
            Cut {
                path: "items[].kind",
                which: plain,
            },
            cut("items[].name"),
        ];
        let after = |most: usize| {
            let mut answer = answer.clone();
            fit(&mut answer, &cuts, most);
            answer
        };
        assert_eq!(after(1000), answer);
        let once = after(tokens(&answer) - 1);
        assert_eq!((&once["model"], &once["items"]), (&json!({}), &answer["items"]));
        let twice = after(tokens(&once) - 1);
        assert_eq!(
            twice["items"],
            json!([{"name": "left kidney"}, {"name": "liver tumor", "kind": "abnormality"}])
        );
        assert_eq!(after(0)["items"], json!([{}, {"kind": "abnormality"}]));
    }
}
