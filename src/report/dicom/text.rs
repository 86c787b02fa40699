//! Characters (PS3.3 C.12.1.1.2): what a source's header says, as Unicode, and the set that a new object is written in.
//!
//! The library that reads headers knows one character set an object. Names that switch sets by escape sequences (ISO 2022, common
//! in Japan and Korea) come out of it as the bytes they were, each as one character; they are read here.

use dicom_core::value::{PrimitiveValue, Value};
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};

use super::elements::Item;

const ESCAPE: u8 = 0x1b;

/// Latin-5 (Turkish), which the library has no decoder for, is Latin-1 with six letters exchanged.
const LATIN_5: [(char, char); 6] = [('Ð', 'Ğ'), ('Ý', 'İ'), ('Þ', 'Ş'), ('ð', 'ğ'), ('ý', 'ı'), ('þ', 'ş')];

/// Escape sequences after the escape, and the set they switch to; PS3.3 tables C.12-3 and C.12-4. JIS X 0212 has no decoder here; its
/// letters become question marks.
const SWITCHES: [(&[u8], &str); 18] = [
    (b"(B", "ISO_IR 6"),
    (b"(J", "ISO_IR 13"),
    (b")I", "ISO_IR 13"),
    (b"$B", "ISO_IR 87"),
    (b"$@", "ISO_IR 87"),
    (b"$(D", "ISO_IR 159"),
    (b"$)C", "ISO_IR 149"),
    (b"$)A", "GB2312"),
    (b"-A", "ISO_IR 100"),
    (b"-B", "ISO_IR 101"),
    (b"-C", "ISO_IR 109"),
    (b"-D", "ISO_IR 110"),
    (b"-L", "ISO_IR 144"),
    (b"-G", "ISO_IR 127"),
    (b"-F", "ISO_IR 126"),
    (b"-H", "ISO_IR 138"),
    (b"-M", "ISO_IR 148"),
    (b"-T", "ISO_IR 166"),
];

/// The character sets that a header declares.
pub(super) struct Characters {
    declared: Vec<String>,
}

impl Characters {
    /// Those of this header.
    pub(super) fn of(header: &Item) -> Characters {
        let declared = header
            .get(tags::SPECIFIC_CHARACTER_SET)
            .and_then(|element| element.value().to_multi_str().ok())
            .map(|names| names.iter().map(|name| name.trim().to_owned()).collect());
        Characters {
            declared: declared.unwrap_or_default(),
        }
    }

    /// The one set that the header declares, where it is one that can be written.
    fn single(&self) -> Option<(&str, SpecificCharacterSet)> {
        match self.declared.as_slice() {
            [name] if !name.is_empty() => SpecificCharacterSet::from_code(name).map(|set| (name.as_str(), set)),
            _ => None,
        }
    }

    /// Text of the header as Unicode.
    pub(super) fn unicode(&self, text: &str) -> String {
        if text.is_ascii() && !text.contains(ESCAPE as char) {
            return text.to_owned();
        }
        if text.contains(ESCAPE as char) {
            return self.switching(&self.bytes(text));
        }
        if self.declared.first().is_some_and(|name| is_latin5(name)) {
            return latin5(text);
        }
        let undeclared = self.declared.iter().all(|name| name.is_empty());
        // Undeclared letters were taken for Latin-1; more often they are UTF-8, which nothing else happens to look like.
        match undeclared.then(|| latin1(text)).flatten().map(String::from_utf8) {
            Some(Ok(utf8)) => utf8,
            _ => text.to_owned(),
        }
    }

    /// The bytes that text was decoded from.
    fn bytes(&self, text: &str) -> Vec<u8> {
        let first = self
            .declared
            .first()
            .and_then(|name| SpecificCharacterSet::from_code(name));
        let encoded = first.and_then(|set| set.encode(text).ok());
        encoded
            .or_else(|| latin1(text))
            .unwrap_or_else(|| text.as_bytes().to_vec())
    }

    /// Bytes that switch sets by escape sequences.
    fn switching(&self, bytes: &[u8]) -> String {
        let mut set = self.declared.first().map_or("ISO_IR 6", String::as_str);
        let mut pieces = bytes.split(|&byte| byte == ESCAPE);
        let mut out = decoded(set, pieces.next().unwrap_or_default());
        for piece in pieces {
            let switch = SWITCHES.iter().find(|(sequence, _)| piece.starts_with(sequence));
            let text = match switch {
                Some((sequence, to)) => {
                    set = to;
                    &piece[sequence.len()..]
                }
                None => piece,
            };
            out.push_str(&decoded(set, text));
        }
        out
    }

    /// Declares the set that a finished data set is written in: the source's own where it is a single one that has all the
    /// letters, else Unicode (ISO_IR 192), or none where there are no letters but ASCII's.
    pub(super) fn settle(&self, dataset: &mut Item) {
        let own = self
            .single()
            .filter(|(_, set)| fits(dataset, Some(set)))
            .map(|(name, _)| name);
        let name = own.or_else(|| (!fits(dataset, None)).then_some("ISO_IR 192"));
        if let Some(name) = name {
            let name = PrimitiveValue::from(name);
            dataset.put(DataElement::new(tags::SPECIFIC_CHARACTER_SET, VR::CS, name));
        }
    }
}

/// Bytes in one set; what it can't say becomes a question mark.
fn decoded(set: &str, bytes: &[u8]) -> String {
    if bytes.is_ascii() && set != "ISO_IR 87" && set != "ISO_IR 159" {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    if is_latin5(set) {
        return latin5(&bytes.iter().map(|&byte| char::from(byte)).collect::<String>());
    }
    // The decoder of JIS X 0208 wants to be told by the escape sequence.
    let told = match set {
        "ISO_IR 87" => [b"\x1b$B", bytes].concat(),
        _ => bytes.to_vec(),
    };
    match SpecificCharacterSet::from_code(set).map(|set| set.decode(&told)) {
        Some(Ok(text)) => text,
        _ => "?".repeat(bytes.len().div_ceil(2)),
    }
}

fn is_latin5(set: &str) -> bool {
    matches!(set, "ISO_IR 148" | "ISO 2022 IR 148")
}

/// Latin-5 that was taken for Latin-1.
fn latin5(text: &str) -> String {
    let exchanged = |c| {
        LATIN_5
            .iter()
            .find(|(latin1, _)| *latin1 == c)
            .map_or(c, |(_, letter)| *letter)
    };
    text.chars().map(exchanged).collect()
}

/// Characters as the bytes that Latin-1 gives them.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Whether a set, or ASCII, has every letter of a data set.
fn fits(dataset: &Item, set: Option<&SpecificCharacterSet>) -> bool {
    dataset.iter().all(|element| match element.value() {
        Value::Sequence(sequence) => sequence.items().iter().all(|item| fits(item, set)),
        Value::Primitive(PrimitiveValue::Str(text)) => encodes(set, text),
        Value::Primitive(PrimitiveValue::Strs(texts)) => texts.iter().all(|text| encodes(set, text)),
        _ => true,
    })
}

fn encodes(set: Option<&SpecificCharacterSet>, text: &str) -> bool {
    text.is_ascii() || set.is_some_and(|set| set.encode(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn characters(declared: &[&str]) -> Characters {
        Characters {
            declared: declared.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// Bytes as the reading library hands them on where the first set is the default one.
    fn as_read(bytes: &[u8]) -> String {
        bytes.iter().map(|&byte| char::from(byte)).collect()
    }

    #[test]
    fn names_that_switch_sets_are_read() {
        // PS3.5 H.3.1 and I.2
        let japanese = as_read(b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B");
        assert_eq!(
            characters(&["", "ISO 2022 IR 87"]).unicode(&japanese),
            "Yamada^Tarou=山田^太郎=やまだ^たろう"
        );
        let korean =
            as_read(b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf");
        assert_eq!(
            characters(&["", "ISO 2022 IR 149"]).unicode(&korean),
            "Hong^Gildong=洪^吉洞=홍^길동"
        );
        let greek = as_read(b"Buc^J\xe9r\xf4me=\x1b-F\xc4\xe9");
        assert_eq!(
            characters(&["ISO 2022 IR 100", "ISO 2022 IR 126"]).unicode(&greek),
            "Buc^Jérôme=Δι"
        );
        assert_eq!(
            characters(&["", "ISO 2022 IR 159"]).unicode("a\u{1b}$(D\"3\u{1b}(Bb"),
            "a?b"
        );
    }

    #[test]
    fn turkish_is_read() {
        assert_eq!(characters(&["ISO_IR 148"]).unicode("Þahin^Iþýk"), "Şahin^Işık");
        assert_eq!(characters(&["", "ISO 2022 IR 148"]).unicode("A\u{1b}-MÞahin"), "AŞahin");
    }

    #[test]
    fn letters_that_no_set_was_declared_for_are_taken_for_utf_8_if_they_can_be() {
        assert_eq!(characters(&[]).unicode(&as_read("Müller".as_bytes())), "Müller");
        assert_eq!(characters(&[]).unicode("Müller"), "Müller");
        assert_eq!(characters(&["ISO_IR 100"]).unicode("MÃ¼ller"), "MÃ¼ller");
    }
}
