//! The `list_anatomy` tool: what there is, what of it the loaded model has, and how near it is to a query.

use super::entries::{Entry, MODALITIES, Reach};
use super::matcher::{Hits, Meant};
use super::refusal::{HIGHEST, LOWEST, Note, not_here, tidy};
use super::resolve::Resolver;
use super::words::{Spelling, spell};
use super::{
    Catalogue, Class, Detail, Laterality, ListAnswer, ListError, ListItem, ListRequest, Offered, TrainingScans,
};
use crate::volume::Modality;

const DEFAULT_LIMIT: i64 = 50;
const HIGHEST_LIMIT: i64 = 200;

/// One page of the catalogue as seen with a model. Who asks more than once keeps a [`Resolver`] and uses its `list`.
pub fn list(catalogue: &'static Catalogue, offered: &Offered, request: &ListRequest) -> Result<ListAnswer, ListError> {
    Resolver::new(catalogue, offered).list(request)
}

impl Resolver {
    /// The catalogue as seen with this model; see [`ListRequest`].
    pub fn list(&self, request: &ListRequest) -> Result<ListAnswer, ListError> {
        answer(self, request)
    }
}

fn answer(resolver: &Resolver, request: &ListRequest) -> Result<ListAnswer, ListError> {
    let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=HIGHEST_LIMIT).contains(&limit) {
        return Err(ListError::Limit { limit });
    }
    let region = request.region.as_deref().map(region).transpose()?;
    let query = match request
        .query
        .as_deref()
        .map(str::trim)
        .filter(|query| !query.is_empty())
    {
        Some(query) => Some(tidy(query).map_err(|error| ListError::Query {
            query: error.phrase().to_owned(),
            why: if query.chars().count() > 200 {
                "it is longer than 200 characters"
            } else {
                "it has no letters"
            },
        })?),
        None => None,
    };
    let page = Cursor::of(resolver, query.as_deref(), region, request);
    let start = request.cursor.as_deref().map_or(Ok(0), |cursor| page.read(cursor))?;

    let spelling = query.as_deref().map(spell).unwrap_or_default();
    let hits = query
        .as_deref()
        .map(|query| resolver.names.hits(query, &spelling))
        .unwrap_or_default();
    let (mut scored, note) = match &query {
        Some(query) => found(resolver, query, &spelling, &hits, request.modality),
        None => {
            let classes = resolver.names.entries.iter().filter(|entry| entry.is_class());
            (classes.map(|entry| (entry, 0.0)).collect(), None)
        }
    };
    scored.retain(|(entry, _)| {
        let here = request
            .modality
            .is_none_or(|modality| listed_in(entry, modality, query.is_some()));
        let there = region.is_none_or(|region| entry.region(request.modality) == region);
        here && there && request.laterality.is_none_or(|side| entry.laterality == Some(side))
    });
    if query.is_some() {
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.name.cmp(&b.0.name)));
    } else {
        scored.sort_by_cached_key(|(entry, _)| {
            let region = entry.region(request.modality);
            let place = Catalogue::regions().iter().position(|known| *known == region);
            let available = reaches(entry, request.modality).any(Reach::reachable);
            (!available, place.unwrap_or(usize::MAX), entry.name.as_str())
        });
    }
    let total = scored.len();
    let end = total.min(start.saturating_add(limit as usize));
    let shape = Shape {
        modality: request.modality,
        detail: request.detail.unwrap_or_default(),
        query: query.map(|_| spelling.key()),
    };
    let items = scored
        .get(start..end)
        .unwrap_or_default()
        .iter()
        .map(|(entry, score)| shape.item(resolver, entry, *score));
    Ok(ListAnswer {
        items: items.collect(),
        total,
        next_cursor: (end < total).then(|| page.write(end)),
        model: resolver.model.clone(),
        note,
    })
}

fn region(text: &str) -> Result<&'static str, ListError> {
    let tidy = text.trim().to_lowercase().replace(['_', '-'], " ").replace('&', "and");
    let known = Catalogue::regions().iter().find(|known| **known == tidy);
    known.copied().ok_or_else(|| ListError::Region {
        region: text.chars().take(40).collect(),
    })
}

/// A class is listed for the modalities that it has as a class; a union, which only a query brings up, where it can be had.
fn listed_in(entry: &Entry, modality: Modality, with_query: bool) -> bool {
    entry.modalities().contains(&modality) || (with_query && entry.reach(modality).known())
}

/// How an entry can be had, in the modality asked for or in any.
fn reaches(entry: &Entry, modality: Option<Modality>) -> impl Iterator<Item = &Reach> {
    MODALITIES
        .into_iter()
        .filter(move |m| modality.is_none_or(|only| only == *m))
        .map(|m| entry.reach(m))
}

/// All entries that have to do with the query, with their scores, and why it asks back, if it does. What `segment` would
/// take the query for is decided by the same matcher that `segment` asks.
fn found<'a>(
    resolver: &'a Resolver,
    query: &str,
    spelling: &Spelling,
    hits: &'a Hits,
    modality: Option<Modality>,
) -> (Vec<(&'a Entry, f64)>, Option<String>) {
    let mut scores = resolver.suggester.scores(spelling);
    let mut note = None;
    let (mut made_up, mut elsewhere) = (None, None);
    for asked in MODALITIES
        .into_iter()
        .filter(|m| modality.is_none_or(|wanted| wanted == *m))
    {
        match resolver.names.settle(hits, asked) {
            Meant::One(entry, score) => scores[entry] = scores[entry].max(score),
            Meant::Run(entry, score) => made_up = Some((entry, score)),
            Meant::Ask(choices, why) => {
                choices
                    .iter()
                    .for_each(|choice| scores[*choice] = scores[*choice].max(HIGHEST));
                let several = || format!("{query:?} may mean several of these: say which.");
                note = Some(why.map_or_else(several, str::to_owned));
            }
            Meant::Elsewhere(entry) => {
                let entry = &resolver.names.entries[entry];
                elsewhere = Some(not_here(&entry.name, &entry.modalities(), asked));
            }
            Meant::Nothing => {
                let several = resolver.several(query, asked);
                for place in several.iter().flatten() {
                    scores[*place] = scores[*place].max(HIGHEST);
                    note = Some(Note::Several.to_string());
                }
            }
        }
    }
    let rounded = |score: f64| (score * 100.0).round() / 100.0;
    let near = (resolver.names.entries.iter().zip(scores))
        .filter(|(_, score)| *score >= LOWEST)
        .map(|(entry, score)| (entry, rounded(score)));
    let note = note.or(elsewhere.filter(|_| modality.is_some()));
    (made_up.into_iter().chain(near).collect(), note)
}

/// How items are shown.
struct Shape {
    modality: Option<Modality>,
    detail: Detail,
    /// The query's evened-out form.
    query: Option<String>,
}

impl Shape {
    /// What lies inside a class, in the modality asked for or in any.
    fn inside(&self, class: &Class) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for modality in MODALITIES
            .into_iter()
            .filter(|m| self.modality.is_none_or(|only| only == *m))
        {
            let more = class.includes_in(modality).iter().filter(|name| !names.contains(name));
            let more: Vec<String> = more.cloned().collect();
            names.extend(more);
        }
        names
    }

    fn item(&self, resolver: &Resolver, entry: &Entry, score: f64) -> ListItem {
        let full = self.detail == Detail::Full;
        // a summary spends its words on what the query means, not on what is merely near
        let shown = full || self.query.is_none() || score >= 0.8;
        let composed_of = match reaches(entry, self.modality).find(|reach| reach.reachable()) {
            Some(Reach::Union(parts)) => Some(parts.clone()),
            _ => None,
        };
        let weak = resolver.experimental(&entry.name, self.modality)
            || composed_of
                .iter()
                .flatten()
                .any(|part| resolver.experimental(part, self.modality));
        let matched = |key: &str| full || self.query.as_deref() == Some(key);
        let synonyms = entry.synonyms.iter().filter(|synonym| matched(&synonym.key));
        let scans = |m: Modality| entry.class.and_then(|class| class.scans_in(m));
        let (class, in_full) = (entry.class, entry.class.filter(|_| full));
        let some = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
        let parts = entry.parts(self.modality);
        ListItem {
            name: entry.name.clone(),
            modalities: entry.modalities(),
            region: entry.region(self.modality).to_owned(),
            kind: entry.kind(),
            synonyms: synonyms.map(|synonym| synonym.text.clone()).collect(),
            laterality: entry.laterality.filter(|_| shown),
            part_of: entry.part_of().filter(|_| full).map(str::to_owned),
            parts: (full && !parts.is_empty()).then(|| parts.to_vec()),
            composed_of: composed_of.filter(|_| shown),
            definition: class
                .filter(|_| full || score >= 0.8)
                .map(|class| class.definition.clone()),
            neighbours: in_full.and_then(|class| some(class.neighbours.clone())),
            includes: in_full.and_then(|class| some(self.inside(class))),
            codes: in_full
                .map(|class| class.codes.clone())
                .filter(|codes| !codes.is_empty()),
            training_scans: TrainingScans {
                ct: scans(Modality::Ct),
                mri: scans(Modality::Mri),
                pet: scans(Modality::Pet),
            },
            available: reaches(entry, self.modality).any(Reach::reachable),
            experimental: weak,
            score: self.query.is_some().then_some(score),
        }
    }
}

/// Where a page begins, sealed with what was asked, so that it cannot be taken to another list.
struct Cursor(String);

impl Cursor {
    fn of(resolver: &Resolver, query: Option<&str>, region: Option<&str>, request: &ListRequest) -> Cursor {
        let asked = (
            resolver.catalogue.version(),
            &resolver.model,
            query,
            request.modality.map(Modality::as_str),
            region,
            request.laterality.map(Laterality::as_str),
        );
        Cursor(blake3::hash(format!("{asked:?}").as_bytes()).to_hex()[..8].to_owned())
    }

    fn write(&self, start: usize) -> String {
        format!("{start:x}.{}", self.0)
    }

    fn read(&self, text: &str) -> Result<usize, ListError> {
        let (start, seal) = text.split_once('.').ok_or(ListError::Cursor)?;
        if seal != self.0 {
            return Err(ListError::Cursor);
        }
        usize::from_str_radix(start, 16).map_err(|_| ListError::Cursor)
    }
}
