//! The catalogue's names joined with a model's classes: one [`Entry`] a name, and how it can be had in each modality.

use super::words::without_side;
use super::{Catalogue, Class, Kind, Laterality, Offered, OfferedClass};
use crate::volume::Modality;
use std::collections::{HashMap, HashSet};

pub(super) const MODALITIES: [Modality; 3] = [Modality::Ct, Modality::Mri, Modality::Pet];

pub(super) fn slot(modality: Modality) -> usize {
    match modality {
        Modality::Ct => 0,
        Modality::Mri => 1,
        Modality::Pet => 2,
    }
}

/// How a name can be had in one modality.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Reach {
    /// It means nothing in this modality.
    #[default]
    Nothing,
    /// SAT has it, this model does not.
    Known,
    /// This model has its pieces: these classes, all offered.
    Union(Vec<String>),
    /// This model has it.
    Offered,
}

impl Reach {
    pub fn reachable(&self) -> bool {
        matches!(self, Reach::Union(_) | Reach::Offered)
    }

    pub fn known(&self) -> bool {
        *self != Reach::Nothing
    }
}

/// Another name for an entry.
#[derive(Debug, PartialEq)]
pub(super) struct Synonym {
    pub text: String,
    /// Its evened-out form: what a phrase must spell to be it.
    pub key: String,
    /// The model's manifest has it, not the catalogue.
    pub own: bool,
}

/// One name with all that is known of it.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub name: String,
    pub class: Option<&'static Class>,
    pub offered: Option<OfferedClass>,
    pub laterality: Option<Laterality>,
    /// The model's own, then the catalogue's.
    pub synonyms: Vec<Synonym>,
    /// "Both" may be said of it: there are classes of the same name for the left and the right, or it holds both sides.
    pub paired: bool,
    pub reach: [Reach; 3],
    /// Ways to divide it, per modality.
    pub divisions: Vec<(Modality, Vec<String>)>,
    own_region: Option<String>,
    weak_in: Vec<Modality>,
}

impl Entry {
    /// A name for several together.
    pub fn joined(name: &str, parts: &[&Entry]) -> Entry {
        let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
        let reach = MODALITIES.map(|modality| {
            let mut union: Vec<String> = Vec::new();
            for part in parts {
                match part.reach(modality) {
                    Reach::Offered => union.push(part.name.clone()),
                    Reach::Union(pieces) => union.extend(pieces.iter().cloned()),
                    Reach::Known => {}
                    Reach::Nothing => return Reach::Nothing,
                }
            }
            match parts.iter().all(|part| part.reach(modality).reachable()) {
                true => Reach::Union(union),
                false => Reach::Known,
            }
        });
        Entry {
            name: name.to_owned(),
            class: None,
            offered: None,
            laterality: Laterality::of_name(name),
            synonyms: Vec::new(),
            paired: false,
            reach,
            divisions: MODALITIES.map(|modality| (modality, names.clone())).into(),
            own_region: parts.first().map(|part| part.region(None).to_owned()),
            weak_in: Vec::new(),
        }
    }

    pub fn reach(&self, modality: Modality) -> &Reach {
        &self.reach[slot(modality)]
    }

    /// SAT's class or the model's: what the list shows without being asked.
    pub fn is_class(&self) -> bool {
        self.offered.is_some() || self.class.is_some_and(Class::taught)
    }

    pub fn modalities(&self) -> Vec<Modality> {
        let own = |m: &Modality| {
            self.class.is_some_and(|class| class.scans_in(*m).is_some())
                || self
                    .offered
                    .as_ref()
                    .is_some_and(|offered| offered.modalities.contains(m))
        };
        let classes: Vec<Modality> = MODALITIES.into_iter().filter(own).collect();
        if classes.is_empty() {
            MODALITIES.into_iter().filter(|m| self.reach(*m).known()).collect()
        } else {
            classes
        }
    }

    pub fn region(&self, modality: Option<Modality>) -> &str {
        match (self.class, self.own_region.as_deref()) {
            (Some(class), _) => class.region(modality),
            (None, Some(region)) => region,
            (None, None) => "other",
        }
    }

    pub fn kind(&self) -> Kind {
        self.class.map_or(Kind::Structure, |class| class.kind)
    }

    pub fn part_of(&self) -> Option<&str> {
        let offered = self.offered.as_ref().and_then(|offered| offered.part_of.as_deref());
        self.class.and_then(|class| class.part_of.as_deref()).or(offered)
    }

    /// Whether the model says of itself that it is weak at it, in `modality` or in any.
    pub fn weak(&self, modality: Option<Modality>) -> bool {
        self.weak_in
            .iter()
            .any(|weak| modality.is_none_or(|only| only == *weak))
    }

    /// Whether `name` is a piece of it.
    pub fn has_part(&self, name: &str) -> bool {
        self.divisions
            .iter()
            .any(|(_, parts)| parts.iter().any(|part| part == name))
    }

    /// The first way to divide it in `modality` (in any, where none is given).
    pub fn parts(&self, modality: Option<Modality>) -> &[String] {
        let mut ways = self
            .divisions
            .iter()
            .filter(|(m, _)| modality.is_none_or(|wanted| wanted == *m));
        ways.next().map_or(&[], |(_, parts)| parts)
    }
}

/// One entry a name: the catalogue's, then those that only the model has.
pub(super) fn joined(catalogue: &'static Catalogue, offered: &Offered) -> Vec<Entry> {
    let mut own = by_name(offered);
    let mut entry = |name: &str, class: Option<&'static Class>| {
        let (offered, weak_in) = own
            .remove(name)
            .map_or((None, Vec::new()), |(class, weak)| (Some(class), weak));
        let side = class.map_or_else(|| Laterality::of_name(name), |class| class.laterality);
        let divisions = class.into_iter().flat_map(|class| &class.divisions);
        Entry {
            name: name.to_owned(),
            laterality: offered.as_ref().and_then(|offered| offered.laterality).or(side),
            synonyms: synonyms(offered.as_ref(), class),
            paired: class.is_some_and(|class| class.both_sides),
            reach: Default::default(),
            divisions: divisions
                .map(|division| (division.modality, division.parts.clone()))
                .collect(),
            own_region: offered.as_ref().and_then(|offered| offered.region.clone()),
            weak_in,
            class,
            offered,
        }
    };
    let mut entries: Vec<Entry> = catalogue
        .classes()
        .iter()
        .map(|class| entry(&class.name, Some(class)))
        .collect();
    let catalogued: HashSet<&str> = catalogue.classes().iter().map(|class| class.name.as_str()).collect();
    let mut seen: HashSet<&str> = HashSet::new();
    for class in &offered.classes {
        if !catalogued.contains(class.name.as_str()) && seen.insert(&class.name) {
            entries.push(entry(&class.name, None));
        }
    }
    entries
}

/// A model may describe a class once for each modality: taken together, with the modalities that it is weak in.
fn by_name(offered: &Offered) -> HashMap<String, (OfferedClass, Vec<Modality>)> {
    let mut classes: HashMap<String, (OfferedClass, Vec<Modality>)> = HashMap::new();
    for class in &offered.classes {
        let (known, weak_in) = classes.entry(class.name.clone()).or_insert_with(|| {
            (
                OfferedClass {
                    modalities: Vec::new(),
                    synonyms: Vec::new(),
                    ..class.clone()
                },
                Vec::new(),
            )
        });
        if class.experimental {
            weak_in.extend(&class.modalities);
        }
        known.modalities.extend(&class.modalities);
        known.synonyms.extend(class.synonyms.iter().cloned());
        known.region = known.region.take().or_else(|| class.region.clone());
        known.laterality = known.laterality.or(class.laterality);
        known.part_of = known.part_of.take().or_else(|| class.part_of.clone());
    }
    classes
}

fn synonyms(offered: Option<&OfferedClass>, class: Option<&Class>) -> Vec<Synonym> {
    let own = offered
        .into_iter()
        .flat_map(|offered| &offered.synonyms)
        .map(|text| (text, true));
    let catalogued = class
        .into_iter()
        .flat_map(|class| &class.synonyms)
        .map(|text| (text, false));
    own.chain(catalogued)
        .map(|(text, own)| Synonym {
            text: text.clone(),
            key: String::new(),
            own,
        })
        .collect()
}

/// A name without a side is the union of its left and its right, wherever both are names. Where a model offers both and
/// nobody has a word for the whole, the name without the side becomes one, unless that word asks back.
pub(super) fn pair(entries: &mut Vec<Entry>, catalogue: &Catalogue) {
    let mut sides: HashMap<String, [Option<usize>; 2]> = HashMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if let Some(side) = Laterality::of_name(&entry.name) {
            sides.entry(without_side(&entry.name)).or_default()[usize::from(side == Laterality::Right)] = Some(i);
        }
    }
    let asked: HashSet<&str> = catalogue
        .asks()
        .iter()
        .flat_map(|ask| &ask.phrases)
        .map(String::as_str)
        .collect();
    let mut pairs: Vec<(String, usize, usize)> = sides
        .into_iter()
        .filter_map(|(whole, sides)| Some((whole, sides[0]?, sides[1]?)))
        .collect();
    pairs.sort();
    for (whole, left, right) in pairs {
        let parts = vec![entries[left].name.clone(), entries[right].name.clone()];
        let place = entries.iter().position(|entry| entry.name == whole);
        let place = match place {
            Some(place) => place,
            None if asked.contains(whole.as_str()) => continue,
            None => match (&entries[left].offered, &entries[right].offered) {
                (Some(model), Some(_)) => {
                    let own_region = model.region.clone();
                    entries.push(Entry {
                        name: whole.clone(),
                        class: None,
                        offered: None,
                        laterality: None,
                        synonyms: Vec::new(),
                        paired: true,
                        reach: Default::default(),
                        divisions: Vec::new(),
                        weak_in: Vec::new(),
                        own_region,
                    });
                    entries.len() - 1
                }
                _ => continue,
            },
        };
        let entry = &mut entries[place];
        entry.paired = true;
        for modality in MODALITIES {
            if !entry.divisions.iter().any(|(m, way)| *m == modality && *way == parts) {
                entry.divisions.push((modality, parts.clone()));
            }
        }
    }
}
