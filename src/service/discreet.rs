//! What callers without a share in the file system are not told: where files lie on the server's disk.

use super::{Caller, Code, Fault, ImageIdentity, Service, images, uris};
use std::path::Path;

impl Service {
    /// A fault as `caller` may hear it. What only whoever runs the server can use goes to the log. Faults about what the caller
    /// has named say it as it was named: where they put another word for a folder, they would tell that it was guessed.
    pub fn told(&self, caller: &Caller, fault: Fault) -> Fault {
        if caller.sees_paths() || !matches!(fault.code, Code::Internal | Code::ProviderUnavailable) {
            return fault;
        }
        let told = Fault {
            message: self.unplaced(&fault.message),
            hint: fault.hint.as_deref().map(|hint| self.unplaced(hint)),
            ..fault.clone()
        };
        if told != fault {
            tracing::error!(%fault, "a caller without paths was told this without its paths");
        }
        told
    }

    fn unplaced(&self, text: &str) -> String {
        let settings = &self.settings;
        let folder = self.model().map(|folder| folder.path()).ok();
        let named: [(Option<&Path>, &str); 6] = [
            (Some(self.store.root()), "the results folder"),
            (Some(&settings.results), "the results folder"),
            (Some(&settings.cache), "the cache"),
            (folder, "the model's folder"),
            (settings.models.as_deref(), "the models' folder"),
            (settings.ort_lib.as_deref(), "ONNX Runtime's library"),
        ];
        let named = named.into_iter().filter_map(|(path, word)| Some((path?, word)));
        let mut named: Vec<_> = named
            .map(|(path, word)| (path.display().to_string(), word))
            // A folder given as "." or "results" is a word like any other.
            .filter(|(path, _)| path.len() > 1 && Path::new(path).is_absolute())
            .collect();
        // What lies within another goes first.
        named.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        let text = named
            .iter()
            .fold(text.to_owned(), |text, (path, word)| text.replace(path, word));
        // And of any other place no more than the file's name.
        let words = text.split(' ').map(|word| match word.rsplit_once('/') {
            Some((_, name)) if word.starts_with('/') => format!("…/{name}"),
            _ => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// How `caller` may read of the scan of a result: one that another caller named by its place on the disk is called by what
/// shows it.
pub(super) fn as_seen(caller: &Caller, result_id: &str, mut image: ImageIdentity) -> ImageIdentity {
    if !caller.sees_paths() && is_placed(&image.uri) {
        image.uri = uris::uri(result_id, uris::DISPLAY);
    }
    image
}

/// Whether a scan's name says where it lies.
fn is_placed(uri: &str) -> bool {
    !uri.starts_with(images::IMAGES) && (uri.starts_with("file:") || Path::new(uri).is_absolute())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::tests::settings;

    #[test]
    fn who_sees_no_paths_is_told_the_fault_without_them() {
        let dir = tempfile::tempdir().unwrap();
        let service = Service::without_model(settings(dir.path())).unwrap();
        let path = service.store.root().join("ab/liver.nii.gz").display().to_string();
        let fault = Fault::new(Code::Internal, format!("{path}: Permission denied.")).hint(format!("Look at {path}."));
        let (near, far) = (Caller::neighbour(), Caller::neighbour().without_paths());
        assert_eq!(service.told(&near, fault.clone()), fault);
        let told = service.told(&far, fault);
        assert_eq!(
            told.to_string(),
            "the results folder/ab/liver.nii.gz: Permission denied. Look at the results folder/ab/liver.nii.gz."
        );
        let fault =
            Fault::new(Code::ProviderUnavailable, "/opt/ort/libort.so: no such file.").hint("Ask again and/or wait.");
        assert_eq!(
            service.told(&far, fault).to_string(),
            "…/libort.so: no such file. Ask again and/or wait."
        );
        // A guess is not confirmed.
        let guess = Fault::new(Code::OutsideRoots, format!("{path} lies outside."));
        assert_eq!(service.told(&far, guess.clone()), guess);
    }
}
