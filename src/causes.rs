//! What an error of the HTTP client comes of, for all who speak to another server.

/// Its causes, without the URL that stands in the error's own words.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    match words.is_empty() {
        true => error.to_string(),
        false => words.join(": "),
    }
}
