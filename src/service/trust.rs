//! What is known of a target before any scan: how much the model was taught it from, how well it was found elsewhere, and what
//! else SAT counts as lying inside it.

use super::Trust;
use super::plan::{Plan, Target};
use crate::anatomy::{Catalogue, Class};

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
        match Catalogue::load().is_finding(&class.name) {
            true => published.lesions,
            false => published.dice.get(class.region(Some(modality))).copied(),
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

/// What lies inside a target and so counts to it: its lesions, and whatever was asked for too. Of a union its pieces do by
/// construction; what lies inside a class is known where it was taught as SAT was.
pub(super) fn includes(plan: &Plan, target: &Target) -> Vec<String> {
    if target.untrained.is_some() {
        return Vec::new();
    }
    let (catalogue, modality) = (Catalogue::load(), plan.image.modality);
    let taught = plan.folder.manifest().taught_as_sat();
    let pieces: Vec<&str> = target.pieces.iter().map(|piece| piece.name.as_str()).collect();
    let asked = |name: &str| name != target.name && plan.targets.iter().any(|other| other.name == name);
    let mut inside: Vec<String> = Vec::new();
    for piece in &pieces {
        let held = if taught {
            catalogue.inside(piece, modality)
        } else {
            Vec::new()
        };
        for name in held
            .into_iter()
            .chain(pieces.iter().copied().filter(|_| pieces.len() > 1))
        {
            let own = pieces.contains(&name);
            // a cyst of the left kidney is told with the kidney's cysts
            let whole = catalogue.class(name).and_then(|class| class.part_of.as_deref());
            let told = whole.is_some_and(|whole| inside.iter().any(|there| there == whole));
            let counts = asked(name) || (!own && !told && catalogue.is_finding(name));
            if counts && !inside.iter().any(|there| there == name) {
                inside.push(name.to_owned());
            }
        }
    }
    inside
}
