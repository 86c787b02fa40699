//! What was measured of a segment: a Volumetric ROI Measurements group, TID 1411.
//!
//! An empty mask is an answer, so its group is there: its volume is 0, a comment says that nothing was found, and no size or
//! intensity is given. A mask that the image cuts off has a comment, too: its sizes are lower bounds.

use super::codes::{self, Coding, OWN_SCHEME};
use super::content::{Relation, code, container, image, number, text, uid, under};
use super::elements::Item;
use super::{Code, Made, Segment};
use crate::measure::{Intensity, Measurement, Status};

pub(super) const MILLIMETER: Code = Code::new("UCUM", "mm", "mm");
const CUBIC_CENTIMETER: Code = Code::new("UCUM", "cm3", "cubic centimeter"); // the volume unit of CID 7462; the mL of our answers
const NO_UNITS: Code = Code::new("UCUM", "1", "no units");

const GROUP: Code = Code::new("DCM", "125007", "Measurement Group");
const TRACKING_ID: Code = Code::new("DCM", "112039", "Tracking Identifier");
const TRACKING_UID: Code = Code::new("DCM", "112040", "Tracking Unique Identifier");
const FINDING_CATEGORY: Code = Code::new("SCT", "276214006", "Finding category");
const FINDING: Code = Code::new("DCM", "121071", "Finding");
const FINDING_SITE: Code = Code::new("SCT", "363698007", "Finding Site");
const LATERALITY: Code = Code::new("SCT", "272741003", "Laterality");
const ALGORITHM_NAME: Code = Code::new("DCM", "111001", "Algorithm Name");
const ALGORITHM_VERSION: Code = Code::new("DCM", "111003", "Algorithm Version");
const SEGMENT: Code = Code::new("DCM", "121191", "Referenced Segment");
const SERIES: Code = Code::new("DCM", "121232", "Source series for segmentation");
const COMMENT: Code = Code::new("DCM", "121106", "Comment");
const VOLUME: Code = Code::new("SCT", "118565006", "Volume");
const LONG_AXIS: Code = Code::new("SCT", "103339001", "Long axis");
const DERIVATION: Code = Code::new("DCM", "121401", "Derivation");

/// CID 7464, as far as we measure it.
const MEAN: Code = Code::new("SCT", "373098007", "Mean");
const STANDARD_DEVIATION: Code = Code::new("SCT", "386136009", "Standard Deviation");
const MINIMUM: Code = Code::new("SCT", "255605001", "Minimum");
const MAXIMUM: Code = Code::new("SCT", "56851009", "Maximum");

/// The segmentation that a group points into.
pub(super) struct Pointer<'a> {
    /// Its class and UID.
    pub(super) segmentation: (&'a str, &'a str),
    /// The segment's number.
    pub(super) number: usize,
    /// Tracking Unique Identifier, the same as in the segmentation.
    pub(super) tracking: &'a str,
    /// Series Instance UID of the images.
    pub(super) series: &'a str,
}

/// One segment's group.
pub(super) fn group(segment: &Segment, at: &Pointer, made: &Made) -> Item {
    let mut content = vec![
        text(Relation::Context, &TRACKING_ID, segment.name()),
        uid(Relation::Context, &TRACKING_UID, at.tracking),
        code(Relation::Contains, &FINDING_CATEGORY, &segment.coding.category),
        code(Relation::Contains, &FINDING, &segment.coding.kind),
    ];
    content.extend(site(&segment.coding));
    content.push(text(Relation::Modifier, &ALGORITHM_NAME, filled(made.model_name)));
    content.push(text(Relation::Modifier, &ALGORITHM_VERSION, filled(made.model_version)));
    content.push(image(
        Relation::Contains,
        &SEGMENT,
        at.segmentation,
        Some(at.number as u16),
    ));
    content.push(uid(Relation::Contains, &SERIES, at.series));
    content.extend(sizes(segment.measurement));
    content.extend(segment.measurement.intensity.iter().flat_map(intensities));
    content.extend(comment(segment.measurement).map(|words| text(Relation::Contains, &COMMENT, &words)));
    container(Relation::Contains, &GROUP, Some("1411"), content)
}

/// Where it is: a finding's region, or the structure itself; nothing of what nobody knows the place.
fn site(coding: &Coding) -> Option<Item> {
    let (structure, side) = match &coding.region {
        Some(region) => (&region.structure, region.side),
        None if coding.is_structure() => (&coding.kind, coding.side),
        None => return None,
    };
    let side = side.map(|side| code(Relation::Modifier, &LATERALITY, &codes::side(side)));
    Some(under(
        code(Relation::Modifier, &FINDING_SITE, structure),
        side.into_iter().collect(),
    ))
}

fn sizes(measured: &Measurement) -> Vec<Item> {
    let mut sizes = vec![number(
        Relation::Contains,
        &VOLUME,
        measured.volume_ml,
        &CUBIC_CENTIMETER,
    )];
    let diameter = measured.longest_diameter_mm;
    sizes.extend(diameter.map(|mm| number(Relation::Contains, &LONG_AXIS, mm, &MILLIMETER)));
    sizes
}

fn intensities(intensity: &Intensity) -> Vec<Item> {
    let (what, unit) = quantity(&intensity.unit);
    let all = [
        (intensity.mean, &MEAN),
        (intensity.sd, &STANDARD_DEVIATION),
        (intensity.min, &MINIMUM),
        (intensity.max, &MAXIMUM),
    ];
    let item = |(value, how)| {
        let how = code(Relation::Modifier, &DERIVATION, how);
        under(number(Relation::Contains, &what, value, &unit), vec![how])
    };
    all.into_iter().map(item).collect()
}

/// What an intensity's unit says it is (CID 7180), and the unit (CID 7181, 84).
fn quantity(unit: &str) -> (Code, Code) {
    match unit {
        "HU" => (
            Code::new("DCM", "112031", "Attenuation Coefficient"),
            Code::new("UCUM", "[hnsf'U]", "Hounsfield unit"),
        ),
        "SUVbw" => (
            Code::new("DCM", "126401", "SUVbw"),
            Code::new("UCUM", "g/ml{SUVbw}", "Standardized Uptake Value body weight"),
        ),
        "Bq/mL" => (
            Code::new("DCM", "110821", "Nuclear Medicine Tomographic Activity"),
            Code::new("UCUM", "Bq/ml", "Becquerels/milliliter"),
        ),
        "a.u." => (Code::new("DCM", "110852", "MR signal intensity"), NO_UNITS),
        _ => (
            Code::new(OWN_SCHEME, "SAT-VALUE", "Value of the image as stored"),
            NO_UNITS,
        ),
    }
}

/// Whether a measurement's intensities need a code of our own.
pub(super) fn has_own(measured: &Measurement) -> bool {
    let unit = measured.intensity.as_ref().map(|intensity| &intensity.unit);
    unit.is_some_and(|unit| quantity(unit).0.is_own())
}

fn comment(measured: &Measurement) -> Option<String> {
    match measured.status {
        Status::Present => None,
        Status::Empty => Some("Looked for and not found: the segment has no voxels.".to_owned()),
        Status::CutOff => {
            let faces: Vec<&str> = measured.truncated_at.iter().map(|face| face.as_str()).collect();
            Some(format!(
                "The segment touches the edge of the image ({}): sizes are lower bounds.",
                faces.join(", ")
            ))
        }
    }
}

/// Text values must not be empty.
pub(super) fn filled(text: &str) -> &str {
    match text.trim() {
        "" => "unknown",
        text => text,
    }
}
