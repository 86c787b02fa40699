//! A result's files, written into a draft of the store.

use super::found::Measured;
use super::plan::Plan;
use super::written::{cannot_write, hash_of};
use super::{Fault, FileAnswer, Format, LabelAnswer, LabelmapAnswer, PreviewAnswer, objects, uris};
use crate::report::{self, Outline};
use crate::volume::{PackedMask, write_labels, write_mask};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Bytes of a file's name at most, since answers repeat it; SAT's longest name is nearly twice as long.
const LONGEST_SLUG: usize = 48;
pub(super) const LABELMAP: &str = "labelmap.nii.gz";
pub(super) const ITK_SNAP: &str = "labelmap.itksnap.txt";
const SLICER: &str = "labelmap.slicer.ctbl";
const PREVIEW: &str = "preview.png";

/// What was written.
pub(super) struct Written {
    /// Measurements as DICOM.
    pub report: Option<FileAnswer>,
    /// Files of each distinct name.
    pub files: BTreeMap<String, Vec<FileAnswer>>,
    /// All masks in one file.
    pub labelmap: Option<LabelmapAnswer>,
    /// Three planes with outlines.
    pub preview: Option<PreviewAnswer>,
}

/// Writes the masks, the label map with its colour tables, and the preview.
pub(super) fn write(folder: &Path, plan: &Plan, found: &[(String, Measured)]) -> Result<Written, Fault> {
    let placement = plan.volume.placement();
    let names = file_names(found);
    let files = found.par_iter().zip(names.par_iter()).map(|((name, measured), file)| {
        let path = folder.join(file);
        write_mask(&path, &measured.mask.unpack(), placement).map_err(|error| cannot_write(&error))?;
        let (bytes, sha256) = hash_of(&path)?;
        let answer = FileAnswer {
            format: Format::Nifti,
            uri: uris::uri(&plan.result_id, file),
            path: None,
            bytes,
            sha256: Some(sha256),
            segment_number: None,
        };
        Ok((name.clone(), vec![answer]))
    });
    let mut files = files.collect::<Result<BTreeMap<_, _>, Fault>>()?;
    let objects = objects::write(folder, plan, found)?;
    for ((name, _), number) in found.iter().zip(1..) {
        let seg = objects.seg.clone().map(|seg| FileAnswer {
            segment_number: Some(number),
            ..seg
        });
        files.entry(name.clone()).or_default().extend(seg);
    }

    // One label a target, so that label i is the i-th target also where two targets are one class.
    let of_target: Vec<&Measured> = plan
        .targets
        .iter()
        .filter_map(|target| {
            found
                .iter()
                .find(|(name, _)| *name == target.name)
                .map(|(_, measured)| measured)
        })
        .collect();
    let masks: Vec<&PackedMask> = of_target.iter().map(|measured| &measured.mask).collect();
    let grid = plan.volume.grid();
    write_labels(&folder.join(LABELMAP), grid, &report::combine(grid, &masks), placement)
        .map_err(|error| cannot_write(&error))?;
    let all_names: Vec<&str> = plan.targets.iter().map(|target| target.name.as_str()).collect();
    let colours = report::colours(&all_names);
    let outlines: Vec<Outline<'_>> = all_names
        .iter()
        .zip(&of_target)
        .zip(&colours)
        .map(|((name, measured), colour)| Outline {
            name,
            mask: &measured.mask,
            colour: *colour,
            volume_ml: measured.measurement.volume_ml,
        })
        .collect();
    let text = |file: &str, text: String| std::fs::write(folder.join(file), text).map_err(|error| cannot_write(&error));
    text(ITK_SNAP, report::itk_snap_table(&outlines))?;
    text(SLICER, report::slicer_table(&outlines))?;
    let labels = all_names.iter().zip(1..).map(|(name, value)| LabelAnswer {
        value,
        name: (*name).to_owned(),
    });

    let mut drawn: BTreeSet<&str> = BTreeSet::new();
    let distinct: Vec<Outline<'_>> = outlines
        .iter()
        .filter(|outline| drawn.insert(outline.name))
        .copied()
        .collect();
    let picture = report::preview(&plan.volume, &distinct, plan.image.modality);
    let png = report::png(&picture).map_err(|error| cannot_write(&error))?;
    std::fs::write(folder.join(PREVIEW), png).map_err(|error| cannot_write(&error))?;
    Ok(Written {
        files,
        report: objects.report,
        labelmap: Some(LabelmapAnswer {
            uri: uris::uri(&plan.result_id, LABELMAP),
            path: None,
            labels: labels.collect(),
        }),
        preview: Some(PreviewAnswer {
            uri: uris::uri(&plan.result_id, PREVIEW),
            path: None,
        }),
    })
}

/// `left_hippocampus.nii.gz` and so on: names of classes as plain file names, each once.
fn file_names(found: &[(String, Measured)]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let slug = |name: &str| {
        let words = name
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let slug = words.collect::<Vec<_>>().join("_").to_lowercase();
        let letters = slug.char_indices().take_while(|(at, _)| *at < LONGEST_SLUG);
        let slug: String = letters.map(|(_, letter)| letter).collect();
        let slug = slug.trim_end_matches('_').to_owned();
        if slug.is_empty() { "target".to_owned() } else { slug }
    };
    let unique = found.iter().map(|(name, _)| {
        let slug = slug(name);
        // Two phrases may share a slug, and one may be called "labelmap".
        let mut chosen = slug.clone();
        let mut n = 2;
        while chosen == "labelmap" || !taken.insert(chosen.clone()) {
            chosen = format!("{slug}_{n}");
            n += 1;
        }
        format!("{chosen}.nii.gz")
    });
    unique.collect()
}
