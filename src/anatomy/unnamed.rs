//! What a phrase that is no name comes from: several names, or a name with a side that it does not have.

use super::matcher::Meant;
use super::resolve::Resolver;
use super::words::{Spelling, spell};
use crate::volume::Modality;

impl Resolver {
    /// The names that a phrase lists ("liver and spleen"), where each of them is one.
    pub(super) fn several(&self, phrase: &str, modality: Modality) -> Option<Vec<usize>> {
        let listed = phrase.replace(" and ", ",").replace(" or ", ",");
        let pieces = listed.split([',', ';', '&', '/', '+']).map(str::trim);
        let places = pieces.map(|piece| {
            let hits = self.names.hits(piece, &spell(piece));
            match self.names.settle(&hits, modality) {
                Meant::One(place, _) => Some(place),
                _ => None,
            }
        });
        places.collect::<Option<Vec<usize>>>().filter(|places| places.len() > 1)
    }

    /// The class that a sided phrase would be without its side, where SAT has it for both sides only: "right renal vein".
    pub(super) fn of_both_sides(&self, spelling: &Spelling, modality: Modality) -> Option<usize> {
        spelling.side()?;
        let plain = spelling.without_side()?;
        let hits = self.names.hits(&plain.words.join(" "), &plain);
        match self.names.settle(&hits, modality) {
            Meant::One(place, _) => {
                let entry = &self.names.entries[place];
                let whole = !entry.paired || entry.class.is_some_and(|class| class.both_sides);
                (entry.laterality.is_none() && whole).then_some(place)
            }
            _ => None,
        }
    }
}
