//! What a file is, from its first bytes alone: for files that arrive piece by piece.

use super::header::{HEADER_LEN, Header};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// Bytes within which a file must have shown what it is: a gzip header may carry names and comments before the data.
pub const MOST_HEAD: usize = 64 << 10;

/// What the first bytes of a file say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// NIfTI-1 as it stands.
    Nifti,
    /// NIfTI-1 in gzip.
    NiftiGzip,
    /// Nothing yet: more bytes are needed, if there are any.
    TooShort,
    /// Something else, and what it looks like.
    Other(&'static str),
}

impl Head {
    /// Looks at the start of a file.
    pub fn of(start: &[u8]) -> Head {
        if !matches!(start, [0x1f, 0x8b, ..]) {
            return match start.first_chunk::<HEADER_LEN>() {
                Some(header) => said(header, Head::Nifti),
                None => Head::TooShort,
            };
        }
        let mut header = [0; HEADER_LEN];
        match MultiGzDecoder::new(start).read_exact(&mut header) {
            Ok(()) => said(&header, Head::NiftiGzip),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && start.len() < MOST_HEAD => {
                Head::TooShort
            }
            Err(_) => Head::Other("its gzip stream is damaged"),
        }
    }
}

fn said(header: &[u8; HEADER_LEN], nifti: Head) -> Head {
    if &header[128..132] == b"DICM" {
        return Head::Other(
            "it is DICOM, which cannot be sent yet; convert its series to NIfTI, for example with dcm2niix",
        );
    }
    match Header::parse(header) {
        Ok(_) => nifti,
        Err(stranger) => Head::Other(stranger.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::volume::Placement;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn nifti() -> Vec<u8> {
        let placement = Placement {
            qform_code: 0,
            sform_code: 1,
            pixdim: [1.0; 8],
            quatern: [0.0; 3],
            qoffset: [0.0; 3],
            srow: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            xyzt_units: 2,
        };
        Header::write([2, 2, 2], super::super::header::DataType::U8, 0, &placement).to_vec()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_head_says_what_it_is_as_soon_as_it_is_whole_and_not_before() {
        let plain = nifti();
        assert_eq!(Head::of(&plain[..347]), Head::TooShort);
        assert_eq!(Head::of(&plain), Head::Nifti);
        let packed = gzip(&plain);
        assert_eq!(Head::of(&packed[..20]), Head::TooShort);
        assert_eq!(Head::of(&packed), Head::NiftiGzip);
    }

    #[test]
    fn what_is_something_else_is_called_by_its_name() {
        let mut dicom = vec![0; 400];
        dicom[128..132].copy_from_slice(b"DICM");
        for start in [
            dicom.clone(),
            gzip(&dicom),
            vec![b'x'; 400],
            gzip(&[b'x'; 400]),
            [&[0x1f, 0x8b][..], &[7; 400]].concat(),
        ] {
            assert!(matches!(Head::of(&start), Head::Other(_)), "{:?}", Head::of(&start));
        }
        assert!(matches!(Head::of(&dicom), Head::Other(words) if words.contains("dcm2niix")));
    }
}
