//! What a model folder says about itself: `model.toml`.
//!
//! Nothing of a model is compiled into the program. The manifest names the graphs, the figures of preparation and
//! windows, and the classes; every file it names is checked against its hash before it is used.

use super::Precision;
use crate::volume::{Anchor, Modality};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The one manifest format there is.
const FORMAT: u32 = 1;

/// A model folder's `model.toml`, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Manifest {
    /// Version of the manifest's own format.
    pub format: u32,
    /// Name of the model, also of its folder.
    pub name: String,
    /// Version of its weights.
    pub version: String,
    /// One line about it.
    #[serde(default)]
    pub description: String,
    /// Which of SAT's backbones it has.
    pub architecture: String,
    /// Licence of the weights.
    pub licence: String,
    /// Numeric type of the backbone's arithmetic: `fp32` or `fp16`.
    #[serde(default)]
    pub precision: Precision,
    /// How near coarser arithmetic comes.
    #[serde(default)]
    pub reduced: Option<Reduced>,
    /// What the weights were made from.
    #[serde(default)]
    pub made_from: Vec<MadeFrom>,
    /// What it was taught from, where that is SAT's own collection.
    #[serde(default)]
    pub training: Option<Training>,
    /// What was published of its accuracy.
    #[serde(default)]
    pub published: Option<Published>,
    /// How images are prepared.
    pub preparation: Preparation,
    /// Size of the window in voxels, after reorientation.
    pub window: Window,
    /// The text encoder.
    pub text: Text,
    /// The vision backbone.
    pub backbone: Backbone,
    /// The query decoder with its mask head.
    pub decoder: Decoder,
    /// sha256 of each file, in hexadecimal.
    pub files: BTreeMap<String, String>,
    /// What the model was taught.
    pub classes: Vec<ModelClass>,
}

/// Something that the weights were made from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MadeFrom {
    /// What and where.
    pub what: String,
    /// Its licence.
    #[serde(default)]
    pub licence: String,
    /// Its hash, where it is one file.
    #[serde(default)]
    pub sha256: String,
}

/// What a model was taught from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Training {
    /// Where it is `SAT-DS`, SAT's counts of annotated scans and its rules of what a class includes hold for this model.
    pub data: String,
}

/// Accuracy that others published for a model, a region each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Published {
    /// Whose figures they are, and of what.
    pub source: String,
    /// Mean Dice of the region's structures.
    pub dice: BTreeMap<String, f64>,
    /// Mean Dice of lesions, whatever the region.
    #[serde(default)]
    pub lesions: Option<f64>,
}

/// How near coarser arithmetic comes to single precision, as measured for this model (tools/compare_precision.py).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Reduced {
    /// Lowest Dice between bf16 and single precision over the classes of more than 500 voxels.
    #[serde(default)]
    pub bf16_lowest_dice: Option<f64>,
    /// The images and the class with the lowest Dice, for people.
    #[serde(default)]
    pub measured_on: Option<String>,
}

/// Figures of image preparation (published loader, sat-inference section 1).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Preparation {
    /// Axis code images are read in unless a request says otherwise.
    pub orientation: String,
    /// Millimetres between voxels after resampling, along the reoriented axes.
    pub spacing_mm: [f64; 3],
    /// CT intensities are clipped to this window, in Hounsfield units.
    pub ct_window_hu: [f64; 2],
    /// Other intensities are clipped to these percentiles.
    pub percentiles: [f64; 2],
    /// What keeps its place when an oblique image is resampled: `published` or `first_voxel`.
    #[serde(default)]
    pub anchor: Anchor,
}

/// The sliding window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Window {
    /// Voxels along each axis.
    pub size: [usize; 3],
}

/// How prompts become token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// SAT's knowledge-enhanced encoder.
    Ours,
    /// MedCPT's query encoder.
    Medcpt,
    /// BERT base.
    Basebert,
}

/// The text encoder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Text {
    /// File of the graph.
    pub graph: String,
    /// File of the tokenizer, in Hugging Face's format.
    pub tokenizer: String,
    /// How prompts become token ids.
    pub kind: TextKind,
    /// Most ids a prompt may have.
    pub max_length: usize,
    /// Width of a query.
    pub query_width: usize,
}

/// The vision backbone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Backbone {
    /// File of the graph.
    pub graph: String,
    /// Channels of the per-voxel features.
    pub feature_width: usize,
    /// Tokens of multi-scale memory.
    pub memory_tokens: usize,
    /// Width of a memory token.
    pub memory_width: usize,
}

/// The query decoder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Decoder {
    /// File of the graph.
    pub graph: String,
}

/// SAT's collection of data sets, as manifests call it.
const SAT_DATA: &str = "SAT-DS";

/// One class that the model was taught.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ModelClass {
    /// SAT's own class name wherever SAT has it.
    pub name: String,
    /// Modalities it was taught in.
    pub modalities: Vec<Modality>,
    /// Prompt for the text encoder, where it is not the name.
    #[serde(default)]
    pub text: Option<String>,
    /// Probability above which a voxel belongs to it.
    #[serde(default = "half")]
    pub threshold: f32,
    /// Mean Dice in the model's own evaluation.
    #[serde(default)]
    pub dice: Option<f64>,
    /// Whether its accuracy is too low to rely on.
    #[serde(default)]
    pub experimental: bool,
    /// Side, for classes SAT has no name for.
    #[serde(default)]
    pub laterality: Option<String>,
    /// Region, for classes SAT has no name for.
    #[serde(default)]
    pub region: Option<String>,
    /// Other names, for classes SAT has no name for.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// What it is part of, for classes SAT has no name for.
    #[serde(default)]
    pub part_of: Option<String>,
}

impl ModelClass {
    /// The text given to the encoder.
    pub fn prompt(&self) -> &str {
        self.text.as_deref().unwrap_or(&self.name)
    }
}

fn half() -> f32 {
    0.5
}

impl Manifest {
    /// Whether it was taught from SAT's own collection, so that what is known of that holds for it.
    pub fn taught_as_sat(&self) -> bool {
        self.training.as_ref().is_some_and(|training| training.data == SAT_DATA)
    }

    /// Reads the text of a `model.toml`.
    ///
    /// # Errors
    /// What is wrong with it, in words: TOML that does not parse with its line, or the figure that makes no sense.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!(
                "format {} is not the format {FORMAT} that this program reads",
                self.format
            ));
        }
        if self.precision == Precision::Bf16 {
            return Err("precision is fp32 or fp16: graphs are not exported in bf16".to_owned());
        }
        let dice = self.reduced.as_ref().and_then(|reduced| reduced.bf16_lowest_dice);
        if let Some(dice) = dice.filter(|dice| !(0.0..=1.0).contains(dice)) {
            return Err(format!("bf16_lowest_dice {dice} is not within 0 to 1"));
        }
        let published = self.published.iter();
        let mut published = published.flat_map(|published| published.dice.values().chain(&published.lesions));
        if let Some(dice) = published.find(|dice| !(0.0..=1.0).contains(*dice)) {
            return Err(format!("[published] has a Dice of {dice}, which is not within 0 to 1"));
        }
        for file in [
            &self.text.graph,
            &self.text.tokenizer,
            &self.backbone.graph,
            &self.decoder.graph,
        ] {
            if !self.files.contains_key(file) {
                return Err(format!("[files] has no sha256 for {file}"));
            }
        }
        if let Some(file) = self
            .files
            .keys()
            .find(|file| file.contains(['/', '\\']) || file.as_str() == "..")
        {
            return Err(format!(
                "[files] names {file}, which is not a plain file name of this folder"
            ));
        }
        if !self
            .preparation
            .spacing_mm
            .iter()
            .all(|mm| mm.is_finite() && (0.1..=20.0).contains(mm))
        {
            return Err(format!(
                "spacing_mm {:?} is not within 0.1 to 20 mm",
                self.preparation.spacing_mm
            ));
        }
        if let Err(fault) = self.preparation.orientation.parse::<crate::volume::AxisCode>() {
            return Err(fault.to_string());
        }
        let [low, high] = self.preparation.percentiles;
        if !(0.0 <= low && low < high && high <= 100.0) {
            return Err(format!("percentiles [{low}, {high}] do not rise within 0 to 100"));
        }
        let [low, high] = self.preparation.ct_window_hu;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(format!("ct_window_hu [{low}, {high}] does not rise"));
        }
        if !self.window.size.iter().all(|n| (8..=1024).contains(n)) {
            return Err(format!(
                "window size {:?} is not within 8 to 1024 voxels",
                self.window.size
            ));
        }
        if self.classes.is_empty() {
            return Err("no [[classes]]".to_owned());
        }
        for class in &self.classes {
            if class.name.trim().is_empty() || class.modalities.is_empty() {
                return Err(format!("class {:?} needs a name and at least one modality", class.name));
            }
            if !(class.threshold > 0.0 && class.threshold < 1.0) {
                return Err(format!(
                    "class {:?} has threshold {}, not between 0 and 1",
                    class.name, class.threshold
                ));
            }
        }
        let mut names: Vec<_> = self
            .classes
            .iter()
            .flat_map(|c| c.modalities.iter().map(move |m| (c.name.as_str(), *m)))
            .collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!(
                "class {:?} is there twice for {}",
                pair[0].0,
                pair[0].1.as_str()
            ));
        }
        Ok(())
    }
}
