//! The mentions as text for the terminal: one a line, then the targets as arguments of `segment`.

use super::{Kind, Mention, Mentions, Section};
use std::fmt::Write;

impl Mentions {
    /// `line:column  "as written" -> name (what is said of it)`, what was left out, and the arguments for `segment`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.mentions.is_empty() {
            text.push_str("No name of the catalogue is mentioned.\n");
        }
        for mention in &self.mentions {
            let _ = writeln!(text, "{}", line(mention));
        }
        if !self.left_out.is_empty() {
            let _ = writeln!(text, "Left out:");
        }
        for left_out in &self.left_out {
            let _ = writeln!(text, "- {}: {}", left_out.target, left_out.reason);
        }
        match self.targets.is_empty() {
            true => text.push_str("Targets for segment: none"),
            false => {
                let targets: Vec<String> = self
                    .targets
                    .iter()
                    .map(|target| format!("--target {}", quoted(target)))
                    .collect();
                let _ = write!(text, "Targets for segment: {}", targets.join(" "));
            }
        }
        text
    }
}

fn line(mention: &Mention) -> String {
    let written = mention.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = format!("{}:{}  {written:?} -> ", mention.line, mention.column);
    match (&mention.composed_of, &mention.name) {
        (Some(_), _) => text.push_str(&mention.target),
        (None, Some(name)) => text.push_str(name),
        (None, None) => text.push('?'),
    }
    let mut flags: Vec<&str> = Vec::new();
    let said = [
        (mention.kind == Kind::Abnormality, "abnormality"),
        (mention.negated, "negated"),
        (mention.history, "history"),
        (mention.uncertain, "uncertain"),
        (mention.section == Some(Section::Technique), "technique"),
        (mention.section == Some(Section::Comparison), "comparison"),
    ];
    flags.extend(said.iter().filter(|(true_here, _)| *true_here).map(|(_, word)| *word));
    flags.extend(mention.problem.as_ref().map(|problem| problem.code.as_str()));
    if !flags.is_empty() {
        let _ = write!(text, " ({})", flags.join(", "));
    }
    text
}

/// Quoted for a POSIX shell.
fn quoted(target: &str) -> String {
    let plain = !target.contains(['"', '$', '`', '\\', '!']);
    match plain {
        true => format!("\"{target}\""),
        false => format!("'{}'", target.replace('\'', r"'\''")),
    }
}
