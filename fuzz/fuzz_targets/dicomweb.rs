//! Answers of a DICOMweb server: bodies of several parts, listings, replies to a store, starts of files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sat_mcp::dicomweb::{MediaType, Multipart, instance_of, instances_in, stored_in};
use sat_mcp_fuzz::Limited;
use std::io::Read;

#[global_allocator]
static MEMORY: Limited = Limited;

/// A stream that comes in pieces of a few bytes.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(into.len()).min(self.0.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// All parts of a body, or none where it is none.
fn parts(body: &[u8], at_once: usize, kind: &MediaType) -> Option<Vec<Vec<u8>>> {
    let mut multipart = Multipart::new(Pieces(body, at_once), kind).ok()?;
    let mut parts = Vec::new();
    while multipart.next_part().ok()?.is_some() {
        let (mut part, mut some) = (Vec::new(), [0; 100]);
        loop {
            match multipart.read_part(&mut some).ok()? {
                0 => break,
                count => part.extend_from_slice(&some[..count]),
            }
        }
        parts.push(part);
    }
    Some(parts)
}

fuzz_target!(|data: &[u8]| {
    let Some((how, data)) = data.split_first() else {
        return;
    };
    match how & 3 {
        0 => {
            // The first line is the media type.
            let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
            let kind = MediaType::parse(&String::from_utf8_lossy(&data[..end]));
            let body = data.get(end + 1..).unwrap_or_default();
            let whole = parts(body, usize::MAX, &kind);
            // However the stream is cut, it is the same body.
            assert_eq!(whole, parts(body, 1 + usize::from(how >> 2), &kind));
            for part in whole.iter().flatten() {
                instance_of(part);
            }
        }
        1 => match instances_in(data) {
            Ok(uids) => assert!(uids.iter().all(|uid| uid.as_str().len() <= 64)),
            Err(fault) => assert!(!fault.is_empty()),
        },
        2 => {
            let sent = ["1.1", "1.2"].map(str::to_owned);
            if let Ok(said) = stored_in(data, &sent) {
                assert_eq!(said.stored.len() + said.refused.len(), 2);
            }
        }
        _ => {
            instance_of(data);
        }
    }
});
