//! What the names of one list share: "left putamen and globus pallidus" are both on the left, "renal artery and vein" both renal.

use super::super::Laterality;
use super::super::words::spell;
use super::lexicon::Reading;
use super::scan::{Found, Scan};
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
            if tied {
                self.share_side(&mut found[start..end]);
                self.share_words(&mut found[start..end]);
            }
            start = end;
        }
        for item in &mut found {
            self.side_behind(item);
        }
        self.found = found;
    }

    /// Whether `next` is the next item of a list: only a comma, a slash or a conjunction lies between.
    fn follows(&self, last: &Found, next: &Found) -> bool {
        if last.removed.is_some() || next.removed.is_some() {
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

    fn share_side(&mut self, list: &mut [Found]) {
        let mut side: Option<Laterality> = None;
        for item in list {
            let spelling = spell(&item.phrase);
            if let Some(own) = spelling.side() {
                side = Some(own);
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

    /// Its last word is written in the plural.
    fn is_plural(&self, item: &Found) -> bool {
        let last = self.lower(item.to - 1);
        let one = spell(last);
        last.ends_with(['s', 'e', 'i', 'a']) && one.words.first().is_some_and(|one| one != last)
    }
}
