//! What the names of one list share: "left putamen and globus pallidus" are both on the left, "renal artery and vein" both renal.

use super::super::Laterality;
use super::super::words::spell;
use super::lexicon::Reading;
use super::scan::{Found, Scan};
use super::tables;
use super::tokens::Gap;

impl Scan<'_, '_, '_> {
    /// Hands sides and first words on along each list.
    pub(super) fn share(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        let mut start = 0;
        while start < found.len() {
            let mut end = start + 1;
            while end < found.len() && self.follows(&found[end - 1], &found[end]) {
                end += 1;
            }
            // commas alone may part what has nothing in common; "and" ties the list
            let tied = found[start..end]
                .windows(2)
                .any(|pair| self.gap(pair[1].from) != Gap::Comma);
            // "left and right caudate, putamen": the putamen is on both sides
            let paired =
                start > 0 && (found[start - 1].from, found[start - 1].to) == (found[start].from, found[start].to);
            if tied {
                self.share_side(&mut found[start..end], paired);
                self.share_words(&mut found[start..end]);
            }
            start = end;
        }
        let mut behind = 0;
        for i in 0..found.len() {
            self.side_behind(&mut found[i]);
            self.side_of_no_class(&mut found, i, behind);
            behind = found[i].to;
        }
        self.found = found;
    }

    /// Whether `next` is the next item of a list: only a comma, a slash or a conjunction lies between.
    fn follows(&self, last: &Found, next: &Found) -> bool {
        let other = |found: &Found| found.removed.is_some() || found.adjective;
        if other(last) || other(next) {
            return false;
        }
        match next.from.checked_sub(last.to) {
            Some(0) => matches!(self.gap(next.from), Gap::Comma | Gap::Slash | Gap::And),
            Some(1) => {
                matches!(self.lower(last.to), "and" | "or")
                    && matches!(self.gap(last.to), Gap::Space | Gap::Comma)
                    && self.gap(next.from) == Gap::Space
            }
            _ => false,
        }
    }

    /// Gives a side to the items after it; where the first is one of a pair on the same words, its side is not the others'.
    fn share_side(&mut self, list: &mut [Found], paired: bool) {
        let mut side: Option<Laterality> = None;
        for (i, item) in list.iter_mut().enumerate() {
            let spelling = spell(&item.phrase);
            if let Some(own) = spelling.side() {
                side = Some(own).filter(|_| i > 0 || !paired);
            } else if let Some(shared) = side.filter(|_| !spelling.both && !self.is_plural(item)) {
                let phrase = format!("{} {}", shared.as_str(), item.phrase);
                if let Some(entry) = self.lexicon.name(&phrase)
                    && self.lexicon.side(entry) == Some(shared)
                {
                    item.phrase = phrase;
                }
            }
        }
    }

    /// "renal artery and vein": a general word takes the words before the general word of the item before.
    fn share_words(&mut self, list: &mut [Found]) {
        for i in 1..list.len() {
            let general = matches!(self.lexicon.read(&list[i].phrase), Some(Reading::Ask { .. }));
            let before = list[i - 1].phrase.rsplit_once(' ').map(|(before, _)| before.to_owned());
            if let Some(before) = before.filter(|_| general) {
                let phrase = format!("{before} {}", list[i].phrase);
                if self.lexicon.name(&phrase).is_some() {
                    list[i].phrase = phrase;
                }
            }
        }
    }

    /// "the kidney on the left".
    fn side_behind(&mut self, item: &mut Found) {
        let said = self.side_at(item.to).filter(|_| self.lower(item.to) == "on");
        let Some((side, behind)) = said else { return };
        if spell(&item.phrase).side().is_some() || item.removed.is_some() {
            return;
        }
        let phrase = format!("{side} {}", item.phrase);
        if self.lexicon.name(&phrase).is_some() {
            item.phrase = phrase;
            item.to = behind;
        }
    }

    /// "right renal vein": a side that the class does not have stays with the name, so that no one is given both for one. Words
    /// before `behind` belong to what came before.
    fn side_of_no_class(&mut self, list: &mut [Found], i: usize, behind: usize) {
        let Found { from, .. } = list[i];
        let spelling = spell(&list[i].phrase);
        let sided = from > behind && matches!(self.gap(from), Gap::Space | Gap::Hyphen);
        if !sided || spelling.side().is_some() || spelling.both || list[i].removed.is_some() || list[i].adjective {
            return;
        }
        let word = from - 1 - usize::from(matches!(self.lower(from - 1), "sided" | "side") && from > behind + 1);
        let Some(side) = tables::side(self.lower(word)) else {
            return;
        };
        let two =
            word >= 2 && matches!(self.lower(word - 1), "and" | "or") && tables::side(self.lower(word - 2)).is_some();
        let Some(reading @ Reading::Name { entry, here: true }) = self.lexicon.read(&list[i].phrase) else {
            return;
        };
        if two || self.lexicon.is_finding(&reading) || self.lexicon.side(entry).is_some() {
            return;
        }
        list[i].phrase = format!("{side} {}", list[i].phrase);
        list[i].from = word;
        // "right renal artery and vein"
        let next = list.get(i + 1).is_some_and(|next| {
            self.follows(&list[i], next) && !self.is_plural(next) && spell(&next.phrase).side().is_none()
        });
        if next && self.side_fits(&list[i + 1].phrase) {
            list[i + 1].phrase = format!("{side} {}", list[i + 1].phrase);
        }
    }

    /// Whether a side before a name would say which of two.
    fn side_fits(&mut self, phrase: &str) -> bool {
        match self.lexicon.read(phrase) {
            Some(reading @ Reading::Name { here: true, .. }) => !self.lexicon.is_finding(&reading),
            _ => false,
        }
    }

    /// Its last word is written in the plural.
    fn is_plural(&self, item: &Found) -> bool {
        let last = self.lower(item.to - 1);
        let one = spell(last);
        last.ends_with(['s', 'e', 'i', 'a']) && one.words.first().is_some_and(|one| one != last)
    }
}
