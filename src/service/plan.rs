//! A request that has been understood: the image read, the names resolved, the result named. All of a caller's mistakes
//! come to light here, before anything is computed.

use super::given::Given;
use super::{Caller, Code, Fault, Format, ImageIdentity, ModelIdentity, SegmentRequest, Service, formats, unresolved};
use crate::anatomy::{Catalogue, Resolved, Resolver};
use crate::model::{ModelFolder, NumericClass, Precision};
use crate::service::models;
use crate::volume::{AxisCode, Modality, ReadLimits, Volume, read_within};

/// The way of computing results: grows when another mask may come of the same request, so that what is kept is not taken for it.
pub(super) const FORMAT: u32 = 3;
/// Most characters of a target.
const MOST_CHARACTERS: usize = 200;
/// Most targets of a request.
const MOST_TARGETS: usize = 512;

/// A request that can be run: with its scan, or as a [`super::WaitingPlan`] with what is left of it.
#[derive(Debug)]
pub struct Plan<Scan = Volume> {
    pub(super) caller: Caller,
    pub(super) volume: Scan,
    /// Where the scan lies.
    pub(super) given: Given,
    pub(super) image: ImageIdentity,
    pub(super) folder: ModelFolder,
    pub(super) orientation: AxisCode,
    /// What the network will count in, if not finer.
    pub(super) precision: Precision,
    pub(super) targets: Vec<Target>,
    /// Files wanted, each once.
    pub(super) formats: Vec<Format>,
    /// What a DICOM series says besides its voxels, as a hash.
    pub(super) series: Option<String>,
    /// The DICOMweb server that its objects are to be sent to.
    pub(super) send_to: Option<String>,
    pub(super) result_id: String,
}

/// One target, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// As asked.
    pub asked: String,
    /// The class; the phrase itself for a union or an untrained phrase.
    pub name: String,
    /// Classes whose union it is.
    pub composed_of: Option<Vec<String>>,
    /// What the network is asked for.
    pub pieces: Vec<Piece>,
    /// Why it is an experiment, where the model was never taught it.
    pub untrained: Option<String>,
}

/// One prompt for the network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// The class, or the phrase.
    pub name: String,
    /// Text for the encoder.
    pub prompt: String,
    /// Threshold on the probability.
    pub threshold: f32,
    /// Whether the model's manifest calls it experimental.
    pub experimental: bool,
    /// Mean Dice in the model's own evaluation.
    pub dice: Option<f64>,
}

impl<Scan> Plan<Scan> {
    /// The result's name, known before anything is computed.
    pub fn result_id(&self) -> &str {
        &self.result_id
    }

    /// The image as it was read.
    pub fn image(&self) -> &ImageIdentity {
        &self.image
    }

    /// Which model will answer.
    pub fn model(&self) -> ModelIdentity {
        identity(&self.folder)
    }

    /// What names the run: the result, and where it is to be sent. A run that sends does not stand in for one that doesn't.
    pub fn run_id(&self) -> String {
        let to = self.send_to.as_ref().map(|server| format!(">{server}"));
        format!("{}{}", self.result_id, to.unwrap_or_default())
    }

    /// Who asked for it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// How many targets were asked for.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The scan, and the plan with another in its place.
    pub(super) fn exchange<Other>(self, volume: Other) -> (Scan, Plan<Other>) {
        let plan = Plan {
            caller: self.caller,
            volume,
            given: self.given,
            image: self.image,
            folder: self.folder,
            orientation: self.orientation,
            precision: self.precision,
            targets: self.targets,
            formats: self.formats,
            series: self.series,
            send_to: self.send_to,
            result_id: self.result_id,
        };
        (self.volume, plan)
    }
}

pub(super) fn identity(folder: &ModelFolder) -> ModelIdentity {
    let manifest = folder.manifest();
    ModelIdentity {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: folder.sha256().to_owned(),
        published: manifest.published.as_ref().map(|published| published.source.clone()),
    }
}

impl Service {
    /// Understands a request of `caller`'s: checks its figures, resolves the targets, reads the image.
    pub fn plan(&self, caller: &Caller, request: &SegmentRequest) -> Result<Plan, Fault> {
        check(request)?;
        request
            .send_to
            .as_ref()
            .map(|server| self.archive(server))
            .transpose()?;
        self.verified.wait().clone()?;
        let folder = self.model_for(request.model.as_deref())?;
        // Names before voxels: a misspelt target shall not cost the reading of a scan.
        let given = self.given(caller, &request.image)?;
        let modality = request.modality;
        if let Some(modality) = modality {
            self.resolve_all(&folder, request, modality)?;
        }
        let given = self.at_hand(caller, given)?;
        let volume = read_image(&given, &self.settings.reading)?;
        let modality = modality_of(request, &volume)?;
        let targets = self.resolve_all(&folder, request, modality)?;
        let orientation: AxisCode = match request.orientation {
            Some(orientation) => orientation.as_str(),
            None => &folder.manifest().preparation.orientation,
        }
        .parse()
        .map_err(|error| Fault::new(Code::Internal, format!("{error}")))?;
        let image = ImageIdentity {
            uri: given.uri.clone(),
            sha256: volume.content_hash(),
            shape: volume.grid().shape(),
            spacing_mm: volume.grid().spacing().map(|mm| (mm * 1e4).round() / 1e4),
            orientation: volume.grid().axis_code().to_string(),
            modality,
        };
        let mut formats = request.formats.clone().unwrap_or_else(|| match &request.send_to {
            Some(_) => vec![Format::Nifti, Format::DicomSeg, Format::DicomSr],
            None => vec![Format::Nifti],
        });
        formats.sort();
        formats.dedup();
        if request.send_to.is_some() && volume.series().is_none() {
            return Err(Fault::new(
                Code::InvalidArgument,
                "send_to needs a scan from DICOM: what is sent refers to the images of a series, and this is a NIfTI file.",
            )
            .hint("Give the DICOM series as image, or leave send_to out."));
        }
        formats::check(&formats, &volume)?;
        let series = identity_of(&volume);
        let precision = self.precision(&folder);
        let result_id = result_id(
            caller,
            &image,
            &folder,
            &targets,
            orientation,
            &formats,
            precision.class(),
            series.as_deref(),
        );
        Ok(Plan {
            caller: caller.clone(),
            volume,
            given,
            image,
            folder,
            orientation,
            precision,
            targets,
            formats,
            series,
            send_to: request.send_to.clone(),
            result_id,
        })
    }
}

/// What is said of an image besides its voxels and their places: by its series, and which unit it has.
pub(super) fn identity_of(volume: &Volume) -> Option<String> {
    let unit = volume.unit().map(|unit| unit.as_str()).unwrap_or_default();
    volume.series().map(|series| format!("{} {unit}", series.identity()))
}

pub(super) fn read_image(given: &Given, limits: &ReadLimits) -> Result<Volume, Fault> {
    let span = tracing::info_span!("read the image", voxels = tracing::field::Empty).entered();
    let volume = read_within(&given.input, limits).map_err(|error| given.fault(error, Code::BadImage))?;
    span.record("voxels", volume.grid().len() as i64);
    Ok(volume)
}

fn check(request: &SegmentRequest) -> Result<(), Fault> {
    let invalid = |message: String| Fault::new(Code::InvalidArgument, message);
    match request.targets.len() {
        0 => {
            return Err(invalid("targets is empty.".into())
                .hint("Name at least one structure, such as \"left hippocampus\"; list_anatomy gives the names."));
        }
        n if n > MOST_TARGETS => {
            return Err(
                invalid(format!("{n} targets were given, more than {MOST_TARGETS}.")).hint("Ask in several requests.")
            );
        }
        _ => {}
    }
    if let Some(long) = request
        .targets
        .iter()
        .find(|target| target.chars().count() > MOST_CHARACTERS)
    {
        let start: String = long.chars().take(40).collect();
        return Err(invalid(format!(
            "The target beginning {start:?} is longer than {MOST_CHARACTERS} characters."
        ))
        .hint("A target is the name of one structure, not a sentence; give one name each."));
    }
    if request.formats.as_ref().is_some_and(Vec::is_empty) {
        return Err(invalid("formats is empty.".into()).hint("Leave it out, or give [\"nifti\"]."));
    }
    let none_to_send = |formats: &Vec<Format>| formats.iter().all(|format| *format == Format::Nifti);
    if request.send_to.is_some() && request.formats.as_ref().is_some_and(none_to_send) {
        return Err(
            invalid("send_to sends DICOM objects, and formats asks for none.".into())
                .hint("Leave formats out, or add dicom-seg, dicom-sr or both."),
        );
    }
    Ok(())
}

fn modality_of(request: &SegmentRequest, volume: &Volume) -> Result<Modality, Fault> {
    match (request.modality, volume.modality()) {
        (Some(asked), Some(said)) if asked != said => Err(Fault::new(
            Code::InvalidArgument,
            format!("modality is {}, but the file says {}.", asked.as_str(), said.as_str()),
        )
        .hint("Leave modality out, or correct it.")),
        (Some(modality), _) | (None, Some(modality)) => Ok(modality),
        (None, None) => Err(Fault::new(
            Code::InvalidArgument,
            "modality is missing: a NIfTI file does not say what made it.",
        )
        .hint("Give ct, mri or pet.")),
    }
}

impl Service {
    /// Every target, or one fault that names all that could not be resolved.
    fn resolve_all(
        &self,
        folder: &ModelFolder,
        request: &SegmentRequest,
        modality: Modality,
    ) -> Result<Vec<Target>, Fault> {
        let other;
        let resolver = match folder.sha256() == self.model()?.sha256() {
            true => &self.own_model()?.resolver,
            false => {
                other = Resolver::new(Catalogue::load(), &models::offered(folder));
                &other
            }
        };
        let allow_untrained = request.allow_untrained.unwrap_or(false);
        let mut targets = Vec::new();
        let mut errors = Vec::new();
        for asked in &request.targets {
            match resolver.resolve(asked, modality, allow_untrained) {
                Ok(resolved) => targets.push(target(folder, asked, resolved, modality)),
                Err(error) if !errors.contains(&error) => errors.push(error),
                Err(_) => {}
            }
        }
        if errors.is_empty() {
            return Ok(targets);
        }
        self.suggest_by_meaning(folder, modality, &mut errors);
        Err(unresolved::fault(&errors, request))
    }
}

/// What the network is asked for when a class, or a phrase that is none, is wanted.
pub(super) fn piece(folder: &ModelFolder, name: &str, modality: Modality) -> Piece {
    let class = folder
        .manifest()
        .classes
        .iter()
        .find(|class| class.name == name && class.modalities.contains(&modality));
    Piece {
        name: name.to_owned(),
        prompt: class.map_or(name, |class| class.prompt()).to_owned(),
        threshold: class.map_or(0.5, |class| class.threshold),
        experimental: class.is_some_and(|class| class.experimental),
        dice: class.and_then(|class| class.dice),
    }
}

fn target(folder: &ModelFolder, asked: &str, resolved: Resolved, modality: Modality) -> Target {
    let piece = |name: &str| piece(folder, name, modality);
    match resolved {
        Resolved::Class { name, .. } => Target {
            asked: asked.to_owned(),
            pieces: vec![piece(&name)],
            name,
            composed_of: None,
            untrained: None,
        },
        Resolved::Union { phrase, parts, .. } => Target {
            asked: asked.to_owned(),
            name: phrase,
            pieces: parts.iter().map(|part| piece(part)).collect(),
            composed_of: Some(parts),
            untrained: None,
        },
        Resolved::Untrained { phrase, prompt, why } => Target {
            asked: asked.to_owned(),
            pieces: vec![piece(&prompt)],
            name: phrase,
            composed_of: None,
            untrained: Some(why),
        },
    }
}

/// blake3 over what the result is a function of: 80 bits, since an answer repeats it twice a mask.
#[allow(clippy::too_many_arguments)] // each is part of the name
fn result_id(
    caller: &Caller,
    image: &ImageIdentity,
    folder: &ModelFolder,
    targets: &[Target],
    orientation: AxisCode,
    formats: &[Format],
    numeric: NumericClass,
    series: Option<&str>,
) -> String {
    let asked: Vec<(&str, &str, bool)> = targets
        .iter()
        .map(|target| (target.asked.as_str(), target.name.as_str(), target.untrained.is_some()))
        .collect();
    let mut of = serde_json::json!({
        "format": FORMAT,
        "image": image.sha256,
        "modality": image.modality,
        "model": folder.sha256(),
        "targets": asked,
        "orientation": orientation.to_string(),
        "formats": formats,
        "numeric": numeric.as_str(),
    });
    // Objects made of it refer to the instances of a series.
    if let Some(series) = series {
        of["series"] = series.into();
    }
    // Of a result that is nobody's, the name is what it was before there were owners.
    if let Some(owner) = caller.owner() {
        of["owner"] = owner.into();
    }
    blake3::hash(of.to_string().as_bytes()).to_hex()[..20].to_owned()
}
