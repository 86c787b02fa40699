//! What went wrong, in the words of the contract: a code for programs, a sentence for people and a way out.

use serde::Serialize;

/// Kinds of fault a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No class of this name is known.
    UnknownTarget,
    /// The phrase fits several classes.
    AmbiguousTarget,
    /// The class exists, but not in this modality.
    NotInModality,
    /// SAT knows the class, the loaded model does not.
    NotInModel,
    /// The image cannot be used.
    BadImage,
    /// The mask cannot be used.
    BadMask,
    /// The path lies outside the folders that the server may read.
    OutsideRoots,
    /// Too much is under way; try again.
    Busy,
    /// The execution provider asked for does not start here.
    ProviderUnavailable,
    /// No such file, result or resource.
    NotFound,
    /// A parameter is wrong.
    InvalidArgument,
    /// The caller stopped the run.
    Cancelled,
    /// Our own fault.
    Internal,
}

/// One name that would have worked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The phrase that failed.
    pub target: String,
    /// A class that would be accepted in its place.
    pub name: String,
    /// How near it is, 0 to 1.
    pub score: f64,
    /// Whether the loaded model has it in this modality.
    pub available: bool,
    /// Near by what the model's text encoder makes of the phrase, not by its words.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_meaning: bool,
}

/// The contract's error object: `{code, message, hint, candidates?}`.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!(" {hint}")).unwrap_or_default())]
pub struct Fault {
    /// For programs.
    pub code: Code,
    /// What was wrong, naming the file or the phrase.
    pub message: String,
    /// What would work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names that would have worked, where a target was at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

impl Fault {
    /// A fault with a sentence and no hint yet.
    pub fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: message.into(),
            hint: None,
            candidates: Vec::new(),
        }
    }

    /// The same, saying what would work.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}
