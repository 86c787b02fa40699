//! The `measure_volume` tool: numbers about a result's masks, or about any mask file.

use super::given::Given;
use super::mask_file::{Masks, OneMask, Onto, Reference};
use super::{
    Caller, Code, Fault, MeasureAnswer, MeasureRequest, SegmentAnswer, Service, Warning, faults, uris, warnings,
};
use crate::anatomy::Catalogue;
use crate::measure::{Measurement, Measuring, compare, measure};
use crate::volume::{Input, Mask, Modality, Volume, read_labels_within, read_within};

/// A mask to be measured, and what is already known of it.
struct Named {
    name: String,
    mask: Mask,
    /// The number it has in its file.
    label: Option<u32>,
    known: Option<Measurement>,
}

impl From<OneMask> for Named {
    fn from(one: OneMask) -> Named {
        Named {
            name: one.name,
            mask: one.mask,
            label: one.label,
            known: None,
        }
    }
}

impl Named {
    /// Its figures: those that are known where no image asks for more, and its agreement with its counterpart. `made` is what made the
    /// image, should that not say so itself.
    fn measured(
        self,
        image: Option<&Volume>,
        made: Option<Modality>,
        reference: Option<&Reference<'_>>,
    ) -> Result<Measurement, Fault> {
        let mut measurement = match (self.known, image) {
            (Some(known), None) => known,
            (known, image) => {
                let with = Measuring {
                    image,
                    modality: image.and_then(Volume::modality).or(made),
                    laterality: Catalogue::load().mirrored_side(&self.name),
                    mean_probability: known.as_ref().and_then(|known| known.mean_probability),
                    ..Measuring::default()
                };
                let mut fresh = measure(&self.name, &self.mask, &with);
                // Checks against the result's other masks were made when all of them were at hand.
                fresh.checks = known.map(|known| known.checks).unwrap_or(fresh.checks);
                fresh
            }
        };
        if let Some(reference) = reference {
            let reference = reference.counterpart(&measurement.name, self.label)?;
            measurement.comparison = Some(compare(&self.mask, &reference).map_err(|error| {
                Fault::new(Code::BadMask, faults::sentence(error.to_string()))
                    .hint("Resample the reference onto the mask's grid first (shape and affine must agree).")
            })?);
        }
        Ok(measurement)
    }
}

/// Puts the warnings that a result came with before those of its masks that were measured again, each once.
fn repeat_warnings(result: &SegmentAnswer, answer: &mut MeasureAnswer) {
    let asked = |warning: &&Warning| {
        let mask = result
            .masks
            .iter()
            .find(|mask| Some(&mask.target) == warning.target.as_ref());
        mask.is_none_or(|mask| {
            answer
                .measurements
                .iter()
                .any(|measurement| measurement.name == mask.name)
        })
    };
    let kept: Vec<Warning> = result.warnings.iter().filter(asked).cloned().collect();
    answer
        .warnings
        .retain(|warning| !kept.iter().any(|there| same_warning(result, there, warning)));
    answer.warnings.splice(0..0, kept);
}

/// Whether a fresh warning, which names the class, repeats one of the result's, which names the target as asked.
fn same_warning(result: &SegmentAnswer, kept: &Warning, fresh: &Warning) -> bool {
    let of_target = result
        .masks
        .iter()
        .find(|mask| Some(&mask.target) == kept.target.as_ref());
    kept.code == fresh.code && of_target.is_none_or(|mask| Some(&mask.name) == fresh.target.as_ref())
}

/// What is to be measured, as it was asked for.
enum Subject {
    /// Masks of a result.
    Result(Box<SegmentAnswer>, Vec<Named>),
    /// Those of a file, and which of them.
    File(Box<Masks>, Option<u32>),
}

impl Service {
    /// The `measure_volume` tool.
    pub fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        let subject = self.subject(caller, request)?;
        let image = request.image.as_deref();
        let image = image.map(|image| self.scan(caller, image)).transpose()?;
        let reference = request.reference.as_deref();
        let reference = reference.map(|given| self.mask_file(caller, given)).transpose()?;
        let (result, masks) = match subject {
            Subject::Result(result, masks) => (Some(result), masks),
            Subject::File(file, label) => {
                // A segmentation lies where its image does, else where what it is compared with does.
                let beside = reference.as_ref().map(Masks::place);
                let onto = match (&image, &beside) {
                    (Some(image), _) => Onto::Image(image),
                    (None, Some(beside)) => beside.onto(),
                    (None, None) => Onto::Frames(None),
                };
                (None, file.all(label, onto)?.into_iter().map(Named::from).collect())
            }
        };
        let grid = masks.first().map(|named| named.mask.shared_grid());
        let onto = match (&image, &grid) {
            (Some(image), _) => Onto::Image(image),
            (None, Some(grid)) => Onto::Grid(grid),
            (None, None) => Onto::Frames(None),
        };
        let reference = reference
            .as_ref()
            .map(|reference| reference.reference(onto))
            .transpose()?;
        // What made another image than the result's own is not known from the result.
        let own = |result: &SegmentAnswer, image: &Volume| image.content_hash() == result.image.sha256;
        let made = result
            .as_deref()
            .filter(|result| image.as_ref().is_none_or(|image| own(result, image)))
            .map(|result| result.image.modality);
        let mut answer = MeasureAnswer {
            measurements: Vec::new(),
            warnings: image.as_ref().map(warnings::of_reading).unwrap_or_default(),
        };
        for named in masks {
            let measurement = named.measured(image.as_ref(), made, reference.as_ref())?;
            let told = measurement.warnings.iter().map(|warning| Warning {
                code: warning.code.clone(),
                message: warning.message.clone(),
                target: Some(measurement.name.clone()),
                targets: None,
            });
            answer.warnings.extend(told);
            answer.measurements.push(measurement);
        }
        if let Some(result) = &result {
            repeat_warnings(result, &mut answer);
        }
        Ok(answer)
    }

    /// The masks of the result or of the file that was named, of which there has to be one.
    fn subject(&self, caller: &Caller, request: &MeasureRequest) -> Result<Subject, Fault> {
        let wrong = |message: &str, hint: &str| Err(Fault::new(Code::InvalidArgument, message).hint(hint));
        match (&request.result_id, &request.mask) {
            (Some(_), None) if request.label.is_some() => wrong(
                "label goes with mask; a result has targets.",
                "Leave label out, or pick masks with targets.",
            ),
            (Some(_), None) if request.targets.as_ref().is_some_and(Vec::is_empty) => {
                wrong("targets is empty.", "Leave it out for all masks.")
            }
            (Some(id), None) => {
                self.must_see(caller, id)?;
                let result = self.result(id)?;
                let masks = self.masks_of_result(&result, request.targets.as_deref())?;
                Ok(Subject::Result(Box::new(result), masks))
            }
            (None, Some(_)) if request.targets.is_some() => wrong(
                "targets goes with result_id; a mask file has labels.",
                "Leave targets out, or pick one number with label.",
            ),
            (None, Some(mask)) => Ok(Subject::File(Box::new(self.mask_file(caller, mask)?), request.label)),
            _ => wrong(
                "Either result_id or mask is needed, and not both.",
                "Give result_id as segment returned it, or mask as the path of a .nii or .nii.gz file or a DICOM SEG.",
            ),
        }
    }

    /// A stored result that must be there.
    pub(super) fn result(&self, id: &str) -> Result<SegmentAnswer, Fault> {
        self.stored_result(id)?
            .ok_or_else(|| crate::store::StoreError::NoResult { id: id.to_owned() }.into())
    }

    fn masks_of_result(&self, result: &SegmentAnswer, targets: Option<&[String]>) -> Result<Vec<Named>, Fault> {
        let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        let mut chosen = Vec::new();
        match targets {
            None => chosen.extend(&result.masks),
            Some(targets) => {
                for target in targets {
                    let mask = result
                        .masks
                        .iter()
                        .find(|mask| same(&mask.target, target) || same(&mask.name, target));
                    chosen.push(mask.ok_or_else(|| {
                        let there: Vec<&str> = result.masks.iter().map(|mask| mask.target.as_str()).collect();
                        Fault::new(
                            Code::UnknownTarget,
                            format!("Result {} has no mask for {target:?}.", result.result_id),
                        )
                        .hint(format!("It has: {}.", there.join(", ")))
                    })?);
                }
            }
        }
        let mut named: Vec<Named> = Vec::new();
        for mask in chosen {
            if named.iter().any(|there| there.name == mask.name) {
                continue;
            }
            let file = mask
                .files
                .first()
                .and_then(|file| file.uri.rsplit('/').next())
                .unwrap_or_default();
            let file = Given {
                input: Input::at(self.store.file(&result.result_id, file)?),
                uri: uris::uri(&result.result_id, file),
                remote: None,
            };
            let labels = read_labels_within(&file.input, &self.settings.reading)
                .map_err(|error| file.fault(error, Code::BadMask))?;
            let known = Some(mask.measurement.clone());
            named.push(Named {
                name: mask.name.clone(),
                mask: labels.foreground(),
                label: None,
                known,
            });
        }
        Ok(named)
    }

    fn scan(&self, caller: &Caller, given: &str) -> Result<Volume, Fault> {
        let file = self.at_hand(caller, self.given(caller, given)?)?;
        read_within(&file.input, &self.settings.reading).map_err(|error| file.fault(error, Code::BadImage))
    }
}
