//! Files of a result that have been written.

use super::{Code, Fault};
use sha2::{Digest, Sha256};
use std::io::Read as _;
use std::path::Path;

/// Size and hash of a file that was written.
pub(super) fn hash_of(path: &Path) -> Result<(u64, String), Fault> {
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path).map_err(|error| cannot_write(&error))?;
    let (mut chunk, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut chunk).map_err(|error| cannot_write(&error))? {
            0 => break,
            got => {
                hasher.update(&chunk[..got]);
                bytes += got as u64;
            }
        }
    }
    Ok((
        bytes,
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
}

pub(super) fn cannot_write(error: &impl ToString) -> Fault {
    Fault::new(Code::Internal, super::faults::sentence(error.to_string()))
        .hint("Is the disk full, or the results folder read-only? Another can be named with --results DIR.")
}
