//! Values of a data set as plain numbers and words.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Text without the blanks around it; none where it is missing or empty.
pub(super) fn text(of: &InMemDicomObject, tag: Tag) -> Option<String> {
    let value = of.get(tag)?.value().to_str().ok()?;
    let value = value.trim_matches([' ', '\0', '\t', '\r', '\n']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// The parts of a text of several values, without the blanks around them.
pub(super) fn texts(of: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let values = of.get(tag).and_then(|element| element.value().to_multi_str().ok());
    let values = values.iter().flat_map(|values| values.iter());
    values.map(|value| value.trim_matches([' ', '\0']).to_owned()).collect()
}

/// All finite numbers of a value; none where one of them is no number.
pub(super) fn numbers(of: &InMemDicomObject, tag: Tag) -> Option<Vec<f64>> {
    let numbers = of.get(tag)?.value().to_multi_float64().ok()?;
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

/// Exactly `N` finite numbers.
pub(super) fn array<const N: usize>(of: &InMemDicomObject, tag: Tag) -> Option<[f64; N]> {
    numbers(of, tag)?.try_into().ok()
}

/// The first number of a value.
pub(super) fn number(of: &InMemDicomObject, tag: Tag) -> Option<f64> {
    numbers(of, tag)?.first().copied()
}

/// A whole number from 0.
pub(super) fn count(of: &InMemDicomObject, tag: Tag) -> Option<usize> {
    of.get(tag)?.value().to_int::<u32>().ok().map(|count| count as usize)
}

/// The first item of a sequence.
pub(super) fn item(of: &InMemDicomObject, tag: Tag) -> Option<&InMemDicomObject> {
    of.get(tag)?.items()?.first()
}

/// The items of a sequence.
pub(super) fn items(of: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    of.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

/// What an enhanced object says of one of its frames (PS3.3 section C.7.6.16): a functional group of the frame, else of all.
pub(super) struct Groups<'a> {
    frame: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
}

impl<'a> Groups<'a> {
    /// Of frame number `index`, from 0.
    pub fn of(header: &'a InMemDicomObject, index: usize) -> Groups<'a> {
        Groups {
            frame: items(header, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(index),
            shared: item(header, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
        }
    }

    /// The one item of a functional group.
    pub fn get(&self, sequence: Tag) -> Option<&'a InMemDicomObject> {
        let of = |groups: Option<&'a InMemDicomObject>| groups.and_then(|groups| item(groups, sequence));
        of(self.frame).or_else(|| of(self.shared))
    }
}
