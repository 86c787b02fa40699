//! What both objects have besides their content: patient, study, series, equipment, common attributes (PS3.3 C.7, C.12.1).

use chrono::{DateTime, FixedOffset};
use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::codes::{OWN_SCHEME, own_scheme_uid};
use super::elements::{Elements, Item, code_item, fit};
use super::measurements::has_own;
use super::source::Source;
use super::{Code, Made, Segment};

/// Attributes of patient and study that must be there, empty where the source has no value (type 2).
const REPEATED_OR_EMPTY: [(Tag, VR); 9] = [
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::STUDY_ID, VR::SH),
    (tags::ACCESSION_NUMBER, VR::SH),
];

/// Attributes of patient and study that are repeated where the source has them (type 3). That a patient was made nameless goes along.
const REPEATED: [(Tag, VR); 7] = [
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_AGE, VR::AS),
    (tags::PATIENT_SIZE, VR::DS),
    (tags::PATIENT_WEIGHT, VR::DS),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::PATIENT_IDENTITY_REMOVED, VR::CS),
    (tags::DEIDENTIFICATION_METHOD, VR::LO),
];

/// Who the object itself is.
pub(super) struct Identity<'a> {
    /// SOP Class UID.
    pub(super) class: &'a str,
    /// SOP Instance UID.
    pub(super) instance: &'a str,
    /// Series Instance UID.
    pub(super) series: &'a str,
    /// Modality: SEG or SR.
    pub(super) modality: &'a str,
    /// Added to a hundred times the source's series number.
    pub(super) number: i32,
    /// Series Description.
    pub(super) description: &'a str,
}

/// A data set with all that is common to both objects.
pub(super) fn dataset(source: &Source, identity: &Identity, made: &Made, segments: &[Segment]) -> Item {
    let created = in_zone_of(source, made.created);
    let (date, time) = (
        created.format("%Y%m%d").to_string(),
        created.format("%H%M%S").to_string(),
    );
    let mut item = patient_and_study(source)
        .uid(tags::SOP_CLASS_UID, identity.class)
        .uid(tags::SOP_INSTANCE_UID, identity.instance)
        .uid(tags::SERIES_INSTANCE_UID, identity.series)
        .word(tags::MODALITY, identity.modality)
        .text(tags::SERIES_NUMBER, VR::IS, &series_number(source, identity.number))
        .text(tags::SERIES_DESCRIPTION, VR::LO, identity.description)
        .text(tags::INSTANCE_NUMBER, VR::IS, "1");
    for (day, hour) in [
        (tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME),
        (tags::SERIES_DATE, tags::SERIES_TIME),
        (tags::CONTENT_DATE, tags::CONTENT_TIME),
    ] {
        item = item.text(day, VR::DA, &date).text(hour, VR::TM, &time);
    }
    if let Some(zone) = zone_of(source) {
        item = item.text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &zone);
    }
    if segments
        .iter()
        .any(|segment| segment.coding.has_own() || has_own(segment.measurement))
    {
        item = item.item(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, own_scheme());
    }
    equipment(item, made)
}

fn patient_and_study(source: &Source) -> Item {
    let mut item = Item::new_empty().uid(tags::STUDY_INSTANCE_UID, &source.study_uid());
    for (tag, vr) in REPEATED_OR_EMPTY {
        let value = source
            .value(tag, vr)
            .filter(|value| tag != tags::PATIENT_SEX || ["M", "F", "O"].contains(&value.as_str()));
        item = repeat(item, tag, vr, value.as_deref());
    }
    for (tag, vr) in REPEATED {
        if let Some(value) = source.value(tag, vr) {
            item = repeat(item, tag, vr, Some(&value));
        }
    }
    // Who was made nameless must be said to have been, and how.
    let removed = source.value(tags::PATIENT_IDENTITY_REMOVED, VR::CS);
    if removed.as_deref() == Some("YES") {
        let codes = codes_of(source, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE);
        let told = item.get(tags::DEIDENTIFICATION_METHOD).is_some();
        if !codes.is_empty() {
            item = item.items(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, codes);
        } else if !told {
            item = item.text(tags::DEIDENTIFICATION_METHOD, VR::LO, "as the source images");
        }
    } else if removed.as_deref() != Some("NO") {
        item.remove_element(tags::PATIENT_IDENTITY_REMOVED);
    }
    let procedure = codes_of(source, tags::PROCEDURE_CODE_SEQUENCE);
    match procedure.is_empty() {
        true => item,
        false => item.items(tags::PROCEDURE_CODE_SEQUENCE, procedure),
    }
}

/// The value as it is: it was looked at when it was read, and identifiers are never cut.
fn repeat(item: Item, tag: Tag, vr: VR, value: Option<&str>) -> Item {
    item.with(tag, vr, value.map_or(PrimitiveValue::Empty, PrimitiveValue::from))
}

/// The complete codes of a sequence of the source's header.
pub(super) fn codes_of(source: &Source, tag: Tag) -> Vec<Item> {
    let element = source.series().header().get(tag);
    let items = element.and_then(|element| element.items()).unwrap_or_default();
    let code = |item: &Item| {
        Some(code_item(&Code {
            value: source.value_in(item, tags::CODE_VALUE, VR::SH)?.into(),
            scheme: source.value_in(item, tags::CODING_SCHEME_DESIGNATOR, VR::SH)?.into(),
            meaning: source.value_in(item, tags::CODE_MEANING, VR::LO)?.into(),
        }))
    };
    items.iter().filter_map(code).collect()
}

/// Enhanced General Equipment (PS3.3 C.7.5.2). The model's hash stands for the serial number that a program has none of.
fn equipment(item: Item, made: &Made) -> Item {
    let ours = fit(&format!("sat-mcp {}", made.program_version), VR::LO);
    let models = fit(&format!("{} {}", made.model_name, made.model_version), VR::LO);
    let serial = match made.model_sha256 {
        "" => "1",
        hash => hash.get(..16).unwrap_or(hash),
    };
    item.text(tags::MANUFACTURER, VR::LO, "sat-mcp")
        .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, made.model_name)
        .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, serial)
        .with(
            tags::SOFTWARE_VERSIONS,
            VR::LO,
            PrimitiveValue::Strs([ours, models].into_iter().collect()),
        )
}

fn own_scheme() -> Item {
    Item::new_empty()
        .text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, OWN_SCHEME)
        .uid(tags::CODING_SCHEME_UID, &own_scheme_uid())
        .text(
            tags::CODING_SCHEME_NAME,
            VR::ST,
            "Names that sat-mcp was asked for and that no published code means",
        )
        .text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, "sat-mcp")
}

/// Next to its source in a list sorted by number; 2 becomes 201.
fn series_number(source: &Source, ours: i32) -> String {
    let number = source
        .number(tags::SERIES_NUMBER)
        .map_or(0, |number| number.clamp(0.0, 1e7) as i32);
    (number * 100 + ours).to_string()
}

/// The zone that the source's times are in, where it says so.
fn zone_of(source: &Source) -> Option<String> {
    let zone = source.value(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH)?;
    offset(&zone).map(|_| zone)
}

fn in_zone_of(source: &Source, time: DateTime<FixedOffset>) -> DateTime<FixedOffset> {
    let zone = zone_of(source).and_then(|zone| offset(&zone));
    zone.map_or(time, |zone| time.with_timezone(&zone))
}

/// "+0100"
fn offset(zone: &str) -> Option<FixedOffset> {
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let number: i32 = digits
        .parse()
        .ok()
        .filter(|_| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))?;
    (number % 100 < 60 && number <= 1400)
        .then(|| FixedOffset::east_opt(sign * (number / 100 * 3600 + number % 100 * 60)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_and_nonsense_is_not() {
        assert_eq!(offset("-0330").map(|zone| zone.local_minus_utc()), Some(-12600));
        for zone in ["", "0100", "+1", "+01:00", "+0175", "+9900", "é"] {
            assert_eq!(offset(zone), None, "{zone}");
        }
    }
}
