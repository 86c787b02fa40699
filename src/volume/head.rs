//! What a file is, from its first bytes alone: for files that arrive piece by piece.

use super::dicom::is_begun;
use super::nifti::{LONGEST_HEADER, Start};
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
        match start {
            [b'P', b'K', 3, 4, ..] => Head::Zip,
            [0x1f, 0x8b, ..] => in_gzip(start),
            _ if is_begun(start) => Head::Dicom,
            _ => match Start::of(start) {
                Start::Nifti => Head::Nifti,
                Start::TooShort => Head::TooShort,
                Start::Other(what) => Head::Other(what),
            },
        }
    }
}

fn in_gzip(start: &[u8]) -> Head {
    let mut header = Vec::with_capacity(LONGEST_HEADER);
    let unpacked = MultiGzDecoder::new(start)
        .take(LONGEST_HEADER as u64)
        .read_to_end(&mut header);
    if is_begun(&header) {
        return Head::Other("it is DICOM in gzip; send the file as it is, or a series as .zip");
    }
    match (Start::of(&header), unpacked) {
        (Start::TooShort, Err(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Head::Other("its gzip stream is damaged")
        }
        (Start::TooShort, Err(_)) if start.len() >= MOST_HEAD => Head::Other("its gzip stream is damaged"),
        // It has ended well, or the rest is still to come.
        (Start::TooShort, _) => Head::TooShort,
        (Start::Nifti, _) => Head::NiftiGzip,
        (Start::Other(what), _) => Head::Other(what),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::volume::{Affine, Grid, Mask, write_mask_to};
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use std::sync::Arc;

    /// A header of either version, by the length of the first axis.
    fn nifti(length: usize) -> Vec<u8> {
        let grid = Arc::new(Grid::new([length, 2, 2], Affine::identity()));
        let mut file = Vec::new();
        write_mask_to(&mut file, &Mask::empty(grid), None).unwrap();
        let mut bytes = Vec::new();
        MultiGzDecoder::new(&file[..])
            .take(540)
            .read_to_end(&mut bytes)
            .unwrap();
        bytes.truncate(if length > 32_767 { 540 } else { 348 });
        bytes
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
