//! What a file says of its images: where they lie, what their pixels mean, and what could tell one from another.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::{Groups, array, count, number, numbers, text, texts};
use super::file::Dicom;
use super::spot::{Seen, Spot};
use super::walk::{Pixels, Walked};
use super::{SeriesError, SourceInstance};

/// Rows and columns of a frame at most: they have two bytes each.
pub(super) const MOST_ALONG: usize = u16::MAX as usize;
/// Frames of a file at most.
pub(super) const MOST_FRAMES: usize = 1 << 16;

/// A file with images, without its header.
#[derive(Debug)]
pub(super) struct Instance {
    pub spot: Spot,
    pub seen: Seen,
    pub syntax: String,
    pub walked: Walked,
    pub source: SourceInstance,
    pub layout: Layout,
    pub frames: usize,
}

/// How a frame's pixels are stored (PS3.3 section C.7.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub rows: usize,
    pub columns: usize,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub high_bit: u16,
    pub signed: bool,
}

impl Layout {
    /// Pixels of a frame.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Bytes of a frame that is not compressed.
    pub fn bytes(&self) -> usize {
        self.len() * usize::from(self.bits_allocated / 8)
    }
}

/// One image: a file of one frame, or a frame of several. Where it lies is known ([`Place`]), or what is said of it ([`Told`]).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Image<P = Place> {
    /// Which of the series' instances it lies in.
    pub instance: usize,
    /// Its index within the file, from 0.
    pub frame: usize,
    /// Whether the file may have several.
    pub multi_frame: bool,
    pub place: P,
    pub size: [usize; 2],
    pub slope: f64,
    pub intercept: f64,
    /// Whether it calls itself a localizer.
    pub localizer: bool,
    /// Instance Number, else the frame's.
    pub order: i64,
    /// What could tell it from another at the same place, in the order of [`MARKS`].
    pub marks: Vec<Option<String>>,
}

/// Where an image lies in the patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Image Position (Patient).
    pub position: [f64; 3],
    /// Image Orientation (Patient).
    pub orientation: [f64; 6],
    /// Pixel Spacing: between rows, between columns.
    pub spacing: [f64; 2],
}

/// What a file says of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    pub position: Option<[f64; 3]>,
    pub orientation: Option<[f64; 6]>,
    pub spacing: Option<[f64; 2]>,
}

impl Image<Told> {
    /// The image where it lies, if its file says all that it takes.
    pub fn placed(&self) -> Option<Image> {
        let place = Place {
            position: self.place.position?,
            orientation: self.place.orientation?,
            spacing: self.place.spacing?,
        };
        let Image {
            instance,
            frame,
            multi_frame,
            size,
            slope,
            intercept,
            localizer,
            order,
            ..
        } = *self;
        Some(Image {
            instance,
            frame,
            multi_frame,
            place,
            size,
            slope,
            intercept,
            localizer,
            order,
            marks: self.marks.clone(),
        })
    }
}

/// What may tell volumes of one series apart, from what is most likely meant to what always differs somehow.
pub(super) const MARKS: [(&str, Tag); 14] = [
    ("Stack ID", tags::STACK_ID),
    ("Echo Time", tags::ECHO_TIME),
    ("Diffusion b-value", tags::DIFFUSION_B_VALUE),
    ("Diffusion Gradient Orientation", tags::DIFFUSION_GRADIENT_ORIENTATION),
    ("Image Type", tags::IMAGE_TYPE),
    ("Inversion Time", tags::INVERSION_TIME),
    ("Flip Angle", tags::FLIP_ANGLE),
    ("Temporal Position", tags::TEMPORAL_POSITION_IDENTIFIER),
    ("Trigger Time", tags::TRIGGER_TIME),
    ("Frame Reference Time", tags::FRAME_REFERENCE_TIME),
    ("Acquisition Number", tags::ACQUISITION_NUMBER),
    ("Convolution Kernel", tags::CONVOLUTION_KERNEL),
    ("Series Time", tags::SERIES_TIME),
    ("Acquisition Time", tags::ACQUISITION_TIME),
];

/// The images of a file, and what the file is.
///
/// # Errors
/// When its pixels are none that one grey value each could be read from.
pub(super) fn images(dicom: &Dicom, spot: Spot) -> Result<(Instance, Vec<Image<Told>>), SeriesError> {
    let header = &dicom.header;
    let layout = layout(header)?;
    let declared = count(header, tags::NUMBER_OF_FRAMES);
    let frames = declared.unwrap_or(1).max(1);
    if frames > MOST_FRAMES {
        return Err(SeriesError::Nonsense {
            attribute: "Number of Frames",
            value: frames.to_string(),
        });
    }
    // Nothing is made for frames that are only promised.
    holds(&dicom.walked, frames, &layout)?;
    // A multi-frame object of the old kind says of its frames only how many they are.
    let enhanced = header.get(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).is_some();
    let file = Instance {
        spot,
        seen: dicom.seen,
        syntax: dicom.syntax.clone(),
        walked: dicom.walked.clone(),
        source: SourceInstance {
            class_uid: text(header, tags::SOP_CLASS_UID).unwrap_or_default(),
            uid: text(header, tags::SOP_INSTANCE_UID).unwrap_or_default(),
        },
        layout,
        frames,
    };
    let images = (0..frames).map(|frame| {
        let facts = Facts {
            header,
            groups: Groups::of(header, frame),
        };
        facts.image(frame, enhanced, &layout)
    });
    Ok((file, images.collect()))
}

/// Bytes by which pixels may be longer than they should be, whatever they are.
pub(super) const PADDING: u64 = 16;

/// Whether there are as many pixels as are promised; of compressed ones, at least a fragment a frame.
fn holds(walked: &Walked, frames: usize, layout: &Layout) -> Result<(), SeriesError> {
    let exactly = |bytes: usize, found: u64| {
        let promised = bytes as u64 * frames as u64;
        // Some writers fill up with zeros to whole blocks, as is looked for when pixels are read; what is as long as a frame is another
        // matter.
        match found < promised || found >= promised + PADDING.max(bytes as u64) {
            true => Err(SeriesError::Length { promised, found }),
            false => Ok(()),
        }
    };
    match (&walked.floats, &walked.pixels) {
        (Some(floats), _) => exactly(layout.len() * floats.size(), floats.length),
        (None, Some(Pixels::Native { length, .. })) if layout.bits_allocated <= 32 => exactly(layout.bytes(), *length),
        (None, Some(Pixels::Encapsulated { fragments, .. })) if fragments.len() >= frames => Ok(()),
        (None, Some(Pixels::Encapsulated { fragments, .. })) => Err(SeriesError::Damaged(format!(
            "it promises {frames} frames, and has {} fragments of compressed pixels",
            fragments.len()
        ))),
        (None, Some(_)) => Err(SeriesError::Nonsense {
            attribute: "Bits Allocated",
            value: format!("{} for whole numbers", layout.bits_allocated),
        }),
        (None, None) => Err(SeriesError::missing("Pixel Data", "there is nothing to see")),
    }
}

/// How the pixels are stored.
fn layout(header: &InMemDicomObject) -> Result<Layout, SeriesError> {
    let of = |tag: Tag, attribute: &'static str| {
        count(header, tag).ok_or(SeriesError::missing(attribute, "its pixels cannot be read"))
    };
    let samples = count(header, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
    if header.get(tags::MODALITY_LUT_SEQUENCE).is_some() {
        return Err(SeriesError::NotGrey(
            "values of a Modality LUT, which is not applied".into(),
        ));
    }
    let photometric = text(header, tags::PHOTOMETRIC_INTERPRETATION).unwrap_or_default();
    if samples != 1 || !matches!(&photometric[..], "MONOCHROME2" | "MONOCHROME1" | "") {
        return Err(SeriesError::NotGrey(format!(
            "{photometric} with {samples} sample(s) a pixel"
        )));
    }
    let (rows, columns) = (of(tags::ROWS, "Rows")?, of(tags::COLUMNS, "Columns")?);
    let allocated = of(tags::BITS_ALLOCATED, "Bits Allocated")?;
    let stored = count(header, tags::BITS_STORED).unwrap_or(allocated);
    let high = count(header, tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
    let sound = rows.max(columns) <= MOST_ALONG
        && matches!(allocated, 8 | 16 | 32 | 64)
        && stored >= 1
        && high + 1 >= stored
        && high < allocated;
    if rows == 0 || columns == 0 || !sound {
        return Err(SeriesError::Nonsense {
            attribute: "Rows, Columns, Bits Allocated, Bits Stored and High Bit",
            value: format!("{rows}, {columns}, {allocated}, {stored} and {high}"),
        });
    }
    Ok(Layout {
        rows,
        columns,
        bits_allocated: allocated as u16,
        bits_stored: stored as u16,
        high_bit: high as u16,
        signed: count(header, tags::PIXEL_REPRESENTATION) == Some(1),
    })
}

/// Where the attributes of one image stand: in the data set itself, or in functional groups.
struct Facts<'a> {
    header: &'a InMemDicomObject,
    groups: Groups<'a>,
}

impl Facts<'_> {
    fn image(&self, frame: usize, multi_frame: bool, layout: &Layout) -> Image<Told> {
        let rescale = self.place(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let measures = self.place(tags::PIXEL_MEASURES_SEQUENCE);
        let kinds = self.kinds();
        let order = |tag| {
            self.header
                .get(tag)
                .and_then(|element| element.value().to_int::<i64>().ok())
        };
        Image {
            instance: 0,
            frame,
            multi_frame,
            place: Told {
                position: array(self.place(tags::PLANE_POSITION_SEQUENCE), tags::IMAGE_POSITION_PATIENT),
                orientation: array(
                    self.place(tags::PLANE_ORIENTATION_SEQUENCE),
                    tags::IMAGE_ORIENTATION_PATIENT,
                ),
                spacing: array(measures, tags::PIXEL_SPACING),
            },
            size: [layout.columns, layout.rows],
            slope: number(rescale, tags::RESCALE_SLOPE).unwrap_or(1.0),
            intercept: number(rescale, tags::RESCALE_INTERCEPT).unwrap_or(0.0),
            localizer: kinds.iter().any(|kind| kind == "LOCALIZER"),
            order: match multi_frame {
                true => frame as i64,
                false => order(tags::INSTANCE_NUMBER).unwrap_or(0),
            },
            marks: MARKS.iter().map(|(_, tag)| self.mark(*tag, &kinds)).collect(),
        }
    }

    /// The functional group, or the data set where there are none.
    fn place(&self, sequence: Tag) -> &InMemDicomObject {
        self.groups.get(sequence).unwrap_or(self.header)
    }

    /// Image Type, or the Frame Type of enhanced objects.
    fn kinds(&self) -> Vec<String> {
        let sequences = [
            tags::MR_IMAGE_FRAME_TYPE_SEQUENCE,
            tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
            tags::PET_FRAME_TYPE_SEQUENCE,
        ];
        let frame = sequences.into_iter().find_map(|sequence| self.groups.get(sequence));
        match frame {
            Some(frame) => texts(frame, tags::FRAME_TYPE),
            None => texts(self.header, tags::IMAGE_TYPE),
        }
    }

    fn mark(&self, tag: Tag, kinds: &[String]) -> Option<String> {
        let enhanced = |sequence, tag| self.groups.get(sequence).and_then(|group| text(group, tag));
        match tag {
            tags::IMAGE_TYPE => Some(kinds.join("\\")).filter(|kinds| !kinds.is_empty()),
            tags::STACK_ID => enhanced(tags::FRAME_CONTENT_SEQUENCE, tag),
            tags::ECHO_TIME => {
                enhanced(tags::MR_ECHO_SEQUENCE, tags::EFFECTIVE_ECHO_TIME).or_else(|| text(self.header, tag))
            }
            tags::TEMPORAL_POSITION_IDENTIFIER => {
                enhanced(tags::FRAME_CONTENT_SEQUENCE, tags::TEMPORAL_POSITION_INDEX).or_else(|| text(self.header, tag))
            }
            tags::DIFFUSION_B_VALUE => enhanced(tags::MR_DIFFUSION_SEQUENCE, tag)
                .or_else(|| text(self.header, tag))
                .or_else(|| self.b_value_of_makers()),
            tags::DIFFUSION_GRADIENT_ORIENTATION => {
                let direction = self.groups.get(tags::MR_DIFFUSION_SEQUENCE);
                let direction =
                    direction.and_then(|of| super::attributes::item(of, tags::DIFFUSION_GRADIENT_DIRECTION_SEQUENCE));
                direction
                    .and_then(|of| text(of, tag))
                    .or_else(|| text(self.header, tag))
            }
            _ => text(self.header, tag),
        }
    }

    /// b-values where Siemens and GE kept them before there was an attribute.
    fn b_value_of_makers(&self) -> Option<String> {
        let maker = text(self.header, tags::MANUFACTURER)?.to_uppercase();
        let value = if maker.contains("SIEMENS") {
            number(self.header, Tag(0x0019, 0x100c))?
        } else if maker.starts_with("GE") {
            // GE adds a thousand million to tell its own kind of value.
            numbers(self.header, Tag(0x0043, 0x1039))?.first()? % 1e9
        } else {
            return None;
        };
        Some(value.to_string())
    }
}
