//! What an error of another library comes of, in one line.

use std::error::Error;

/// An error's words, and those of all that lies beneath.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let beneath = std::iter::successors(error.source(), |error| (*error).source());
    let words = beneath.map(ToString::to_string);
    let words: Vec<String> = std::iter::once(error.to_string()).chain(words).collect();
    words.join(": ").replace('\n', " ")
}

/// What lies beneath an error of the HTTP client, without the URL that stands in its own words.
pub(crate) fn causes(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), with_causes)
}
