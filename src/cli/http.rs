//! How `serve --http` meets the network: who may call, under which names, and how much clients may take.

use crate::serve::{ConnectionLimits, HttpOptions, OAuthOptions, allowed_host, allowed_origin};
use crate::service::{Code, Fault};
use clap::Args;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Options that mean something with `--http` alone, by the names that clap gives them.
pub(super) const ONLY_HTTP: [&str; 16] = [
    "max_upload",
    "open_metrics",
    "expose_paths",
    "token_file",
    "shared_results",
    "public_url",
    "allowed_hosts",
    "allowed_origins",
    "oauth_issuer",
    "oauth_audience",
    "oauth_jwks",
    "oauth_scopes",
    "oauth_retry",
    "max_connections",
    "client_timeout",
    "drain",
];

/// Bytes of an image that a caller may send, by default.
const MAX_UPLOAD: u64 = 2_000_000_000;
/// Seconds between two looks at an OAuth issuer's keys.
const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "With --http")]
pub(super) struct Http {
    /// Say where files lie on this machine: for callers who share its disk
    #[arg(long)]
    pub expose_paths: bool,
    /// Callers by their tokens, one a line: NAME TOKEN. Read again when it changes. Needed for an address that other machines
    /// reach, unless OAuth is set up
    #[arg(long, env = "SAT_MCP_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Let every caller read every caller's results
    #[arg(long)]
    pub shared_results: bool,
    /// What clients call this server where a proxy stands before it, without /mcp: https://sat.example.org
    #[arg(long, env = "SAT_MCP_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub public_url: Option<Url>,
    /// Answer under this name, too; repeatable [default: the address, the public URL's host, on loopback localhost]
    #[arg(long = "allowed-host", env = "SAT_MCP_ALLOWED_HOSTS", value_name = "HOST[:PORT]", value_delimiter = ',', value_parser = host)]
    pub allowed_hosts: Vec<String>,
    /// Let pages of this origin call, such as https://app.example.org; repeatable [default: none]
    #[arg(long = "allowed-origin", env = "SAT_MCP_ALLOWED_ORIGINS", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub allowed_origins: Vec<String>,
    /// Take access tokens (JWT) of this OAuth 2.1 authorization server
    #[arg(long, env = "SAT_MCP_OAUTH_ISSUER", value_name = "URL")]
    pub oauth_issuer: Option<String>,
    /// For whom they have to be made [default: the public URL with /mcp]
    #[arg(long, env = "SAT_MCP_OAUTH_AUDIENCE", value_name = "AUDIENCE")]
    pub oauth_audience: Option<String>,
    /// Where the issuer's keys are [default: where its metadata say]
    #[arg(long, env = "SAT_MCP_OAUTH_JWKS", value_name = "URL")]
    pub oauth_jwks: Option<Url>,
    /// A scope that they need; repeatable [default: none]
    #[arg(long = "oauth-scope", env = "SAT_MCP_OAUTH_SCOPES", value_name = "SCOPE", value_delimiter = ' ', value_parser = scope)]
    pub oauth_scopes: Vec<String>,
    /// Least seconds between two looks at the issuer's keys
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = super::words::seconds)]
    pub oauth_retry: Option<Duration>,
    /// The largest image that a caller may send with PUT /images, such as 500MB [default: 2GB]
    #[arg(long, value_name = "SIZE", value_parser = super::words::bytes)]
    pub max_upload: Option<u64>,
    /// Let anybody read /metrics, also where callers must show who they are
    #[arg(long)]
    pub open_metrics: bool,
    /// Connections open at once, three quarters of them at most from one other machine [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections: Option<u32>,
    /// Seconds that a client may take to begin a request, leave an answer unread, or fall behind 16 KiB/s with a body [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub client_timeout: Option<Duration>,
    /// Seconds that answers under way have once the process is told to end [default: 7]
    #[arg(long, value_name = "SECONDS", value_parser = super::words::seconds)]
    pub drain: Option<Duration>,
}

/// `[http]` of sat-mcp.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpTable {
    token_file: Option<PathBuf>,
    expose_paths: bool,
    shared_results: bool,
    public_url: Option<String>,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    max_upload: Option<String>,
    open_metrics: bool,
    max_connections: Option<u32>,
    client_timeout: Option<f64>,
    drain: Option<f64>,
}

/// `[oauth]` of sat-mcp.toml.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OAuthTable {
    issuer: Option<String>,
    audience: Option<String>,
    jwks: Option<String>,
    scopes: Vec<String>,
}

/// All of it for a server at `address`: the flag, then the environment variable, then sat-mcp.toml, then the default.
pub(super) fn options(
    address: SocketAddr,
    given: &Http,
    table: &HttpTable,
    oauth_table: &OAuthTable,
) -> Result<HttpOptions, Fault> {
    let or = |given: &[String], table: &[String], read: fn(&str) -> Result<String, String>, name: &str| match given {
        [] => table.iter().map(|text| from_table(name, text, read)).collect(),
        given => Ok(given.to_vec()),
    };
    let default = ConnectionLimits::default();
    Ok(HttpOptions {
        address,
        expose_paths: given.expose_paths || table.expose_paths,
        shared_results: given.shared_results || table.shared_results,
        token_file: given.token_file.clone().or_else(|| table.token_file.clone()),
        oauth: oauth(given, oauth_table)?,
        public_url: match (&given.public_url, &table.public_url) {
            (Some(url), _) => Some(url.clone()),
            (None, text) => text
                .as_deref()
                .map(|text| from_table("public_url", text, public_url))
                .transpose()?,
        },
        allowed_hosts: or(&given.allowed_hosts, &table.allowed_hosts, host, "allowed_hosts")?,
        allowed_origins: or(
            &given.allowed_origins,
            &table.allowed_origins,
            origin,
            "allowed_origins",
        )?,
        max_upload: match (given.max_upload, &table.max_upload) {
            (Some(bytes), _) => bytes,
            (None, Some(text)) => from_table("max_upload", text, super::words::bytes)?,
            (None, None) => MAX_UPLOAD,
        },
        open_metrics: given.open_metrics || table.open_metrics,
        limits: ConnectionLimits {
            connections: match given.max_connections.or(table.max_connections) {
                Some(0) => return Err(wrong("max_connections: at least one connection is needed")),
                Some(connections) => connections as usize,
                None => default.connections,
            },
            patience: duration(
                given.client_timeout,
                table.client_timeout,
                "client_timeout",
                positive_seconds,
            )?
            .unwrap_or(default.patience),
            drain: duration(given.drain, table.drain, "drain", super::words::seconds)?.unwrap_or(default.drain),
        },
    })
}

fn oauth(given: &Http, table: &OAuthTable) -> Result<Option<OAuthOptions>, Fault> {
    let audience = given.oauth_audience.clone().or_else(|| table.audience.clone());
    let jwks = match (&given.oauth_jwks, &table.jwks) {
        (Some(url), _) => Some(url.clone()),
        (None, text) => text
            .as_deref()
            .map(|text| from_table("jwks", text, any_url))
            .transpose()?,
    };
    let scopes = match &given.oauth_scopes[..] {
        [] => table
            .scopes
            .iter()
            .map(|text| from_table("scopes", text, scope))
            .collect::<Result<_, _>>()?,
        scopes => scopes.to_vec(),
    };
    let Some(issuer) = given.oauth_issuer.clone().or_else(|| table.issuer.clone()) else {
        return match audience.is_none() && jwks.is_none() && scopes.is_empty() {
            true => Ok(None),
            false => Err(
                wrong("an OAuth audience, scope or set of keys means nothing without an issuer")
                    .hint("Give --oauth-issuer URL, SAT_MCP_OAUTH_ISSUER, or issuer in [oauth] of sat-mcp.toml."),
            ),
        };
    };
    Ok(Some(OAuthOptions {
        issuer,
        audience,
        jwks,
        scopes,
        retry: given.oauth_retry.unwrap_or(RETRY),
    }))
}

fn duration(
    given: Option<Duration>,
    table: Option<f64>,
    name: &str,
    read: fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>, Fault> {
    match (given, table) {
        (Some(given), _) => Ok(Some(given)),
        (None, table) => table
            .map(|seconds| from_table(name, &seconds.to_string(), read))
            .transpose(),
    }
}

fn from_table<T>(name: &str, text: &str, read: fn(&str) -> Result<T, String>) -> Result<T, Fault> {
    read(text).map_err(|fault| wrong(&format!("{name} of sat-mcp.toml: {fault}")))
}

fn wrong(what: &str) -> Fault {
    Fault::new(Code::InvalidArgument, format!("{what}."))
}

fn any_url(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| format!("{text:?} is no URL ({error})"))
}

/// With or without `/mcp` at its end.
fn public_url(text: &str) -> Result<Url, String> {
    let mut url = any_url(text)?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain {
        return Err(format!("{text:?} is not the plain http(s) URL of a server"));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/mcp").unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

fn host(text: &str) -> Result<String, String> {
    allowed_host(text).ok_or_else(|| format!("{text:?} is no host name or address, with or without a port"))
}

fn origin(text: &str) -> Result<String, String> {
    allowed_origin(text)
        .ok_or_else(|| format!("{text:?} is no origin: it takes a scheme and a host, such as https://app.example.org"))
}

/// RFC 6749's scope-token.
fn scope(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is no scope")),
    }
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    match super::words::seconds(text)? {
        Duration::ZERO => Err("it has to be more than nothing".to_owned()),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_public_url_may_name_the_endpoint_or_not() {
        for text in [
            "https://a.example/sat",
            "https://a.example/sat/",
            "https://a.example/sat/mcp",
        ] {
            assert_eq!(public_url(text).unwrap().as_str(), "https://a.example/sat");
        }
        for text in [
            "a.example",
            "ftp://a.example",
            "https://a.example?x",
            "https://me@a.example",
        ] {
            public_url(text).unwrap_err();
        }
    }
}
