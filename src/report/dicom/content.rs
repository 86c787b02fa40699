//! Content items of a structured report (PS3.3 C.17.3).

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;

use super::Code;
use super::elements::{Elements, Item, code_item};
use super::references::instance;

/// How an item hangs on the one above it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation {
    Contains,
    Context,
    Acquisition,
    Modifier,
}

impl Relation {
    fn word(self) -> &'static str {
        match self {
            Relation::Contains => "CONTAINS",
            Relation::Context => "HAS OBS CONTEXT",
            Relation::Acquisition => "HAS ACQ CONTEXT",
            Relation::Modifier => "HAS CONCEPT MOD",
        }
    }
}

fn item(relation: Relation, kind: &str, name: &Code) -> Item {
    Item::new_empty()
        .word(tags::RELATIONSHIP_TYPE, relation.word())
        .word(tags::VALUE_TYPE, kind)
        .item(tags::CONCEPT_NAME_CODE_SEQUENCE, code_item(name))
}

/// A heading and what is under it.
pub(super) fn container(relation: Relation, name: &Code, template: Option<&str>, content: Vec<Item>) -> Item {
    under(template_of(item(relation, "CONTAINER", name), template), content)
}

/// The heading of all: it hangs on nothing.
pub(super) fn root(dataset: Item, name: &Code, template: &str, content: Vec<Item>) -> Item {
    let dataset = dataset
        .word(tags::VALUE_TYPE, "CONTAINER")
        .item(tags::CONCEPT_NAME_CODE_SEQUENCE, code_item(name));
    under(template_of(dataset, Some(template)), content)
}

fn template_of(item: Item, template: Option<&str>) -> Item {
    let item = item.word(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
    let Some(template) = template else { return item };
    let named = Item::new_empty()
        .word(tags::MAPPING_RESOURCE, "DCMR")
        .word(tags::TEMPLATE_IDENTIFIER, template);
    item.item(tags::CONTENT_TEMPLATE_SEQUENCE, named)
}

/// The item with others under it.
pub(super) fn under(item: Item, content: Vec<Item>) -> Item {
    match content.is_empty() {
        true => item,
        false => item.items(tags::CONTENT_SEQUENCE, content),
    }
}

/// A code.
pub(super) fn code(relation: Relation, name: &Code, value: &Code) -> Item {
    item(relation, "CODE", name).item(tags::CONCEPT_CODE_SEQUENCE, code_item(value))
}

/// A text; never empty.
pub(super) fn text(relation: Relation, name: &Code, value: &str) -> Item {
    item(relation, "TEXT", name).text(tags::TEXT_VALUE, VR::UT, value)
}

/// A UID.
pub(super) fn uid(relation: Relation, name: &Code, value: &str) -> Item {
    item(relation, "UIDREF", name).uid(tags::UID, value)
}

/// A number with its unit, as decimal digits and in full.
pub(super) fn number(relation: Relation, name: &Code, value: f64, unit: &Code) -> Item {
    let measured = Item::new_empty()
        .decimals(tags::NUMERIC_VALUE, &[value])
        .with(tags::FLOATING_POINT_VALUE, VR::FD, PrimitiveValue::from(value))
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
    item(relation, "NUM", name).item(tags::MEASURED_VALUE_SEQUENCE, measured)
}

/// An image, or a segment of it.
pub(super) fn image(relation: Relation, name: &Code, reference: (&str, &str), segment: Option<u16>) -> Item {
    let image = instance(reference);
    let image = match segment {
        Some(number) => image.with(tags::REFERENCED_SEGMENT_NUMBER, VR::US, PrimitiveValue::from(number)),
        None => image,
    };
    item(relation, "IMAGE", name).item(tags::REFERENCED_SOP_SEQUENCE, image)
}
