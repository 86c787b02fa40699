//! Each room's errors in the words of the contract.

use super::{Candidate, Code, Fault};
use crate::anatomy::{ListError, ReportError, ResolveError};
use crate::model::ModelError;
use crate::segment::{PrepareError, SegmentError};
use crate::store::StoreError;

impl From<ModelError> for Fault {
    fn from(error: ModelError) -> Fault {
        let code = match &error {
            ModelError::NoFolder { .. } => Code::NotFound,
            ModelError::Provider { .. }
            | ModelError::NotBuiltIn { .. }
            | ModelError::NoRuntime { .. }
            | ModelError::BadRuntime { .. } => Code::ProviderUnavailable,
            ModelError::Prompt { .. } => Code::InvalidArgument,
            _ => Code::Internal,
        };
        let fault = Fault::new(code, sentence(error.to_string()));
        match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        let fault = |code| Fault::new(code, sentence(error.to_string()));
        match &error {
            StoreError::NotWritable { .. } => {
                fault(Code::Internal).hint("Name a folder that may be written with --results DIR or SAT_MCP_RESULTS.")
            }
            StoreError::Unreadable { .. } => fault(Code::Internal),
            StoreError::NoResult { .. } => {
                fault(Code::NotFound).hint("It may have been pruned; run segment again, or see `sat-mcp results`.")
            }
            StoreError::NoFile { .. } => fault(Code::NotFound).hint("The result's answer names its files."),
        }
    }
}

impl From<PrepareError> for Fault {
    fn from(error: PrepareError) -> Fault {
        Fault::new(Code::BadImage, sentence(error.to_string()))
    }
}

impl From<SegmentError> for Fault {
    fn from(error: SegmentError) -> Fault {
        match error {
            SegmentError::Prepare(error) => error.into(),
            SegmentError::Model(error) => error.into(),
            SegmentError::Cancelled => Fault::new(Code::Cancelled, "The run was cancelled: there is no result."),
        }
    }
}

impl From<&ResolveError> for Fault {
    fn from(error: &ResolveError) -> Fault {
        let code = match error {
            ResolveError::NotAName { .. } => Code::InvalidArgument,
            ResolveError::Unknown { .. } => Code::UnknownTarget,
            ResolveError::Ambiguous { .. } => Code::AmbiguousTarget,
            ResolveError::NotInModality { .. } => Code::NotInModality,
            ResolveError::NotInModel { .. } => Code::NotInModel,
        };
        let candidates = error.candidates().iter().map(|candidate| Candidate {
            target: error.phrase().to_owned(),
            name: candidate.name.clone(),
            score: candidate.score,
            available: candidate.available,
            by_meaning: candidate.by_meaning,
        });
        Fault {
            code,
            message: sentence(error.to_string()),
            hint: Some(error.hint()),
            candidates: candidates.collect(),
        }
    }
}

impl From<ListError> for Fault {
    fn from(error: ListError) -> Fault {
        Fault::new(Code::InvalidArgument, sentence(error.to_string()))
    }
}

impl From<ReportError> for Fault {
    fn from(error: ReportError) -> Fault {
        Fault::new(Code::InvalidArgument, sentence(error.to_string())).hint(error.hint())
    }
}

/// Begins with a capital, unless it begins with a quotation or a path, and ends with a full stop, so that a hint can follow.
pub(super) fn sentence(mut text: String) -> String {
    let word = text.split([' ', ':']).next().unwrap_or_default();
    if word.chars().all(|c| c.is_ascii_lowercase()) && !text[word.len()..].starts_with(':') {
        let length = word.len().min(1);
        text.replace_range(..length, &text[..length].to_ascii_uppercase());
    }
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}
