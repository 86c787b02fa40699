//! From files to an image.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::folder::{Found, find, find_among};
use super::image::{Image, Instance};
use super::regular::regular;
use super::spot::Spot;
use super::stack::{Stack, arrange};
use super::units::{Units, units};
use super::{Series, SeriesError, SourceFrame, file, pixels};
use crate::volume::{Input, Modality, ReadLimits, Volume};

/// Reads a DICOM series: a folder of it, or one of its files.
///
/// The input's choice says which, where there are several: a Series Instance UID, the number of a volume from 0, or both with `:`
/// between them.
///
/// # Errors
/// [`SeriesError`] says what is wrong with the series, or which there are to choose from.
pub fn read_series(input: &Input, limits: &ReadLimits) -> Result<Volume, SeriesError> {
    let (uid, volume) = chosen(input.choice.as_deref());
    made(find(input, uid, limits.unpacked_bytes)?, volume, limits)
}

/// Reads a DICOM series from the bytes of its files; `choice` as in [`Input`].
///
/// # Errors
/// Those of a series that lies in a folder: [`SeriesError`].
pub fn read_dicom_bytes(files: &[&[u8]], choice: Option<&str>, limits: &ReadLimits) -> Result<Volume, SeriesError> {
    let (uid, volume) = chosen(choice);
    let files = files.iter().enumerate();
    let files: Vec<Spot> = files
        .map(|(n, bytes)| Spot::Memory(format!("file {n}"), Arc::from(*bytes)))
        .collect();
    let found = find_among(&files, uid.map(str::to_owned), limits.unpacked_bytes)?;
    made(found, volume, limits)
}

/// The image of a series that was found.
fn made(found: Found, volume: Option<usize>, limits: &ReadLimits) -> Result<Volume, SeriesError> {
    let limit = limits.unpacked_bytes;
    let modality = Modality::from_word(&found.modality).ok_or(SeriesError::Modality {
        modality: found.modality.clone(),
    })?;
    if found.images.iter().any(|image| image.slope == 0.0) {
        return Err(SeriesError::Nonsense {
            attribute: "Rescale Slope",
            value: "0".into(),
        });
    }
    let instances = &found.instances;
    let same = |images: &[&Image]| same_pixels(instances, images, limit);
    let mut stack = arrange(&found.images, volume, &same)?;
    let voxels = |shape: [usize; 3]| {
        let lengths = shape.iter().map(|length| *length as u64);
        lengths.fold(1_u64, u64::saturating_mul)
    };
    let [columns, rows] = stack.plane.size;
    let promised = voxels(stack.grid.shape()).max(voxels([columns, rows, stack.images.len()]));
    if promised > limits.voxels {
        return Err(SeriesError::TooLarge {
            promised,
            limit: limits.voxels,
        });
    }
    let units = units(&found.header, modality, found.acquired.as_ref());
    let slices = slices(instances, &stack, &units, limit)?;
    let broken = slices.iter().filter(|value| !value.is_finite()).count() as u64;
    if broken > 0 {
        return Err(SeriesError::NotFinite { count: broken });
    }
    let voxels = match &stack.uneven {
        None => slices,
        Some(uneven) => {
            let lowest = slices.iter().copied().fold(f32::INFINITY, f32::min);
            regular(stack.plane.size, &slices, &uneven.places, &stack.grid, lowest).map_err(out_of_memory)?
        }
    };
    let mut notes = found.notes.clone();
    notes.append(&mut stack.notes);
    notes.extend(units.note);
    let grid = stack.grid.clone();
    let volume = Volume::new(grid, voxels, Some(modality)).with_series(Arc::new(series(found, stack, notes)));
    Ok(match units.unit {
        Some(unit) => volume.with_unit(unit),
        None => volume,
    })
}

/// A choice's series and its volume.
fn chosen(choice: Option<&str>) -> (Option<&str>, Option<usize>) {
    // A UID has dots; a number that has none, and is no longer than this, is a volume's.
    let volume = |text: &str| text.parse::<usize>().ok().filter(|_| text.len() <= 5);
    match choice {
        None => (None, None),
        Some(choice) => match (volume(choice), choice.rsplit_once(':')) {
            (Some(number), _) => (None, Some(number)),
            (None, Some((uid, number))) if volume(number).is_some() => (Some(uid), volume(number)),
            _ => (Some(choice), None),
        },
    }
}

/// Whether all of these images have the same pixels as the first.
fn same_pixels(instances: &[Instance], images: &[&Image], limit: u64) -> Result<bool, SeriesError> {
    let read = |image: &Image| {
        let instance = &instances[image.instance];
        let mut values = Vec::new();
        let mut place = file::again(&instance.spot, instance.seen, limit).map_err(|error| error.of(&instance.spot))?;
        pixels::frame(&mut *place, instance, image.frame, &mut values).map_err(|error| error.of(&instance.spot))?;
        let meant = |value: &mut f64| *value = *value * image.slope + image.intercept;
        values.iter_mut().for_each(meant);
        Ok::<_, SeriesError>(values)
    };
    let [first, others @ ..] = images else {
        return Ok(true);
    };
    let values = read(first)?;
    for other in others {
        if other.size != first.size || read(other)? != values {
            return Ok(false);
        }
    }
    Ok(true)
}

fn out_of_memory(_: std::collections::TryReserveError) -> SeriesError {
    SeriesError::Read(std::io::ErrorKind::OutOfMemory.into())
}

/// The pixels of all slices, in order, as what they mean. Files are read side by side, the frames of one file one after another.
fn slices(instances: &[Instance], stack: &Stack, units: &Units, limit: u64) -> Result<Vec<f32>, SeriesError> {
    let of = stack.plane.size[0] * stack.plane.size[1];
    let mut voxels = Vec::new();
    voxels
        .try_reserve_exact(of * stack.images.len())
        .map_err(out_of_memory)?;
    voxels.resize(of * stack.images.len(), 0.0_f32);
    let mut by_file: Vec<Vec<(&Image, &mut [f32])>> = Vec::new();
    by_file.resize_with(instances.len(), Vec::new);
    for (image, slice) in stack.images.iter().zip(voxels.chunks_exact_mut(of)) {
        by_file[image.instance].push((image, slice));
    }
    let read = |(at, images): (usize, Vec<(&Image, &mut [f32])>)| {
        let instance = &instances[at];
        let told = |error: SeriesError| error.of(&instance.spot);
        let mut place = file::again(&instance.spot, instance.seen, limit).map_err(told)?;
        let mut values = Vec::with_capacity(of);
        for (image, slice) in images {
            pixels::frame(&mut *place, instance, image.frame, &mut values).map_err(told)?;
            for (voxel, value) in slice.iter_mut().zip(&values) {
                *voxel = ((value * image.slope + image.intercept) * units.factor) as f32;
            }
        }
        Ok::<_, SeriesError>(())
    };
    let files: Vec<_> = by_file
        .into_iter()
        .enumerate()
        .filter(|(_, images)| !images.is_empty())
        .collect();
    // What is unpacked in memory is so one file at a time.
    match instances
        .iter()
        .any(|instance| matches!(instance.spot, Spot::Packed(..)))
    {
        true => files.into_iter().try_for_each(read)?,
        false => files.into_par_iter().try_for_each(read)?,
    }
    Ok(voxels)
}

/// What the series says beyond its voxels.
fn series(found: Found, stack: Stack, notes: Vec<super::Note>) -> Series {
    let mut order: Vec<usize> = Vec::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    let frames = stack.images.iter().map(|image| {
        let instance = *places.entry(image.instance).or_insert_with(|| {
            order.push(image.instance);
            order.len() - 1
        });
        SourceFrame {
            instance,
            number: image.multi_frame.then_some(image.frame as u32 + 1),
            position: image.place.position,
        }
    });
    let frames: Vec<SourceFrame> = frames.collect();
    let instances = order.iter().map(|at| found.instances[*at].source.clone()).collect();
    Series::new(
        found.header,
        instances,
        frames,
        stack.plane.size,
        stack.plane.spacing,
        stack.plane.orientation,
    )
    .with_places(stack.uneven.map(|uneven| uneven.places))
    .with_notes(notes)
}
