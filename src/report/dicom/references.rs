//! Pointers to other instances (PS3.3 10.8, C.12.2).

use dicom_dictionary_std::tags;

use super::elements::{Elements, Item};
use super::source::Source;

/// An item that names an instance.
pub(super) fn instance((class, uid): (&str, &str)) -> Item {
    Item::new_empty()
        .uid(tags::REFERENCED_SOP_CLASS_UID, class)
        .uid(tags::REFERENCED_SOP_INSTANCE_UID, uid)
}

/// Common Instance Reference: the source series with all its instances; none where these can't be named.
pub(super) fn source_series(source: &Source) -> Vec<Item> {
    let instances: Vec<Item> = source.references().map(instance).collect();
    match instances.is_empty() {
        true => Vec::new(),
        false => vec![
            Item::new_empty()
                .items(tags::REFERENCED_INSTANCE_SEQUENCE, instances)
                .uid(tags::SERIES_INSTANCE_UID, &source.series_uid()),
        ],
    }
}

/// Current Requested Procedure Evidence: all that a report refers to, source and segmentation, which lie in one study.
pub(super) fn evidence(source: &Source, segmentation: (&str, &str), series: &str) -> Item {
    let of = |series: &str, instances: Vec<Item>| {
        Item::new_empty()
            .items(tags::REFERENCED_SOP_SEQUENCE, instances)
            .uid(tags::SERIES_INSTANCE_UID, series)
    };
    let images: Vec<Item> = source.references().map(instance).collect();
    let mut all = vec![of(series, vec![instance(segmentation)])];
    if !images.is_empty() {
        all.insert(0, of(&source.series_uid(), images));
    }
    Item::new_empty()
        .items(tags::REFERENCED_SERIES_SEQUENCE, all)
        .uid(tags::STUDY_INSTANCE_UID, &source.study_uid())
}
