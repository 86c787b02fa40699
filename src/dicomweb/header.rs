//! Which instance a DICOM file holds, by the start of it (PS3.10 section 7.1).

use super::Uid;
use crate::volume::instance_uid;

/// Bytes within which a file says so. The file meta information is some hundred bytes long.
pub const MOST_HEAD: usize = 4 << 10;

/// The Media Storage SOP Instance UID of the file that begins so. None where it begins like no DICOM file.
pub fn instance_of(start: &[u8]) -> Option<Uid> {
    Uid::new(&instance_uid(start)?)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The start of a file of this instance, and some bytes of pixels.
    pub fn file(uid: &str) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        bytes.extend(b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01");
        for (element, value) in [
            (2u16, "1.2.840.10008.5.1.4.1.1.2"),
            (3, uid),
            (16, "1.2.840.10008.1.2.1"),
        ] {
            let mut value = value.to_owned();
            value.push_str(if value.len() % 2 == 1 { "\0" } else { "" });
            bytes.extend(2u16.to_le_bytes());
            bytes.extend(element.to_le_bytes());
            bytes.extend(b"UI");
            bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            bytes.extend(value.bytes());
        }
        bytes.extend([7; 100]);
        bytes
    }

    #[test]
    fn a_file_says_which_instance_it_is_and_anything_else_nothing() {
        for uid in ["1.2.3", "1.2.34"] {
            let whole = file(uid);
            assert_eq!(instance_of(&whole).unwrap().as_str(), uid);
            let at = whole
                .windows(5)
                .position(|bytes| *bytes == uid.as_bytes()[..5])
                .unwrap();
            for length in 0..at + uid.len() {
                assert_eq!(instance_of(&whole[..length]), None, "{length}");
            }
        }
        assert_eq!(instance_of(&file("../../x")), None);
        assert_eq!(instance_of(b"<html>"), None);
    }
}
