//! What can be asked for: the catalogue of SAT's classes, the names people use, and how a phrase becomes a class.
//!
//! [`Catalogue`] is the table. [`Offered`] is what the loaded model can do, as plain data. A [`Resolver`] joins the two and
//! answers both questions with one matcher: [`Resolver::resolve`] (which class does `segment` mean by this phrase?) and
//! [`Resolver::list`] (what is there, and how near is it to these words?). So a score of 0.8 or more in a list always
//! means that `segment` takes the phrase for that class.
//!
//! [`Resolver::mentions`] looks for names in a whole report, with that matcher too.
//!
//! A phrase is tried as: the model's own name, SAT's name, a synonym, a misspelling of one of them, and then only for
//! suggestions. Sides, levels and numbers are never guessed. A name whose pieces the model has becomes their union.

mod catalogue;
mod entries;
mod facts;
mod list;
mod matcher;
mod mentions;
mod offered;
mod page;
mod reach;
mod refusal;
mod resolve;
mod runs;
mod spelling;
mod suggest;
mod text;
mod unnamed;
mod word_table;
mod words;

pub use catalogue::{AnatomyCode, Ask, Catalogue, Class, Division, Kind};
pub use facts::other_side;
pub use list::list;
pub use mentions::{CueText, LeftOut, Mention, Mentions, Problem, ReportError, Section, report_text};
pub use offered::{Offered, OfferedClass};
pub use page::{Detail, ListAnswer, ListError, ListItem, ListRequest, TrainingScans};
pub use refusal::{Candidate, Note, ResolveError};
pub use resolve::{Resolved, Resolver};

/// Side of the body.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Laterality {
    /// The patient's left.
    Left,
    /// The patient's right.
    Right,
}

impl Laterality {
    /// `left` or `right`.
    pub fn from_word(word: &str) -> Option<Laterality> {
        match word {
            "left" => Some(Laterality::Left),
            "right" => Some(Laterality::Right),
            _ => None,
        }
    }

    /// The side that a class's name says: exactly one of its words is `left` or `right`.
    pub fn of_name(name: &str) -> Option<Laterality> {
        words::spell(name).side()
    }

    /// `left` or `right`.
    pub fn as_str(self) -> &'static str {
        match self {
            Laterality::Left => "left",
            Laterality::Right => "right",
        }
    }
}
