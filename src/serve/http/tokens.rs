//! Callers by a file of tokens, one a line: `NAME TOKEN`.
//!
//! Only hashes of the tokens are kept. The file is looked at again while callers come, so that a token can be given out or
//! revoked without a restart; while there is no file that can be read, nobody is let in. A caller may have several tokens, so that one can be changed for another.

use blake3::Hash;
use std::collections::HashMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Fewer characters could be guessed.
const SHORTEST: usize = 16;
/// More would not fit into a header everywhere.
const LONGEST: usize = 1024;
/// How long a token may still be taken after its line has gone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a token file cannot be used. No message holds a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{path}: the token file cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Every user of the machine could read it.
    #[error("{path}: other users of this machine may read or write the token file. Mend it: chmod o-rwx {path}", path = .path.display())]
    Open {
        /// As given.
        path: PathBuf,
    },
    /// A line that is no `NAME TOKEN`.
    #[error("{path}, line {line}: {fault}. A line of the token file is a name and a token: NAME TOKEN", path = .path.display())]
    Line {
        /// As given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        fault: String,
    },
    /// Nobody could call.
    #[error(
        "{path}: the token file names no caller. Put a line into it: NAME TOKEN, the token for example from `openssl rand -hex 32`",
        path = .path.display()
    )]
    Nobody {
        /// As given.
        path: PathBuf,
    },
}

/// The callers of one file.
pub(super) struct Tokens {
    path: PathBuf,
    state: Mutex<State>,
    /// Held by the one who looks at the file.
    looking: tokio::sync::Mutex<()>,
}

struct State {
    callers: Vec<(Hash, String)>,
    seen: Option<Version>,
    looked: Instant,
}

/// By what a file that has been written anew is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    modified: Option<SystemTime>,
    bytes: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Version {
    fn of(file: &Metadata) -> Version {
        Version {
            modified: file.modified().ok(),
            bytes: file.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(file),
        }
    }
}

impl Tokens {
    /// Reads the file, which has to be whole and to name somebody.
    pub fn open(path: &Path) -> Result<Tokens, TokenError> {
        let seen = version(path);
        let callers = read(path)?;
        if callers.is_empty() {
            return Err(TokenError::Nobody { path: path.to_owned() });
        }
        Ok(Tokens {
            path: path.to_owned(),
            looking: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                callers,
                seen,
                looked: Instant::now(),
            }),
        })
    }

    /// Whose token this is.
    pub async fn caller(self: &Arc<Self>, token: &str) -> Option<String> {
        let hash = blake3::hash(token.as_bytes());
        if self.is_due() {
            // Whoever comes meanwhile waits: a token that was revoked long ago must not slip in.
            let _one = self.looking.lock().await;
            if self.is_due() {
                let tokens = self.clone();
                // Where it panics, the state is as it was.
                let _ = tokio::task::spawn_blocking(move || tokens.look_again()).await;
                self.lock().looked = Instant::now();
            }
        }
        let state = self.lock();
        // Hashes compare in constant time, and all of them are compared.
        let mut found = None;
        for (known, name) in &state.callers {
            if *known == hash {
                found = Some(name);
            }
        }
        found.cloned()
    }

    /// Whether the file has to be looked at again.
    fn is_due(&self) -> bool {
        self.lock().looked.elapsed() >= LOOK_AGAIN
    }

    /// Takes a new version of the file. One with a wrong line leaves the old one in force; where there is none that may be
    /// read, somebody has taken it away, and the tokens with it.
    fn look_again(&self) {
        let version = version(&self.path);
        if version.is_some() && version == self.lock().seen {
            return;
        }
        let read = read(&self.path);
        let mut state = self.lock();
        match read {
            Ok(callers) => {
                tracing::info!(tokens = callers.len(), "the token file was read again");
                (state.callers, state.seen) = (callers, version);
            }
            Err(error @ (TokenError::Line { .. } | TokenError::Nobody { .. })) => {
                tracing::error!("the tokens of before stay in force: {error}");
                state.seen = version;
            }
            Err(error @ (TokenError::Unreadable { .. } | TokenError::Open { .. })) => {
                tracing::error!("nobody is let in until this is mended: {error}");
                // Mending may leave its time as it is.
                (state.callers, state.seen) = (Vec::new(), None);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(path: &Path) -> Option<Version> {
    path.metadata().ok().map(|file| Version::of(&file))
}

fn read(path: &Path) -> Result<Vec<(Hash, String)>, TokenError> {
    let unreadable = |source| TokenError::Unreadable {
        path: path.to_owned(),
        source,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if path.metadata().map_err(unreadable)?.permissions().mode() & 0o006 != 0 {
            return Err(TokenError::Open { path: path.to_owned() });
        }
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse(&text).map_err(|(line, fault)| TokenError::Line {
        path: path.to_owned(),
        line,
        fault,
    })
}

/// Hashes and names, or the number of the first line that is wrong and what is wrong with it.
fn parse(text: &str) -> Result<Vec<(Hash, String)>, (usize, String)> {
    let mut callers = Vec::new();
    let mut lines: HashMap<Hash, usize> = HashMap::new();
    for (line, text) in text.lines().enumerate().map(|(at, text)| (at + 1, text.trim())) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let [name, token] = words[..] else {
            return Err((line, format!("there are {} words on it", words.len())));
        };
        if token.len() < SHORTEST || token.len() > LONGEST {
            return Err((line, format!("the token has not {SHORTEST} to {LONGEST} characters")));
        }
        if !token.trim_end_matches('=').bytes().all(may_stand_in_a_token) {
            let fault = "the token has characters other than letters, digits and - . _ ~ + / (and = at its end)";
            return Err((line, fault.to_owned()));
        }
        let hash = blake3::hash(token.as_bytes());
        if let Some(first) = lines.insert(hash, line) {
            return Err((line, format!("its token is that of line {first}")));
        }
        callers.push((hash, name.to_owned()));
    }
    Ok(callers)
}

/// RFC 6750's b68token.
fn may_stand_in_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_comments_and_blank_lines_are_read() {
        let text = "# who may call\n\nann  0123456789abcdef\n\tbob\tfedcba9876543210==\nann 0123456789abcdeX\n";
        let names: Vec<_> = parse(text).unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["ann", "bob", "ann"]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_its_token_is_not_told() {
        let wrong = [
            ("ann\n", 1),
            ("# x\nann secret-word-of-ann too\n", 2),
            ("ann long-enough-for-ann\n\nbob secret\n", 3),
            ("ann secret-word-of-ann!\n", 1),
            ("ann secret-word-of-ann\nbob secret-word-of-ann\n", 2),
        ];
        for (text, line) in wrong {
            let (at, fault) = parse(text).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}
