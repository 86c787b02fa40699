//! Which images make the volume that is meant, where a series has more than one at a place.

use std::collections::BTreeMap;

use super::SeriesError;
use super::image::{Image, MARKS};
use super::note::Note;

/// Positions this close are one place.
pub(super) const SAME_MM: f64 = 1e-3;
/// Images at one place at most of which is asked whether they are the same.
const MOST_COPIES: usize = 16;
/// Marks that slices of one volume do not differ in: the first of [`MARKS`].
const OF_A_VOLUME: [&str; 5] = [
    "Stack ID",
    "Echo Time",
    "Diffusion b-value",
    "Image Type",
    "Temporal Position",
];

/// Whether two images have the same pixels.
pub(super) type Same<'a> = &'a dyn Fn(&[&Image]) -> Result<bool, SeriesError>;

/// Which of several volumes was asked for, as an index.
pub(super) fn chosen(
    volume: Option<usize>,
    volumes: Vec<(String, usize)>,
    attribute: &str,
) -> Result<usize, SeriesError> {
    match volume {
        None => Err(SeriesError::ManyVolumes {
            attribute: attribute.to_owned(),
            volumes,
        }),
        Some(asked) if asked >= volumes.len() => Err(SeriesError::NoVolume {
            asked,
            volumes: volumes.len(),
        }),
        Some(asked) => Ok(asked),
    }
}

/// One image a place: copies left out, and of several volumes the one that was asked for. Images come with their depths, ascending.
pub(super) fn one_volume(
    images: Vec<(f64, Image)>,
    volume: Option<usize>,
    same: Same<'_>,
    notes: &mut Vec<Note>,
) -> Result<Vec<Image>, SeriesError> {
    let places = places(images);
    if places.len() < 2 {
        return Err(SeriesError::SingleSlice);
    }
    let most = places.iter().map(|(_, place)| place.len()).max().unwrap_or(0);
    if let Some((name, mut volumes)) = told_apart(&places, most) {
        let listed = volumes
            .iter()
            .map(|(value, images)| (value.clone(), images.len()))
            .collect();
        let at = chosen(volume, listed, &name)?;
        return Ok(volumes.swap_remove(at).1);
    }
    if most == 1 {
        // A series of one volume has a first one, and no second.
        chosen(Some(volume.unwrap_or(0)), vec![(String::new(), places.len())], "")?;
        return Ok(places.into_iter().flat_map(|(_, place)| place).collect());
    }
    let crowded: Vec<&Vec<Image>> = places
        .iter()
        .map(|(_, place)| place)
        .filter(|place| place.len() > 1)
        .collect();
    let mut unclear = 0;
    for place in &crowded {
        let images: Vec<&Image> = place.iter().collect();
        if images.len() > MOST_COPIES || !same(&images)? {
            unclear = crowded.len();
            break;
        }
    }
    if unclear == 0 {
        let left_out = crowded.iter().map(|place| place.len() - 1).sum();
        notes.push(Note::CopiesLeftOut { images: left_out });
        chosen(Some(volume.unwrap_or(0)), vec![(String::new(), places.len())], "")?;
        return Ok(places.into_iter().map(|(_, mut place)| place.swap_remove(0)).collect());
    }
    // The last way: the same number of images at every place, one volume after the other.
    if most <= MOST_COPIES && places.iter().all(|(_, place)| place.len() == most) {
        let words = |at: usize| {
            let marks = places[0].1[at]
                .marks
                .iter()
                .zip(MARKS)
                .filter_map(|(mark, (name, _))| Some((name, mark.as_ref()?)));
            let marks: Vec<String> = marks.take(4).map(|(name, mark)| format!("{name} {mark}")).collect();
            match marks.is_empty() {
                true => "no mark".to_owned(),
                false => marks.join(", "),
            }
        };
        let listed = (0..most).map(|at| (words(at), places.len())).collect();
        let at = chosen(volume, listed, "the order of Instance Number alone")?;
        return Ok(places.into_iter().map(|(_, mut place)| place.swap_remove(at)).collect());
    }
    Err(SeriesError::Duplicates { places: unclear })
}

/// Images by place, each place's in the order of their numbers.
fn places(images: Vec<(f64, Image)>) -> Vec<(f64, Vec<Image>)> {
    let mut places: Vec<(f64, Vec<Image>)> = Vec::new();
    for (depth, image) in images {
        match places.last_mut() {
            Some((last, place)) if depth - *last < SAME_MM => place.push(image),
            _ => places.push((depth, vec![image])),
        }
    }
    places
        .iter_mut()
        .for_each(|(_, place)| place.sort_by_key(|image| image.order));
    places
}

type Volumes = Vec<(String, Vec<Image>)>;

/// The volumes that a mark tells apart, or two together, and what they are called.
fn told_apart(places: &[(f64, Vec<Image>)], most: usize) -> Option<(String, Volumes)> {
    if most == 1 {
        // Two volumes may lie between each other's slices.
        return OF_A_VOLUME.iter().find_map(|name| {
            let at = MARKS.iter().position(|(mark, _)| mark == name)?;
            let volumes = by_value(places, |image| image.marks[at].clone())?;
            interleaved(&volumes).then(|| ((*name).to_owned(), without_depths(volumes)))
        });
    }
    let single = MARKS.iter().enumerate().find_map(|(at, (name, _))| {
        let volumes = by_value(places, |image| image.marks[at].clone())?;
        Some(((*name).to_owned(), without_depths(volumes)))
    });
    single.or_else(|| {
        let pairs = (0..MARKS.len()).flat_map(|a| (a + 1..MARKS.len()).map(move |b| (a, b)));
        pairs.into_iter().find_map(|(a, b)| {
            let both = |image: &Image| Some(format!("{}, {}", image.marks[a].as_ref()?, image.marks[b].as_ref()?));
            let volumes = by_value(places, both)?;
            Some((format!("{} and {}", MARKS[a].0, MARKS[b].0), without_depths(volumes)))
        })
    })
}

/// A volume's value, and its images with their depths.
type Apart = Vec<(String, Vec<(f64, Image)>)>;

fn without_depths(volumes: Apart) -> Volumes {
    let bare = |images: Vec<(f64, Image)>| images.into_iter().map(|(_, image)| image).collect();
    volumes
        .into_iter()
        .map(|(value, images)| (value, bare(images)))
        .collect()
}

/// Images by a value: no two of one value at the same place, and more than one of each.
fn by_value(places: &[(f64, Vec<Image>)], mark: impl Fn(&Image) -> Option<String>) -> Option<Apart> {
    let mut places_of: BTreeMap<Value, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, (_, place)) in places.iter().enumerate() {
        let mut seen = Vec::new();
        for (n, image) in place.iter().enumerate() {
            let value = mark(image)?;
            if seen.contains(&value) {
                return None;
            }
            places_of.entry(Value::of(value.clone())).or_default().push((at, n));
            seen.push(value);
        }
    }
    // Times that differ from slice to slice tell slices apart, not volumes.
    let sound = places_of.len() > 1 && places_of.values().all(|images| images.len() > 1);
    sound.then(|| {
        let images = |of: Vec<(usize, usize)>| {
            of.iter()
                .map(|&(at, n)| (places[at].0, places[at].1[n].clone()))
                .collect()
        };
        places_of
            .into_iter()
            .map(|(value, of)| (value.text, images(of)))
            .collect()
    })
}

/// Whether any two volumes lie within each other for more than half of the shorter one's length.
fn interleaved(volumes: &Apart) -> bool {
    let ends: Vec<(f64, f64)> = volumes
        .iter()
        .filter_map(|(_, images)| Some((images.first()?.0, images.last()?.0)))
        .collect();
    ends.iter().enumerate().any(|(n, a)| {
        ends[n + 1..].iter().any(|b| {
            let shared = a.1.min(b.1) - a.0.max(b.0);
            shared > 0.5 * (a.1 - a.0).min(b.1 - b.0)
        })
    })
}

/// Text that is sorted by its numbers where it has some.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    number: i64,
    text: String,
}

impl Value {
    fn of(text: String) -> Value {
        let number = text.parse::<f64>().map_or(0, |number| (number * 1e3) as i64);
        Value { number, text }
    }
}
