//! Targets that could not be resolved, as one fault with a call that would work.

use super::{Fault, SegmentRequest};
use crate::anatomy::ResolveError;

/// Most targets that an error speaks of at length, or repeats.
const MOST_REPEATED: usize = 24;

/// One fault for all that could not be resolved, which ends with a call that would work.
pub(super) fn fault(errors: &[ResolveError], request: &SegmentRequest) -> Fault {
    let mut fault = Fault::from(&errors[0]);
    if errors.len() > 1 {
        let (told, named) = errors.split_at(errors.len().min(MOST_REPEATED));
        let told: Vec<String> = told.iter().map(|error| Fault::from(error).to_string()).collect();
        fault.message = format!("{} targets cannot be had. {}", errors.len(), told.join(" "));
        if !named.is_empty() {
            let short = |error: &ResolveError| format!("{:?}", error.phrase().chars().take(40).collect::<String>());
            let named: Vec<String> = named.iter().map(short).collect();
            fault.message += &format!(" Nor can {}.", named.join(", "));
        }
        fault.hint = None;
        fault.candidates = errors
            .iter()
            .take(MOST_REPEATED)
            .flat_map(|error| Fault::from(error).candidates)
            .collect();
    }
    let call = would_work(errors, request);
    fault.hint = Some(match fault.hint {
        Some(hint) => format!("{hint} {call}"),
        None => call,
    });
    fault
}

/// A call that asks for no more than was meant: the good targets, and names that a bad one says itself.
fn would_work(errors: &[ResolveError], request: &SegmentRequest) -> String {
    let mut names: Vec<&str> = Vec::new();
    for asked in &request.targets {
        let instead: Vec<&str> = match errors.iter().find(|error| error.is_about(asked)) {
            None => vec![asked],
            Some(error) => {
                let near = error.candidates().iter().filter(|near| near.available && near.instead);
                // the best of what is near, but all that a list names
                let most = if error.is_list() { usize::MAX } else { 1 };
                near.take(most).map(|near| near.name.as_str()).collect()
            }
        };
        for name in instead {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    match names.len() {
        0 => "list_anatomy has all the names for this modality.".to_owned(),
        1..=MOST_REPEATED => format!(
            "Nothing was computed. segment would take targets {}.",
            serde_json::json!(names)
        ),
        _ => "Nothing was computed. segment would take the other targets as they are.".to_owned(),
    }
}
