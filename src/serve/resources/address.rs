//! What a URI names.

use crate::anatomy::Catalogue;
use crate::volume::Modality;
use percent_encoding::percent_decode_str;

pub(in crate::serve) const MODALITIES: [Modality; 3] = [Modality::Ct, Modality::Mri, Modality::Pet];

/// A URI that this server may answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) enum Address<'a> {
    /// `sat://anatomy/{modality}`, `sat://anatomy/{modality}/{region}`
    Anatomy {
        modality: Modality,
        region: Option<&'static str>,
    },
    /// `sat://models`
    Models,
    /// `sat://models/{model}`
    Model(String),
    /// `sat://results/{result_id}/{file}`, with what follows `?`
    File {
        result: &'a str,
        name: &'a str,
        uri: &'a str,
        query: Option<&'a str>,
    },
    /// `skill://…`
    Skill,
    /// Anything else.
    Unknown,
}

impl<'a> Address<'a> {
    pub fn of(whole: &'a str) -> Address<'a> {
        if whole.starts_with("skill://") {
            return Address::Skill;
        }
        let Some((kind, rest)) = whole
            .strip_prefix("sat://")
            .map(|path| path.split_once('/').unwrap_or((path, "")))
        else {
            return Address::Unknown;
        };
        match (kind, rest) {
            ("anatomy", place) => anatomy(place).unwrap_or(Address::Unknown),
            ("models", "") => Address::Models,
            ("models", name) => Address::Model(decoded(name)),
            ("results", file) => {
                let (path, query) = file
                    .split_once('?')
                    .map_or((file, None), |(path, query)| (path, Some(query)));
                let uri = &whole[..whole.len() - file.len() + path.len()];
                path.split_once('/')
                    .map_or(Address::Unknown, |(result, name)| Address::File {
                        result,
                        name,
                        uri,
                        query,
                    })
            }
            _ => Address::Unknown,
        }
    }
}

fn anatomy(place: &str) -> Option<Address<'static>> {
    let (modality, region) = place
        .split_once('/')
        .map_or((place, None), |(m, region)| (m, Some(region)));
    let modality = MODALITIES.into_iter().find(|known| known.as_str() == modality)?;
    let region = match region {
        None => None,
        Some(text) => {
            let wanted = decoded(text);
            Some(
                Catalogue::regions()
                    .iter()
                    .find(|known| **known == wanted || in_uri(known) == wanted)
                    .copied()?,
            )
        }
    };
    Some(Address::Anatomy { modality, region })
}

/// A region as it stands in a URI: `head-and-neck`.
pub(in crate::serve) fn in_uri(region: &str) -> String {
    region.replace(' ', "-")
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_found_by_any_spelling_that_a_client_makes_of_it() {
        let expected = Address::Anatomy {
            modality: Modality::Ct,
            region: Some("head and neck"),
        };
        for uri in ["head-and-neck", "head%20and%20neck", "head and neck"] {
            assert_eq!(Address::of(&format!("sat://anatomy/ct/{uri}")), expected);
        }
        for unknown in [
            "sat://anatomy/us",
            "sat://anatomy/ct/tail",
            "sat://anatomy",
            "sat://",
            "http://x",
            "sat://results/a",
        ] {
            assert_eq!(Address::of(unknown), Address::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_query_of_a_file_is_no_part_of_its_name() {
        let file = Address::File {
            result: "ab",
            name: "liver.nii.gz",
            uri: "sat://results/ab/liver.nii.gz",
            query: Some("slices=1-2"),
        };
        assert_eq!(Address::of("sat://results/ab/liver.nii.gz?slices=1-2"), file);
    }
}
