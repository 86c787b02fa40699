//! Which mentions are worth segmenting, and why the others are not.

use super::{CueText, Kind, LeftOut, Mention, Section};
use std::borrow::Cow;
use std::collections::HashSet;

/// Phrases for `segment`, each class once, and what was left out, each phrase once. `beside` has the cues of what was denied where
/// a mention only says in which organ.
pub(super) fn pick(mentions: &[Mention], beside: &[Option<CueText>]) -> (Vec<String>, Vec<LeftOut>) {
    let reasons: Vec<Option<String>> = (mentions.iter().zip(beside))
        .map(|(mention, beside)| {
            let denied = |cue: &CueText| format!("named only for what is denied ({:?})", cue.text);
            reason(mention).or_else(|| beside.as_ref().map(denied))
        })
        .collect();
    let mut targets = Vec::new();
    let mut taken: HashSet<Vec<Cow<str>>> = HashSet::new();
    for (mention, _) in mentions.iter().zip(&reasons).filter(|(_, reason)| reason.is_none()) {
        if taken.insert(classes(mention)) {
            targets.push(mention.target.clone());
        }
    }
    // what is denied in one place and had nowhere in another is missed for the second reason
    let missed: HashSet<Vec<Cow<str>>> = (mentions.iter())
        .filter(|mention| mention.problem.is_some() && !mention.negated)
        .map(classes)
        .collect();
    let mut left_out: Vec<LeftOut> = Vec::new();
    let mut told: HashSet<Vec<Cow<str>>> = HashSet::new();
    for (mention, reason) in mentions.iter().zip(reasons) {
        let class = classes(mention);
        let told_elsewhere = taken.contains(&class) || mention.negated && missed.contains(&class);
        let Some(reason) = reason.filter(|_| !told_elsewhere) else {
            continue;
        };
        if told.insert(class) {
            left_out.push(LeftOut {
                target: mention.target.clone(),
                reason,
            });
        }
    }
    (targets, left_out)
}

/// What two mentions of one thing have in common: the class, or where there is none, the phrase.
fn classes(mention: &Mention) -> Vec<Cow<'_, str>> {
    match (&mention.composed_of, &mention.name) {
        (Some(parts), _) => parts.iter().map(Cow::from).collect(),
        (None, Some(name)) => vec![name.into()],
        (None, None) => vec![mention.target.to_lowercase().into()],
    }
}

/// Why a mention is no target.
fn reason(mention: &Mention) -> Option<String> {
    let by = |what: &str| match &mention.cue {
        Some(cue) => format!("{what} ({:?})", cue.text),
        None => what.to_owned(),
    };
    if let Some(problem) = mention.problem.as_ref().filter(|_| !mention.negated) {
        return Some(match problem.code.as_str() {
            "ambiguous_target" => format!("may mean several classes{}", near(&problem.candidates)),
            "unknown_target" if let Some(class) = &problem.without_side => {
                format!("SAT has no {}; {class} is one class without sides", mention.target)
            }
            "unknown_target" => format!("no class of its own{}", near(&problem.candidates)),
            "not_in_modality" => "not taught in this kind of scan".to_owned(),
            "not_in_model" => "not in the loaded model".to_owned(),
            code => code.to_owned(),
        });
    }
    let section = match mention.section {
        Some(Section::Technique) => Some("only under examination or technique"),
        Some(Section::Comparison) => Some("only under comparison"),
        Some(Section::History) | None => None,
    };
    match section {
        _ if mention.negated && mention.history && (mention.kind == Kind::Structure || resected(mention)) => {
            Some(by("taken out"))
        }
        _ if mention.negated => Some(by("negated")),
        _ if mention.history => Some(by("only as history")),
        section => section.map(str::to_owned),
    }
}

/// A tumour that was taken out, and not one that there is no history of.
fn resected(mention: &Mention) -> bool {
    let is = |cue: &CueText| super::removed::RESECTIONS.contains(&cue.text.to_lowercase().as_str());
    mention.cue.as_ref().is_some_and(is)
}

/// The first few names that a phrase may mean.
fn near(candidates: &[String]) -> String {
    const SHOWN: usize = 3;
    match candidates {
        [] => String::new(),
        _ => {
            let more = if candidates.len() > SHOWN { ", …" } else { "" };
            format!(
                " ({}{more})",
                candidates.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ")
            )
        }
    }
}
