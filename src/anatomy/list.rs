//! The `list_anatomy` tool: what there is, what of it the loaded model has, and how near it is to a query.

use super::entries::{Entry, MODALITIES, Reach};
use super::matcher::{Hits, Meant};
use super::resolve::{Resolver, tidy};
use super::suggest::{HIGHEST, LOWEST};
use super::words::{Spelling, spell};
use super::{AnatomyCode, Catalogue, Class, Kind, Laterality, Offered};
use crate::volume::Modality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DEFAULT_LIMIT: i64 = 50;
const HIGHEST_LIMIT: i64 = 200;

/// How much of an answer to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Detail {
    /// Without parts, codes and the synonyms that did not match.
    #[default]
    Summary,
    /// Everything.
    Full,
}

/// Input of `list_anatomy`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// A name, synonym, abbreviation or a few letters, e.g. "R kidney", "L4", "ventricle". Best matches come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Only what can be asked of this kind of scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modality: Option<Modality>,
    /// Only this region of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["brain", "head and neck", "spine", "upper limb", "thorax", "abdomen", "pelvis", "lower limb", "whole body", "other"]))]
    pub region: Option<String>,
    /// How many items at most, 1 to 200 (default 50).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<i64>,
    /// next_cursor of the page before, with the same query, modality and region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// summary (default) or full: with parts, codes and all synonyms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// Output of `list_anatomy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ListAnswer {
    /// How many items there are on all pages.
    pub total: usize,
    /// This page. With a query the nearest first; otherwise what the model has first, then by region and name.
    pub items: Vec<ListItem>,
    /// Give it back as `cursor` for the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The loaded model that `available` speaks of.
    pub model: String,
    /// Why the query is taken for no class though it points at some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A class, or with a query a union of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ListItem {
    /// SAT's own name, or the loaded model's where SAT has none.
    pub name: String,
    /// Kinds of scan that SAT, or the loaded model, was taught it in.
    pub modalities: Vec<Modality>,
    /// Region of the body.
    pub region: String,
    /// Structure or abnormality.
    pub kind: Kind,
    /// Other names; in a summary only those that matched the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub synonyms: Vec<String>,
    /// Side, where the name says one; not on suggestions in a summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub laterality: Option<Laterality>,
    /// The class it is a part of (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// Classes whose union it is (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<String>>,
    /// The loaded model's classes that are joined when it is asked for; absent where the model has it as one class, and on
    /// suggestions in a summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composed_of: Option<Vec<String>>,
    /// What it is, in a sentence; in a summary only of what the query means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// What touches it or lies right beside it (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<Vec<String>>,
    /// What SAT was taught as lying inside it besides its parts, so that its volume holds theirs (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub includes: Option<Vec<String>>,
    /// Codes of terminologies, where an open source gives one (detail: full).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<Vec<AnatomyCode>>,
    /// Annotated scans SAT was taught it from.
    pub training_scans: TrainingScans,
    /// Whether the loaded model covers it.
    pub available: bool,
    /// The loaded model is weak at it: its Dice is below 0.6.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub experimental: bool,
    /// Nearness to the query: 1 the name, 0.9 a synonym, from 0.8 on `segment` takes the query for this class, below it is
    /// a suggestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Annotated scans, per modality.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct TrainingScans {
    /// CT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ct: Option<u32>,
    /// MR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mri: Option<u32>,
    /// PET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pet: Option<u32>,
}

/// Why a list could not be given. The contract's code is `invalid_argument` for all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Out of range.
    #[error("limit {limit} is out of range: give 1 to 200, or leave it out for 50")]
    Limit {
        /// As given.
        limit: i64,
    },
    /// Not one of ours, or of another query.
    #[error(
        "this cursor does not belong to this query, modality, region and model: ask again without a cursor for the first page"
    )]
    Cursor,
    /// No such region.
    #[error("there is no region {region:?}: use one of {}", Catalogue::regions().join(", "))]
    Region {
        /// As given, shortened.
        region: String,
    },
    /// The query is no text to search for.
    #[error("the query {query:?} cannot be searched for: {why}; leave it out to list everything")]
    Query {
        /// As given, shortened.
        query: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl ListError {
    /// The contract's code.
    pub fn code(&self) -> &'static str {
        "invalid_argument"
    }
}

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
    let page = Cursor::of(resolver, query.as_deref(), request.modality, region);
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
        here && region.is_none_or(|region| entry.region(request.modality) == region)
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
    let mut made_up = None;
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
            Meant::Elsewhere(_) | Meant::Nothing => {}
        }
    }
    let rounded = |score: f64| (score * 100.0).round() / 100.0;
    let near = (resolver.names.entries.iter().zip(scores))
        .filter(|(_, score)| *score >= LOWEST)
        .map(|(entry, score)| (entry, rounded(score)));
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
    fn of(resolver: &Resolver, query: Option<&str>, modality: Option<Modality>, region: Option<&str>) -> Cursor {
        let asked = (
            resolver.catalogue.version(),
            &resolver.model,
            query,
            modality.map(Modality::as_str),
            region,
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
