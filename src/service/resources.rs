//! Files of results by URI: `sat://results/{result_id}/{file}`.

use super::discreet::as_seen;
use super::uris::{RESULTS, mime_of, uri};
use super::{Caller, Code, Fault, SegmentAnswer, Service};
use crate::store::{Place, RESULT_FILE};
use std::path::PathBuf;
use std::time::SystemTime;

/// A file that a URI names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceFile {
    /// Its URI.
    pub uri: String,
    /// Its name within the result.
    pub name: String,
    /// What it holds.
    pub mime: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
}

/// A result in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredResult {
    /// Its id.
    pub result_id: String,
    /// When it was made or last asked for.
    pub used: SystemTime,
    /// Bytes of its files.
    pub bytes: u64,
    /// What was asked for.
    pub targets: Vec<String>,
    /// The image's URI.
    pub image: String,
    /// Its files.
    pub files: Vec<ResourceFile>,
}

/// A result as it was written, with its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultFiles {
    /// What `result.json` says.
    pub answer: SegmentAnswer,
    /// Its files, by name.
    pub files: Vec<ResourceFile>,
}

impl Service {
    /// The file that `uri` names, for a caller who may see it; for any other it is not there.
    pub fn resource(&self, caller: &Caller, uri: &str) -> Result<ResourceFile, Fault> {
        let (id, name) = uri
            .strip_prefix(RESULTS)
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| {
                Fault::new(Code::NotFound, format!("{uri}: no such resource."))
                    .hint("Results are sat://results/{result_id}/{file}, as segment returns them.")
            })?;
        self.must_see(caller, id)?;
        let path = self.store.file(id, name)?;
        let bytes = path.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        Ok(ResourceFile {
            uri: uri.to_owned(),
            name: name.to_owned(),
            mime: mime_of(name),
            bytes,
            path,
        })
    }

    /// The file that `uri` names, with its bytes.
    pub fn read_resource(&self, caller: &Caller, uri: &str) -> Result<(ResourceFile, Vec<u8>), Fault> {
        let file = self.resource(caller, uri)?;
        let bytes =
            std::fs::read(&file.path).map_err(|error| Fault::new(Code::NotFound, format!("{uri}: {error}.")))?;
        let bytes = self.for_eyes_of(caller, &file, &bytes)?.unwrap_or(bytes);
        Ok((file, bytes))
    }

    /// A `result.json` as `caller` may read it, where that is not as it lies in the store.
    pub fn seen_otherwise(&self, caller: &Caller, file: &ResourceFile) -> Result<Option<Vec<u8>>, Fault> {
        if caller.sees_paths() || file.name != RESULT_FILE {
            return Ok(None);
        }
        let bytes = std::fs::read(&file.path);
        let bytes = bytes.map_err(|error| Fault::new(Code::NotFound, format!("{}: {error}.", file.uri)))?;
        self.for_eyes_of(caller, file, &bytes)
    }

    fn for_eyes_of(&self, caller: &Caller, file: &ResourceFile, bytes: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        if caller.sees_paths() || file.name != RESULT_FILE {
            return Ok(None);
        }
        // What cannot be read cannot be known to name no place.
        let unreadable = |error| {
            let fault = Fault::new(
                Code::NotFound,
                format!("{}: another version wrote it ({error}).", file.uri),
            );
            fault.hint("Run segment again: it is made anew.")
        };
        let answer: SegmentAnswer = serde_json::from_slice(bytes).map_err(unreadable)?;
        let image = as_seen(caller, &answer.result_id, answer.image.clone());
        match image == answer.image {
            true => Ok(None),
            false => serde_json::to_vec_pretty(&SegmentAnswer { image, ..answer })
                .map(Some)
                .map_err(unreadable),
        }
    }

    /// A result that belongs to somebody else does not exist.
    pub(super) fn must_see(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        match caller.may_see(self.store.owner(id)?.as_deref()) {
            true => Ok(()),
            false => Err(crate::store::StoreError::NoResult { id: id.to_owned() }.into()),
        }
    }

    /// All results that `caller` may see, the newest first, each unopened.
    pub fn result_places(&self, caller: &Caller) -> Result<Vec<Place>, Fault> {
        let mut places = self.store.places()?;
        places.retain(|place| caller.may_see(place.owner.as_deref()));
        Ok(places)
    }

    /// A result's answer and its files by name; none where it has gone or another version wrote it.
    pub fn result_files(&self, caller: &Caller, id: &str) -> Result<Option<ResultFiles>, Fault> {
        if self.must_see(caller, id).is_err() {
            return Ok(None);
        }
        Ok(self.opened(caller, id))
    }

    /// All results that `caller` may see, last used first.
    pub fn results(&self, caller: &Caller) -> Result<Vec<StoredResult>, Fault> {
        let stored = self.store.results()?;
        let seen = stored
            .into_iter()
            .filter(|result| caller.may_see(result.owner.as_deref()));
        Ok(seen.filter_map(|result| self.describe(caller, result)).collect())
    }

    fn describe(&self, caller: &Caller, stored: crate::store::Stored) -> Option<StoredResult> {
        let ResultFiles { answer, files } = self.opened(caller, &stored.id)?;
        Some(StoredResult {
            result_id: stored.id,
            used: stored.used,
            bytes: stored.bytes,
            targets: answer.masks.into_iter().map(|mask| mask.target).collect(),
            image: answer.image.uri,
            files,
        })
    }

    fn opened(&self, caller: &Caller, id: &str) -> Option<ResultFiles> {
        let folder = self.store.root().join(id);
        let text = std::fs::read_to_string(folder.join(RESULT_FILE)).ok()?;
        let answer: SegmentAnswer = serde_json::from_str(&text).ok()?;
        let image = as_seen(caller, id, answer.image);
        let answer = SegmentAnswer { image, ..answer };
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let files = names
            .iter()
            .filter_map(|name| self.resource(caller, &uri(id, name)).ok())
            .collect();
        Some(ResultFiles { answer, files })
    }
}
