#![allow(clippy::unwrap_used)]
use super::*;

/// A stream that gives at most so many bytes at a time.
struct Halting<'a>(&'a [u8], usize);

impl Read for Halting<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(into.len()).min(self.0.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

type Part = (Vec<(String, String)>, Vec<u8>);

fn parts(body: &[u8], at_once: usize) -> Result<Vec<Part>, MultipartError> {
    let kind = MediaType::parse("multipart/related; type=\"application/dicom\"; boundary=\"b b\"");
    let mut multipart = Multipart::new(Halting(body, at_once), &kind)?;
    let mut parts = Vec::new();
    while let Some(headers) = multipart.next_part()? {
        let (mut bytes, mut some) = (Vec::new(), vec![0; at_once + 2]);
        loop {
            match multipart.read_part(&mut some)? {
                0 => break,
                count => bytes.extend_from_slice(&some[..count]),
            }
        }
        parts.push((headers, bytes));
    }
    Ok(parts)
}

#[test]
fn parts_come_whole_however_the_stream_is_cut() {
    // Near misses of the boundary within the second part.
    let body = b"before\r\n--b b\r\nContent-Type: application/dicom\r\nX:1\r\n\r\none\r\n--b b \t\r\n\r\n\r\n--b\r\n\r\n--b \r\n\r\r\n--b b--after";
    for at_once in [1, 2, 3, 7, 1000] {
        let found = parts(body, at_once).unwrap();
        let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(bytes, [&b"one"[..], b"\r\n--b\r\n\r\n--b \r\n\r"], "{at_once}");
        assert_eq!(found[0].0[0], ("content-type".into(), "application/dicom".into()));
        assert_eq!((found[0].0.len(), found[1].0.len()), (2, 0));
    }
    assert_eq!(parts(b"--b b--", 3).unwrap().len(), 0);
    for empty in [
        &b"--b b\r\nA:1\r\n\r\n--b b--"[..],
        b"--b b\r\nA:1\r\n\r\n\r\n--b b--",
        b"--b b\r\n\r\n--b b--",
    ] {
        let found = parts(empty, 2).unwrap();
        assert_eq!(
            (found.len(), found[0].1.len()),
            (1, 0),
            "{:?}",
            String::from_utf8_lossy(empty)
        );
    }
}

#[test]
fn what_is_no_such_body_ends_with_a_reason() {
    for broken in [
        &b""[..],
        b"--b b",
        b"--b b\r\nA:1",
        b"--b b\r\nA:1\r\n\r\nhalf",
        b"--b b\r\n\r\nx\r\n--b ",
    ] {
        let error = parts(broken, 3).unwrap_err();
        assert!(matches!(error, MultipartError::BreaksOff), "{error}");
    }
    assert!(matches!(
        parts(b"--b bx\r\n\r\n--b b--", 3),
        Err(MultipartError::NoPart)
    ));
    let mut endless = b"--b b\r\nA: ".to_vec();
    endless.resize(100_000, b'a');
    assert!(matches!(parts(&endless, 4096), Err(MultipartError::LongHead)));
    assert!(matches!(
        parts(&vec![b'x'; 100_000], 4096),
        Err(MultipartError::LongHead)
    ));
    let without = |kind: &str| Multipart::new(&b""[..], &MediaType::parse(kind)).is_err();
    let long = format!("multipart/related; boundary={}", "b".repeat(201));
    for kind in [
        "",
        "multipart/related",
        "multipart/related; boundary=",
        "multipart/related; boundary=\"\r\n\"",
        &long,
    ] {
        assert!(without(kind), "{kind}");
    }
}

#[test]
fn a_long_part_is_held_a_piece_at_a_time() {
    let head = b"--b b\r\n\r\n".to_vec();
    let kind = MediaType::parse("multipart/related; boundary=\"b b\"");
    let long = std::io::repeat(b'\r').take(10 << 20);
    let mut multipart = Multipart::new(std::io::Cursor::new(head).chain(long), &kind).unwrap();
    multipart.next_part().unwrap().unwrap();
    let mut some = vec![0; 1000];
    let mut bytes = 0;
    let end = loop {
        match multipart.read_part(&mut some) {
            Ok(count) => bytes += count,
            Err(error) => break error,
        }
        assert!(
            multipart.buffer.capacity() <= 4 * BUFFER,
            "{}",
            multipart.buffer.capacity()
        );
    };
    assert!(matches!(end, MultipartError::BreaksOff));
    assert!(bytes > 10_000_000, "{bytes}");
}

#[test]
fn media_types_are_taken_apart_with_their_quotation_marks() {
    let kind = MediaType::parse("Multipart/Related ; TYPE=\"application/dicom\"; boundary=\"a;\\\"b\"; x");
    assert_eq!(kind.essence, "multipart/related");
    assert_eq!(kind.parameter("type"), Some("application/dicom"));
    assert_eq!(kind.parameter("boundary"), Some("a;\"b"));
    assert_eq!(kind.parameter("x"), None);
}
