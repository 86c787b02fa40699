//! An OAuth 2.1 resource server, as the protocol's authorization chapter asks: access tokens of one issuer, made for us.
//!
//! Tokens are JWTs signed with a key of the issuer's. Only algorithms with a public key are taken, and the key has to be of the
//! algorithm's kind: nothing can be signed with what everybody may read.

use super::issuer::{Issuer, IssuerError, Kept};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// Seconds by which the issuer's clock and ours may differ.
const LEEWAY: u64 = 30;
/// Characters of a token.
const LONGEST: usize = 16 << 10;
/// Keys that are tried where a token names none.
const TRIES: usize = 8;
/// Where clients find out where to get a token (RFC 9728).
pub(super) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// Whose tokens are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuthOptions {
    /// The authorization server, letter by letter as it calls itself.
    pub issuer: String,
    /// For whom tokens have to be made; the public URL of `/mcp` where absent.
    pub audience: Option<String>,
    /// The issuer's keys; found through its metadata where absent.
    pub jwks: Option<Url>,
    /// Scopes that a token needs.
    pub scopes: Vec<String>,
    /// Least time between two looks at the issuer's keys.
    pub retry: Duration,
}

/// Why a token is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// Not one that is good here and now.
    #[error("{0}")]
    Invalid(&'static str),
    /// It is good, but not for this.
    #[error("The token lacks a scope that is needed.")]
    Scope,
    /// It cannot be told now.
    #[error("The OAuth issuer's keys cannot be had, so that no token can be checked. Try again in some seconds.")]
    Unknown(#[source] IssuerError),
}

/// The resource server.
pub(super) struct OAuth {
    issuer: Issuer,
    audience: String,
    scopes: Vec<String>,
    /// What clients call us, `/mcp` included.
    resource: String,
    /// Where our metadata are.
    metadata: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: Option<String>,
    client_id: Option<String>,
    scope: Option<Scopes>,
    scp: Option<Scopes>,
}

/// Issuers write them either way.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Words(String),
    List(Vec<String>),
}

impl Scopes {
    fn has(&self, scope: &str) -> bool {
        match self {
            Scopes::Words(words) => words.split(' ').any(|word| word == scope),
            Scopes::List(list) => list.iter().any(|word| word == scope),
        }
    }
}

impl OAuth {
    /// `public` is what clients call us, without `/mcp`.
    pub fn new(options: &OAuthOptions, public: &Url) -> Result<OAuth, IssuerError> {
        let base = public.as_str().trim_end_matches('/');
        let resource = format!("{base}{}", super::ENDPOINT);
        let mut metadata = public.clone();
        metadata.set_path(&format!(
            "{METADATA}{}{}",
            public.path().trim_end_matches('/'),
            super::ENDPOINT
        ));
        Ok(OAuth {
            issuer: Issuer::new(&options.issuer, options.jwks.clone(), options.retry)?,
            audience: options.audience.clone().unwrap_or_else(|| resource.clone()),
            scopes: options.scopes.clone(),
            resource,
            metadata: metadata.into(),
        })
    }

    /// Fetches the issuer's keys, so that the first caller need not wait for them.
    pub async fn warm_up(&self) {
        // What fails here stands in the log and is tried again.
        let _ = self.issuer.keys(None).await;
    }

    /// RFC 9728's document about us.
    pub fn document(&self) -> Value {
        let mut document = json!({
            "resource": self.resource,
            "authorization_servers": [self.issuer.name()],
            "bearer_methods_supported": ["header"],
            "resource_name": "sat-mcp",
        });
        if !self.scopes.is_empty() {
            document["scopes_supported"] = json!(self.scopes);
        }
        document
    }

    /// What a challenge says of us: where to find out more, and what a token needs.
    pub fn challenge(&self) -> Vec<(&'static str, String)> {
        let mut words = vec![("resource_metadata", self.metadata.clone())];
        if !self.scopes.is_empty() {
            words.push(("scope", self.scopes.join(" ")));
        }
        words
    }

    /// Who has this token: issuer and subject, the same for ever.
    pub async fn caller(&self, token: &str) -> Result<String, Refused> {
        let header = read_header(token)?;
        let kept = self
            .issuer
            .keys(header.kid.as_deref())
            .await
            .map_err(Refused::Unknown)?;
        let claims = self.claims(token, &header, &kept)?;
        if claims.iss != self.issuer.name() {
            return Err(Refused::Invalid("The token is of another issuer."));
        }
        let has = |scope: &String| {
            [&claims.scope, &claims.scp]
                .into_iter()
                .flatten()
                .any(|scopes| scopes.has(scope))
        };
        if !self.scopes.iter().all(has) {
            return Err(Refused::Scope);
        }
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        match (named(&claims.sub), named(&claims.client_id)) {
            (Some(subject), _) => Ok(format!("{}\nsub\n{subject}", claims.iss)),
            (None, Some(client)) => Ok(format!("{}\nclient_id\n{client}", claims.iss)),
            (None, None) => Err(Refused::Invalid(
                "The token does not say whose it is (sub or client_id).",
            )),
        }
    }

    /// What the token says, once one of the keys has proved it.
    fn claims(&self, token: &str, header: &Header, kept: &Kept) -> Result<Claims, Refused> {
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[self.issuer.name()]);
        validation.set_audience(&[&self.audience]);
        let mut fault = "The token's key is none of the issuer's.";
        let keys = kept.named(header.kid.as_deref()).filter(|key| fits(key, header.alg));
        for key in keys.take(TRIES) {
            let Ok(key) = DecodingKey::from_jwk(key) else {
                continue;
            };
            match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => fault = in_words(error.kind()),
            }
            // A key that proves the signature has the last word.
            if fault != NOT_SIGNED {
                break;
            }
        }
        Err(Refused::Invalid(fault))
    }
}

const NOT_SIGNED: &str = "The token's signature is wrong.";

/// The header of a token that could be one for us.
fn read_header(token: &str) -> Result<Header, Refused> {
    if token.len() > LONGEST {
        return Err(Refused::Invalid("The token is too long."));
    }
    let header = jsonwebtoken::decode_header(token)
        .map_err(|_| Refused::Invalid("The token is none that is known here, and no signed JWT."))?;
    if header.alg.family() == AlgorithmFamily::Hmac {
        return Err(Refused::Invalid("The token is not signed with a private key."));
    }
    // RFC 7515: what we don't understand but must.
    if header.crit.is_some() {
        return Err(Refused::Invalid("The token's header asks for an extension (crit)."));
    }
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    match kind.strip_prefix("application/").unwrap_or(&kind) {
        "jwt" | "at+jwt" => Ok(header),
        _ => Err(Refused::Invalid("The token is no access token (typ).")),
    }
}

/// Whether a key may have signed with this algorithm.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
        AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
        _ => return false,
    };
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let own = key.common.key_algorithm.as_ref();
    kind == algorithm.family() && signs && own.is_none_or(|own| own.to_string().parse() == Ok(algorithm))
}

fn in_words(fault: &ErrorKind) -> &'static str {
    match fault {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not valid yet.",
        ErrorKind::InvalidIssuer => "The token is of another issuer.",
        ErrorKind::InvalidAudience => "The token is for another audience.",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks a claim: exp, iss and aud are needed.",
        ErrorKind::InvalidSignature => NOT_SIGNED,
        _ => "The token cannot be read.",
    }
}
