//! What a model is, for whoever has to judge its answers.

use super::{Code, Fault, Service, models, plan};
use crate::model::Manifest;
use crate::volume::Modality;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A model that requests may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelName {
    /// Its name.
    pub name: String,
    /// Whether it answers where a request names none.
    pub default: bool,
}

/// What a model's manifest says of it, and what follows for its answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCard {
    /// Its name.
    pub name: String,
    /// Version of its weights.
    pub version: String,
    /// Hash of its folder: the manifest with the hashes it holds.
    pub sha256: String,
    /// Whether it answers where a request names none.
    pub default: bool,
    /// One line about it.
    pub description: String,
    /// Which of SAT's backbones it has.
    pub architecture: String,
    /// Licence of the weights.
    pub licence: String,
    /// What the weights were made from.
    pub made_from: Vec<Source>,
    /// What it was taught from, where that is SAT's own collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Data>,
    /// Kinds of scan it takes.
    pub modalities: Vec<Modality>,
    /// Axis code images are read in unless a request says otherwise.
    pub orientation: String,
    /// Millimetres between voxels after resampling.
    pub spacing_mm: [f64; 3],
    /// Voxels of a window, along each axis.
    pub window: [usize; 3],
    /// Numeric type of the backbone's weights.
    pub precision: String,
    /// What was published of its accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<Figures>,
    /// What it was taught, with its own evaluation.
    pub classes: Vec<ClassCard>,
    /// What to keep in mind, in sentences.
    pub limits: Vec<String>,
}

/// Something that weights were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What and where.
    pub what: String,
    /// Its licence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// Its hash, where it is one file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// Scans that a model was taught from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Data {
    /// Name of the collection.
    pub data: String,
}

/// Mean Dice that others published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Whose figures they are, and of what.
    pub source: String,
    /// Of each region's structures.
    pub dice: BTreeMap<String, f64>,
    /// Of lesions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesions: Option<f64>,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCard {
    /// Its name.
    pub name: String,
    /// Kinds of scan it was taught in.
    pub modalities: Vec<Modality>,
    /// Probability above which a voxel belongs to it.
    pub threshold: f64,
    /// Mean Dice in the model's own evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dice: Option<f64>,
    /// Whether its accuracy is too low to rely on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub experimental: bool,
}

impl Service {
    /// The models that requests may name, the server's own first.
    pub fn model_names(&self) -> Result<Vec<ModelName>, Fault> {
        let own = &self.model()?.manifest().name;
        let mut all = vec![ModelName {
            name: own.clone(),
            default: true,
        }];
        let folder = models::find_models(self.settings.models.as_deref());
        let others = folder.map(|folder| models::names(&folder.path)).unwrap_or_default();
        all.extend(
            others
                .into_iter()
                .filter(|name| name != own)
                .map(|name| ModelName { name, default: false }),
        );
        Ok(all)
    }

    /// What the model of this name is. Its files are hashed where that has not been done yet.
    pub fn model_card(&self, name: &str) -> Result<ModelCard, Fault> {
        let names = self.model_names()?;
        let Some(known) = names.iter().find(|known| known.name == name) else {
            let all: Vec<&str> = names.iter().map(|known| known.name.as_str()).collect();
            return Err(Fault::new(Code::NotFound, format!("There is no model {name:?}."))
                .hint(format!("Read one of {}.", all.join(", "))));
        };
        let folder = self.model_for(Some(name))?;
        Ok(card(folder.manifest(), plan::identity(&folder).sha256, known.default))
    }
}

fn card(manifest: &Manifest, sha256: String, default: bool) -> ModelCard {
    let modalities: BTreeSet<&str> = manifest
        .classes
        .iter()
        .flat_map(|class| class.modalities.iter().map(|modality| modality.as_str()))
        .collect();
    let two_places = |dice: f64| (dice * 1e4).round() / 1e4;
    let classes = manifest.classes.iter().map(|class| ClassCard {
        name: class.name.clone(),
        modalities: class.modalities.clone(),
        threshold: two_places(f64::from(class.threshold)),
        dice: class.dice.map(two_places),
        experimental: class.experimental,
    });
    ModelCard {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256,
        default,
        description: manifest.description.clone(),
        architecture: manifest.architecture.clone(),
        licence: manifest.licence.clone(),
        made_from: manifest
            .made_from
            .iter()
            .map(|from| Source {
                what: from.what.clone(),
                licence: from.licence.clone(),
                sha256: from.sha256.clone(),
            })
            .collect(),
        training: manifest.training.as_ref().map(|training| Data {
            data: training.data.clone(),
        }),
        modalities: modalities.into_iter().filter_map(Modality::from_word).collect(),
        orientation: manifest.preparation.orientation.clone(),
        spacing_mm: manifest.preparation.spacing_mm,
        window: manifest.window.size,
        precision: manifest.precision.to_string(),
        published: manifest.published.as_ref().map(|published| Figures {
            source: published.source.clone(),
            dice: published.dice.clone(),
            lesions: published.lesions,
        }),
        classes: classes.collect(),
        limits: limits(manifest),
    }
}

/// What a reader of its answers should know, in sentences.
fn limits(manifest: &Manifest) -> Vec<String> {
    let all = manifest.classes.len();
    let experimental = manifest.classes.iter().filter(|class| class.experimental).count();
    let evaluated = manifest.classes.iter().filter(|class| class.dice.is_some()).count();
    let mut limits = vec![
        "Automatic measurements for research: not a medical device, and no diagnosis.".to_owned(),
        "A class is found in the modalities it was taught in, and only there; everything else is refused by name."
            .to_owned(),
    ];
    if experimental > 0 {
        limits.push(format!(
            "{experimental} of {all} classes are experimental: too inaccurate in its own evaluation to rely on a number."
        ));
    }
    if evaluated < all {
        limits.push(format!(
            "{} of {all} classes have no Dice from an evaluation of its own.",
            all - evaluated
        ));
    }
    if manifest.taught_as_sat() {
        limits.push(
            "Taught from few scans, a class is less reliable: list_anatomy's training_scans has the counts.".to_owned(),
        );
    } else {
        limits.push(
            "Not taught from SAT's own collection: SAT's counts of scans, its published accuracy and what it counts to a class do \
             not hold for it."
                .to_owned(),
        );
    }
    limits
}
