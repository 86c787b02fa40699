//! What follows from the catalogue for whoever judges a mask: whether it is a lesion, whether it has its like on the other side,
//! what else lies inside it.

use super::{Catalogue, Class, Kind, Laterality};
use crate::volume::Modality;

impl Catalogue {
    /// Whether a class is something found rather than an organ. SAT's table counts a kidney's cyst among the structures where it
    /// names the side, white matter hyperintensities and lymph nodes, too: SAT was taught the diseased ones.
    pub fn is_finding(&self, name: &str) -> bool {
        let abnormal = |class: &Class| class.kind == Kind::Abnormality;
        let Some(class) = self.class(name) else { return false };
        let parent = class.part_of.as_deref().and_then(|parent| self.class(parent));
        let diseased = name.ends_with("hyperintensities") || name.ends_with("lymph node");
        abnormal(class) || parent.is_some_and(abnormal) || diseased
    }

    /// The side of a name that has its like across the midline. None for what is called left or right by its place in an organ:
    /// the right ventricle lies left of the midline, and segment IV of the liver on it.
    ///
    /// ```
    /// use sat_mcp::anatomy::{Catalogue, Laterality};
    /// assert_eq!(Catalogue::load().mirrored_side("left kidney"), Some(Laterality::Left));
    /// assert_eq!(Catalogue::load().mirrored_side("right heart ventricle"), None);
    /// ```
    pub fn mirrored_side(&self, name: &str) -> Option<Laterality> {
        let side = Laterality::of_name(name)?;
        let Some(class) = self.class(name) else {
            return Some(side);
        };
        self.class(&other_side(name))?;
        // terminologies give a pair one code and a modifier for the side, and what is no pair a code each
        let codes_of_its_own = !class.codes.is_empty() && class.codes.iter().all(|code| code.modifier.is_none());
        (!codes_of_its_own).then_some(side)
    }

    /// Whether a class is one connected thing: one of a pair, neither a finding nor made of parts.
    pub fn is_one_piece(&self, name: &str, modality: Modality) -> bool {
        let single = |class: &Class| !class.divisions.iter().any(|division| division.modality == modality);
        self.class(name).is_some_and(single) && self.mirrored_side(name).is_some() && !self.is_finding(name)
    }

    /// All that lies inside a class in a modality: its parts and what it includes, and theirs.
    pub fn inside(&self, name: &str, modality: Modality) -> Vec<&str> {
        let mut inside: Vec<&str> = Vec::new();
        let mut open: Vec<&Class> = self.class(name).into_iter().collect();
        while let Some(class) = open.pop() {
            let held = class.divisions.iter().chain(&class.includes);
            for part in held
                .filter(|held| held.modality == modality)
                .flat_map(|held| &held.parts)
            {
                if part != name && !inside.contains(&part.as_str()) {
                    inside.push(part);
                    open.extend(self.class(part));
                }
            }
        }
        inside
    }
}

/// The name of the same structure on the other side.
pub fn other_side(name: &str) -> String {
    let swapped = name.split(' ').map(|word| match word {
        "left" => "right",
        "right" => "left",
        other => other,
    });
    swapped.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chambers_and_segments_are_no_mirror_images() {
        let side = |name: &str| Catalogue::load().mirrored_side(name);
        assert_eq!(
            side("left lateral medial segment of liver"),
            Some(Laterality::Left),
            "no name of ours: by its words"
        );
        for name in [
            "left medial segment of liver",
            "left heart atrium",
            "right lung middle lobe",
            "left auricle of heart",
            "liver",
        ] {
            assert_eq!(side(name), None, "{name}");
        }
        for name in [
            "head of left femur",
            "left lung upper lobe",
            "left rib 4",
            "left precentral gyrus",
            "left cerebral cortex",
        ] {
            assert_eq!(side(name), Some(Laterality::Left), "{name}");
        }
    }

    #[test]
    fn findings_and_single_pieces_are_told_by_more_than_their_kind() {
        let catalogue = Catalogue::load();
        for (name, modality) in [
            ("left kidney cyst", Modality::Ct),
            ("white matter hyperintensities", Modality::Mri),
            ("lymph node", Modality::Pet),
            ("brain edema", Modality::Mri),
        ] {
            assert!(catalogue.is_finding(name), "{name}");
            assert!(!catalogue.is_one_piece(name, modality), "{name}");
        }
        assert!(catalogue.is_one_piece("left kidney", Modality::Ct) && !catalogue.is_finding("left kidney"));
        assert!(!catalogue.is_one_piece("left rib", Modality::Ct) && !catalogue.is_one_piece("kidney", Modality::Ct));
    }

    #[test]
    fn what_lies_inside_is_followed_to_the_end() {
        let inside = |name: &str, modality| Catalogue::load().inside(name, modality);
        assert!(inside("heart", Modality::Ct).contains(&"left heart ventricle"));
        assert!(inside("brain tumor", Modality::Mri).contains(&"brain edema"));
        assert!(inside("thoracic cavity", Modality::Ct).contains(&"left lung"));
        assert_eq!(inside("spleen", Modality::Ct), &[] as &[&str]);
    }
}
