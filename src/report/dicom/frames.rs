//! Frames of a segmentation: which there are, and what is said of each (PS3.3 C.7.6.16, C.7.6.17).
//!
//! There is a frame for every slice on which a segment has voxels, segment by segment, ascending along the normal. A segment
//! without voxels has none. An object has at least one: where all segments are empty, the first one's first slice, all zero.

use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::elements::{Elements, Item};
use super::references::instance;
use super::source::Source;
use super::{Code, Segment};
use crate::volume::{Mask, Series};

const SEGMENTATION: Code = Code::new("DCM", "113076", "Segmentation");
const SOURCE_IMAGE: Code = Code::new("DCM", "121322", "Source image for image processing operation");

/// Distances that differ by less of their mean are one distance.
const EVEN: f64 = 0.01;

/// Which slices each segment has voxels on.
pub(super) struct Frames {
    /// For each segment, indices of the series' frames.
    pub(super) of_segment: Vec<Vec<usize>>,
    /// For each of the series' frames that is used, its place among those used, from 1.
    places: Vec<u32>,
    /// Whether two segments share a voxel.
    pub(super) overlap: bool,
    /// Whether the only frame is there for want of any.
    pub(super) blank: bool,
}

impl Frames {
    /// Looks through all masks, one at a time.
    pub(super) fn find(series: &Series, segments: &[Segment]) -> Frames {
        let mut seen: Option<Mask> = None;
        let mut overlap = false;
        let mut of_segment: Vec<Vec<usize>> = Vec::with_capacity(segments.len());
        for segment in segments {
            let mask = segment.mask.unpack();
            of_segment.push(slices(series, &mask));
            if overlap {
                continue;
            }
            seen = match seen {
                Some(seen) if seen.intersection_count(&mask) > 0 => {
                    overlap = true;
                    None
                }
                Some(seen) => Some(seen.union(&mask)),
                None => Some(mask),
            };
        }
        let blank = of_segment.iter().all(Vec::is_empty);
        if let (true, Some(first)) = (blank, of_segment.first_mut()) {
            first.push(0);
        }
        let mut places = vec![0; series.frames().len()];
        of_segment.iter().flatten().for_each(|&frame| places[frame] = 1);
        let mut place = 0;
        places.iter_mut().filter(|used| **used > 0).for_each(|used| {
            place += 1;
            *used = place;
        });
        Frames {
            of_segment,
            places,
            overlap,
            blank,
        }
    }

    /// Number of frames.
    pub(super) fn count(&self) -> usize {
        self.of_segment.iter().map(Vec::len).sum()
    }

    /// Every frame in the order written: its segment's number, and the series' frame.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let numbered = self.of_segment.iter().enumerate();
        numbered.flat_map(|(at, frames)| frames.iter().map(move |&frame| (at + 1, frame)))
    }

    /// What is said of a frame alone.
    pub(super) fn groups(&self, source: &Source, number: usize, frame: usize) -> Item {
        let slice = &source.series().frames()[frame];
        let place = PrimitiveValue::U32([number as u32, self.places[frame]].into_iter().collect());
        let content = Item::new_empty().with(tags::DIMENSION_INDEX_VALUES, VR::UL, place);
        let segment = Item::new_empty().short(tags::REFERENCED_SEGMENT_NUMBER, number as u16);
        let position = Item::new_empty().decimals(tags::IMAGE_POSITION_PATIENT, &slice.position);
        let mut groups = Item::new_empty()
            .item(tags::FRAME_CONTENT_SEQUENCE, content)
            .item(tags::PLANE_POSITION_SEQUENCE, position)
            .item(tags::SEGMENT_IDENTIFICATION_SEQUENCE, segment);
        let image = source.series().instances().get(slice.instance);
        if let Some(reference) = image.and_then(|image| source.reference(image)) {
            let mut image = instance(reference)
                .word(tags::SPATIAL_LOCATIONS_PRESERVED, "YES")
                .code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &SOURCE_IMAGE);
            if let Some(number) = slice.number {
                image = image.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &number.to_string());
            }
            let derivation = Item::new_empty()
                .item(tags::SOURCE_IMAGE_SEQUENCE, image)
                .code(tags::DERIVATION_CODE_SEQUENCE, &SEGMENTATION);
            groups = groups.item(tags::DERIVATION_IMAGE_SEQUENCE, derivation);
        }
        groups
    }
}

/// The series' frames on which a mask has voxels.
fn slices(series: &Series, mask: &Mask) -> Vec<usize> {
    let mut found = Vec::new();
    let all: Result<(), std::convert::Infallible> = series.each_plane(mask, |frame, _| {
        found.push(frame);
        Ok(())
    });
    let Ok(()) = all;
    found
}

/// What is said of all frames alike: directions, spacings.
pub(super) fn shared_groups(source: &Source, spacing: &Spacing) -> Item {
    let series = source.series();
    let orientation = Item::new_empty().decimals(tags::IMAGE_ORIENTATION_PATIENT, &series.orientation());
    let [between_columns, between_rows] = series.spacing();
    let mut measures = Item::new_empty().decimals(tags::PIXEL_SPACING, &[between_rows, between_columns]);
    let thickness = source
        .number(tags::SLICE_THICKNESS)
        .filter(|&thickness| thickness > 0.0);
    if let Some(thickness) = thickness.or(spacing.between_slices) {
        measures = measures.decimals(tags::SLICE_THICKNESS, &[thickness]);
    }
    if let Some(between) = spacing.between_slices {
        measures = measures.decimals(tags::SPACING_BETWEEN_SLICES, &[between]);
    }
    Item::new_empty()
        .item(tags::PLANE_ORIENTATION_SEQUENCE, orientation)
        .item(tags::PIXEL_MEASURES_SEQUENCE, measures)
}

/// The two dimensions that frames are sorted by, segment and place, as Dimension Organization and Dimension Index.
pub(super) fn dimensions(dataset: Item, organization: &str, spacing: &Spacing) -> Item {
    let dimension = |pointer: Tag, group: Tag, label: &str| {
        Item::new_empty()
            .uid(tags::DIMENSION_ORGANIZATION_UID, organization)
            .with(tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(pointer))
            .with(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, PrimitiveValue::from(group))
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
    };
    let index = vec![
        dimension(
            tags::REFERENCED_SEGMENT_NUMBER,
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            "Referenced Segment Number",
        ),
        dimension(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Image Position Patient",
        ),
    ];
    let dataset = dataset
        .item(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            Item::new_empty().uid(tags::DIMENSION_ORGANIZATION_UID, organization),
        )
        .items(tags::DIMENSION_INDEX_SEQUENCE, index);
    match spacing.upright {
        true => dataset.word(tags::DIMENSION_ORGANIZATION_TYPE, "3D"),
        false => dataset,
    }
}

/// How the series' slices lie one behind the other.
#[derive(Debug, PartialEq)]
pub(super) struct Spacing {
    /// Millimetres from slice to slice along the normal, where it is the same everywhere.
    pub(super) between_slices: Option<f64>,
    /// Whether they also stand straight behind one another: not the slices of a tilted gantry.
    pub(super) upright: bool,
}

impl Spacing {
    /// Of this series.
    pub(super) fn of(series: &Series) -> Spacing {
        let [a, b, c, d, e, f] = series.orientation();
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let along = |by: [f64; 3]| (0..3).map(|axis| by[axis] * normal[axis]).sum::<f64>();
        let pairs = series.frames().windows(2);
        let steps: Vec<[f64; 3]> = pairs
            .map(|pair| [0, 1, 2].map(|axis| pair[1].position[axis] - pair[0].position[axis]))
            .collect();
        let mean = steps.iter().map(|&step| along(step)).sum::<f64>() / steps.len() as f64;
        let regular = mean > 0.0 && steps.iter().all(|&step| (along(step) - mean).abs() <= EVEN * mean);
        let straight = |step: [f64; 3]| {
            let aside = [0, 1, 2].map(|axis| step[axis] - along(step) * normal[axis]);
            aside.iter().map(|by| by * by).sum::<f64>().sqrt() <= EVEN * mean
        };
        Spacing {
            between_slices: regular.then_some(mean),
            upright: regular && steps.iter().all(|&step| straight(step)),
        }
    }
}
