//! Figures as people write them on the command line and in settings files.

use super::memory::MemorySize;
use std::time::Duration;

/// An amount that is no share of anything.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    match text.parse::<MemorySize>()? {
        MemorySize::Bytes(bytes) => Ok(bytes as u64),
        MemorySize::OfFree(_) => Err(format!("{text:?} is a share; give bytes, such as 500MB")),
    }
}

/// A time span.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
