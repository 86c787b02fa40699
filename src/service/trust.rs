//! What is known of a target before any scan: how much the model was taught it from, how well it was found elsewhere, and what
//! else SAT counts as lying inside it.

use super::Trust;
use super::plan::{Plan, Target};
use crate::anatomy::{Catalogue, Class, Kind};

/// What was known of a target; of a union, that of its weakest class. None where nothing is.
pub(super) fn trust(plan: &Plan, target: &Target) -> Option<Trust> {
    if target.untrained.is_some() {
        return None;
    }
    let manifest = plan.folder.manifest();
    let modality = plan.image.modality;
    let classes = || target.pieces.iter().map(|piece| Catalogue::load().class(&piece.name));
    let scans = classes()
        .map(|class| class?.scans_in(modality))
        .collect::<Option<Vec<_>>>();
    let figure = |class: Option<&Class>| {
        let (class, published) = (class?, manifest.published.as_ref()?);
        match class.kind {
            Kind::Abnormality => published.lesions,
            Kind::Structure => published.dice.get(class.region(Some(modality))).copied(),
        }
    };
    let trust = Trust {
        training_scans: scans
            .filter(|_| manifest.taught_as_sat())
            .and_then(|scans| scans.into_iter().min()),
        model_dice: lowest(target.pieces.iter().map(|piece| piece.dice)),
        published_dice: lowest(classes().map(figure)),
    };
    (trust != Trust::default()).then_some(trust)
}

/// The lowest, where all are known.
fn lowest(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    figures.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::min)
}

/// What SAT was taught as lying inside a target: its lesions, and whatever was asked for too.
pub(super) fn includes(plan: &Plan, target: &Target) -> Vec<String> {
    if !plan.folder.manifest().taught_as_sat() || target.untrained.is_some() {
        return Vec::new();
    }
    let asked = |name: &str| plan.targets.iter().any(|other| other.name == name);
    let lesion = |name: &str| {
        Catalogue::load()
            .class(name)
            .is_some_and(|class| class.kind == Kind::Abnormality)
    };
    let mut inside: Vec<String> = Vec::new();
    for piece in &target.pieces {
        let class = Catalogue::load().class(&piece.name);
        let held = class.map_or(&[][..], |class| class.includes_in(plan.image.modality));
        for name in held.iter().filter(|name| lesion(name) || asked(name)) {
            if !inside.contains(name) && !target.pieces.iter().any(|piece| piece.name == *name) {
                inside.push(name.clone());
            }
        }
    }
    inside
}
