//! How the images of a series lie behind one another, and the grid that they make.
//!
//! Pure geometry, in DICOM's LPS+ millimetres until the grid. Slices ascend along the normal, the cross product of the
//! directions of a row and of a column (PS3.3 section C.7.6.2.1.1). The step from one to the next is that from the first
//! to the last divided by their number, so that rounded positions do not add up.

use super::SeriesError;
use super::choice::{Same, chosen, one_volume};
use super::image::{Image, Told};
use super::note::Note;
use super::vectors::{cross, dot, length, minus, plus, scaled};
use crate::volume::{Affine, Grid};

/// Planes of a series at most: rotating views have one each.
const MOST_PLANES: usize = 64;
/// Millimetres by which slices may be shifted against each other: no scan is as wide.
const MOST_SHIFT_MM: f64 = 2000.0;
/// How far a slice may lie from where even steps put it, as part of the step: scanners round positions.
pub(super) const UNEVEN: f64 = 0.05;
/// The same in millimetres, for thin slices.
pub(super) const UNEVEN_MM: f64 = 0.06;
/// The sine of the angle from which slices that are shifted against each other are tilted.
pub(super) const TILTED: f64 = 0.0035;
/// Gaps of more steps than these, and of more millimetres, are not interpolated over: what would stand there were invented.
const MOST_STEPS: f64 = 10.0;
const MOST_GAP_MM: f64 = 30.0;
/// Millimetres between slices that some series could have.
pub(super) const STEP_MM: std::ops::RangeInclusive<f64> = 1e-2..=100.0;

/// Images in order, on a grid.
#[derive(Debug)]
pub(super) struct Stack {
    /// Ascending along the normal.
    pub images: Vec<Image>,
    pub plane: Plane,
    /// The volume's grid: that of the slices, or an even and upright one around them.
    pub grid: Grid,
    /// How the slices lie in an even grid that is not theirs.
    pub uneven: Option<Uneven>,
    pub notes: Vec<Note>,
}

/// What all images of a stack have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plane {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Millimetres between columns and between rows.
    pub spacing: [f64; 2],
    /// Image Orientation (Patient): unit vectors along a row and along a column.
    pub orientation: [f64; 6],
}

impl Plane {
    pub fn row(&self) -> [f64; 3] {
        [self.orientation[0], self.orientation[1], self.orientation[2]]
    }

    pub fn column(&self) -> [f64; 3] {
        [self.orientation[3], self.orientation[4], self.orientation[5]]
    }

    pub fn normal(&self) -> [f64; 3] {
        let normal = cross(self.row(), self.column());
        scaled(normal, 1.0 / length(normal))
    }

    /// Whether an image has the same size, spacing and directions.
    pub fn agrees_with(&self, other: &Plane) -> bool {
        self.size == other.size
            && (0..2).all(|axis| (self.spacing[axis] / other.spacing[axis] - 1.0).abs() < 1e-3)
            && (0..6).all(|n| (self.orientation[n] - other.orientation[n]).abs() < 2e-3)
    }

    /// Whether directions and spacing make sense.
    pub fn check(&self) -> Result<(), SeriesError> {
        let (row, column) = (self.row(), self.column());
        let upright =
            (length(row) - 1.0).abs() < 0.01 && (length(column) - 1.0).abs() < 0.01 && dot(row, column).abs() < 0.01;
        if !upright {
            return Err(SeriesError::Nonsense {
                attribute: "Image Orientation (Patient)",
                value: format!("{:?}", self.orientation),
            });
        }
        let [between_columns, between_rows] = self.spacing;
        if !self.spacing.iter().all(|mm| (1e-3..=100.0).contains(mm)) {
            return Err(SeriesError::Nonsense {
                attribute: "Pixel Spacing",
                value: format!("{:?} mm", [between_rows, between_columns]),
            });
        }
        Ok(())
    }

    /// The plane for people: "axial, 512 x 512".
    fn words(&self) -> String {
        let normal = self.normal().map(f64::abs);
        let names = ["sagittal", "coronal", "axial"];
        let most = (0..3).max_by(|a, b| normal[*a].total_cmp(&normal[*b])).unwrap_or(2);
        let oblique = if normal[most] < 0.99 { "oblique " } else { "" };
        format!("{oblique}{}, {} x {}", names[most], self.size[0], self.size[1])
    }
}

/// Where slices lie in an even grid: in voxels of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Uneven {
    /// Of each slice: its first pixel's column, row and depth.
    pub places: Vec<[f64; 3]>,
}

/// Puts the images of a series in order.
///
/// `volume` is which volume is wanted where there are several, from 0; `same` tells whether images have the same pixels.
pub(super) fn arrange(images: &[Image<Told>], volume: Option<usize>, same: Same<'_>) -> Result<Stack, SeriesError> {
    let images = all_placed(images)?;
    let mut notes = Vec::new();
    let (plane, images, volume) = one_plane(images, volume, &mut notes)?;
    let normal = plane.normal();
    let mut images: Vec<(f64, Image)> = images
        .into_iter()
        .map(|image| (dot(image.place.position, normal), image))
        .collect();
    images.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.order.cmp(&b.1.order)));
    let images = one_volume(images, volume, same, &mut notes)?;
    grid(plane, images, notes)
}

/// The images of one plane and size: all of them, those that are no localizers, or the ones that were asked for; and what is left of
/// the choice then.
fn one_plane(
    images: Vec<Image>,
    volume: Option<usize>,
    notes: &mut Vec<Note>,
) -> Result<(Plane, Vec<Image>, Option<usize>), SeriesError> {
    let mut groups: Vec<(Plane, Vec<Image>)> = Vec::new();
    for image in images {
        let plane = plane_of(&image)?;
        match groups.iter().position(|(other, _)| other.agrees_with(&plane)) {
            Some(at) => groups[at].1.push(image),
            None if groups.len() < MOST_PLANES => groups.push((plane, vec![image])),
            None => return Err(SeriesError::ManyPlanes { limit: MOST_PLANES }),
        }
    }
    if groups.len() > 1 {
        let localizers: usize = groups
            .iter()
            .filter(|(_, group)| all_localizers(group))
            .map(|(_, group)| group.len())
            .sum();
        if groups.iter().filter(|(_, group)| !all_localizers(group)).count() == 1 {
            groups.retain(|(_, group)| !all_localizers(group));
            notes.push(Note::LocalizersLeftOut { images: localizers });
        }
    }
    if groups.len() > 1 {
        groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.len()));
        let volumes = groups
            .iter()
            .map(|(plane, group)| (plane.words(), group.len()))
            .collect();
        let at = chosen(volume, volumes, "the plane or the size of their images")?;
        let (plane, images) = groups.swap_remove(at);
        return Ok((plane, images, None));
    }
    let (plane, images) = groups.pop().ok_or(SeriesError::SingleSlice)?;
    Ok((plane, images, volume))
}

fn all_localizers(group: &[Image]) -> bool {
    group.iter().all(|image| image.localizer)
}

fn plane_of(image: &Image) -> Result<Plane, SeriesError> {
    let [between_rows, between_columns] = image.place.spacing;
    let plane = Plane {
        size: image.size,
        spacing: [between_columns, between_rows],
        orientation: image.place.orientation,
    };
    plane.check()?;
    Ok(plane)
}

/// The images where they lie: all of them have to say so, and how large their pixels are.
fn all_placed(images: &[Image<Told>]) -> Result<Vec<Image>, SeriesError> {
    let placed: Option<Vec<Image>> = images.iter().map(Image::placed).collect();
    placed.ok_or_else(|| {
        let lack = |lacks: fn(&Told) -> bool| images.iter().filter(|image| lacks(&image.place)).count();
        let nowhere = "their place in the patient is unknown";
        let (attribute, count, consequence) = [
            (
                "Image Position (Patient)",
                lack(|told| told.position.is_none()),
                nowhere,
            ),
            (
                "Image Orientation (Patient)",
                lack(|told| told.orientation.is_none()),
                nowhere,
            ),
        ]
        .into_iter()
        .find(|(_, count, _)| *count > 0)
        .unwrap_or((
            "Pixel Spacing",
            lack(|told| told.spacing.is_none()),
            "their size is unknown",
        ));
        SeriesError::Missing {
            attribute,
            count,
            total: images.len(),
            consequence,
        }
    })
}

/// The grid of slices in order, and whether it is theirs.
fn grid(plane: Plane, images: Vec<Image>, mut notes: Vec<Note>) -> Result<Stack, SeriesError> {
    let normal = plane.normal();
    let positions: Vec<[f64; 3]> = images.iter().map(|image| image.place.position).collect();
    let (first, last) = (positions[0], positions[positions.len() - 1]);
    let steps = (positions.len() - 1) as f64;
    let step = scaled(minus(last, first), 1.0 / steps);
    let along = dot(step, normal);
    let sideways = length(minus(step, scaled(normal, along)));
    let allowed = (UNEVEN * along).max(UNEVEN_MM);
    let even = positions
        .iter()
        .enumerate()
        .all(|(k, position)| length(minus(*position, plus(first, scaled(step, k as f64)))) <= allowed);
    let pixel = plane.spacing[0].min(plane.spacing[1]);
    let tilted = sideways > TILTED * along && sideways * steps > pixel / 2.0;
    let gaps: Vec<f64> = positions
        .windows(2)
        .map(|pair| dot(minus(pair[1], pair[0]), normal))
        .collect();
    if !STEP_MM.contains(&along) {
        return Err(SeriesError::Nonsense {
            attribute: "the distance between slices",
            value: format!("{along:.4} mm"),
        });
    }
    if even && !tilted {
        let grid = placed(&plane, plane.size, positions.len(), first, step);
        return Ok(Stack {
            images,
            plane,
            grid,
            uneven: None,
            notes,
        });
    }
    let usual = usual_gap(&gaps);
    let wide = gaps.iter().position(|gap| *gap > (MOST_STEPS * usual).max(MOST_GAP_MM));
    if let Some(at) = wide {
        return Err(SeriesError::Gap {
            behind: at + 1,
            gap: gaps[at],
            usual,
        });
    }
    let (grid, uneven) = evened(&plane, &positions, &gaps)?;
    let missing = missing(&gaps);
    if !missing.is_empty() {
        notes.push(Note::SlicesMissing {
            slices: missing.iter().map(|(_, slices)| slices).sum(),
            of: positions.len(),
            behind: missing.iter().map(|(at, _)| at + 1).collect(),
        });
    }
    let least = gaps.iter().copied().fold(f64::INFINITY, f64::min);
    let widest = gaps.iter().copied().fold(0.0, f64::max);
    notes.push(Note::Resampled {
        tilt_degrees: tilted.then(|| sideways.atan2(along).to_degrees()),
        gaps_mm: (!even_gaps(&gaps)).then_some([least, widest]),
        spacing_mm: grid.spacing()[2],
    });
    Ok(Stack {
        images,
        plane,
        grid,
        uneven: Some(uneven),
        notes,
    })
}

fn even_gaps(gaps: &[f64]) -> bool {
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    gaps.iter()
        .all(|gap| (gap - mean).abs() <= (UNEVEN * mean).max(UNEVEN_MM))
}

/// The gap that most slices have behind them, more or less: the smallest that is at least half of the median. Slices that lie
/// on top of each other where two parts of a scan meet do not make the whole grid fine.
fn usual_gap(gaps: &[f64]) -> f64 {
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted[sorted.len() / 2] / 2.0;
    sorted.into_iter().find(|gap| *gap >= half).unwrap_or(half * 2.0)
}

/// Gaps in which whole slices are missing, and how many: lone gaps of several times what all others are.
fn missing(gaps: &[f64]) -> Vec<(usize, usize)> {
    let usual = usual_gap(gaps);
    let allowed = (UNEVEN * usual).max(UNEVEN_MM);
    let times = |gap: f64| (gap / usual).round();
    let whole = gaps
        .iter()
        .all(|gap| (gap - usual * times(*gap)).abs() <= allowed * times(*gap).max(1.0));
    let wide: Vec<(usize, usize)> = gaps
        .iter()
        .enumerate()
        .filter(|(_, gap)| times(**gap) > 1.0)
        .map(|(at, gap)| (at, times(*gap) as usize - 1))
        .collect();
    // Where many gaps are wide, the scan was made so.
    match whole && wide.len() * 4 <= gaps.len() {
        true => wide,
        false => Vec::new(),
    }
}

/// An even grid with the slices' plane around all slices, and where they lie in it.
fn evened(plane: &Plane, positions: &[[f64; 3]], gaps: &[f64]) -> Result<(Grid, Uneven), SeriesError> {
    let (row, column, normal) = (plane.row(), plane.column(), plane.normal());
    let first = positions[0];
    let extent: f64 = gaps.iter().sum();
    let count = (extent / usual_gap(gaps)).round().max(1.0);
    let spacing = extent / count;
    let mut places: Vec<[f64; 3]> = positions
        .iter()
        .map(|position| {
            let from = minus(*position, first);
            [
                dot(from, row) / plane.spacing[0],
                dot(from, column) / plane.spacing[1],
                dot(from, normal) / spacing,
            ]
        })
        .collect();
    // The grid begins a whole number of pixels before the first slice does, so that an untouched slice stays untouched.
    let mut size = plane.size;
    let mut origin = first;
    for (axis, along) in [row, column].into_iter().enumerate() {
        let least = places.iter().map(|place| place[axis]).fold(0.0, f64::min);
        let most = places.iter().map(|place| place[axis]).fold(0.0, f64::max);
        let before = (-least - 1e-3).ceil().max(0.0);
        let behind = (most - 1e-3).ceil().max(0.0);
        if (before + behind) * plane.spacing[axis] > MOST_SHIFT_MM {
            return Err(SeriesError::Nonsense {
                attribute: "Image Position (Patient)",
                value: format!(
                    "such that slices lie {:.0} mm beside each other",
                    (before + behind) * plane.spacing[axis]
                ),
            });
        }
        size[axis] += (before + behind) as usize;
        origin = minus(origin, scaled(along, before * plane.spacing[axis]));
        places.iter_mut().for_each(|place| place[axis] += before);
    }
    let grid = placed(plane, size, count as usize + 1, origin, scaled(normal, spacing));
    Ok((grid, Uneven { places }))
}

/// A grid of `size` columns and rows and `slices`, from LPS+ to RAS+.
pub(super) fn placed(plane: &Plane, size: [usize; 2], slices: usize, origin: [f64; 3], step: [f64; 3]) -> Grid {
    let columns = [
        scaled(plane.row(), plane.spacing[0]),
        scaled(plane.column(), plane.spacing[1]),
        step,
        origin,
    ];
    let mut affine = Affine::identity();
    for (at, vector) in columns.into_iter().enumerate() {
        for (axis, value) in vector.into_iter().enumerate() {
            affine[(axis, at)] = if axis < 2 { -value } else { value };
        }
    }
    Grid::new([size[0], size[1], slices], affine)
}

#[cfg(test)]
#[path = "stack_tests.rs"]
mod tests;
