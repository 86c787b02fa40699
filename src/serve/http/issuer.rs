//! The keys with which an OAuth issuer signs, found through its metadata and kept.
//!
//! Metadata as in RFC 8414 and OpenID Connect Discovery, keys as in RFC 7517. They are fetched when they are stale or when a key
//! comes that is not among them, by one caller at a time and never twice within a while, so that made-up keys cost the issuer
//! nothing.

use crate::causes::causes;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::{Host, Url};

/// Keys of this age are fetched anew.
const STALE: Duration = Duration::from_secs(600);
/// Where that fails, they are trusted up to this age.
const TOO_OLD: Duration = Duration::from_secs(3600);
/// For a connection to the issuer.
const CONNECT: Duration = Duration::from_secs(5);
/// For all that one fetch takes.
const FETCH: Duration = Duration::from_secs(10);
/// Bytes of a metadata or key document.
const LARGEST: usize = 256 << 10;
/// Keys that are looked at.
const KEYS: usize = 64;

/// Why an issuer's keys are not here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IssuerError {
    /// Only TLS says who answers.
    #[error("{url} is not https, and not on this machine")]
    Plain {
        /// As given or as the issuer's metadata say.
        url: String,
    },
    /// It does not answer, or not with a document.
    #[error("{url} cannot be fetched: {fault}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why.
        fault: String,
    },
    /// The document is somebody else's or is none.
    #[error("{url}: {fault}")]
    Metadata {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// An issuer and its keys.
pub(super) struct Issuer {
    name: String,
    /// Where its keys are, if that was said.
    jwks: Option<Url>,
    client: reqwest::Client,
    /// Least time between two fetches.
    retry: Duration,
    kept: RwLock<Option<Arc<Kept>>>,
    last: Mutex<Option<Attempt>>,
}

/// Keys as they were fetched.
pub(super) struct Kept {
    keys: Vec<Jwk>,
    fetched: Instant,
}

struct Attempt {
    when: Instant,
    failed: Option<IssuerError>,
}

impl Kept {
    /// The keys that go by this name, or all where a token names none.
    pub fn named<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a Jwk> {
        let wanted = move |key: &&Jwk| id.is_none() || key.common.key_id.as_deref() == id;
        self.keys.iter().filter(wanted)
    }

    fn serves(&self, id: Option<&str>, age: Duration) -> bool {
        self.fetched.elapsed() < age && self.named(id).next().is_some()
    }
}

impl Issuer {
    pub fn new(name: &str, jwks: Option<Url>, retry: Duration) -> Result<Issuer, IssuerError> {
        let url = parse(name)?;
        guarded(&url)?;
        jwks.as_ref().map(guarded).transpose()?;
        // Where a provider is installed already, that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(FETCH)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sat-mcp/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| IssuerError::Unreachable {
                url: name.to_owned(),
                fault: causes(&error),
            })?;
        Ok(Issuer {
            name: name.to_owned(),
            jwks,
            client,
            retry,
            kept: RwLock::default(),
            last: Mutex::default(),
        })
    }

    /// Its name, letter by letter as tokens have to give it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys among which one of this name would be, fetched now where need be. An error says that they cannot be had.
    pub async fn keys(&self, id: Option<&str>) -> Result<Arc<Kept>, IssuerError> {
        if let Some(kept) = self.kept().filter(|kept| kept.serves(id, STALE)) {
            return Ok(kept);
        }
        let mut last = self.last.lock().await;
        // Whoever held the lock may have fetched what we need.
        if let Some(kept) = self.kept().filter(|kept| kept.serves(id, STALE)) {
            return Ok(kept);
        }
        let due = last.as_ref().is_none_or(|attempt| attempt.when.elapsed() >= self.retry);
        if due {
            let fetched = tokio::time::timeout(FETCH, self.fetch()).await;
            let failed = match fetched.unwrap_or_else(|_| Err(self.too_slow())) {
                Ok(keys) => {
                    let kept = Kept {
                        keys,
                        fetched: Instant::now(),
                    };
                    *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
                    None
                }
                Err(error) => {
                    tracing::error!("the OAuth issuer's keys cannot be had: {error}");
                    Some(error)
                }
            };
            *last = Some(Attempt {
                when: Instant::now(),
                failed,
            });
        }
        let failed = last.as_ref().and_then(|attempt| attempt.failed.clone());
        match (self.kept(), failed) {
            (Some(kept), Some(_)) if kept.serves(id, TOO_OLD) => Ok(kept),
            (Some(kept), None) => Ok(kept),
            (_, Some(error)) => Err(error),
            (None, None) => Err(self.too_slow()),
        }
    }

    fn kept(&self) -> Option<Arc<Kept>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn too_slow(&self) -> IssuerError {
        IssuerError::Unreachable {
            url: self.name.clone(),
            fault: format!("no answer within {} s", FETCH.as_secs()),
        }
    }

    async fn fetch(&self) -> Result<Vec<Jwk>, IssuerError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let place = match &self.jwks {
            Some(jwks) => jwks.clone(),
            None => self.discover().await?,
        };
        let document: Document = self.document(&place).await?;
        // Keys of kinds that we don't know are no fault of the issuer's.
        let keys = document.keys.into_iter().take(KEYS);
        Ok(keys.filter_map(|key| serde_json::from_value(key).ok()).collect())
    }

    /// Where the issuer's metadata say that its keys are.
    async fn discover(&self) -> Result<Url, IssuerError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let mut fault = None;
        for place in metadata_of(&parse(&self.name)?) {
            let metadata: Metadata = match self.document(&place).await {
                Ok(metadata) => metadata,
                Err(error) => {
                    // The first is the one that says most: the later places are second choices.
                    fault.get_or_insert(error);
                    continue;
                }
            };
            if metadata.issuer != self.name {
                return Err(IssuerError::Metadata {
                    url: place.into(),
                    fault: format!(
                        "these are the metadata of issuer {:?}, not of {:?}",
                        metadata.issuer, self.name
                    ),
                });
            }
            let place = parse(&metadata.jwks_uri)?;
            guarded(&place)?;
            return Ok(place);
        }
        Err(fault.unwrap_or_else(|| self.too_slow()))
    }

    async fn document<T: for<'de> Deserialize<'de>>(&self, place: &Url) -> Result<T, IssuerError> {
        let unreachable = |fault: String| IssuerError::Unreachable {
            url: place.to_string(),
            fault,
        };
        let request = self.client.get(place.clone()).header("accept", "application/json");
        let mut answer = request.send().await.map_err(|error| unreachable(causes(&error)))?;
        if !answer.status().is_success() {
            return Err(unreachable(format!("it answers {}", answer.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(causes(&error)))? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(unreachable(format!("it is larger than {LARGEST} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| IssuerError::Metadata {
            url: place.to_string(),
            fault: format!("this is not the document that should be there ({error})"),
        })
    }
}

/// Where an issuer's metadata may be, in the order in which MCP asks for them.
fn metadata_of(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut place = issuer.clone();
        place.set_path(&path);
        place
    };
    let mut places = vec![
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("/.well-known/openid-configuration{path}")),
    ];
    if !path.is_empty() {
        places.push(at(format!("{path}/.well-known/openid-configuration")));
    }
    places
}

fn parse(url: &str) -> Result<Url, IssuerError> {
    Url::parse(url).map_err(|error| IssuerError::Metadata {
        url: url.to_owned(),
        fault: format!("this is no URL ({error})"),
    })
}

/// Only https says who answers; a server on this machine is taken at its word, for development.
fn guarded(url: &Url) -> Result<(), IssuerError> {
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    match url.scheme() == "https" || url.scheme() == "http" && here {
        true => Ok(()),
        false => Err(IssuerError::Plain { url: url.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn metadata_are_looked_for_where_the_standards_put_them() {
        let places = |issuer: &str| -> Vec<String> {
            let places = metadata_of(&Url::parse(issuer).unwrap());
            places.into_iter().map(String::from).collect()
        };
        assert_eq!(
            places("https://a.example/"),
            [
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration"
            ]
        );
        assert_eq!(
            places("https://a.example/realms/x"),
            [
                "https://a.example/.well-known/oauth-authorization-server/realms/x",
                "https://a.example/.well-known/openid-configuration/realms/x",
                "https://a.example/realms/x/.well-known/openid-configuration"
            ]
        );
    }

    #[test]
    fn only_this_machine_may_be_asked_without_tls() {
        for fine in [
            "https://a.example",
            "http://127.0.0.1:1",
            "http://localhost",
            "http://[::1]/x",
        ] {
            assert!(guarded(&Url::parse(fine).unwrap()).is_ok(), "{fine}");
        }
        for plain in [
            "http://a.example",
            "http://localhost.a.example",
            "http://10.0.0.1",
            "ftp://localhost",
            "file:///x",
        ] {
            assert!(guarded(&Url::parse(plain).unwrap()).is_err(), "{plain}");
        }
    }
}
