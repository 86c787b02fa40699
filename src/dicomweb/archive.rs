//! The servers that settings name.

use std::path::PathBuf;
use url::Url;

/// What nobody is to read: it shows in no log and no message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// For the server alone.
    pub(super) fn bare(&self) -> &str {
        &self.0
    }

    /// Whether it can stand in a header: visible letters and blanks, as RFC 9110 section 5.5 has them.
    pub fn fits_a_header(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    }

    /// Whether anything is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// How sat-mcp shows a server who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// HTTP Basic (RFC 7617).
    Basic {
        /// The user.
        username: String,
        /// The user's password.
        password: Secret,
    },
    /// A bearer token (RFC 6750).
    Bearer(Secret),
}

/// A DICOMweb server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// What callers call it.
    pub name: String,
    /// Where its services are: what stands before `/studies`.
    pub url: Url,
    /// Who we are there.
    pub credentials: Credentials,
    /// Certificates (PEM) of who vouches for it, beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// All that the settings name, and which one is meant where none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archives {
    all: Vec<Archive>,
    default: Option<String>,
}

impl Archives {
    /// These, of which `default` is meant where none is named; a single one is in any case.
    pub fn new(all: Vec<Archive>, default: Option<String>) -> Archives {
        let single = || {
            all.first()
                .filter(|_| all.len() == 1)
                .map(|archive| archive.name.clone())
        };
        Archives {
            default: default.or_else(single),
            all,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Archive> {
        self.all.iter().find(|archive| archive.name == name)
    }

    /// The one that is meant where none is named.
    pub fn preset(&self) -> Option<&Archive> {
        self.named(self.default.as_deref()?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Archive> {
        self.all.iter()
    }

    /// What they are called, for messages.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.iter().map(|archive| archive.name.as_str()).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn archive(name: &str) -> Archive {
        Archive {
            name: name.into(),
            url: Url::parse("https://a.example/dicom-web").unwrap(),
            credentials: Credentials::Basic {
                username: "ann".into(),
                password: Secret::new("hunter2"),
            },
            ca_file: None,
        }
    }

    #[test]
    fn a_single_server_is_meant_where_none_is_named_and_of_several_the_default() {
        let one = Archives::new(vec![archive("a")], None);
        assert_eq!(one.preset().unwrap().name, "a");
        let several =
            |default: Option<&str>| Archives::new(vec![archive("a"), archive("b")], default.map(str::to_owned));
        assert_eq!(several(None).preset(), None);
        assert_eq!(several(Some("b")).preset().unwrap().name, "b");
        assert_eq!((several(None).names(), several(None).named("c")), ("a, b".into(), None));
    }

    #[test]
    fn what_is_secret_shows_nowhere() {
        let told = format!("{:?}", Archives::new(vec![archive("a")], None));
        assert!(told.contains("ann") && !told.contains("hunter2"), "{told}");
        assert!(!Secret::new("two\r\nlines").fits_a_header());
    }
}
