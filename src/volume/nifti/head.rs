//! What a file is, from its first bytes alone: for files that arrive piece by piece.

use super::header::{Header, LONGEST, SIZE_FIELD, Version};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;

/// Bytes within which a file must have shown what it is: a gzip header may carry names and comments before the data.
pub const MOST_HEAD: usize = 64 << 10;

/// What the first bytes of a file say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// NIfTI as it stands.
    Nifti,
    /// NIfTI in gzip.
    NiftiGzip,
    /// One DICOM file.
    Dicom,
    /// A zip file: of a DICOM series, as will be seen.
    Zip,
    /// Nothing yet: more bytes are needed, if there are any.
    TooShort,
    /// Something else, and what it looks like.
    Other(&'static str),
}

impl Head {
    /// Looks at the start of a file.
    pub fn of(start: &[u8]) -> Head {
        if start.starts_with(b"PK\x03\x04") {
            return Head::Zip;
        }
        if !matches!(start, [0x1f, 0x8b, ..]) {
            return said(start, Head::Nifti);
        }
        let mut header = Vec::with_capacity(LONGEST);
        let unpacked = MultiGzDecoder::new(start).take(LONGEST as u64).read_to_end(&mut header);
        match (said(&header, Head::NiftiGzip), unpacked) {
            (Head::TooShort, Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Head::Other("its gzip stream is damaged")
            }
            (Head::TooShort, Err(_)) if start.len() >= MOST_HEAD => Head::Other("its gzip stream is damaged"),
            (Head::Dicom, _) => Head::Other("it is DICOM in gzip; send the file as it is, or a series as .zip"),
            // It has ended well, or the rest is still to come.
            (said, _) => said,
        }
    }
}

fn said(start: &[u8], nifti: Head) -> Head {
    if start.get(128..132) == Some(b"DICM") {
        return Head::Dicom;
    }
    let version = start.first_chunk::<SIZE_FIELD>().and_then(Version::told);
    // What has no version is told as soon as it is as long as the shorter header: DICOM shows itself late.
    let needed = version.map_or(Version::One.length(), |(version, _)| version.length());
    if start.len() < needed {
        return Head::TooShort;
    }
    match Header::parse(start) {
        Ok(header) if header.paired => Head::Other(
            "it is the .hdr of a .hdr/.img pair, and one file is sent at a time; save the pair as one .nii file",
        ),
        Ok(_) => nifti,
        Err(stranger) => Head::Other(stranger.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::volume::nifti::datatype::DataType;
    use crate::volume::nifti::header::NewHeader;
    use crate::volume::{Affine, Grid, Placement};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    /// A header of either version, by the length of its first axis.
    fn nifti(length: usize) -> Vec<u8> {
        let new = NewHeader {
            shape: [length, 2, 2],
            datatype: DataType::U8,
            intent: 0,
            slope: 1.0,
            inter: 0.0,
            description: "",
            placement: &Placement::of(&Grid::new([length, 2, 2], Affine::identity())),
        };
        new.bytes()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_head_says_what_it_is_as_soon_as_it_is_whole_and_not_before() {
        for (length, bytes) in [(2, 348), (40_000, 540)] {
            let plain = nifti(length);
            assert_eq!(Head::of(&plain[..bytes - 1]), Head::TooShort);
            assert_eq!(Head::of(&plain[..bytes]), Head::Nifti);
            let packed = gzip(&plain);
            assert_eq!(Head::of(&packed[..20]), Head::TooShort);
            assert_eq!(Head::of(&packed), Head::NiftiGzip);
        }
    }

    #[test]
    fn what_is_something_else_is_called_by_its_name() {
        let mut dicom = vec![0; 400];
        dicom[128..132].copy_from_slice(b"DICM");
        assert_eq!(Head::of(&dicom), Head::Dicom);
        assert_eq!(Head::of(b"PK\x03\x04\x14\0"), Head::Zip);
        for start in [
            gzip(&dicom),
            vec![b'x'; 400],
            gzip(&[b'x'; 400]),
            [&[0x1f, 0x8b][..], &[7; 400]].concat(),
        ] {
            assert!(matches!(Head::of(&start), Head::Other(_)), "{:?}", Head::of(&start));
        }
        let mut half = nifti(2);
        half[344..348].copy_from_slice(b"ni1\0");
        assert!(matches!(Head::of(&half), Head::Other(words) if words.contains("pair")));
    }
}
