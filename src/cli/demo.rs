//! `sat-mcp demo`: the main job on the scan that ships with the project.

use super::arguments::{Common, Demo};
use super::segment::{for_people, segment};
use super::{print, print_json, settings};
use crate::model::checkout_of;
use crate::service::{Code, Detail, Fault, SegmentRequest, Service};
use crate::volume::Modality;
use std::path::PathBuf;

/// The Colin 27 average head, T1-weighted MR.
const IMAGE: &str = "colin27-t1.nii.gz";

/// Structures that lie beside one another, so that the picture stays readable. A model with none of them shows all it has.
const SHOWN: [&str; 18] = [
    "left hippocampus",
    "right hippocampus",
    "left amygdala",
    "right amygdala",
    "left thalamus",
    "right thalamus",
    "left caudate nucleus",
    "right caudate nucleus",
    "left putamen",
    "right putamen",
    "left pallidum",
    "right pallidum",
    "left lateral ventricle",
    "right lateral ventricle",
    "third ventricle",
    "fourth ventricle",
    "brainstem",
    "cerebellum",
];

pub(super) fn run(common: &Common, arguments: &Demo) -> Result<(), Fault> {
    let image = image()?;
    let service = Service::open(settings::settings(common)?)?;
    let model = service.model()?.manifest();
    let classes = &model.classes;
    let of_mr = classes.iter().filter(|class| class.modalities.contains(&Modality::Mri));
    let names: Vec<&str> = of_mr.map(|class| class.name.as_str()).collect();
    let shown: Vec<&str> = SHOWN.into_iter().filter(|name| names.contains(name)).collect();
    let targets: Vec<String> = if shown.is_empty() { names } else { shown }
        .into_iter()
        .take(512)
        .map(str::to_owned)
        .collect();
    if targets.is_empty() {
        return Err(Fault::new(
            Code::NotInModel,
            format!(
                "The model {} has no class for MR, and the demo's scan is one.",
                model.name
            ),
        )
        .hint("Leave --model out."));
    }
    let request = SegmentRequest {
        image: image.display().to_string(),
        targets,
        modality: Some(Modality::Mri),
        detail: Some(Detail::Full),
        ..SegmentRequest::default()
    };
    let answer = segment(&service, &request, arguments.out.as_deref())?;
    if arguments.json {
        return print_json(&answer);
    }
    print(&format!(
        "{}\n\nThe scan is {}. The same by hand:\n  sat-mcp segment --image {} --modality mri --target \"left hippocampus\"",
        for_people(&answer, arguments.out.as_deref()),
        image.display(),
        image.display()
    ))
}

/// Beside the executable's prefix where sat-mcp was installed, else in the checkout that it lies in.
fn image() -> Result<PathBuf, Fault> {
    let executable = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .unwrap_or_default();
    let installed = executable
        .parent()
        .and_then(|bin| bin.parent())
        .map(|prefix| prefix.join("share/sat-mcp/demo"));
    let checkout = checkout_of(&executable).map(|checkout| checkout.join("share/demo"));
    let found = [installed, checkout]
        .into_iter()
        .flatten()
        .map(|folder| folder.join(IMAGE))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            format!("The demo's scan, {IMAGE}, was not found beside the program."),
        )
        .hint("Install sat-mcp with pip, or run it from the checkout that it was built in.")
    })
}
