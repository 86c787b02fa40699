//! What happened to a series on its way to an image, for those who trust the numbers.

/// Something that was done with a series or left out of it, and that its reader should know.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The slices are tilted or uneven, and were interpolated to a regular grid.
    Resampled {
        /// Angle between the direction of the stack and the slices' normal, where there is one: the gantry's tilt.
        tilt_degrees: Option<f64>,
        /// The least and the widest gap between slices, where they differ.
        gaps_mm: Option<[f64; 2]>,
        /// Distance between the slices of the regular grid.
        spacing_mm: f64,
    },
    /// Slices are missing; what stands in their places is interpolated.
    SlicesMissing {
        /// How many.
        slices: usize,
        /// Slices that are there.
        of: usize,
        /// Behind which slices, from 1 and ascending along the normal.
        behind: Vec<usize>,
    },
    /// Localizers lie in the series, in other planes.
    LocalizersLeftOut {
        /// How many.
        images: usize,
    },
    /// Images are there more than once, with the same pixels.
    CopiesLeftOut {
        /// How many.
        images: usize,
    },
    /// Objects of the series whose pixels are no grey values were left out.
    OthersLeftOut {
        /// How many.
        images: usize,
    },
    /// Files that are named as images, or empty, hold no DICOM.
    FilesWithout {
        /// How many.
        files: usize,
        /// The first of them.
        first: String,
    },
    /// White is low in the images (MONOCHROME1).
    Inverted,
    /// CT whose values are no Hounsfield units, as far as its tags say.
    NotHounsfield {
        /// Why.
        why: String,
    },
    /// PET whose values are no standardized uptake values.
    PetNotStandardized {
        /// What the values are.
        unit: String,
        /// Why there is no SUV.
        why: String,
    },
}

impl Note {
    /// The warning's code.
    pub fn code(&self) -> &'static str {
        match self {
            Note::Resampled { .. } => "resampled_grid",
            Note::SlicesMissing { .. } => "missing_slices",
            Note::LocalizersLeftOut { .. } => "localizers_left_out",
            Note::CopiesLeftOut { .. } => "duplicate_slices",
            Note::OthersLeftOut { .. } | Note::FilesWithout { .. } => "images_left_out",
            Note::Inverted => "inverted_grey",
            Note::NotHounsfield { .. } => "ct_not_hounsfield",
            Note::PetNotStandardized { .. } => "pet_not_suv",
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::Resampled {
                tilt_degrees,
                gaps_mm,
                spacing_mm,
            } => {
                let tilt = tilt_degrees.map(|tilt| format!("tilted by {tilt:.1} degrees"));
                let gaps = gaps_mm.map(|[least, most]| format!("unevenly spaced ({least:.2} to {most:.2} mm)"));
                let what: Vec<String> = [tilt, gaps].into_iter().flatten().collect();
                write!(
                    f,
                    "The slices are {}: image and masks are interpolated to a regular grid with slices {spacing_mm:.2} mm apart.",
                    what.join(" and ")
                )
            }
            Note::SlicesMissing { slices, of, behind } => {
                let shown: Vec<String> = behind.iter().take(8).map(usize::to_string).collect();
                let more = if behind.len() > 8 { ", ..." } else { "" };
                write!(
                    f,
                    "{slices} slice(s) are missing from the series, which has {of}: behind slice(s) {}{more}. What lies there is \
                     interpolated; measures that reach it are estimates.",
                    shown.join(", ")
                )
            }
            Note::LocalizersLeftOut { images } => {
                write!(f, "{images} localizer image(s) in the series were left out.")
            }
            Note::CopiesLeftOut { images } => {
                write!(
                    f,
                    "{images} image(s) are in the series twice, with the same pixels; one of each was taken."
                )
            }
            Note::OthersLeftOut { images } => {
                write!(
                    f,
                    "{images} object(s) of the series that are no grey images were left out."
                )
            }
            Note::FilesWithout { files, first } => write!(
                f,
                "{files} file(s) that are named like images or empty hold no DICOM ({first}): slices may be missing at an end of the scan."
            ),
            Note::Inverted => write!(
                f,
                "The images show low values white (MONOCHROME1); values are taken as they are stored."
            ),
            Note::NotHounsfield { why } => write!(f, "Intensities may be no Hounsfield units: {why}."),
            Note::PetNotStandardized { unit, why } => {
                write!(
                    f,
                    "Intensities are {unit}, not standardized uptake values (SUV): {why}."
                )
            }
        }
    }
}
