//! Whether a file is NIfTI, from its first bytes alone.

use super::header::{Header, LONGEST, SIZE_FIELD, Version};

/// Bytes of the longest header.
pub(in crate::volume) const LONGEST_HEADER: usize = LONGEST;

/// What the start of a file says, as far as NIfTI goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::volume) enum Start {
    /// A header of a single file.
    Nifti,
    /// Nothing yet: more bytes are needed, if there are any.
    TooShort,
    /// Something else, and what it looks like.
    Other(&'static str),
}

impl Start {
    /// Looks at the start of a file that is not packed.
    pub fn of(start: &[u8]) -> Start {
        let version = start.first_chunk::<SIZE_FIELD>().and_then(Version::told);
        // What has no version is told as soon as it is as long as the shorter header: other formats show themselves late.
        let needed = version.map_or(Version::One.length(), |(version, _)| version.length());
        if start.len() < needed {
            return Start::TooShort;
        }
        match Header::parse(start) {
            Ok(header) if header.paired => Start::Other(
                "it is the .hdr of a .hdr/.img pair, and one file is sent at a time; save the pair as one .nii file",
            ),
            Ok(_) => Start::Nifti,
            Err(stranger) => Start::Other(stranger.0),
        }
    }
}
