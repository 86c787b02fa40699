//! What the loaded model can do, in plain data: this room knows no model files.

use super::Laterality;
use crate::volume::Modality;

/// A model's name and its classes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Offered {
    /// The model's name, as it appears in answers.
    pub model: String,
    /// What it offers.
    pub classes: Vec<OfferedClass>,
}

/// One class of a model's manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OfferedClass {
    /// SAT's name where SAT has one, otherwise the model's own.
    pub name: String,
    /// Where it may be asked for.
    pub modalities: Vec<Modality>,
    /// Only needed where the catalogue has no such name.
    pub region: Option<String>,
    /// Only needed where the name does not say it.
    pub laterality: Option<Laterality>,
    /// Further names, beside the catalogue's.
    pub synonyms: Vec<String>,
    /// The class it is a part of, where the catalogue does not say.
    pub part_of: Option<String>,
    /// Its Dice is low; results say so.
    pub experimental: bool,
    /// Mean Dice on the model's own evaluation.
    pub dice: Option<f32>,
}

impl Offered {
    /// A model that offers every class of SAT's, as the official ones do.
    ///
    /// ```
    /// use sat_mcp::anatomy::{Catalogue, Offered};
    /// assert_eq!(Offered::everything("sat-nano", Catalogue::load()).classes.len(), 451);
    /// ```
    pub fn everything(model: impl Into<String>, catalogue: &super::Catalogue) -> Offered {
        let classes = catalogue
            .classes()
            .iter()
            .filter(|class| class.taught())
            .map(|class| OfferedClass {
                name: class.name.clone(),
                modalities: class.scans.iter().map(|(modality, _)| *modality).collect(),
                ..OfferedClass::default()
            });
        Offered {
            model: model.into(),
            classes: classes.collect(),
        }
    }
}
