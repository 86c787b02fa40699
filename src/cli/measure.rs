//! `sat-mcp measure`: the `measure_volume` tool for people.

use super::arguments::{Common, Measure};
use super::{print, print_json, settings};
use crate::service::{Caller, Detail, Fault, MeasureRequest, Service};

pub(super) fn run(common: &Common, arguments: &Measure) -> Result<(), Fault> {
    let request = MeasureRequest {
        result_id: arguments.result.clone(),
        targets: (!arguments.targets.is_empty()).then(|| arguments.targets.clone()),
        mask: arguments.mask.clone(),
        label: arguments.label,
        image: arguments.image.clone(),
        reference: arguments.reference.clone(),
        detail: Some(Detail::Full),
    };
    let service = Service::for_looking(settings::settings(common)?)?;
    let answer = service.measure_volume(&Caller::person(), &request)?;
    match arguments.json {
        true => print_json(&answer),
        false => print(&answer.text()),
    }
}
