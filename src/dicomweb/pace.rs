//! A stream that may not dawdle: a server that sends a byte now and then must not hold a reader for ever.

use std::io::{Error, ErrorKind, Read, Result};
use std::time::{Duration, Instant};

/// Bytes a second that a body has to come with after its first while.
const SLOWEST: u64 = 16 << 10;

/// Reads on as long as the bytes come fast enough, and none beyond a limit.
pub(super) struct Paced<R> {
    inner: R,
    began: Instant,
    /// What it may take before pace counts.
    patience: Duration,
    bytes: u64,
}

impl<R: Read> Paced<R> {
    pub fn new(inner: R, patience: Duration) -> Paced<R> {
        Paced {
            inner,
            began: Instant::now(),
            patience,
            bytes: 0,
        }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        let allowed = self.patience + Duration::from_secs(self.bytes / SLOWEST);
        match count > 0 && self.began.elapsed() > allowed {
            true => Err(Error::new(ErrorKind::TimedOut, "the answer comes too slowly")),
            false => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A byte every five milliseconds.
    struct Drip;

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            std::thread::sleep(Duration::from_millis(5));
            buffer[0] = 0;
            Ok(1)
        }
    }

    #[test]
    fn a_drip_ends_and_a_stream_does_not() {
        let mut drip = Paced::new(Drip, Duration::from_millis(50));
        let ended = std::io::copy(&mut drip, &mut std::io::sink()).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::TimedOut);
        let mut stream = Paced::new(std::io::repeat(0).take(1 << 20), Duration::from_secs(5));
        assert_eq!(std::io::copy(&mut stream, &mut std::io::sink()).unwrap(), 1 << 20);
    }
}
