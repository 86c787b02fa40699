//! What `list_anatomy` is asked and what it answers, as it goes over the wire.

use super::{AnatomyCode, Catalogue, Kind, Laterality};
use crate::volume::Modality;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Only structures of this side; those without a side are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub laterality: Option<Laterality>,
    /// How many items at most, 1 to 200 (default 50).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<i64>,
    /// next_cursor of the page before, with the same query, modality, region and laterality.
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
        "this cursor does not belong to this query, modality, region, laterality and model: ask again without a cursor for the \
         first page"
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
