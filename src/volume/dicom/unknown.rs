//! Values whose kind the file calls unknown, although the standard knows it.
//!
//! Programs that turn implicit into explicit VRs without a whole dictionary write UN for what they don't know, and the value as it was:
//! little-endian, whatever the rest of the file is (PS3.5 section 6.2.2).

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

/// Gives values of the outermost level the kind that the standard gives them, where their bytes can be of that kind.
pub(super) fn reread(header: &mut InMemDicomObject) {
    let unknown = header.iter().filter(|element| element.vr() == VR::UN);
    let known: Vec<InMemElement> = unknown.filter_map(known).collect();
    known.into_iter().for_each(|element| {
        header.put(element);
    });
}

fn known(element: &InMemElement) -> Option<InMemElement> {
    let tag: Tag = element.header().tag;
    let vr = StandardDataDictionary.by_tag(tag)?.vr().exact()?;
    let bytes = element.value().primitive()?.to_bytes();
    let value = match vr {
        VR::US => PrimitiveValue::U16(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|word| u16::from_le_bytes(*word))
                .collect(),
        ),
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::LO | VR::PN | VR::SH | VR::TM | VR::UI => {
            // Other letters than these depend on the character set, and are left to those who know it.
            let text = std::str::from_utf8(&bytes).ok().filter(|text| text.is_ascii())?;
            PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect())
        }
        _ => return None,
    };
    Some(InMemElement::new(tag, vr, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::attributes::{array, count, text};
    use super::*;
    use dicom_dictionary_std::tags;

    #[test]
    fn what_the_standard_knows_is_read_as_it_says() {
        let unknown = |tag, bytes: &[u8]| InMemElement::new(tag, VR::UN, PrimitiveValue::U8(bytes.into()));
        let mut header = InMemDicomObject::from_element_iter([
            unknown(tags::MODALITY, b"CT"),
            unknown(tags::PIXEL_SPACING, b"0.5\\0.75 "),
            unknown(tags::ROWS, &[0, 2]),
            unknown(tags::PATIENT_NAME, b"J\xf6rg"),
            unknown(Tag(0x0009, 0x1001), b"what"),
        ]);
        reread(&mut header);
        assert_eq!(text(&header, tags::MODALITY).unwrap(), "CT");
        assert_eq!(array(&header, tags::PIXEL_SPACING).unwrap(), [0.5, 0.75]);
        assert_eq!(count(&header, tags::ROWS).unwrap(), 512);
        for tag in [tags::PATIENT_NAME, Tag(0x0009, 0x1001)] {
            assert_eq!(header.get(tag).unwrap().vr(), VR::UN);
        }
    }
}
