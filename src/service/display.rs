//! A result to look at: its scan in shades of grey, and the page that shows both.

use super::discreet::as_seen;
use super::{Caller, Code, Fault, SegmentAnswer, Service, paths, uris};
use crate::report::{Shown, VIEWER, Window, page};
use crate::volume::{LabelMap, Mask, averaged, read_labels, read_within, write_bytes_to};
use std::path::PathBuf;

/// Voxels of a scan that is shown at most: what browsers draw without a stutter, and what one message carries.
const MOST_VOXELS: usize = 1 << 24;

/// A result as one HTML file.
#[derive(Debug, Clone)]
pub struct Page {
    /// The file.
    pub html: String,
    /// Why the scan is not in it, where it is not.
    pub without_image: Option<Fault>,
}

impl Service {
    /// The scan of a result as it is shown: one byte a voxel from black to white in the preview's window, as `.nii.gz` in
    /// the scan's own axes; of more than about 16 million voxels, means over blocks ([`averaged`]).
    ///
    /// Read anew from where it lay, under the same rules as when it was segmented; a file that has changed since is refused.
    pub fn display(&self, caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault> {
        self.must_see(caller, result_id)?;
        let result = self.result(result_id)?;
        let seen = as_seen(caller, result_id, result.image.clone()).uri;
        let about = |fault: Fault| {
            // Of a scan that another caller named by its place, this one hears no more than what shows it.
            let why = paths::spellings(&result.image.uri)
                .iter()
                .fold(fault.message, |why, place| why.replace(place, &seen));
            Fault {
                message: format!("The scan of result {result_id} cannot be shown. {why}"),
                ..fault
            }
        };
        let given = self.given(caller, &result.image.uri);
        let given = given.and_then(|given| self.at_hand(caller, given)).map_err(about)?;
        let volume = read_within(&given.input, &self.settings.reading)
            .map_err(|error| about(given.fault(error, Code::BadImage)))?;
        if volume.content_hash() != result.image.sha256 {
            let changed = format!(
                "{}: the file has changed; it is no longer the scan that was segmented.",
                paths::shown(&given.uri)
            );
            return Err(about(Fault::new(Code::BadImage, changed))
                .hint("Put the old file back, or segment this one and look at that result."));
        }
        let labels = self.largest(&result);
        let names: Vec<&str> = result.masks.iter().map(|mask| mask.name.as_str()).collect();
        let window = Window::choose(&volume, result.image.modality, labels.as_ref(), &names);
        let shown = averaged(&volume, MOST_VOXELS);
        let bytes: Vec<u8> = shown.voxels().iter().map(|value| window.byte(*value)).collect();
        let mut file = Vec::new();
        write_bytes_to(&mut file, shown.grid(), &bytes, window.caption())
            .map_err(|error| Fault::new(Code::Internal, super::faults::sentence(error.to_string())))?;
        Ok(file)
    }

    /// A result as a page that needs no server. Where the scan can't be had, with the masks alone.
    pub fn page(&self, caller: &Caller, result_id: &str) -> Result<Page, Fault> {
        self.must_see(caller, result_id)?;
        let result = self.result(result_id)?;
        let file = |name: &str| self.read_resource(caller, &uris::uri(result_id, name));
        let (_, labels) = file(super::files::LABELMAP)?;
        let (_, colours) = file(super::files::ITK_SNAP)?;
        let image = self.display(caller, result_id);
        let result = serde_json::to_value(&result).map_err(|error| Fault::new(Code::Internal, error.to_string()))?;
        let html = page(&Shown {
            result,
            labels: &labels,
            colours: &String::from_utf8_lossy(&colours),
            image: image.as_deref().map_err(|fault| fault.message.clone()),
        });
        Ok(Page {
            html,
            without_image: image.err(),
        })
    }

    /// The largest mask, by which the preview's window was chosen, as far as the label map has it.
    fn largest(&self, result: &SegmentAnswer) -> Option<Mask> {
        let (at, _) = result
            .masks
            .iter()
            .enumerate()
            .filter(|(_, mask)| mask.measurement.voxels > 0)
            .max_by_key(|(_, mask)| mask.measurement.voxels)?;
        let name = result.masks[at].files.first()?.uri.rsplit('/').next()?;
        let path: PathBuf = self.store.file(&result.result_id, name).ok()?;
        read_labels(&path).ok().as_ref().map(LabelMap::foreground)
    }
}

/// The viewer without a result, for hosts that hand it one.
pub fn viewer() -> &'static str {
    VIEWER
}
