//! Masks that are too large for one message, read some slices at a time: `sat://results/{result_id}/{file}?slices=40-79`.
//!
//! Slices are counted along the stored third axis, from 0, both ends included. What comes is a NIfTI file of its own, whose
//! affine puts it where it lies in the whole.

use super::{Caller, Code, Fault, ResourceFile, Service, paths};
use crate::volume::{ReadError, read_slices, slices_in};
use std::ops::Range;

const KEY: &str = "slices=";

impl Service {
    /// The slices that the query of a URI asks for, in at most `limit` bytes.
    pub fn read_slices(&self, caller: &Caller, uri: &str, query: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let file = self.resource(caller, uri)?;
        if !has_slices(&file) {
            return Err(Fault::new(Code::InvalidArgument, format!("{uri} has no slices."))
                .hint("Read it without `?`: only masks and label maps (.nii.gz) come in slices."));
        }
        let wanted = asked(query).ok_or_else(|| {
            Fault::new(
                Code::InvalidArgument,
                format!("{uri}?{query} does not say which slices."),
            )
            .hint(format!(
                "Write {uri}?slices=0-9 for the first ten, or ?slices=3 for one."
            ))
        })?;
        let there = count(&file)?;
        if wanted.end > there {
            let message = format!("{uri} has the slices 0 to {}, not {}.", there - 1, wanted.end - 1);
            return Err(Fault::new(Code::InvalidArgument, message).hint("Ask for slices that it has."));
        }
        let first = wanted.start;
        let many = wanted.len();
        part(&file, wanted, limit)?.map_or_else(
            || {
                let message = format!("{many} slices of {uri} take more than the {limit} bytes of one message.");
                Err(Fault::new(Code::InvalidArgument, message).hint(self.instead(caller, &file, first, limit)?))
            },
            Ok,
        )
    }

    /// What to say of a file of more than `limit` bytes: what to read instead.
    pub fn too_large(&self, caller: &Caller, file: &ResourceFile, limit: u64) -> Fault {
        let message = format!(
            "{} has {} bytes, more than the {limit} that one message may carry.",
            file.uri, file.bytes
        );
        match self.instead(caller, file, 0, limit) {
            Ok(hint) => Fault::new(Code::InvalidArgument, message).hint(hint),
            Err(fault) => fault,
        }
    }

    /// The part of `file` from slice `first` on that fits into a message, in words.
    fn instead(&self, caller: &Caller, file: &ResourceFile, first: usize, limit: u64) -> Result<String, Fault> {
        let mut hint = String::new();
        if has_slices(file) {
            let there = count(file)?;
            let last = match fitting(file, first..there, limit)? {
                0 => None,
                fit => Some(first + fit - 1),
            };
            hint = match last {
                Some(last) => format!(
                    "Read it by slices: it has {there}, and {} fit at a time: {}?slices={first}-{last}, and so on.",
                    last + 1 - first,
                    file.uri
                ),
                None => format!("It has {there} slices, and not even slice {first} fits."),
            };
        }
        if caller.sees_paths() {
            let gap = if hint.is_empty() { "" } else { " " };
            hint.push_str(gap);
            hint.push_str("The whole file lies at the `path` that segment gave.");
        } else if hint.is_empty() {
            hint.push_str("It comes in one piece only.");
        }
        Ok(hint)
    }
}

/// How many slices of a range, from its start, fit into `limit` bytes.
fn fitting(file: &ResourceFile, within: Range<usize>, limit: u64) -> Result<usize, Fault> {
    let share = limit as f64 / file.bytes.max(1) as f64;
    let mut many = ((count(file)? as f64 * share) as usize).clamp(1, within.len().max(1));
    // Slices differ: what fits on average is tried, and less until it fits.
    while many > 0 && part(file, within.start..within.start + many, limit)?.is_none() {
        many = many * 3 / 4;
    }
    Ok(many)
}

fn part(file: &ResourceFile, slices: Range<usize>, limit: u64) -> Result<Option<Vec<u8>>, Fault> {
    read_slices(&file.path, slices, limit).map_err(|error| damaged(file, error))
}

fn count(file: &ResourceFile) -> Result<usize, Fault> {
    slices_in(&file.path).map_err(|error| damaged(file, error))
}

/// Callers know the file by its URI; where it lies is not theirs to know.
fn damaged(file: &ResourceFile, error: ReadError) -> Fault {
    let mut fault = paths::read_fault(error, Code::Internal);
    fault.message = fault.message.replace(&file.path.display().to_string(), &file.uri);
    fault
}

fn has_slices(file: &ResourceFile) -> bool {
    file.name.ends_with(".nii.gz")
}

/// `slices=40-79` or `slices=40`, as a range.
fn asked(query: &str) -> Option<Range<usize>> {
    let text = query.strip_prefix(KEY)?;
    let number = |text: &str| match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u32>().ok().map(|number| number as usize),
        false => None,
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then(|| first..last + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::uris::uri;
    use crate::volume::{Affine, Grid, Mask, read_labels, write_mask};

    /// A service whose result `ab` has a mask of noise, and that mask's URI and size.
    fn noisy(folder: &std::path::Path) -> (Service, String, u64) {
        let service = Service::without_model(super::super::tests::settings(folder)).unwrap();
        let draft = service.store.begin("ab", None).unwrap();
        let path = draft.path().join("noise.nii.gz");
        let grid = Grid::new([64, 64, 40], Affine::identity());
        let noise = Mask::from_predicate(grid.into(), |index| {
            blake3::hash(&index.to_le_bytes()).as_bytes()[0] < 128
        });
        write_mask(&path, &noise, None).unwrap();
        let bytes = path.metadata().unwrap().len();
        draft.keep("{}").unwrap();
        (service, uri("ab", "noise.nii.gz"), bytes)
    }

    #[test]
    fn the_error_for_a_mask_that_is_too_large_names_a_part_that_fits() {
        let dir = tempfile::tempdir().unwrap();
        let (service, uri, bytes) = noisy(dir.path());
        let (caller, limit) = (Caller::neighbour(), bytes / 3);
        let file = service.resource(&caller, &uri).unwrap();
        for (fault, first) in [
            (service.too_large(&caller, &file, limit), 0),
            (service.read_slices(&caller, &uri, "slices=5-39", limit).unwrap_err(), 5),
        ] {
            let hint = fault.hint.unwrap();
            let (_, query) = hint.split_once('?').unwrap();
            let query = query.split(',').next().unwrap();
            let part = service.read_slices(&caller, &uri, query, limit).unwrap();
            assert!(part.len() as u64 <= limit, "{hint}");
            let range = asked(query).unwrap();
            assert!(range.start == first && range.len() >= 10, "{hint}");
            let path = dir.path().join("part.nii.gz");
            std::fs::write(&path, part).unwrap();
            let read = read_labels(&path).unwrap();
            assert_eq!(read.grid().shape(), [64, 64, range.len()]);
            assert_eq!(read.grid().to_world([0.0; 3])[2], first as f64);
        }
        let fault = service.too_large(&caller.without_paths(), &file, 100);
        assert_eq!(fault.hint.unwrap(), "It has 40 slices, and not even slice 0 fits.");
    }

    #[test]
    fn slices_are_whole_numbers_in_order() {
        assert_eq!(asked("slices=40-79"), Some(40..80));
        assert_eq!(asked("slices=3"), Some(3..4));
        for bad in [
            "",
            "slices=",
            "slices=9-3",
            "slices=-3",
            "slices=1-2-3",
            "slices=+1",
            "slice=3",
            "slices=99999999999",
        ] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }
}
