//! Under which names the server answers, and to pages of which origins.
//!
//! A page in a browser can make a name of its own resolve to 127.0.0.1 and so reach a server that trusts its machine. It cannot
//! forge `Host` and `Origin`, so both are held against what is known.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use std::net::{IpAddr, SocketAddr};
use url::{Origin, Url};

/// What loopback is called.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why a request is not for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    /// Neither `Host` nor an authority in the request's target.
    #[error("The request says no Host, or two that differ.")]
    NoHost,
    /// Not one of ours.
    #[error("This Host is not served here. Name it with --allowed-host or --public-url.")]
    Host,
    /// Not one of ours.
    #[error("Pages of this Origin may not call. Name it with --allowed-origin.")]
    Origin,
}

/// A host, or a host and a port, that a client may have called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    host: String,
    /// Any where absent.
    port: Option<u16>,
}

impl Name {
    fn of(authority: &Authority) -> Name {
        Name {
            host: bare(authority.host()),
            port: authority.port_u16(),
        }
    }

    fn covers(&self, called: &Name) -> bool {
        self.host == called.host && (self.port.is_none() || self.port == called.port)
    }
}

/// Without brackets and in small letters.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// The names and origins of one server.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    names: Vec<Name>,
    origins: Vec<String>,
}

impl Hosts {
    /// `allowed` and `origins` have been read by [`host`] and [`origin`].
    pub fn new(address: SocketAddr, public: Option<&Url>, allowed: &[String], origins: &[String]) -> Hosts {
        let any_port = |host: &str| Name {
            host: host.to_owned(),
            port: None,
        };
        let ip = address.ip();
        let mut names: Vec<Name> = allowed
            .iter()
            .filter_map(|name| name.parse().ok())
            .map(|authority| Name::of(&authority))
            .collect();
        names.extend(public.and_then(Url::host_str).map(|host| any_port(&bare(host))));
        // No page can make these its own name, so they are safe wherever they lead here.
        if ip.is_loopback() || ip.is_unspecified() {
            names.extend(LOOPBACK.map(any_port));
        }
        Hosts {
            names,
            origins: origins.to_vec(),
        }
    }

    /// Whether the request calls us by a name of ours, or by the address that it reached us at, and comes from no page, or from
    /// one that may call.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap, reached: IpAddr) -> Result<(), Foreign> {
        let called = called(uri, headers).ok_or(Foreign::NoHost)?;
        // An address is nobody's to resolve.
        let by_address = called.host.parse() == Ok(reached);
        if !by_address && !self.names.iter().any(|name| name.covers(&called)) {
            return Err(Foreign::Host);
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.allows(origin) && !is_own(origin, &called) => Err(Foreign::Origin),
            _ => Ok(()),
        }
    }

    /// Whether this origin was named as one that may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().ok().and_then(self::origin);
        origin.is_some_and(|origin| self.origins.contains(&origin))
    }

    /// Whether any origin may.
    pub fn any_origin(&self) -> bool {
        !self.origins.is_empty()
    }
}

/// The name that the client used. HTTP/2 has it in the target.
fn called(uri: &Uri, headers: &HeaderMap) -> Option<Name> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let target = uri.authority().map(Name::of);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let named = Name::of(&host.to_str().ok()?.parse().ok()?);
            // Of two names that differ, neither is believed.
            target.is_none_or(|target| target.host == named.host).then_some(named)
        }
        (None, _) => target,
        _ => None,
    }
}

/// Whether a page is of the very host and port that it calls.
fn is_own(origin: &HeaderValue, called: &Name) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else {
        return false;
    };
    let port = called.port.or(origin.port_or_known_default());
    matches!(origin.scheme(), "http" | "https")
        && origin.host_str().is_some_and(|host| bare(host) == called.host)
        && origin.port_or_known_default() == port
}

/// `HOST` or `HOST:PORT`, as `--allowed-host` takes it.
pub fn host(text: &str) -> Option<String> {
    // A bare IPv6 address is no authority.
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Some(format!("[{address}]"));
    }
    let authority: Authority = text.parse().ok()?;
    (!authority.host().is_empty() && !text.contains(['@', '*'])).then(|| text.to_ascii_lowercase())
}

/// An origin in one spelling: scheme, host and, where it is not the scheme's own, port.
pub fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    match url.origin() {
        origin @ Origin::Tuple(..) => {
            (matches!(url.path(), "" | "/") && url.query().is_none()).then(|| origin.ascii_serialization())
        }
        // Schemes of programs that hold a browser, such as vscode-webview.
        Origin::Opaque(_) => url.has_host().then(|| text.trim_end_matches('/').to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(hosts: &Hosts, host: &str, origin: Option<&str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        hosts.check(&"/mcp".parse().unwrap(), &headers, "10.0.0.7".parse().unwrap())
    }

    #[test]
    fn of_two_names_that_differ_neither_is_believed() {
        let hosts = Hosts::new("127.0.0.1:8765".parse().unwrap(), None, &[], &[]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:8765".parse().unwrap());
        let check = |target: &str| hosts.check(&target.parse().unwrap(), &headers, "10.0.0.7".parse().unwrap());
        assert_eq!(check("http://127.0.0.1:8765/mcp"), Ok(()));
        assert_eq!(check("http://evil.example/mcp"), Err(Foreign::NoHost));
    }

    #[test]
    fn loopback_answers_under_its_own_names_alone() {
        let hosts = Hosts::new("127.0.0.1:8765".parse().unwrap(), None, &[], &[]);
        for ours in [
            "localhost",
            "localhost:8765",
            "127.0.0.1:8765",
            "[::1]:8765",
            "LOCALHOST:1",
        ] {
            assert_eq!(check(&hosts, ours, None), Ok(()), "{ours}");
        }
        for other in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8765",
            "10.0.0.1",
        ] {
            assert_eq!(check(&hosts, other, None), Err(Foreign::Host), "{other}");
        }
    }

    #[test]
    fn a_page_may_call_its_own_server_and_no_other() {
        let hosts = Hosts::new("127.0.0.1:8765".parse().unwrap(), None, &[], &[]);
        assert_eq!(check(&hosts, "localhost:8765", Some("http://localhost:8765")), Ok(()));
        for other in [
            "http://localhost:3000",
            "http://evil.example",
            "null",
            "file://",
            "http://127.0.0.1:8765",
        ] {
            assert_eq!(
                check(&hosts, "localhost:8765", Some(other)),
                Err(Foreign::Origin),
                "{other}"
            );
        }
    }

    #[test]
    fn named_hosts_and_origins_are_taken_as_they_are_written() {
        let address = "0.0.0.0:80".parse().unwrap();
        let public = Url::parse("https://sat.example.org/tools").unwrap();
        let origins = [origin("https://App.example:443/").unwrap()];
        let hosts = Hosts::new(address, Some(&public), &[host("Other.example:8443").unwrap()], &origins);
        assert_eq!(check(&hosts, "sat.example.org", Some("https://app.example")), Ok(()));
        assert_eq!(check(&hosts, "other.example:8443", None), Ok(()));
        assert_eq!(check(&hosts, "10.0.0.7:80", None), Ok(()));
        assert_eq!(check(&hosts, "other.example", None), Err(Foreign::Host));
        assert_eq!(
            check(&hosts, "sat.example.org", Some("http://app.example")),
            Err(Foreign::Origin)
        );
    }

    #[test]
    fn what_is_no_host_and_no_origin_is_refused() {
        for text in ["", "*", "*.example.org", "http://a", "a b", "user@host"] {
            assert_eq!(host(text), None, "{text}");
        }
        assert_eq!(host("::1").as_deref(), Some("[::1]"));
        for text in ["", "*", "example.org", "https://example.org/page", "null"] {
            assert_eq!(origin(text), None, "{text}");
        }
    }
}
