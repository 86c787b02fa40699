//! The header of the source series, value by value: as Unicode, and nothing that its representation does not allow.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::{tags, uids};

use super::elements::{Item, fit};
use super::text::Characters;
use super::uids::{derived, usable};
use crate::volume::{Series, SourceInstance};

/// What says who is meant. Repeated to the letter even where it is longer than the standard allows: an archive files by it, and half
/// an identifier is somebody else's.
const IDENTITY: [Tag; 5] = [
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::ACCESSION_NUMBER,
    tags::STUDY_ID,
];

/// A source series and its header's values.
pub(super) struct Source<'a> {
    series: &'a Series,
    characters: Characters,
}

impl<'a> Source<'a> {
    /// Of this series.
    pub(super) fn new(series: &'a Series) -> Source<'a> {
        Source {
            series,
            characters: Characters::of(series.header()),
        }
    }

    /// The series.
    pub(super) fn series(&self) -> &'a Series {
        self.series
    }

    /// Its character sets.
    pub(super) fn characters(&self) -> &Characters {
        &self.characters
    }

    /// A value of the header if it has one that its representation allows.
    pub(super) fn value(&self, tag: Tag, vr: VR) -> Option<String> {
        self.value_in(self.series.header(), tag, vr)
    }

    /// The same of an item of one of its sequences.
    pub(super) fn value_in(&self, item: &Item, tag: Tag, vr: VR) -> Option<String> {
        let element = item.get(tag)?;
        let values = element.value().to_multi_str().ok()?;
        let free = matches!(vr, VR::PN | VR::LO | VR::SH | VR::ST | VR::LT | VR::UT);
        // Free text has one value here; what looks like more is half a Japanese letter that looks like a backslash.
        let text = match free {
            true => values.join("\\"),
            false => values.first()?.clone(),
        };
        let text = text.trim_matches([' ', '\0']);
        let text = match free {
            true => self.characters.unicode(text),
            false => text.to_owned(),
        };
        let text = match IDENTITY.contains(&tag) {
            true => text.chars().filter(|c| !c.is_control() && *c != '\\').collect(),
            false if free => fit(&text, vr),
            false => text,
        };
        (!text.is_empty() && allowed(&text, vr)).then_some(text)
    }

    /// A number of the header.
    pub(super) fn number(&self, tag: Tag) -> Option<f64> {
        let element = self.series.header().get(tag)?;
        element.value().to_float64().ok().filter(|number| number.is_finite())
    }

    /// A UID of the header, or where it has none that can be repeated, one that follows from the series.
    pub(super) fn uid_or_derived(&self, tag: Tag, role: &str) -> String {
        self.value(tag, VR::UI).unwrap_or_else(|| derived(&[&self.key(), role]))
    }

    /// What tells this series from others.
    pub(super) fn key(&self) -> String {
        self.value(tags::SERIES_INSTANCE_UID, VR::UI)
            .or_else(|| Some(self.series.instances().first()?.uid.clone()))
            .unwrap_or_default()
    }

    /// Series Instance UID.
    pub(super) fn series_uid(&self) -> String {
        self.uid_or_derived(tags::SERIES_INSTANCE_UID, "series")
    }

    /// Study Instance UID.
    pub(super) fn study_uid(&self) -> String {
        self.uid_or_derived(tags::STUDY_INSTANCE_UID, "study")
    }

    /// Modality.
    pub(super) fn modality(&self) -> Option<String> {
        self.value(tags::MODALITY, VR::CS)
    }

    /// The instance's class and UID, if they can be referred to. A class that the source doesn't name follows from its modality.
    pub(super) fn reference(&self, instance: &'a SourceInstance) -> Option<(&'a str, &'a str)> {
        let class = match usable(&instance.class_uid) {
            true => &instance.class_uid,
            false => match self.modality().as_deref() {
                Some("CT") => uids::CT_IMAGE_STORAGE,
                Some("MR") => uids::MR_IMAGE_STORAGE,
                Some("PT") => uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
                _ => uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
            },
        };
        usable(&instance.uid).then_some((class, &instance.uid))
    }

    /// All instances that can be referred to.
    pub(super) fn references(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        let series = self.series;
        series
            .instances()
            .iter()
            .filter_map(|instance| self.reference(instance))
    }
}

/// Whether a representation (PS3.5 6.2) allows a value.
fn allowed(text: &str, vr: VR) -> bool {
    let bytes = text.as_bytes();
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    match vr {
        VR::DA => {
            let within = |at: usize, most: &str| text.get(at..at + 2).is_some_and(|two| two >= "01" && two <= most);
            bytes.len() == 8 && digits(bytes) && within(4, "12") && within(6, "31")
        }
        VR::TM => {
            let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
            let within = |at: usize, most: &str| whole.get(at..at + 2).is_none_or(|two| two <= most);
            let parts = within(0, "23") && within(2, "59") && within(4, "60");
            matches!(whole.len(), 2 | 4 | 6)
                && (whole.len() == 6 || !text.contains('.'))
                && digits(whole.as_bytes())
                && (1..=6).contains(&part.len())
                && digits(part.as_bytes())
                && parts
        }
        VR::AS => bytes.len() == 4 && digits(&bytes[..3]) && b"DWMY".contains(&bytes[3]),
        VR::CS => {
            let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b' ' | b'_');
            bytes.len() <= 16 && bytes.iter().all(plain)
        }
        VR::DS => bytes.len() <= 16 && text.parse::<f64>().is_ok_and(f64::is_finite),
        VR::IS => bytes.len() <= 12 && text.parse::<i32>().is_ok(),
        VR::UI => usable(text),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_values_are_not_repeated() {
        for (text, vr) in [
            ("20240229", VR::DA),
            ("235959.123456", VR::TM),
            ("2359", VR::TM),
            ("042Y", VR::AS),
            ("HEAD_NECK 1", VR::CS),
            ("-1.5e3", VR::DS),
            ("12", VR::IS),
        ] {
            assert!(allowed(text, vr), "{text}");
        }
        for (text, vr) in [
            ("2024.02.29", VR::DA),
            ("20241301", VR::DA),
            ("2024é1", VR::DA),
            ("25:00", VR::TM),
            ("240000", VR::TM),
            ("12.5", VR::TM),
            ("42Y", VR::AS),
            ("éYY", VR::AS),
            ("head", VR::CS),
            ("nan", VR::DS),
            ("1.5", VR::IS),
        ] {
            assert!(!allowed(text, vr), "{text}");
        }
    }
}
