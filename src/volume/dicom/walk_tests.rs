#![allow(clippy::unwrap_used)]
use super::*;
use std::io::Cursor;

/// Modality, in explicit VRs.
const MODALITY: &[u8] = b"\x08\0\x60\0CS\x02\0CT";

fn header_of(set: &[u8]) -> Result<Vec<u8>, SeriesError> {
    let walked = walk(&mut Cursor::new(set), set.len() as u64, Coding::EXPLICIT)?;
    let parts = walked.header.iter();
    Ok(parts
        .flat_map(|part| &set[part.start as usize..part.end as usize])
        .copied()
        .collect())
}

// Found by fuzzing: the parser read on within such values, and made room for whatever stood there as a length.
#[test]
fn numbers_that_end_within_one_are_no_part_of_a_header() {
    let odd = b"\x28\0\x10\0US\x03\0abc";
    assert_eq!(header_of(&[odd, MODALITY].concat()).unwrap(), MODALITY);
    let even = b"\x28\0\x10\0US\x02\0ab";
    let both = [MODALITY, even].concat();
    assert_eq!(header_of(&both).unwrap(), both);
    // Of a sequence nothing can be left out.
    let begin = b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff";
    let end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0";
    assert!(header_of(&[&begin[..], even, end].concat()).is_ok());
    assert!(header_of(&[&begin[..], odd, end].concat()).is_err());
}

#[test]
fn the_end_of_nothing_is_no_part_of_a_header() {
    let stray = b"\xfe\xff\xdd\xe0\xff\xff\xff\xb3";
    let set = [MODALITY, stray, MODALITY].concat();
    assert_eq!(header_of(&set).unwrap(), [MODALITY, MODALITY].concat());
}
