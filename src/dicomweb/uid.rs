//! Names of studies, series and instances, fit to stand in a URL and in a file's name.

/// Characters of a UID (PS3.5 section 9.1).
const LONGEST: usize = 64;

/// A DICOM UID: digits and dots. Leading zeros of a component, which the standard forbids and archives hold, are let be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

impl Uid {
    /// The UID that `text` is, if it is one.
    pub fn new(text: &str) -> Option<Uid> {
        let component = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (text.len() <= LONGEST && text.split('.').all(component)).then(|| Uid(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which series of which study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesName {
    /// Study Instance UID.
    pub study: Uid,
    /// Series Instance UID.
    pub series: Uid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_and_dots_enter_a_url() {
        let longest = format!("1.{}", "2".repeat(62));
        for fine in ["1", "1.2.840.10008.1.2", "2.25.0", "1.02.3", &longest] {
            assert_eq!(Uid::new(fine).map(|uid| uid.to_string()).as_deref(), Some(fine));
        }
        let long = format!("{longest}3");
        for wrong in [
            "", ".", "..", "1.", ".1", "1..2", "1/2", "1%2e", "1.2?x", "1.2 ", "1.x", "١", "1.2\n", &long,
        ] {
            assert_eq!(Uid::new(wrong), None, "{wrong:?}");
        }
    }
}
