//! Colours for structures: the same name gets the same colour in every picture and label map, wherever it can.

use std::collections::HashMap;

/// Colours that stand out from grey tissue and from one another: each was chosen from saturated, middling bright ones as
/// the furthest (in CIELAB) from those before it.
const PALETTE: [[u8; 3]; 30] = [
    [230, 57, 70],
    [0, 235, 0],
    [0, 128, 255],
    [214, 178, 0],
    [255, 0, 255],
    [0, 214, 178],
    [214, 86, 171],
    [150, 214, 86],
    [255, 128, 0],
    [178, 102, 255],
    [255, 0, 0],
    [235, 141, 94],
    [255, 0, 128],
    [0, 235, 137],
    [0, 156, 235],
    [255, 0, 191],
    [214, 86, 118],
    [196, 214, 0],
    [214, 171, 86],
    [210, 130, 255],
    [125, 214, 0],
    [187, 51, 255],
    [235, 94, 47],
    [43, 214, 71],
    [255, 170, 51],
    [214, 214, 86],
    [214, 96, 86],
    [255, 85, 0],
    [86, 214, 139],
    [255, 102, 166],
];

/// A colour for each name, in the order given.
///
/// A name's own colour follows from a hash of it, so that it stays the same from scan to scan; where two names of one
/// list would have the same or like colours, the later one takes the next that is unlike. `left x` and `right x` are one pair: the right one is
/// the lighter tone of the left one's colour. Lists of more than 30 pairs repeat colours.
pub fn colours<S: AsRef<str>>(names: &[S]) -> Vec<[u8; 3]> {
    let mut taken = [0usize; PALETTE.len()];
    let mut places: HashMap<String, usize> = HashMap::new();
    names
        .iter()
        .map(|name| {
            let name = name.as_ref().trim().to_lowercase();
            let (both, right) = match (name.strip_prefix("left "), name.strip_prefix("right ")) {
                (Some(rest), _) => (rest, false),
                (_, Some(rest)) => (rest, true),
                _ => (name.as_str(), false),
            };
            let place = *places
                .entry(both.to_owned())
                .or_insert_with(|| free_place(both, &mut taken));
            if right { lighter(PALETTE[place]) } else { PALETTE[place] }
        })
        .collect()
}

/// The colour of one name on its own.
pub fn colour(name: &str) -> [u8; 3] {
    colours(&[name])[0]
}

/// The name's own place in the palette, or the next one that is free and unlike the colours taken so far.
fn free_place(name: &str, taken: &mut [usize; PALETTE.len()]) -> usize {
    let hash = blake3::hash(name.as_bytes());
    let hash = hash.as_bytes()[..8].iter();
    let first = hash.fold(0usize, |n, &b| (n * 256 + usize::from(b)) % PALETTE.len());
    let places = (0..PALETTE.len()).map(|step| (first + step) % PALETTE.len());
    let least = taken.iter().copied().min().unwrap_or(0);
    let unlike = |place: usize, far: f64| {
        let others = (0..PALETTE.len()).filter(|&other| taken[other] > least);
        taken[place] == least
            && others
                .map(|other| difference(PALETTE[place], PALETTE[other]))
                .all(|d| d >= far)
    };
    let place = [180.0, 120.0, 0.0]
        .iter()
        .find_map(|&far| places.clone().find(|&place| unlike(place, far)));
    let place = place.unwrap_or(first);
    taken[place] += 1;
    place
}

/// How unlike two colours look: the "redmean" distance, 0 to 765.
fn difference(a: [u8; 3], b: [u8; 3]) -> f64 {
    let [r, g, b_] = [0, 1, 2].map(|n| f64::from(a[n]) - f64::from(b[n]));
    let red = (f64::from(a[0]) + f64::from(b[0])) / 2.0 / 256.0;
    ((2.0 + red) * r * r + 4.0 * g * g + (3.0 - red) * b_ * b_).sqrt()
}

fn lighter(colour: [u8; 3]) -> [u8; 3] {
    colour.map(|c| c + (255 - c) / 5 * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_colour_whatever_else_is_asked() {
        assert_eq!(colour("liver"), colours(&["liver", "spleen"])[0]);
        assert_eq!(colour("Liver "), colour("liver"));
    }

    #[test]
    fn the_colours_of_a_list_differ() {
        let names: Vec<String> = (0..30)
            .flat_map(|n| [format!("left part {n}"), format!("right part {n}")])
            .collect();
        let mut found = colours(&names);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), names.len());
    }

    #[test]
    fn left_and_right_are_two_tones_of_one_colour() {
        let pair = colours(&["left kidney", "right kidney"]);
        assert_eq!(lighter(pair[0]), pair[1]);
    }
}
