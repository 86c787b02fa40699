//! What a report mentions: the one question that can be answered without a model.

use super::{Code, Fault, Service, Settings, models};
use crate::anatomy::{Catalogue, Mentions, Offered, Resolver};
use crate::model::ModelFolder;
use crate::volume::Modality;

/// The names that a report mentions, by the model of `settings`. Where that is not there and nobody asked for it, SAT's whole
/// catalogue is gone by.
pub fn report_mentions(
    settings: &Settings,
    model_asked_for: bool,
    report: &str,
    modality: Modality,
) -> Result<Mentions, Fault> {
    let catalogue = Catalogue::load();
    match models::open(&settings.model, settings.models.as_deref(), ModelFolder::promised) {
        Ok(folder) => Ok(Resolver::new(catalogue, &models::offered(&folder)).mentions(report, modality)),
        Err(fault) if fault.code == Code::NotFound && !model_asked_for => {
            let everything = Offered::everything("SAT", catalogue);
            Ok(Resolver::new(catalogue, &everything)
                .mentions(report, modality)
                .without_model())
        }
        Err(fault) => Err(fault),
    }
}

impl Service {
    /// The names that a report mentions, by this service's model.
    pub fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault> {
        Ok(self.own_model()?.resolver.mentions(report, modality))
    }
}
