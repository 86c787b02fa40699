//! A report as it comes: bytes that should be text.

/// Longest report that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// Why a report could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Nothing to read.
    #[error("{name}: the report is empty")]
    Empty {
        /// The file.
        name: String,
    },
    /// Far longer than any report.
    #[error("{name}: the report has more than {LONGEST} bytes")]
    TooLong {
        /// The file.
        name: String,
    },
    /// Not text.
    #[error("{name}: the report is not UTF-8 text: the byte at offset {offset} fits no character")]
    NotText {
        /// The file.
        name: String,
        /// Where the first wrong byte is.
        offset: usize,
    },
}

impl ReportError {
    /// What the caller can do.
    pub fn hint(&self) -> &'static str {
        match self {
            ReportError::Empty { .. } => "Give a file with the report's text, or - to read it from stdin.",
            ReportError::TooLong { .. } => "Give one report at a time, as plain text of at most 1 MB.",
            ReportError::NotText { .. } => {
                "Save the report as plain text in UTF-8 and try again; PDF and Word files are not read."
            }
        }
    }

    /// How many bytes of a report to read at most, one more than is allowed.
    pub fn limit() -> u64 {
        LONGEST as u64 + 1
    }
}

/// The text of a report, or why it is none. `name` is what to call it in an error.
///
/// ```
/// use sat_mcp::anatomy::report_text;
/// let error = report_text("report.txt", vec![b'a', 0xff]).unwrap_err();
/// assert!(error.to_string().contains("offset 1"));
/// ```
pub fn report_text(name: &str, bytes: Vec<u8>) -> Result<String, ReportError> {
    let name = || name.to_owned();
    if bytes.len() > LONGEST {
        return Err(ReportError::TooLong { name: name() });
    }
    let text = String::from_utf8(bytes).map_err(|error| ReportError::NotText {
        name: name(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    if !text.chars().any(char::is_alphanumeric) {
        return Err(ReportError::Empty { name: name() });
    }
    Ok(text)
}
