//! Opening files that anybody may have named.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// Opens a plain file, and gives its metadata; none where it is something else: a folder, a pipe, a device.
///
/// A device may act upon being opened, so that what it is is asked before; and what lies at the path may be another thing a moment
/// later, so that what was opened is looked at once more. A pipe that nobody writes to is not waited for.
pub(super) fn plain_file(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = without_waiting(path)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata)))
}

/// Opens a file without waiting for whoever writes to it, if it is a pipe.
pub(super) fn without_waiting(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}
