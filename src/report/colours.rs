//! Colours for structures: the same name gets the same colour in every picture and label map, wherever it can.

use std::collections::HashMap;

/// Colours that stand out from grey tissue and from one another: each was chosen from saturated, middling bright ones as
/// the furthest (in CIELAB) from those before it.
const PALETTE: [[u8; 3]; 32] = [
    [230, 57, 70],
    [0, 219, 0],
    [38, 103, 255],
    [38, 233, 255],
    [255, 204, 0],
    [255, 0, 204],
    [64, 184, 112],
    [184, 124, 64],
    [77, 148, 219],
    [179, 0, 255],
    [255, 128, 0],
    [177, 219, 77],
    [219, 77, 148],
    [255, 0, 0],
    [177, 77, 219],
    [184, 172, 64],
    [0, 184, 165],
    [0, 184, 55],
    [89, 139, 255],
    [255, 0, 128],
    [255, 139, 89],
    [255, 189, 89],
    [255, 0, 255],
    [132, 219, 0],
    [184, 92, 0],
    [219, 66, 0],
    [219, 77, 191],
    [184, 88, 64],
    [219, 219, 33],
    [184, 129, 0],
    [219, 77, 105],
    [139, 89, 255],
];

/// A colour for each name, in the order given.
///
/// A name's own colour follows from a hash of it, so that it stays the same from scan to scan; where two names of one
/// list would share a colour, the later one takes the next free. `left x` and `right x` are one pair: the right one is
/// the lighter tone of the left one's colour. Lists of more than 32 pairs repeat colours.
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

fn free_place(name: &str, taken: &mut [usize; PALETTE.len()]) -> usize {
    let hash = blake3::hash(name.as_bytes());
    let first = hash.as_bytes()[..8]
        .iter()
        .fold(0usize, |n, &b| (n * 256 + usize::from(b)) % PALETTE.len());
    let least = taken.iter().copied().min().unwrap_or(0);
    let places = (0..PALETTE.len()).map(|step| (first + step) % PALETTE.len());
    let place = places.into_iter().find(|&p| taken[p] == least).unwrap_or(first);
    taken[place] += 1;
    place
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
        let names: Vec<String> = (0..32)
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
