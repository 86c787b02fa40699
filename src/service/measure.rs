//! The `measure_volume` tool: numbers about a result's masks, or about any mask file.

use super::given::Given;
use super::mask_file::{OneMask, Onto};
use super::{Caller, Code, Fault, MeasureAnswer, MeasureRequest, SegmentAnswer, Service, Warning, uris, warnings};
use crate::anatomy::Catalogue;
use crate::measure::{Measurement, Measuring, compare, measure};
use crate::volume::{Input, Mask, Volume, read_labels_within, read_within};

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

/// Whether a fresh warning, which names the class, repeats one of the result's, which names the target as asked.
fn same_warning(result: &SegmentAnswer, kept: &Warning, fresh: &Warning) -> bool {
    let of_target = result
        .masks
        .iter()
        .find(|mask| Some(&mask.target) == kept.target.as_ref());
    kept.code == fresh.code && of_target.is_none_or(|mask| Some(&mask.name) == fresh.target.as_ref())
}

impl Service {
    /// The `measure_volume` tool.
    pub fn measure_volume(&self, caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        let mut result = None;
        let (mut masks, mut file) = (Vec::new(), None);
        match (&request.result_id, &request.mask) {
            (Some(_), None) if request.label.is_some() => {
                return Err(
                    Fault::new(Code::InvalidArgument, "label goes with mask; a result has targets.")
                        .hint("Leave label out, or pick masks with targets."),
                );
            }
            (Some(_), None) if request.targets.as_ref().is_some_and(Vec::is_empty) => {
                return Err(Fault::new(Code::InvalidArgument, "targets is empty.").hint("Leave it out for all masks."));
            }
            (Some(id), None) => {
                self.must_see(caller, id)?;
                let stored = self.result(id)?;
                masks = self.masks_of_result(&stored, request.targets.as_deref())?;
                result = Some(stored);
            }
            (None, Some(_)) if request.targets.is_some() => {
                return Err(Fault::new(
                    Code::InvalidArgument,
                    "targets goes with result_id; a mask file has labels.",
                )
                .hint("Leave targets out, or pick one number with label."));
            }
            (None, Some(mask)) => file = Some(self.mask_file(caller, mask)?),
            _ => {
                return Err(Fault::new(
                    Code::InvalidArgument,
                    "Either result_id or mask is needed, and not both.",
                )
                .hint("Give result_id as segment returned it, or mask as the path of a .nii or .nii.gz file or a DICOM SEG."));
            }
        }
        let image = request
            .image
            .as_deref()
            .map(|image| self.scan(caller, image))
            .transpose()?;
        let reference = request
            .reference
            .as_deref()
            .map(|given| self.mask_file(caller, given))
            .transpose()?;
        // A segmentation lies where its image does, else where what it is compared with does.
        if let Some(file) = &file {
            let beside = reference.as_ref().map(|reference| reference.place());
            let onto = match (&image, &beside) {
                (Some(image), _) => Onto::Image(image),
                (None, Some(beside)) => beside.onto(),
                (None, None) => Onto::Frames(None),
            };
            masks.extend(file.all(request.label, onto)?.into_iter().map(Named::from));
        }
        let grid = masks.first().map(|named| named.mask.shared_grid());
        let reference = reference.as_ref().map(|reference| {
            reference.reference(match (&image, &grid) {
                (Some(image), _) => Onto::Image(image),
                (None, Some(grid)) => Onto::Grid(grid),
                (None, None) => Onto::Frames(None),
            })
        });
        let reference = reference.transpose()?;
        // What made another image than the result's own is not known from the result.
        let own = |result: &SegmentAnswer, image: &Volume| image.content_hash() == result.image.sha256;
        let modality = result
            .as_ref()
            .filter(|result| image.as_ref().is_none_or(|image| own(result, image)))
            .map(|result| result.image.modality);
        let mut answer = MeasureAnswer {
            measurements: Vec::new(),
            warnings: image.as_ref().map(warnings::of_reading).unwrap_or_default(),
        };
        for Named {
            name,
            mask,
            label,
            known,
        } in masks
        {
            let mut measurement = match (known, &image) {
                (Some(known), None) => known,
                (known, image) => {
                    let with = Measuring {
                        image: image.as_ref(),
                        modality: image.as_ref().and_then(|image| image.modality()).or(modality),
                        laterality: Catalogue::load().mirrored_side(&name),
                        mean_probability: known.as_ref().and_then(|known| known.mean_probability),
                        ..Measuring::default()
                    };
                    let mut fresh = measure(&name, &mask, &with);
                    // Checks against the result's other masks were made when all of them were at hand.
                    fresh.checks = known.map(|known| known.checks).unwrap_or(fresh.checks);
                    fresh
                }
            };
            if let Some(reference) = &reference {
                let reference = reference.counterpart(&measurement.name, label)?;
                measurement.comparison = Some(compare(&mask, &reference).map_err(|error| {
                    Fault::new(Code::BadMask, super::faults::sentence(error.to_string()))
                        .hint("Resample the reference onto the mask's grid first (shape and affine must agree).")
                })?);
            }
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
            let asked = |warning: &&Warning| {
                let name = result
                    .masks
                    .iter()
                    .find(|mask| Some(&mask.target) == warning.target.as_ref());
                name.is_none_or(|mask| {
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
        Ok(answer)
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
