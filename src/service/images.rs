//! Images that callers without a share in the file system send: `sat://images/{sha256}`, understood wherever a path is.

use super::{Caller, Code, Fault, Service};
use crate::store::{StoredImage, Upload};
use crate::volume::{Head, MOST_HEAD};
use serde::Serialize;

pub(super) const IMAGES: &str = "sat://images/";

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

/// An image that is being received, piece by piece. Dropped before [`Service::keep_image`], it leaves nothing behind.
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
        let suffix = match upload.head {
            Head::Nifti => "nii",
            Head::NiftiGzip => "nii.gz",
            Head::Dicom => "dcm",
            Head::Zip => "zip",
            Head::TooShort => return Err(no_image("it is too short for a header")),
            Head::Other(what) => return Err(no_image(what)),
        };
        let (image, new) = upload.upload.keep(suffix)?;
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

    pub(super) fn stored_image(&self, caller: &Caller, sha256: &str) -> Result<StoredImage, Fault> {
        let image = self.store.image(sha256, |owner| caller.may_see(owner));
        image.ok_or_else(|| {
            let fault = Fault::new(Code::NotFound, format!("There is no image {IMAGES}{sha256} here."));
            match caller.sees_paths() {
                true => fault.hint("Give the path of a scan; only a server over HTTP is sent images."),
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
    Fault::new(Code::BadImage, format!("This is neither NIfTI nor DICOM: {what}."))
        .hint("Send the bytes of one .nii or .nii.gz file, of one DICOM file, or of a .zip of a DICOM series.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::tests::settings;
    use crate::service::{Access, MeasureRequest, Settings};
    use crate::volume::{Affine, Grid, Mask, write_mask_to};
    use std::io::Read;
    use std::path::Path;
    use std::time::SystemTime;

    fn service(dir: &Path) -> Service {
        Service::without_model(Settings {
            access: Access::Roots(Vec::new()),
            ..settings(dir)
        })
        .unwrap()
    }

    fn cube() -> Vec<u8> {
        let mut bytes = Vec::new();
        let grid = std::sync::Arc::new(Grid::new([8, 8, 8], Affine::identity()));
        let mask = Mask::from_predicate(grid, |n| [n % 8, n / 8 % 8, n / 64].iter().all(|at| *at < 4));
        write_mask_to(&mut bytes, &mask, None).unwrap();
        bytes
    }

    fn send(service: &Service, caller: &Caller) -> ReceivedImage {
        let mut upload = service.receive_image(caller, 1 << 20).unwrap();
        cube().chunks(10).for_each(|piece| upload.write(piece).unwrap());
        service.keep_image(upload).unwrap().0
    }

    fn measured(service: &Service, caller: &Caller, uri: &str) -> Result<u64, Code> {
        let asked = [
            MeasureRequest {
                mask: Some(uri.to_owned()),
                ..MeasureRequest::default()
            },
            MeasureRequest {
                mask: Some(uri.to_owned()),
                image: Some(uri.to_owned()),
                reference: Some(uri.to_owned()),
                ..MeasureRequest::default()
            },
        ];
        let answers = asked.map(|asked| service.measure_volume(caller, &asked));
        let [alone, with] = answers.map(|answer| answer.map_err(|fault| fault.code));
        assert_eq!(alone.is_ok(), with.is_ok());
        Ok(alone?.measurements[0].voxels)
    }

    #[test]
    fn what_one_caller_has_sent_is_not_there_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        let (ann, bob) = (Caller::named("ann"), Caller::named("bob").without_paths());
        let image = send(&service, &ann);
        assert_eq!(measured(&service, &ann, &image.uri), Ok(64));
        for other in [&bob, &Caller::neighbour()] {
            assert_eq!(measured(&service, other, &image.uri), Err(Code::NotFound));
            assert_eq!(service.image(other, &image.sha256).unwrap_err().code, Code::NotFound);
            assert_eq!(
                service.delete_image(other, &image.sha256).unwrap_err().code,
                Code::NotFound
            );
        }
        // Nor can it be told from one that nobody has.
        let unknown = "0".repeat(64);
        let told = |sha256: &str| service.image(&bob, sha256).unwrap_err().message.replace(sha256, "");
        assert_eq!(told(&image.sha256), told(&unknown));
        assert_eq!(measured(&service, &Caller::person(), &image.uri), Ok(64));
        // The same bytes of another caller's are that caller's own.
        send(&service, &bob);
        service.delete_image(&ann, &image.sha256).unwrap();
        assert_eq!(measured(&service, &ann, &image.uri), Err(Code::NotFound));
        assert_eq!(measured(&service, &bob, &image.uri), Ok(64));
    }

    #[test]
    fn one_volume_of_an_image_that_was_sent_is_chosen_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        let (ann, bob) = (
            Caller::named("ann").without_paths(),
            Caller::named("bob").without_paths(),
        );
        // The cube as two volumes of four slices: it lies in the first.
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&cube()[..])
            .read_to_end(&mut bytes)
            .unwrap();
        for (at, length) in [(40, 4), (46, 4), (48, 2)] {
            bytes[at] = length;
        }
        let mut upload = service.receive_image(&ann, 1 << 20).unwrap();
        upload.write(&bytes).unwrap();
        let uri = service.keep_image(upload).unwrap().0.uri;
        assert_eq!(measured(&service, &ann, &format!("{uri}#0")), Ok(64));
        assert_eq!(measured(&service, &ann, &format!("{uri}#1")), Ok(0));
        for none in ["", "#2", "#../0"] {
            assert!(measured(&service, &ann, &format!("{uri}{none}")).is_err(), "{none}");
        }
        assert_eq!(measured(&service, &bob, &format!("{uri}#0")), Err(Code::NotFound));
        let asked = MeasureRequest {
            mask: Some(format!("{uri}#7")),
            ..MeasureRequest::default()
        };
        let message = service.measure_volume(&ann, &asked).unwrap_err().message;
        assert!(message.contains(&format!("{uri}#1 the last")), "{message}");
        assert!(!message.contains(&dir.path().display().to_string()), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_results_folder_within_a_data_root_lays_nobody_open_to_another() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let service = Service::without_model(Settings {
            access: Access::Roots(vec![root.clone()]),
            ..settings(&root)
        })
        .unwrap();
        let (ann, bob) = (Caller::named("ann"), Caller::named("bob"));
        let image = send(&service, &ann);
        let draft = service.store.begin("ab", ann.owner()).unwrap();
        std::fs::write(draft.path().join("cube.nii.gz"), cube()).unwrap();
        draft.keep("{}").unwrap();
        std::fs::write(root.join("scan.nii.gz"), cube()).unwrap();
        std::os::unix::fs::symlink("results/ab", root.join("link")).unwrap();
        let sent = service.stored_image(&ann, &image.sha256).unwrap().path;
        for (path, anns, bobs) in [
            ("scan.nii.gz", true, true),
            ("results/ab/cube.nii.gz", true, false),
            ("link/cube.nii.gz", true, false),
            ("results/../link/cube.nii.gz", true, false),
            (&sent.display().to_string(), true, false),
            ("results/ab/result.json", false, false),
            ("results/tasks/x.json", false, false),
            ("results/ab/cube.nii.gz#0", true, false),
            ("results/tasks/x.json#scan.nii.gz", false, false),
            ("scan.nii.gz#0", true, true),
        ] {
            let may = |caller: &Caller| match measured(&service, caller, path) {
                Ok(voxels) => voxels == 64,
                // Ann's own result.json is no mask.
                Err(Code::BadMask) if path.ends_with("ab/result.json") && caller == &ann => false,
                Err(code) => {
                    assert_eq!(code, Code::OutsideRoots, "{path}");
                    false
                }
            };
            assert_eq!((may(&ann), may(&bob)), (anns, bobs), "{path}");
        }
    }

    #[test]
    fn who_shares_the_disk_is_told_to_give_a_path_and_who_does_not_to_send_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        let hint = |caller: Caller| service.image(&caller, "00").unwrap_err().hint.unwrap();
        assert!(hint(Caller::neighbour()).contains("path of a scan"));
        assert!(hint(Caller::neighbour().without_paths()).contains("PUT /images"));
    }

    #[test]
    fn an_image_that_was_sent_bears_the_same_stamp_however_often_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        let caller = Caller::neighbour();
        let image = send(&service, &caller);
        let first = service.stamp(&caller, &image.uri);
        let path = service.stored_image(&caller, &image.sha256).unwrap().path;
        std::fs::File::open(&path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert!(first.is_some());
        assert_eq!(service.stamp(&caller, &image.uri), first);
    }

    #[test]
    fn an_upload_stops_at_its_limit_and_at_bytes_that_are_no_nifti() {
        let dir = tempfile::tempdir().unwrap();
        let service = service(dir.path());
        let refused = |limit: u64, bytes: &[u8]| {
            let mut upload = service.receive_image(&Caller::neighbour(), limit).unwrap();
            let written = bytes.chunks(7).try_for_each(|piece| upload.write(piece));
            written
                .and_then(|()| service.keep_image(upload).map(|_| ()))
                .unwrap_err()
                .code
        };
        assert_eq!(refused(20, &cube()), Code::InvalidArgument);
        assert_eq!(refused(1 << 20, &[b'x'; 400]), Code::BadImage);
        assert_eq!(refused(1 << 20, &cube()[..15]), Code::BadImage);
        assert_eq!(refused(1 << 20, b""), Code::BadImage);
        let left = std::fs::read_dir(dir.path().join("results/images/common"))
            .unwrap()
            .count();
        assert_eq!(left, 0);
    }
}
