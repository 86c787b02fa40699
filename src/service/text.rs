//! The answers in a few lines, for models that read only text and for people at a terminal.

use super::{Format, MaskAnswer, MeasureAnswer, RunStatus, SegmentAnswer, SentAnswer, Warning};
use crate::measure::Status;
use std::fmt::Write;

/// Code of the warning that a class's accuracy is low.
pub(super) const EXPERIMENTAL: &str = "experimental_class";

/// Answers of more masks than this say less of each.
const MANY: usize = 8;
/// A caveat of more masks than this is said once for all of them.
const FEW: usize = 3;
/// Codes of warnings that a measurement's own sentence tells.
const TOLD: [&str; 3] = ["empty_mask", "cut_off", "check_failed"];

impl SegmentAnswer {
    /// What ran on what, a line a target with what to know of its number, and where the files are.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.status == RunStatus::Running {
            let eta = self
                .eta_s
                .map(|s| format!(" about {s:.0} s more"))
                .unwrap_or_else(|| " a while".into());
            let _ = write!(
                text,
                "Still running (result {}); it will take{eta}. Call segment again with the same arguments to get the result.",
                self.result_id
            );
            return text;
        }
        let [i, j, k] = self.image.shape;
        let [x, y, z] = self.image.spacing_mm;
        let _ = writeln!(
            text,
            "Found with {} {} in {} ({i} x {j} x {k} voxels of {x} x {y} x {z} mm, {}){}:",
            self.model.name,
            self.model.version,
            file_name(&self.image.uri),
            self.image.modality.as_str(),
            self.in_short()
        );
        let often = self.said_often();
        for mask in &self.masks {
            let _ = writeln!(text, "- {}", self.line(mask, &often));
        }
        for group in &often {
            let line = match group.targets.len() == self.masks.len() {
                true => format!("All: {}", group.caveat),
                false => group.line(),
            };
            let _ = writeln!(text, "! {line}");
        }
        if self.masks.len() > MANY {
            text.push_str(
                "Across: longest diameter within a slice; at: centre in mm RAS; probability: mean of the model's.\n",
            );
        }
        if let Some(source) = &self.model.published {
            let dice = self.published_dice();
            if !dice.is_empty() {
                let _ = writeln!(text, "Published mean Dice: {dice} ({source}).");
            }
        }
        for warning in self.warnings.iter().filter(|warning| warning.target.is_none()) {
            let _ = writeln!(text, "! {}", warning.message);
        }
        let files: Vec<&str> = [
            self.labelmap.as_ref().map(|l| l.path.as_deref().unwrap_or(&l.uri)),
            self.preview.as_ref().map(|p| p.path.as_deref().unwrap_or(&p.uri)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let _ = write!(text, "Result {}. ", self.result_id);
        if let Some(sent) = self.sent.as_ref().filter(|sent| !sent.instances.is_empty()) {
            let _ = write!(text, "Sent to {}: {}. ", sent.server, sent.in_words());
        }
        if !files.is_empty() {
            let _ = write!(text, "Label map and preview: {}. ", files.join(", "));
        }
        let seg = self.masks.iter().flat_map(|mask| &mask.files);
        let seg = seg.filter(|file| file.format == Format::DicomSeg).take(1);
        let objects = seg.chain(&self.report);
        let objects: Vec<&str> = objects.map(|file| file.path.as_deref().unwrap_or(&file.uri)).collect();
        if !objects.is_empty() {
            let _ = write!(text, "DICOM: {}. ", objects.join(", "));
        }
        let _ = write!(text, "Masks are linked below. Automatic measurements, not a diagnosis.");
        text
    }

    /// The Dice published for these masks, each figure with the names it is for: "0.77 liver, spleen; 0.46 liver tumor".
    fn published_dice(&self) -> String {
        let mut figures: Vec<(f64, Vec<&str>)> = Vec::new();
        for mask in &self.masks {
            let Some(dice) = mask.trust.as_ref().and_then(|trust| trust.published_dice) else {
                continue;
            };
            match figures.iter_mut().find(|(figure, _)| *figure == dice) {
                Some((_, names)) if names.contains(&mask.name.as_str()) => {}
                Some((_, names)) => names.push(&mask.name),
                None => figures.push((dice, vec![&mask.name])),
            }
        }
        let figures = figures
            .iter()
            .map(|(dice, names)| match (names.len(), names.len() == self.masks.len()) {
                (2.., true) => format!("{dice:.2} for all"),
                _ => format!("{dice:.2} {}", names.join(", ")),
            });
        figures.collect::<Vec<_>>().join("; ")
    }

    /// How many of the masks are not simply there.
    fn in_short(&self) -> String {
        let of = |status: Status| {
            self.masks
                .iter()
                .filter(|mask| mask.measurement.status == status)
                .count()
        };
        let mut counts = Vec::new();
        for (status, what) in [
            (Status::Empty, "not found"),
            (Status::CutOff, "cut off by the image's edge"),
        ] {
            if of(status) > 0 {
                counts.push(format!("{} {what}", of(status)));
            }
        }
        match counts.is_empty() || self.masks.len() == 1 {
            true => String::new(),
            false => format!("; of {} targets {}", self.masks.len(), counts.join(", ")),
        }
    }

    /// What holds for so many of many masks that it is better said once.
    fn said_often(&self) -> Vec<Group<'_>> {
        let mut often = match self.masks.len() > MANY {
            true => grouped(&self.warnings, &self.names()),
            false => Vec::new(),
        };
        often.retain(|group| group.targets.len() > FEW && !TOLD.contains(&group.code));
        often
    }

    /// A mask's numbers, then what to know of them, unless it is said of many.
    fn line(&self, mask: &MaskAnswer, often: &[Group]) -> String {
        let measurement = &mask.measurement;
        let facts = if self.masks.len() > MANY {
            measurement.brief()
        } else {
            measurement.sentence()
        };
        let mut line = format!("{}{facts}", asked_as(mask));
        match &mask.composed_of {
            Some(parts) if self.masks.len() > MANY && parts.len() > 2 => {
                let _ = write!(line, " A union of {} classes.", parts.len());
            }
            Some(parts) => {
                let _ = write!(line, " The union of {}.", parts.join(", "));
            }
            None => {}
        }
        let inside = mask.includes.iter().flatten();
        let inside: Vec<&str> = inside.map(String::as_str).collect();
        let told = |code: &str| TOLD.contains(&code);
        for warning in self
            .warnings
            .iter()
            .filter(|warning| warning.target.as_ref() == Some(&mask.target))
        {
            let caveat = caveat(&mask.name, &warning.message);
            let elsewhere = |group: &Group| group.code == warning.code && group.caveat == caveat;
            if !told(&warning.code) && !often.iter().any(elsewhere) {
                let _ = write!(line, " ! {}", capital(caveat));
            }
        }
        let overlapping =
            |warning: &Warning| warning.code == "overlapping" && warning.target.as_ref() == Some(&mask.target);
        if !inside.is_empty() && measurement.status != Status::Empty && !self.warnings.iter().any(overlapping) {
            let _ = write!(line, " Any {} in it counts to it.", inside.join(" or "));
        }
        line
    }
}

/// A warning's message without the name before it.
fn caveat<'a>(name: &str, message: &'a str) -> &'a str {
    let rest = message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
    rest.unwrap_or(message)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl SegmentAnswer {
    /// Each target with its mask's name.
    pub(crate) fn names(&self) -> Vec<(&str, &str)> {
        let names = self.masks.iter().map(|mask| (mask.target.as_str(), mask.name.as_str()));
        names.collect()
    }
}

impl MeasureAnswer {
    /// Each measurement's name, which is also what its warnings are about.
    pub(super) fn names(&self) -> Vec<(&str, &str)> {
        let names = self
            .measurements
            .iter()
            .map(|one| (one.name.as_str(), one.name.as_str()));
        names.collect()
    }

    /// A line a measurement, then the warnings.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for measurement in &self.measurements {
            let _ = writeln!(text, "- {}", measurement.sentence());
        }
        write_warnings(&mut text, &self.warnings, &self.names());
        text.truncate(text.trim_end().len());
        text
    }
}

impl SentAnswer {
    /// How many objects.
    pub(crate) fn in_words(&self) -> String {
        match self.instances.len() {
            1 => "1 DICOM object".to_owned(),
            count => format!("{count} DICOM objects"),
        }
    }
}

fn asked_as(mask: &MaskAnswer) -> String {
    match mask.target.trim().eq_ignore_ascii_case(&mask.name) {
        true => String::new(),
        false => format!("{:?} = ", mask.target),
    }
}

/// A line a warning; what is said of several targets is said once. `names` are pairs of a target and its mask's name.
pub(crate) fn warning_lines(warnings: &[Warning], names: &[(&str, &str)]) -> Vec<String> {
    let groups = grouped(warnings, names);
    let (weak, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| group.code == EXPERIMENTAL);
    let mut lines: Vec<String> = Vec::new();
    match weak.as_slice() {
        [] => {}
        [only] => lines.push(only.line()),
        several => {
            let weak: Vec<&str> = several.iter().flat_map(|group| group.names.iter().copied()).collect();
            lines.push(format!(
                "Experimental, found poorly by this model: {}. Do not rely on these masks or their volumes.",
                weak.join(", ")
            ));
        }
    }
    lines.extend(others.iter().map(Group::line));
    lines
}

/// What is said of one target or of several.
pub(super) struct Group<'a> {
    code: &'a str,
    /// The message, without the names before it.
    caveat: &'a str,
    names: Vec<&'a str>,
    targets: Vec<&'a str>,
}

impl Group<'_> {
    fn line(&self) -> String {
        match self.names.is_empty() {
            true => self.caveat.to_owned(),
            false => format!("{}: {}", self.names.join(", "), self.caveat),
        }
    }

    /// As one warning, which names a few targets in words and many in its list, unless it is about all of the answer's.
    pub(super) fn into_warning(self, of: usize) -> Warning {
        let (code, count) = (self.code.to_owned(), self.targets.len());
        let listed = || self.targets.iter().map(|target| (*target).to_owned()).collect();
        let (message, target, targets) = match count {
            0 => (self.caveat.to_owned(), None, None),
            1 => (self.line(), Some(self.targets[0].to_owned()), None),
            _ if count == of && count > FEW => (format!("All targets: {}", self.caveat), None, None),
            _ if count > FEW => (format!("{count} targets: {}", self.caveat), None, Some(listed())),
            _ => (self.line(), None, Some(listed())),
        };
        Warning {
            code,
            message,
            target,
            targets,
        }
    }
}

/// The name of the mask that a warning is about.
fn named<'a>(warning: &Warning, names: &[(&str, &'a str)]) -> Option<&'a str> {
    let target = warning.target.as_deref()?;
    names.iter().find(|(asked, _)| *asked == target).map(|(_, name)| *name)
}

/// Warnings, those that say the same of several targets together.
pub(super) fn grouped<'a>(warnings: &'a [Warning], names: &[(&str, &'a str)]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    for warning in warnings {
        let name = named(warning, names);
        let caveat = caveat(name.unwrap_or_default(), &warning.message);
        let known = groups
            .iter()
            .position(|group| group.code == warning.code && group.caveat == caveat);
        let place = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(Group {
                code: &warning.code,
                caveat,
                names: Vec::new(),
                targets: Vec::new(),
            });
        }
        let group = &mut groups[place];
        group.names.extend(name.filter(|name| !group.names.contains(name)));
        let target = warning.target.as_deref();
        group
            .targets
            .extend(target.filter(|target| !group.targets.contains(target)));
    }
    groups
}

fn write_warnings(text: &mut String, warnings: &[Warning], names: &[(&str, &str)]) {
    for line in warning_lines(warnings, names) {
        let _ = writeln!(text, "! {line}");
    }
}

fn file_name(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}
