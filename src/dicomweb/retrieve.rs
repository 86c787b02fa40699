//! A series as it comes by WADO-RS (PS3.18 section 10.4): one DICOM file a part.

use super::header::{MOST_HEAD, instance_of};
use super::{Failure, MediaType, Multipart, Uid};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// What was asked for, in messages.
pub(super) const ASKED: &str = "retrieval of the series";

/// Writes the parts of a body of type `kind` into `folder`, one file an instance, called after its UID. They have to be
/// the instances `listed`, each once: a series that lacks a slice is another one.
///
/// # Errors
/// When the body is no such body, is larger than `bytes`, or holds other instances.
pub fn receive(
    body: impl Read,
    kind: &MediaType,
    listed: &BTreeSet<Uid>,
    folder: &Path,
    bytes: u64,
) -> Result<(), Failure> {
    let answer = |fault: &str| Failure::Answer {
        asked: ASKED,
        fault: fault.to_owned(),
    };
    let inner = kind.parameter("type").map(|kind| MediaType::parse(kind).essence);
    if kind.essence != "multipart/related" || inner.is_some_and(|inner| inner != "application/dicom") {
        return Err(answer("it is no multipart/related of application/dicom"));
    }
    let multipart = |error| Failure::multipart(ASKED, error);
    let mut parts = Multipart::new(body, kind).map_err(multipart)?;
    let mut came = BTreeSet::new();
    let mut left = bytes;
    let mut buffer = vec![0; 128 << 10];
    while parts.next_part().map_err(multipart)?.is_some() {
        let mut start = 0;
        while start < MOST_HEAD {
            match parts.read_part(&mut buffer[start..MOST_HEAD]).map_err(multipart)? {
                0 => break,
                count => start += count,
            }
        }
        let uid = instance_of(&buffer[..start]).ok_or_else(|| answer("a part of it is no DICOM file"))?;
        if !listed.contains(&uid) || came.contains(&uid) {
            return Err(answer(
                "it holds an instance twice, or one that the server does not list for the series",
            ));
        }
        let path = folder.join(format!("{uid}.dcm"));
        let cannot_write = |source| Failure::File {
            path: path.clone(),
            source,
        };
        let mut file = File::create(&path).map_err(cannot_write)?;
        let mut count = start;
        while count > 0 {
            left = left
                .checked_sub(count as u64)
                .ok_or(Failure::TooLarge { limit: bytes })?;
            file.write_all(&buffer[..count]).map_err(cannot_write)?;
            count = parts.read_part(&mut buffer).map_err(multipart)?;
        }
        came.insert(uid);
    }
    match came.len() == listed.len() {
        true => Ok(()),
        false => Err(Failure::Incomplete {
            listed: listed.len(),
            came: came.len(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::header::tests::file;
    use super::*;

    const KIND: &str = "multipart/related; type=\"application/dicom\"; boundary=b";

    fn body(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut body = Vec::new();
        for part in parts {
            body.extend(b"\r\n--b\r\nContent-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n");
            body.extend(part);
        }
        body.extend(b"\r\n--b--");
        body
    }

    fn received(body: &[u8], kind: &str, bytes: u64) -> (Result<(), Failure>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let listed = ["1.2.3", "1.2.4"].into_iter().filter_map(Uid::new).collect();
        let done = receive(body, &MediaType::parse(kind), &listed, folder.path(), bytes);
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        if done.is_ok() {
            assert_eq!(std::fs::read(folder.path().join("1.2.4.dcm")).unwrap(), file("1.2.4"));
        }
        (done, names)
    }

    #[test]
    fn each_instance_becomes_a_file_of_its_own() {
        let whole = body(&[file("1.2.4"), file("1.2.3")]);
        let (done, names) = received(&whole, KIND, 10_000);
        done.unwrap();
        assert_eq!(names, ["1.2.3.dcm", "1.2.4.dcm"]);
        for kind in [
            "multipart/related; boundary=b",
            "multipart/related; type=application/dicom; boundary=b",
        ] {
            received(&whole, kind, 10_000).0.unwrap();
        }
    }

    #[test]
    fn a_series_that_is_not_the_one_listed_is_refused() {
        let told = |parts: &[Vec<u8>]| received(&body(parts), KIND, 10_000).0.unwrap_err().to_string();
        assert!(told(&[file("1.2.3")]).contains("lists 2 instances of the series and sent 1"));
        assert!(told(&[]).contains("sent 0"));
        for parts in [
            [file("1.2.3"), file("1.2.3")],
            [file("1.2.3"), file("1.2.5")],
            [file("1.2.3"), file("../1.2.4")],
            [file("1.2.3"), b"<html>".to_vec()],
            [file("1.2.3"), Vec::new()],
        ] {
            assert!(matches!(
                received(&body(&parts), KIND, 10_000).0,
                Err(Failure::Answer { .. })
            ));
        }
    }

    #[test]
    fn size_and_kind_are_held_to() {
        let whole = body(&[file("1.2.4"), file("1.2.3")]);
        assert!(matches!(
            received(&whole, KIND, 500).0,
            Err(Failure::TooLarge { limit: 500 })
        ));
        for kind in [
            "application/dicom",
            "text/html",
            "",
            "multipart/related; type=\"image/jpeg\"; boundary=b",
            "multipart/related; type=\"application/dicom\"",
        ] {
            assert!(
                matches!(received(&whole, kind, 10_000).0, Err(Failure::Answer { .. })),
                "{kind}"
            );
        }
        let broken = &whole[..whole.len() - 20];
        assert!(
            received(broken, KIND, 10_000)
                .0
                .unwrap_err()
                .to_string()
                .contains("breaks off")
        );
    }
}
