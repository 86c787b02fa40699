//! Data elements in few words, and values as their representation (PS3.5 6.2) wants them.

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_object::InMemDicomObject;

use super::Code;
use dicom_dictionary_std::tags;

/// A data set, or an item of a sequence.
pub(super) type Item = InMemDicomObject;

/// Adds elements to a data set; each returns it, to go on.
pub(super) trait Elements: Sized {
    /// An element as it is.
    fn with(self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self;
    /// An element with items.
    fn items(self, tag: Tag, items: Vec<Item>) -> Self;

    /// Characters of our own, cut to what the representation holds.
    fn text(self, tag: Tag, vr: VR, value: &str) -> Self {
        self.with(tag, vr, PrimitiveValue::from(fit(value, vr)))
    }

    /// A code string.
    fn word(self, tag: Tag, value: &str) -> Self {
        self.with(tag, VR::CS, PrimitiveValue::from(value))
    }

    /// A UID.
    fn uid(self, tag: Tag, value: &str) -> Self {
        self.with(tag, VR::UI, PrimitiveValue::from(value))
    }

    /// An unsigned sixteen-bit number.
    fn short(self, tag: Tag, value: u16) -> Self {
        self.with(tag, VR::US, PrimitiveValue::from(value))
    }

    /// Decimal strings.
    fn decimals(self, tag: Tag, values: &[f64]) -> Self {
        let strings = values.iter().map(|&value| decimal(value)).collect();
        self.with(tag, VR::DS, PrimitiveValue::Strs(strings))
    }

    /// A sequence of one item.
    fn item(self, tag: Tag, item: Item) -> Self {
        self.items(tag, vec![item])
    }

    /// A sequence of one code.
    fn code(self, tag: Tag, code: &Code) -> Self {
        self.item(tag, code_item(code))
    }
}

impl Elements for Item {
    fn with(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Item {
        self.put(DataElement::new(tag, vr, value));
        self
    }

    fn items(mut self, tag: Tag, items: Vec<Item>) -> Item {
        self.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }
}

/// A code sequence's item (PS3.3 8.8).
pub(super) fn code_item(code: &Code) -> Item {
    Item::new_empty()
        .text(tags::CODE_VALUE, VR::SH, &code.value)
        .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, &code.scheme)
        .text(tags::CODE_MEANING, VR::LO, &code.meaning)
}

/// A number in at most sixteen characters, with as many of its digits as these hold.
pub(super) fn decimal(value: f64) -> String {
    const MOST: usize = 16;
    let value = if value == 0.0 || !value.is_finite() { 0.0 } else { value };
    let plain = format!("{value}");
    if plain.len() <= MOST {
        return plain;
    }
    let tiny = value.abs() < 1e-4 || value.abs() >= 1e15;
    let shortened = (0..MOST).rev().map(|digits| match tiny {
        true => format!("{value:.digits$e}"),
        false => format!("{value:.digits$}"),
    });
    shortened.into_iter().find(|text| text.len() <= MOST).unwrap_or(plain)
}

/// Text without control characters and with no more characters than the representation allows. A backslash would part two values.
pub(super) fn fit(text: &str, vr: VR) -> String {
    let long = matches!(vr, VR::ST | VR::LT | VR::UT);
    let most = match vr {
        VR::SH | VR::CS => 16,
        VR::LO | VR::PN => 64,
        VR::ST => 1024,
        VR::LT => 10240,
        _ => usize::MAX,
    };
    let clean = text.chars().filter_map(|c| match c {
        '\n' | '\r' | '\t' if long => Some(c),
        '\n' | '\r' | '\t' => Some(' '),
        '\\' if !long => Some('/'),
        c if c.is_control() => None,
        c => Some(c),
    });
    let fitting: String = clean.take(most).collect();
    fitting.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_string_has_at_most_sixteen_characters() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -249.51171875,
            1.0 / 3.0,
            -1.0 / 3.0,
            -123456.789_012_345_67,
            1e-12 / 3.0,
            -1e-12 / 3.0,
            1e300 / 3.0,
            -0.000_123_456_789_012,
        ] {
            let text = decimal(value);
            assert!(text.len() <= 16, "{text}");
            let back: f64 = text.parse().unwrap();
            assert!((back - value).abs() <= value.abs() * 1e-8, "{value} {text}");
        }
        assert_eq!(decimal(-0.0), "0");
        assert_eq!(decimal(f64::NAN), "0");
        assert_eq!(decimal(0.9765625), "0.9765625");
    }

    #[test]
    fn text_is_cut_at_characters_and_never_parts_in_two_values() {
        assert_eq!(fit(&"ä".repeat(80), VR::LO).chars().count(), 64);
        assert_eq!(fit("a\\b\u{1b}c\nd", VR::LO), "a/bc d");
        assert_eq!(fit("a\\b\nc", VR::ST), "a\\b\nc");
    }
}
