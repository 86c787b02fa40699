//! What a class is, in codes: category, type and side as DICOM's context groups have them (PS3.16 CID 7150, 7151 to 7159, 244).
//!
//! Types are the catalogue's SNOMED CT codes, all of which DICOM publishes; findings that have no code of their own are coded as
//! what they are and where (a tumour, in the liver). Nothing is coded by guess: what has no code that means just it gets one of
//! our own scheme, `99SATMCP`, which follows from the name and so stays the same from version to version.

use std::borrow::Cow;

use super::uids::derived;
use crate::anatomy::{AnatomyCode, Catalogue, Laterality};

/// Coding Scheme Designator of our own codes.
pub(super) const OWN_SCHEME: &str = "99SATMCP";

/// A code of a scheme and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Code Value, at most 16 characters.
    pub value: Cow<'static, str>,
    /// Coding Scheme Designator: SCT, DCM, UCUM, LN, NCIt or ours.
    pub scheme: Cow<'static, str>,
    /// Code Meaning, at most 64 characters.
    pub meaning: Cow<'static, str>,
}

impl Code {
    /// A code known beforehand.
    pub(super) const fn new(scheme: &'static str, value: &'static str, meaning: &'static str) -> Code {
        Code {
            value: Cow::Borrowed(value),
            scheme: Cow::Borrowed(scheme),
            meaning: Cow::Borrowed(meaning),
        }
    }

    /// One of our own, for what no other scheme names.
    fn own(meaning: &str) -> Code {
        let hash = blake3::hash(meaning.trim().to_lowercase().as_bytes()).to_hex();
        Code {
            value: Cow::Owned(format!("SAT-{}", hash[..12].to_uppercase())),
            scheme: Cow::Borrowed(OWN_SCHEME),
            meaning: Cow::Owned(meaning.trim().chars().take(64).collect()),
        }
    }

    /// Whether it is one of our own.
    pub(super) fn is_own(&self) -> bool {
        self.scheme == OWN_SCHEME
    }
}

impl From<&AnatomyCode> for Code {
    fn from(code: &AnatomyCode) -> Code {
        Code {
            value: Cow::Owned(code.value.clone()),
            scheme: Cow::Owned(code.scheme.clone()),
            meaning: Cow::Owned(code.meaning.chars().take(64).collect()),
        }
    }
}

/// Where a finding lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The structure.
    pub structure: Code,
    /// Its side.
    pub side: Option<Laterality>,
}

/// What a segment shows, in codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coding {
    /// Segmented Property Category.
    pub category: Code,
    /// Segmented Property Type.
    pub kind: Code,
    /// The type's modifier: the side of one of a pair. None for what both sides have together, as a scan may show only one of them.
    pub side: Option<Laterality>,
    /// Anatomic Region, of findings.
    pub region: Option<Region>,
}

/// CID 7150.
const STRUCTURE: Code = Code::new("SCT", "91723000", "Anatomical Structure");
const FINDING: Code = Code::new("SCT", "49755003", "Morphologically Abnormal Structure");

const TUMOR: Code = Code::new("SCT", "108369006", "Tumor");
const CYST: Code = Code::new("SCT", "367643001", "Cyst");
const EDEMA: Code = Code::new("SCT", "79654002", "Edema");
const SCAR: Code = Code::new("SCT", "12402003", "Scar tissue");
const NODULE: Code = Code::new("SCT", "27925004", "Nodule");
const HEMORRHAGE: Code = Code::new("SCT", "1386000", "Intracranial hemorrhage (disorder)");
const ENHANCING: Code = Code::new("NCIt", "C113842", "Enhancing Lesion");
const HYPERINTENSITY: Code = Code::new("DCM", "110702", "White Matter T2 Hyperintensity");

const BRAIN: Code = Code::new("SCT", "12738006", "Brain");
const COLON: Code = Code::new("SCT", "71854001", "Colon");
const HEAD_AND_NECK: Code = Code::new("SCT", "774007", "Head and Neck");
const HEART: Code = Code::new("SCT", "80891009", "Heart");
const KIDNEY: Code = Code::new("SCT", "64033007", "Kidney");
const LEFT_ATRIUM: Code = Code::new("SCT", "82471001", "Left atrium");
const LIVER: Code = Code::new("SCT", "10200004", "Liver");
const LUNG: Code = Code::new("SCT", "39607008", "Lung");
const NASOPHARYNX: Code = Code::new("SCT", "360955006", "Nasopharynx");
const PANCREAS: Code = Code::new("SCT", "15776009", "Pancreas");

/// Findings without their side: what they are, where no code of the catalogue says so, and where they lie. DICOM publishes no code for
/// the myocardium as a whole; the heart holds it.
static FINDINGS: [(&str, Option<Code>, Option<Code>); 21] = [
    ("brain edema", Some(EDEMA), Some(BRAIN)),
    ("brain tumor", Some(TUMOR), Some(BRAIN)),
    ("brain tumor core", None, Some(BRAIN)),
    ("colon cancer", None, Some(COLON)),
    ("covid-19 infection", None, Some(LUNG)),
    ("enhancing brain tumor", Some(ENHANCING), Some(BRAIN)),
    ("head and neck tumor", Some(TUMOR), Some(HEAD_AND_NECK)),
    ("heart atrium scar", Some(SCAR), Some(LEFT_ATRIUM)), // SAT has that of the left one only
    ("intracranial hemorrhage", Some(HEMORRHAGE), None),
    ("kidney cyst", Some(CYST), Some(KIDNEY)),
    ("kidney tumor", Some(TUMOR), Some(KIDNEY)),
    ("liver tumor", Some(TUMOR), Some(LIVER)),
    ("lung nodule", Some(NODULE), Some(LUNG)),
    ("lung tumor", Some(TUMOR), Some(LUNG)),
    ("myocardial edema", Some(EDEMA), Some(HEART)),
    ("myocardial scar", Some(SCAR), Some(HEART)),
    ("nasopharyngeal tumor", Some(TUMOR), Some(NASOPHARYNX)),
    ("necrotic brain tumor core", None, Some(BRAIN)),
    ("pancreas tumor", Some(TUMOR), Some(PANCREAS)),
    ("stroke", None, Some(BRAIN)),
    ("white matter hyperintensities", Some(HYPERINTENSITY), None),
];

impl Coding {
    /// Of a class of the catalogue, or of a phrase that is none: `composed_of` are the classes that it is the union of, if it is one.
    ///
    /// ```
    /// use sat_mcp::report::dicom::Coding;
    /// let kidney = Coding::of("left kidney", &[]);
    /// assert_eq!((&*kidney.kind.scheme, &*kidney.kind.value), ("SCT", "64033007"));
    /// assert_eq!(&*Coding::of("something of mine", &[]).kind.scheme, "99SATMCP");
    /// ```
    pub fn of(name: &str, composed_of: &[String]) -> Coding {
        let catalogue = Catalogue::load();
        let finding = |name: &str| catalogue.class(name).map(|_| catalogue.is_finding(name));
        let of_all = |names: &[String], wanted: bool| {
            !names.is_empty() && names.iter().all(|name| finding(name) == Some(wanted))
        };
        let category = match finding(name) {
            Some(true) => FINDING,
            Some(false) => STRUCTURE,
            None if of_all(composed_of, true) => FINDING,
            None if of_all(composed_of, false) => STRUCTURE,
            None => Code::own("Unclassified"), // nobody knows what a phrase outside the catalogue means
        };
        let class = catalogue.class(name);
        let side = class.and_then(|_| Laterality::of_name(name));
        let both = side.map_or_else(|| name.to_owned(), |side| without(name, side));
        let published = class.and_then(|class| class.codes.iter().find(|code| code.scheme == "SCT"));
        let known = FINDINGS.iter().find(|(finding, _, _)| *finding == both);
        let region = known.and_then(|(_, _, region)| region.clone()).map(|structure| Region {
            side: side.filter(|_| catalogue.mirrored_side(name).is_some()),
            structure,
        });
        let mirrored = class.and_then(|_| catalogue.mirrored_side(name));
        let (kind, side) = match (published, known.and_then(|(_, kind, _)| kind.clone())) {
            (Some(code), _) => (Code::from(code), code.modifier),
            (None, Some(kind)) => (kind, None), // a tumour has no side; where it lies has
            (None, None) if mirrored.is_some() => (Code::own(&both), mirrored),
            (None, None) => (Code::own(name), None),
        };
        Coding {
            category,
            kind,
            side,
            region,
        }
    }

    /// Whether it is of anatomy, not a finding nor unknown.
    pub(super) fn is_structure(&self) -> bool {
        self.category == STRUCTURE
    }

    /// Whether any of its codes is our own.
    pub(super) fn has_own(&self) -> bool {
        self.category.is_own() || self.kind.is_own()
    }
}

/// A name without its side.
fn without(name: &str, side: Laterality) -> String {
    let words: Vec<&str> = name.split(' ').filter(|word| *word != side.as_str()).collect();
    words.join(" ")
}

/// CID 244.
pub(super) fn side(side: Laterality) -> Code {
    match side {
        Laterality::Left => Code::new("SCT", "7771000", "Left"),
        Laterality::Right => Code::new("SCT", "24028007", "Right"),
    }
}

/// The UID of our own scheme.
pub(super) fn own_scheme_uid() -> String {
    derived(&["coding scheme", OWN_SCHEME])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(code: &Code) -> (&str, &str, &str) {
        (&code.scheme, &code.value, &code.meaning)
    }

    #[test]
    fn structures_have_the_catalogues_code_and_a_side() {
        let kidney = Coding::of("left kidney", &[]);
        assert_eq!(shown(&kidney.category), ("SCT", "91723000", "Anatomical Structure"));
        assert_eq!(shown(&kidney.kind), ("SCT", "64033007", "Kidney"));
        assert_eq!((kidney.side, kidney.region), (Some(Laterality::Left), None));
        assert_eq!(Coding::of("kidney", &[]).side, None);
        assert_eq!(
            Coding::of("left heart atrium", &[]).side,
            None,
            "the code itself says left"
        );
    }

    #[test]
    fn findings_are_what_they_are_and_where() {
        let tumor = Coding::of("liver tumor", &[]);
        assert_eq!(shown(&tumor.category).1, "49755003");
        assert_eq!(shown(&tumor.kind), ("SCT", "108369006", "Tumor"));
        assert_eq!(tumor.region.map(|region| region.structure), Some(LIVER));
        let cyst = Coding::of("right kidney cyst", &[]);
        assert_eq!((&cyst.kind, cyst.side), (&CYST, None));
        let region = cyst.region.unwrap();
        assert_eq!((region.structure, region.side), (KIDNEY, Some(Laterality::Right)));
        let scar = Coding::of("left heart atrium scar", &[]).region.unwrap();
        assert_eq!((scar.structure, scar.side), (LEFT_ATRIUM, None));
    }

    #[test]
    fn what_has_no_code_gets_one_of_our_own_that_stays() {
        let gyrus = Coding::of("left angular gyrus", &[]);
        assert_eq!(shown(&gyrus.kind), ("99SATMCP", "SAT-C4B1B2486E3C", "angular gyrus"));
        assert_eq!(gyrus.side, Some(Laterality::Left));
        assert_eq!(Coding::of("right angular gyrus", &[]).kind, gyrus.kind);
        let phrase = Coding::of("left thing nobody knows", &[]);
        assert_eq!((&*phrase.kind.meaning, phrase.side), ("left thing nobody knows", None));
        assert!(phrase.category.is_own() && phrase.has_own());
        let levels = ["lumbar vertebrae 2 (l2)", "lumbar vertebrae 3 (l3)"].map(str::to_owned);
        let union = Coding::of("L2 to L3", &levels);
        assert_eq!((union.category, union.kind.is_own()), (STRUCTURE, true));
    }

    #[test]
    fn every_name_of_the_catalogue_has_codes_that_fit() {
        let mut own = std::collections::HashMap::new();
        for class in Catalogue::load().classes() {
            let coding = Coding::of(&class.name, &[]);
            assert!(!coding.category.is_own(), "{}", class.name);
            for code in [&coding.category, &coding.kind] {
                assert!(code.value.len() <= 16 && code.scheme.len() <= 16, "{code:?}");
                assert!((1..=64).contains(&code.meaning.chars().count()), "{code:?}");
            }
            if coding.kind.is_own() {
                let before = own.insert(coding.kind.value.clone(), coding.kind.meaning.clone());
                assert!(
                    before.is_none_or(|meaning| meaning == coding.kind.meaning),
                    "{}",
                    class.name
                );
            }
        }
    }

    #[test]
    fn every_finding_of_the_table_is_a_class() {
        for (name, _, _) in &FINDINGS {
            let named = [name.to_string(), format!("left {name}")];
            assert!(named.iter().any(|name| Catalogue::load().is_finding(name)), "{name}");
        }
    }
}
