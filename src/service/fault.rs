//! What went wrong, in the words of the contract: a code for programs, a sentence for people and a way out.

use serde::{Deserialize, Serialize};

/// Kinds of fault a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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

impl Code {
    /// The code as programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::UnknownTarget => "unknown_target",
            Code::AmbiguousTarget => "ambiguous_target",
            Code::NotInModality => "not_in_modality",
            Code::NotInModel => "not_in_model",
            Code::BadImage => "bad_image",
            Code::BadMask => "bad_mask",
            Code::OutsideRoots => "outside_roots",
            Code::Busy => "busy",
            Code::ProviderUnavailable => "provider_unavailable",
            Code::NotFound => "not_found",
            Code::InvalidArgument => "invalid_argument",
            Code::Cancelled => "cancelled",
            Code::Internal => "internal",
        }
    }

    /// What a caller can do about any fault of this kind, where nothing better is known.
    fn hint(self) -> &'static str {
        match self {
            Code::InvalidArgument => "Correct it and call again.",
            Code::UnknownTarget | Code::AmbiguousTarget | Code::NotInModality | Code::NotInModel => {
                "list_anatomy has the names."
            }
            Code::BadImage => "Give one whole 3-D scan: the folder of a DICOM series, or NIfTI (.nii or .nii.gz).",
            Code::BadMask => "Give a mask or label map as NIfTI (.nii or .nii.gz), or a DICOM SEG.",
            Code::OutsideRoots => "Name a file within the folders that the server was given with --data-root.",
            Code::Busy => "Try again in a few seconds.",
            Code::ProviderUnavailable => "`sat-mcp doctor` says which providers start here.",
            Code::NotFound => "Check the name and call again.",
            Code::Cancelled => "Call again for a new run.",
            Code::Internal => "Call again; if it stays so, report it with what the server says on stderr.",
        }
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Characters of a message: it may repeat what the caller sent, which may be megabytes.
const LONGEST: usize = 16 << 10;

fn shortened(mut message: String) -> String {
    if let Some((at, _)) = message.char_indices().nth(LONGEST) {
        let left_out = message[at..].chars().count();
        message.truncate(at);
        message += &format!(" … ({left_out} more characters).");
    }
    message
}

/// One name that would have worked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_meaning: bool,
}

/// The contract's error object: `{code, message, hint, candidates?}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!(" {hint}")).unwrap_or_default())]
pub struct Fault {
    /// For programs.
    pub code: Code,
    /// What was wrong, naming the file or the phrase.
    pub message: String,
    /// What would work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Names that would have worked, where a target was at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

impl Fault {
    /// A fault with a sentence and the hint that fits any of its kind.
    pub fn new(code: Code, message: impl Into<String>) -> Fault {
        Fault {
            code,
            message: shortened(message.into()),
            hint: Some(code.hint().to_owned()),
            candidates: Vec::new(),
        }
    }

    /// Work that ended without a word, since our own code panicked.
    pub(crate) fn broke_off(what: &str) -> Fault {
        Fault::new(
            Code::Internal,
            format!("The {what} broke off by a fault of sat-mcp's own."),
        )
        .hint("The server's log on stderr says where; please report it.")
    }

    /// The same, saying what would work.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}
