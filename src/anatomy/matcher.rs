//! Which names a phrase is, and what it means in one modality.
//!
//! [`Names`] joins the catalogue with what a model offers. [`Names::hits`] finds the names that a phrase spells, without
//! regard to modality; [`Names::settle`] decides between them for one modality. Resolution and list both go this way.

use super::spelling::Vocabulary;
use super::words::{Spelling, is_side, spell};
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

/// One name with all that is known of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    pub class: Option<&'static Class>,
    pub offered: Option<OfferedClass>,
    pub laterality: Option<Laterality>,
    pub synonyms: Vec<String>,
    /// There are classes of the same name for the left and the right.
    pub paired: bool,
    pub reach: [Reach; 3],
    divisions: Vec<(Modality, Vec<String>)>,
    own_region: Option<String>,
}

impl Entry {
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
                || self.offered.as_ref().is_some_and(|offered| offered.modalities.contains(m))
        };
        let classes: Vec<Modality> = MODALITIES.into_iter().filter(own).collect();
        if classes.is_empty() { MODALITIES.into_iter().filter(|m| self.reach(*m).known()).collect() } else { classes }
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

    /// The first way to divide it in `modality` (in any, where none is given).
    pub fn parts(&self, modality: Option<Modality>) -> &[String] {
        let mut ways = self.divisions.iter().filter(|(m, _)| modality.is_none_or(|wanted| wanted == *m));
        ways.next().map_or(&[], |(_, parts)| parts)
    }
}

/// What a spelling may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Name(usize),
    Synonym(usize, bool /* the model's own */),
    Ask(usize),
}

/// A name that a phrase spells. The higher `rank`, the sooner it is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    pub entry: usize,
    pub score: f64,
    rank: u8,
}

/// All names that a phrase spells.
#[derive(Debug, Default)]
pub(super) struct Hits {
    names: Vec<Hit>,
    ask: Option<(usize, f64)>,
}

/// What a phrase means in one modality.
#[derive(Debug, PartialEq)]
pub(super) enum Meant<'a> {
    /// This name.
    One(usize, f64),
    /// Any of these, or none of them for the reason given.
    Ask(Vec<usize>, Option<&'a str>),
    /// A name of another modality.
    Elsewhere(usize),
    /// No name at all.
    Nothing,
}

/// The catalogue's names joined with a model's.
#[derive(Debug)]
pub(super) struct Names {
    pub entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    spelled: HashMap<String, Vec<Meaning>>,
    run_together: HashMap<String, Vec<Meaning>>,
    vocabulary: Vocabulary,
    catalogue: &'static Catalogue,
}

impl Names {
    pub fn new(catalogue: &'static Catalogue, offered: &Offered) -> Names {
        let mut entries = joined(catalogue, offered);
        pair(&mut entries, catalogue);
        reach(&mut entries);
        forget_strangers(&mut entries);
        entries.retain(|entry| entry.reach.iter().any(Reach::known));
        let by_name = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
        let mut names = Names {
            entries,
            by_name,
            spelled: HashMap::new(),
            run_together: HashMap::new(),
            vocabulary: Vocabulary::default(),
            catalogue,
        };
        names.index();
        names
    }

    fn index(&mut self) {
        let mut meanings: Vec<(String, Meaning)> = Vec::new();
        for (i, entry) in self.entries.iter().enumerate() {
            meanings.push((entry.name.clone(), Meaning::Name(i)));
            let own = entry.offered.as_ref().map_or(&[][..], |offered| &offered.synonyms);
            meanings.extend(own.iter().map(|synonym| (synonym.clone(), Meaning::Synonym(i, true))));
            meanings.extend(entry.synonyms.iter().map(|synonym| (synonym.clone(), Meaning::Synonym(i, false))));
        }
        for (i, ask) in self.catalogue.asks().iter().enumerate() {
            meanings.extend(ask.phrases.iter().map(|phrase| (phrase.clone(), Meaning::Ask(i))));
        }
        for (text, meaning) in meanings {
            let spelling = spell(&text);
            self.vocabulary.learn(&spelling);
            for (index, key) in [
                (&mut self.spelled, Some(spelling.key())),
                (&mut self.run_together, spelling.run_together()),
            ] {
                let Some(key) = key else { continue };
                let known = index.entry(key).or_default();
                if !known.contains(&meaning) {
                    known.push(meaning);
                }
            }
        }
    }

    /// The entry of exactly this name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The names that a phrase spells: as they are, else with a letter or two put right.
    pub fn hits(&self, spelling: &Spelling) -> Hits {
        let as_written = self.look_up(spelling, 0);
        if !as_written.is_empty() {
            return as_written;
        }
        for distance in 1..=2 {
            let mut found = Hits::default();
            for corrected in self.vocabulary.corrections(spelling, distance) {
                found.join(self.look_up(&corrected, distance));
            }
            if !found.is_empty() {
                return found;
            }
        }
        Hits::default()
    }

    fn look_up(&self, spelling: &Spelling, distance: usize) -> Hits {
        if spelling.words.iter().all(|word| is_side(word)) {
            return Hits::default();
        }
        let together = || spelling.run_together().and_then(|key| self.run_together.get(&key));
        let mut hits = Hits::default();
        for meaning in self.spelled.get(&spelling.key()).or_else(together).into_iter().flatten() {
            let slip = match distance {
                0 => 0.0,
                1 => 0.12,
                _ => 0.16,
            };
            let (entry, score, rank) = match *meaning {
                Meaning::Name(entry) => (entry, 1.0 - slip, if self.entries[entry].offered.is_some() { 4 } else { 3 }),
                Meaning::Synonym(entry, own) if distance == 0 => (entry, 0.9, if own { 2 } else { 1 }),
                Meaning::Synonym(entry, own) => (entry, 0.97 - slip, if own { 2 } else { 1 }),
                Meaning::Ask(ask) => {
                    hits.ask = Some((ask, 0.9 - slip / 2.0));
                    continue;
                }
            };
            if spelling.both && !self.entries[entry].paired {
                continue;
            }
            hits.names.push(Hit { entry, score: if spelling.both { score.min(0.9) } else { score }, rank });
        }
        if spelling.both {
            hits.ask = None;
        }
        hits
    }

    /// What a phrase means in one modality, by these rules: names that the modality knows come first, the model's own
    /// before SAT's before synonyms; of equals, those the model has. If several are left, it asks back.
    pub fn settle(&self, hits: &Hits, modality: Modality) -> Meant<'_> {
        let here: Vec<&Hit> = hits.names.iter().filter(|hit| self.entries[hit.entry].reach(modality).known()).collect();
        if let Some(rank) = here.iter().map(|hit| hit.rank).max() {
            let best: Vec<usize> = here.iter().filter(|hit| hit.rank == rank).map(|hit| hit.entry).collect();
            return match self.single(&best, modality) {
                Some(entry) => {
                    let scores = here.iter().filter(|hit| hit.entry == entry).map(|hit| hit.score);
                    Meant::One(entry, scores.fold(0.0, f64::max))
                }
                None => Meant::Ask(unique(best), None),
            };
        }
        if let Some((ask, score)) = hits.ask {
            let ask = &self.catalogue.asks()[ask];
            let choices: Vec<usize> = ask.choices.iter().filter_map(|choice| self.named(choice)).collect();
            let known = |i: &usize| self.entries[*i].reach(modality).known();
            let here: Vec<usize> = choices.iter().copied().filter(known).collect();
            return match (self.single(&here, modality), &ask.why) {
                (Some(entry), None) => Meant::One(entry, score),
                (_, why) => Meant::Ask(if here.is_empty() { choices } else { here }, why.as_deref()),
            };
        }
        let elsewhere = hits.names.iter().max_by_key(|hit| hit.rank);
        elsewhere.map_or(Meant::Nothing, |hit| Meant::Elsewhere(hit.entry))
    }

    /// The only one of `entries`, or the only one of them that the model has.
    fn single(&self, entries: &[usize], modality: Modality) -> Option<usize> {
        let reachable = |i: &usize| self.entries[*i].reach(modality).reachable();
        let entries = unique(entries.to_vec());
        let had: Vec<usize> = entries.iter().copied().filter(reachable).collect();
        match (had.as_slice(), entries.as_slice()) {
            ([only], _) | ([], [only]) => Some(*only),
            _ => None,
        }
    }
}

impl Hits {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.ask.is_none()
    }

    fn join(&mut self, other: Hits) {
        self.names.extend(other.names);
        self.ask = self.ask.or(other.ask);
    }
}

fn unique(mut entries: Vec<usize>) -> Vec<usize> {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(*entry));
    entries
}

/// One entry a name: the catalogue's, then those that only the model has.
fn joined(catalogue: &'static Catalogue, offered: &Offered) -> Vec<Entry> {
    let by_name: HashMap<&str, &OfferedClass> = offered.classes.iter().map(|class| (class.name.as_str(), class)).collect();
    let mut entries: Vec<Entry> = catalogue
        .classes()
        .iter()
        .map(|class| Entry {
            name: class.name.clone(),
            class: Some(class),
            offered: by_name.get(class.name.as_str()).map(|class| (*class).clone()),
            laterality: class.laterality,
            synonyms: class.synonyms.clone(),
            paired: false,
            reach: Default::default(),
            divisions: class.divisions.iter().map(|d| (d.modality, d.parts.clone())).collect(),
            own_region: None,
        })
        .collect();
    let catalogued: HashSet<&str> = catalogue.classes().iter().map(|class| class.name.as_str()).collect();
    entries.extend(offered.classes.iter().filter(|class| !catalogued.contains(class.name.as_str())).map(|class| Entry {
        name: class.name.clone(),
        class: None,
        offered: Some(class.clone()),
        laterality: class.laterality.or_else(|| Laterality::of_name(&class.name)),
        synonyms: Vec::new(),
        paired: false,
        reach: Default::default(),
        divisions: Vec::new(),
        own_region: class.region.clone(),
    }));
    entries
}

/// A name without a side is the union of its left and its right, wherever both are names. Where a model offers both and
/// nobody has a word for the whole, the name without the side becomes one, unless that word asks back.
fn pair(entries: &mut Vec<Entry>, catalogue: &Catalogue) {
    let without_side = |name: &str| name.split(' ').filter(|word| !is_side(word)).collect::<Vec<_>>().join(" ");
    let mut sides: HashMap<String, [Option<usize>; 2]> = HashMap::new();
    for (i, entry) in entries.iter().enumerate() {
        if let Some(side) = Laterality::of_name(&entry.name) {
            sides.entry(without_side(&entry.name)).or_default()[usize::from(side == Laterality::Right)] = Some(i);
        }
    }
    let asked: HashSet<&str> = catalogue.asks().iter().flat_map(|ask| &ask.phrases).map(String::as_str).collect();
    let mut pairs: Vec<(String, usize, usize)> =
        sides.into_iter().filter_map(|(whole, sides)| Some((whole, sides[0]?, sides[1]?))).collect();
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

/// What can be had of each name in each modality.
fn reach(entries: &mut [Entry]) {
    let by_name: HashMap<String, usize> = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
    for modality in MODALITIES {
        let found: Vec<Reach> = (0..entries.len())
            .map(|i| match (pieces(entries, &by_name, i, modality, 0), known(entries, &by_name, i, modality, 0)) {
                (Some(pieces), _) if pieces.len() == 1 && pieces[0] == entries[i].name => Reach::Offered,
                (Some(pieces), _) => Reach::Union(pieces),
                (None, true) => Reach::Known,
                (None, false) => Reach::Nothing,
            })
            .collect();
        for (entry, reach) in entries.iter_mut().zip(found) {
            entry.reach[slot(modality)] = reach;
        }
    }
}

/// Drop the divisions into parts that mean nothing in that modality: SAT has no left and right cochlea on MR.
fn forget_strangers(entries: &mut [Entry]) {
    let known: HashMap<String, [bool; 3]> =
        entries.iter().map(|entry| (entry.name.clone(), [0, 1, 2].map(|slot| entry.reach[slot].known()))).collect();
    for entry in entries {
        entry.divisions.retain(|(modality, parts)| {
            parts.iter().all(|part| known.get(part).is_some_and(|known| known[slot(*modality)]))
        });
    }
}

/// No division in the catalogue is deeper: ventricles, lateral, left, horn.
const DEEPEST: usize = 6;

/// The model's classes whose union a name is.
fn pieces(entries: &[Entry], by_name: &HashMap<String, usize>, i: usize, modality: Modality, depth: usize) -> Option<Vec<String>> {
    let entry = entries.get(i)?;
    if entry.offered.as_ref().is_some_and(|offered| offered.modalities.contains(&modality)) {
        return Some(vec![entry.name.clone()]);
    }
    if depth == DEEPEST {
        return None;
    }
    entry.divisions.iter().filter(|(m, _)| *m == modality).find_map(|(_, parts)| {
        let mut all: Vec<String> = Vec::new();
        for part in parts {
            let found = pieces(entries, by_name, *by_name.get(part)?, modality, depth + 1)?;
            all.extend(found.into_iter().filter(|name| !all.contains(name)).collect::<Vec<_>>());
        }
        Some(all)
    })
}

/// Whether a name means anything in a modality: SAT or the model has it, or all its pieces.
fn known(entries: &[Entry], by_name: &HashMap<String, usize>, i: usize, modality: Modality, depth: usize) -> bool {
    let entry = &entries[i];
    let taught = entry.class.is_some_and(|class| class.scans_in(modality).is_some());
    let offered = entry.offered.as_ref().is_some_and(|offered| offered.modalities.contains(&modality));
    taught
        || offered
        || (depth < DEEPEST
            && entry.divisions.iter().filter(|(m, _)| *m == modality).any(|(_, parts)| {
                parts.iter().all(|part| by_name.get(part).is_some_and(|i| known(entries, by_name, *i, modality, depth + 1)))
            }))
}
