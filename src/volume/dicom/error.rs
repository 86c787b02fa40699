//! Why a DICOM series could not become an image.

use std::io;
use std::path::PathBuf;

use super::Segment;
use super::spot::Spot;

/// Why a DICOM file or series could not become a [`Volume`](crate::volume::Volume): the fault and the way out, without the path.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// One of the files.
    #[error("{}: {source}", file.display())]
    InFile {
        /// The file's name, without its folder.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<SeriesError>,
    },
    /// Elements that contradict the file or each other.
    #[error("the DICOM file is damaged: {0}; copy or export it again")]
    Damaged(String),
    /// A file that is not what it was when its header was read.
    #[error("the file changed while it was being read; ask again when it is complete")]
    Changed,
    /// A transfer syntax that nothing here knows.
    #[error(
        "the transfer syntax {0} is not known; export it as Explicit VR Little Endian, for example with gdcmconv --raw"
    )]
    Syntax(String),
    /// Pixels that nothing here decodes.
    #[error(
        "its pixels are stored as {syntax}, which {why}; export it as Explicit VR Little Endian, for example with gdcmconv --raw"
    )]
    Codec {
        /// The transfer syntax's name.
        syntax: String,
        /// Why not.
        why: String,
    },
    /// A folder without a DICOM image.
    #[error(
        "{files} file(s) were looked at here, and none is a DICOM image{others}; give the folder of a CT, MR or PET series, or a .nii or .nii.gz file"
    )]
    NoImages {
        /// Files looked at.
        files: usize,
        /// What DICOM there was, in words, or nothing.
        others: String,
    },
    /// More files than are looked at.
    #[error("there are more than {limit} files in this folder; give the folder of one series")]
    ManyFiles {
        /// How many are looked at.
        limit: usize,
    },
    /// Several series, of which one must be named.
    #[error("the folder holds {} series; name one as path#SeriesInstanceUID:\n{}", .0.len(), lines(.0))]
    ManySeries(Vec<SeriesLine>),
    /// A series that is not there.
    #[error("there is no series {uid} here; there is:\n{}", lines(.found))]
    NoSeries {
        /// As asked.
        uid: String,
        /// What there is.
        found: Vec<SeriesLine>,
    },
    /// Files of one series that are not of one scan.
    #[error("files of the series differ in {attribute}, so that they are not of one scan; give the files of one")]
    Mixed {
        /// The attribute's name.
        attribute: &'static str,
    },
    /// Images in all directions.
    #[error(
        "the images of the series lie in more than {limit} different planes, as projections do; give a series of parallel slices"
    )]
    ManyPlanes {
        /// How many may be.
        limit: usize,
    },
    /// More images than are put in order.
    #[error("the series has more than {limit} images; split it")]
    ManyImages {
        /// How many may be.
        limit: usize,
    },
    /// An object that is no CT, MR or PET image.
    #[error(
        "it is a DICOM object of modality {modality}, and CT, MR and PT (PET) images are read; give the image series"
    )]
    Modality {
        /// Modality (0008,0060).
        modality: String,
    },
    /// A zip file that wants a password.
    #[error("files in the zip file are encrypted; send them without a password")]
    Encrypted,
    /// An attribute without which voxels have no place or no value.
    #[error(
        "{attribute} is missing in {count} of {total} image(s), so that {consequence}; export the original series, not a derived picture of it"
    )]
    Missing {
        /// Its name in the standard.
        attribute: &'static str,
        /// In how many images.
        count: usize,
        /// Of how many.
        total: usize,
        /// What cannot be known.
        consequence: &'static str,
    },
    /// An attribute with a value that makes no sense.
    #[error("{attribute} is {value}, which makes no sense; export the series again")]
    Nonsense {
        /// Its name in the standard.
        attribute: &'static str,
        /// Its value.
        value: String,
    },
    /// Several pictures in one: what scanners of one maker do.
    #[error(
        "its images are Siemens mosaics, many slices in one picture; convert the series to NIfTI with dcm2niix, and give that"
    )]
    Mosaic,
    /// Colour, or something else than one number a pixel.
    #[error("its pixels are {0}, and one grey value a pixel is needed; give the original series")]
    NotGrey(String),
    /// One slice.
    #[error("the series has a single slice, and a volume is needed; give the folder with all of its slices")]
    SingleSlice,
    /// Slices so far apart that nothing is known of what lies between them.
    #[error(
        "there are {gap:.1} mm between slices {} and {}, ascending along the normal, where slices are {usual:.2} mm apart; export the whole series, or give the files of one part alone",
        behind, behind + 1
    )]
    Gap {
        /// The slice before the gap, from 1.
        behind: usize,
        /// Millimetres.
        gap: f64,
        /// Between other slices.
        usual: f64,
    },
    /// Images that make several volumes: in several planes, of several sizes, or at the same places.
    #[error("the series holds {} volumes, which differ in {attribute}; name one by its number, as in path#0:\n{}", .volumes.len(), numbered(.volumes))]
    ManyVolumes {
        /// What tells them apart.
        attribute: String,
        /// The value and the number of images of each.
        volumes: Vec<(String, usize)>,
    },
    /// A volume that is not there.
    #[error("there is no volume {asked} in the series, which has {volumes}; volumes are numbered from 0")]
    NoVolume {
        /// As asked.
        asked: usize,
        /// How many there are.
        volumes: usize,
    },
    /// Different images at one place that nothing tells apart.
    #[error(
        "{places} place(s) have several different images, and no attribute tells which belong together; split the series, and give the images of one volume"
    )]
    Duplicates {
        /// How many places.
        places: usize,
    },
    /// More than may be read.
    #[error(
        "the series has {promised} voxels, more than the limit of {limit}; crop or resample it first, or raise max_voxels"
    )]
    TooLarge {
        /// Voxels promised.
        promised: u64,
        /// Voxels allowed.
        limit: u64,
    },
    /// Pixels that are fewer or more than the header says.
    #[error("the header promises {promised} bytes of pixels, and there are {found}; copy or export it again")]
    Length {
        /// By rows, columns, frames and bits.
        promised: u64,
        /// In the file.
        found: u64,
    },
    /// An object that is no segmentation.
    #[error(
        "it is a DICOM {kind}, and masks are read from DICOM Segmentation (SEG) objects and from NIfTI; give the SEG, or a .nii or .nii.gz mask"
    )]
    NotSegmentation {
        /// What it is, by its SOP class.
        kind: String,
    },
    /// Parts or probabilities instead of in and out.
    #[error(
        "its segments are FRACTIONAL, a probability or a part at each voxel, and a mask is in or out; export it as a BINARY segmentation"
    )]
    Fractional,
    /// A segment that is not there.
    #[error("there is no segment {asked} in it; there is:\n{}", segments(.found))]
    NoSegment {
        /// As asked.
        asked: String,
        /// What there is.
        found: Vec<Segment>,
    },
    /// A segmentation that has no grid of its own.
    #[error(
        "its frames {why}, so that they make no even grid by themselves; give the scan that it was made on as image"
    )]
    NeedsImage {
        /// What is uneven.
        why: &'static str,
    },
    /// A segmentation of another image, or a resampled one.
    #[error(
        "{frames} of its {of} frame(s) lie on no plane of the image, pixel for voxel; give the scan that it was made on, or none"
    )]
    OffGrid {
        /// How many.
        frames: usize,
        /// Of how many.
        of: usize,
    },
    /// A segmentation of more than the image.
    #[error("{voxels} of its voxels lie outside of the image; give the scan that it was made on, or none")]
    OutsideImage {
        /// How many, of the first segment that has any there.
        voxels: u64,
    },
    /// A segmentation of another scan.
    #[error(
        "it lies in frame of reference {mask}, and the image in {image}, so that nobody knows how they lie to each other; give the scan that it was made on"
    )]
    OtherFrameOfReference {
        /// The segmentation's.
        mask: String,
        /// The image's.
        image: String,
    },
    /// Numbers that are none.
    #[error("{count} of its pixels are NaN, infinite or beyond float32; export it again")]
    NotFinite {
        /// How many.
        count: u64,
    },
}

impl SeriesError {
    /// One image lacks an attribute, and what cannot be known without it.
    pub(super) fn missing(attribute: &'static str, consequence: &'static str) -> SeriesError {
        SeriesError::Missing {
            attribute,
            count: 1,
            total: 1,
            consequence,
        }
    }

    /// The same error, of this file of the folder.
    pub(super) fn of(self, spot: &Spot) -> SeriesError {
        match self {
            SeriesError::InFile { .. } => self,
            source => SeriesError::InFile {
                file: spot.name(),
                source: Box::new(source),
            },
        }
    }
}

/// A series, for lists of what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesLine {
    /// Series Instance UID.
    pub uid: String,
    /// Modality.
    pub modality: String,
    /// Series Description, if it has one.
    pub description: Option<String>,
    /// Images.
    pub images: usize,
}

/// Series that a message lists; of more, it says how many.
const LISTED: usize = 20;

fn lines(series: &[SeriesLine]) -> String {
    let mut lines: Vec<String> = series
        .iter()
        .take(LISTED)
        .map(|line| {
            let description = line.description.as_deref().unwrap_or("no description");
            let uid = match line.uid.is_empty() {
                true => "without a Series Instance UID (name one of its files)",
                false => &line.uid,
            };
            format!("  {uid}  {}, {description}, {} image(s)", line.modality, line.images)
        })
        .collect();
    if series.len() > LISTED {
        lines.push(format!("  and {} more", series.len() - LISTED));
    }
    lines.join("\n")
}

fn segments(segments: &[Segment]) -> String {
    let lines = segments.iter().take(LISTED);
    let mut lines: Vec<String> = lines
        .map(|segment| {
            let label = segment.label.as_deref().unwrap_or("no label");
            format!("  {}  {label}", segment.number)
        })
        .collect();
    if segments.len() > LISTED {
        lines.push(format!("  and {} more", segments.len() - LISTED));
    }
    lines.join("\n")
}

fn numbered(volumes: &[(String, usize)]) -> String {
    let lines = volumes.iter().zip(0..).take(LISTED);
    let mut lines: Vec<String> = lines
        .map(|((value, images), n)| format!("  #{n}: {value}, {images} image(s)"))
        .collect();
    if volumes.len() > LISTED {
        lines.push(format!("  and {} more", volumes.len() - LISTED));
    }
    lines.join("\n")
}
