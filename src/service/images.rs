//! Images that callers without a share in the file system send: `sat://images/{sha256}`, understood wherever a path is.

use super::{Caller, Code, Fault, ResourceFile, Service, paths};
use crate::store::{StoredImage, Upload};
use crate::volume::{Head, MOST_HEAD, ReadError};
use serde::Serialize;
use std::path::PathBuf;

pub(super) const IMAGES: &str = "sat://images/";

/// Digits of a hash that make a name for people.
const SHORT: usize = 8;

/// A file that a caller has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is called in answers.
    pub uri: String,
}

impl From<ResourceFile> for Given {
    fn from(file: ResourceFile) -> Given {
        Given {
            path: file.path,
            uri: file.uri,
        }
    }
}

impl Given {
    /// A reader's error as a fault, which names a file of the store by its URI: where the store lies is nobody's business.
    pub fn fault(&self, error: ReadError, otherwise: Code) -> Fault {
        let mut fault = paths::read_fault(error, otherwise);
        if self.uri.starts_with("sat://") {
            fault.message = fault.message.replace(&self.path.display().to_string(), &self.uri);
        }
        fault
    }

    /// A name for what is in the file.
    pub fn stem(&self) -> String {
        if let Some(sha256) = self.uri.strip_prefix(IMAGES) {
            return format!("image {}", &sha256[..sha256.len().min(SHORT)]);
        }
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        file.trim_end_matches(".gz").trim_end_matches(".nii").to_owned()
    }
}

/// What a caller is told of an image that was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReceivedImage {
    /// What to give as `image`, `mask` or `reference`.
    pub uri: String,
    /// Hash of the file.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Seconds after its last use at which it goes; it goes earlier where the store has to make room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after_s: Option<u64>,
}

/// An image that is being received, piece by piece. Dropped before [`ImageUpload::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct ImageUpload {
    upload: Upload,
    /// The first bytes, until they have said what the file is.
    start: Vec<u8>,
    head: Head,
    limit: u64,
}

impl ImageUpload {
    /// Takes the next bytes. A file over the limit, or one that is no NIfTI, is refused as soon as that is seen.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.upload.bytes() + bytes.len() as u64 > self.limit {
            return Err(too_large(self.limit));
        }
        if self.head == Head::TooShort {
            let room = MOST_HEAD.saturating_sub(self.start.len()).min(bytes.len());
            self.start.extend_from_slice(&bytes[..room]);
            self.head = Head::of(&self.start);
            if let Head::Other(what) = self.head {
                return Err(no_image(what));
            }
        }
        Ok(self.upload.write(bytes)?)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.upload.bytes()
    }
}

impl Service {
    /// Begins to receive an image of `caller`'s of at most `limit` bytes.
    pub fn receive_image(&self, caller: &Caller, limit: u64) -> Result<ImageUpload, Fault> {
        Ok(ImageUpload {
            upload: self.store.receive(caller.owner())?,
            start: Vec::new(),
            head: Head::TooShort,
            limit,
        })
    }

    /// Bytes of the largest image that may be sent, where the server takes `limit`: no more than the store may hold.
    pub fn largest_image(&self, limit: u64) -> u64 {
        self.settings.limits.max_bytes.map_or(limit, |most| most.min(limit))
    }

    /// Keeps an image that has arrived whole, and says whether it is new.
    pub fn keep_image(&self, upload: ImageUpload) -> Result<(ReceivedImage, bool), Fault> {
        let gzip = match upload.head {
            Head::Nifti => false,
            Head::NiftiGzip => true,
            Head::TooShort => return Err(no_image("it is too short for a header")),
            Head::Other(what) => return Err(no_image(what)),
        };
        let (image, new) = upload.upload.keep(gzip)?;
        if let Err(error) = self.store.prune_around_image(&self.settings.limits, &image) {
            tracing::warn!(%error, "old results could not be pruned");
        }
        Ok((self.received(&image), new))
    }

    /// An image that `caller` has sent; anybody else's is not there.
    pub fn image(&self, caller: &Caller, sha256: &str) -> Result<ReceivedImage, Fault> {
        Ok(self.received(&self.stored_image(caller, sha256)?))
    }

    /// Deletes an image that `caller` has sent. Results made of it stay.
    pub fn delete_image(&self, caller: &Caller, sha256: &str) -> Result<(), Fault> {
        Ok(self.store.delete_image(&self.stored_image(caller, sha256)?)?)
    }

    /// The file that `caller` means by a path, a file URI or the URI of an image that was sent.
    pub(super) fn given(&self, caller: &Caller, given: &str) -> Result<Given, Fault> {
        let Some(sha256) = given.strip_prefix(IMAGES) else {
            let path = self.settings.access.resolve(given)?;
            let uri = paths::uri_of(&path);
            return Ok(Given { path, uri });
        };
        let image = self.stored_image(caller, sha256)?;
        self.store.use_image(&image);
        Ok(Given {
            path: image.path,
            uri: given.to_owned(),
        })
    }

    fn stored_image(&self, caller: &Caller, sha256: &str) -> Result<StoredImage, Fault> {
        let image = self.store.image(sha256, |owner| caller.may_see(owner));
        image.ok_or_else(|| {
            let fault = Fault::new(Code::NotFound, format!("There is no image {IMAGES}{sha256} here."));
            match caller.sees_paths() {
                true => fault.hint("Give the path of a .nii or .nii.gz file; only a server over HTTP is sent images."),
                false => fault.hint(
                    "Send it (again) with PUT /images: it may have expired, and nobody sees what another caller has sent.",
                ),
            }
        })
    }

    fn received(&self, image: &StoredImage) -> ReceivedImage {
        ReceivedImage {
            uri: format!("{IMAGES}{}", image.sha256),
            sha256: image.sha256.clone(),
            bytes: image.bytes,
            expires_after_s: self.settings.limits.max_age.map(|age| age.as_secs()),
        }
    }
}

/// The fault of a file that is larger than may be sent.
pub(crate) fn too_large(limit: u64) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        format!("The file is larger than the {limit} bytes that may be sent."),
    )
    .hint("Compress it (.nii.gz), crop it, or ask for a larger --max-upload.")
}

fn no_image(what: &str) -> Fault {
    Fault::new(Code::BadImage, format!("This is no NIfTI-1 file: {what}."))
        .hint("Send the bytes of one .nii or .nii.gz file; DICOM series cannot be sent yet.")
}
