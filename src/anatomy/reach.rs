//! How each name can be had with a model: as a class, as the union of its pieces, or not at all.

use super::entries::{Entry, MODALITIES, Reach, joined, pair, slot};
use super::{Catalogue, Offered};
use crate::volume::Modality;
use std::collections::HashMap;

/// Every name that means something with this model, in any modality.
pub(super) fn entries(catalogue: &'static Catalogue, offered: &Offered) -> Vec<Entry> {
    let mut entries = joined(catalogue, offered);
    pair(&mut entries, catalogue);
    find_reach(&mut entries);
    forget_strangers(&mut entries);
    entries.retain(|entry| entry.reach.iter().any(Reach::known));
    entries
}

/// What can be had of each name in each modality.
fn find_reach(entries: &mut [Entry]) {
    let by_name: HashMap<String, usize> = entries
        .iter()
        .enumerate()
        .map(|(i, entry)| (entry.name.clone(), i))
        .collect();
    for modality in MODALITIES {
        let found: Vec<Reach> = (0..entries.len())
            .map(|i| {
                match (
                    pieces(entries, &by_name, i, modality, 0),
                    known(entries, &by_name, i, modality, 0),
                ) {
                    (Some(pieces), _) if pieces.len() == 1 && pieces[0] == entries[i].name => Reach::Offered,
                    (Some(pieces), _) => Reach::Union(pieces),
                    (None, true) => Reach::Known,
                    (None, false) => Reach::Nothing,
                }
            })
            .collect();
        for (entry, reach) in entries.iter_mut().zip(found) {
            entry.reach[slot(modality)] = reach;
        }
    }
}

/// Drop the divisions into parts that mean nothing in that modality: SAT has no left and right cochlea on MR.
fn forget_strangers(entries: &mut [Entry]) {
    let known: HashMap<String, [bool; 3]> = entries
        .iter()
        .map(|entry| (entry.name.clone(), [0, 1, 2].map(|slot| entry.reach[slot].known())))
        .collect();
    for entry in entries {
        entry.divisions.retain(|(modality, parts)| {
            parts
                .iter()
                .all(|part| known.get(part).is_some_and(|known| known[slot(*modality)]))
        });
    }
}

/// No division in the catalogue is deeper: ventricles, lateral, left, horn.
const DEEPEST: usize = 6;

/// The model's classes whose union a name is.
fn pieces(
    entries: &[Entry],
    by_name: &HashMap<String, usize>,
    i: usize,
    modality: Modality,
    depth: usize,
) -> Option<Vec<String>> {
    let entry = entries.get(i)?;
    if entry
        .offered
        .as_ref()
        .is_some_and(|offered| offered.modalities.contains(&modality))
    {
        return Some(vec![entry.name.clone()]);
    }
    if depth == DEEPEST {
        return None;
    }
    entry
        .divisions
        .iter()
        .filter(|(m, _)| *m == modality)
        .find_map(|(_, parts)| {
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
    let offered = entry
        .offered
        .as_ref()
        .is_some_and(|offered| offered.modalities.contains(&modality));
    taught
        || offered
        || (depth < DEEPEST
            && entry
                .divisions
                .iter()
                .filter(|(m, _)| *m == modality)
                .any(|(_, parts)| {
                    parts.iter().all(|part| {
                        by_name
                            .get(part)
                            .is_some_and(|i| known(entries, by_name, *i, modality, depth + 1))
                    })
                }))
}
