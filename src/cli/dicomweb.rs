//! `[dicomweb]` of sat-mcp.toml: the servers that images come from and objects go to.

use crate::dicomweb::{Archive, Archives, Client, Credentials, Secret};
use crate::service::{Code, Fault};
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use url::{Host, Url};

/// What a server is called whose keys stand in `[dicomweb]` itself.
const PLAIN: &str = "dicomweb";
/// The key that says which of several is meant where none is named.
const DEFAULT: &str = "default";

/// One server's keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerTable {
    url: String,
    username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret>,
    password_env: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    token: Option<Secret>,
    token_env: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure_http: bool,
}

/// A text that messages do not repeat, not even where it is a number by mistake.
fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(Some(Secret::new(text))),
        _ => Err(serde::de::Error::custom("a secret is a text in quotation marks")),
    }
}

/// The servers in the table, which stands in `file`.
pub(super) fn archives(table: &Table, file: Option<&Path>) -> Result<Archives, Fault> {
    let read = || -> Result<Archives, String> {
        let mut all = Vec::new();
        let mut plain = Table::new();
        let mut default = None;
        for (key, value) in table {
            match value {
                Value::Table(server) => all.push(archive(key, &format!("[dicomweb.{key}]"), server.clone())?),
                Value::String(name) if key == DEFAULT => default = Some(name.clone()),
                value => {
                    plain.insert(key.clone(), value.clone());
                }
            }
        }
        if !plain.is_empty() {
            if all.iter().any(|archive| archive.name == PLAIN) {
                return Err(format!(
                    "[dicomweb] and [dicomweb.{PLAIN}] are both a server called {PLAIN}; rename the second"
                ));
            }
            all.insert(0, archive(PLAIN, "[dicomweb]", plain)?);
            default = default.or_else(|| Some(PLAIN.to_owned()));
        }
        match &default {
            Some(name) if all.iter().all(|archive| archive.name != *name) => Err(format!(
                "default of [dicomweb] is {name:?}, and there is no [dicomweb.{name}]; name one that is there"
            )),
            _ => Ok(Archives::new(all, default)),
        }
    };
    read().map_err(|fault| {
        let file = file.map_or("sat-mcp.toml".into(), |file| file.display().to_string());
        Fault::new(Code::InvalidArgument, format!("{file}: {fault}."))
            .hint("Correct the settings file, or name another with --config.")
    })
}

fn archive(name: &str, place: &str, table: Table) -> Result<Archive, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !(name.bytes().all(plain) && name.len() <= 64) {
        return Err(format!("{place}: a server's name is made of letters, digits, - and _"));
    }
    let wrong = |key: &str, fault: &str| format!("{key} of {place} {fault}");
    // The first line says what is wrong; what follows says where in a text that nobody wrote.
    let first = |error: toml::de::Error| error.message().lines().next().unwrap_or_default().to_owned();
    let keys: ServerTable = table.try_into().map_err(|error| format!("{place}: {}", first(error)))?;
    let url = url(&keys.url, keys.insecure_http).map_err(|fault| wrong("url", &fault))?;
    let from = |given: Option<Secret>, variable: Option<String>, key: &str| match (given, variable) {
        (Some(_), Some(_)) => Err(wrong(key, &format!("stands beside {key}_env; give one of the two"))),
        (None, Some(variable)) => match std::env::var(&variable) {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(_) => Err(wrong(
                &format!("{key}_env"),
                &format!("is {variable:?}, and no such environment variable is set"),
            )),
        },
        (given, None) => Ok(given),
    };
    let password = from(keys.password, keys.password_env, "password")?;
    let token = from(keys.token, keys.token_env, "token")?;
    let credentials = match (keys.username, password, token) {
        (None, None, None) => Credentials::None,
        (None, None, Some(token)) if token.fits_a_header() => Credentials::Bearer(token),
        (None, None, Some(_)) => return Err(wrong("token", "is empty, or holds more than visible letters")),
        // RFC 7617: the first colon ends the name.
        (Some(username), _, None)
            if username.is_empty() || username.contains(':') || username.contains(char::is_control) =>
        {
            return Err(wrong("username", "is empty, or holds a colon or a control character"));
        }
        (Some(username), Some(password), None) => Credentials::Basic { username, password },
        (Some(_), None, None) => return Err(wrong("username", "needs a password; give password or password_env")),
        (None, Some(_), None) => return Err(wrong("password", "needs a username")),
        (_, _, Some(_)) => {
            return Err(wrong(
                "token",
                "stands beside a username or password; give one of the two",
            ));
        }
    };
    let archive = Archive {
        name: name.to_owned(),
        url,
        credentials,
        ca_file: keys.ca_file,
    };
    // Better to hear of certificates that can't be read now than with the first scan.
    if archive.ca_file.is_some() {
        Client::new(&archive).map_err(|error| format!("{place}: {}", error.failure))?;
    }
    Ok(archive)
}

/// A server's URL. It is not repeated where it is wrong, since it may hold a password then.
fn url(text: &str, insecure_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error})"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user's name or password; give username and password".into());
    }
    if !matches!(url.scheme(), "https" | "http")
        || url.host().is_none()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("is not the plain http(s) URL of a server, such as https://pacs.example.org/dicom-web".into());
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() == "https" || here || insecure_http {
        true => Ok(url),
        false => Err(
            "is http, so that anybody on the way can read images and credentials; use https, or say insecure_http = true".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Result<Archives, String> {
        let table: Table = toml::from_str(text).unwrap();
        let table = table["dicomweb"].as_table().unwrap();
        archives(table, Some(Path::new("/etc/sat-mcp.toml"))).map_err(|fault| fault.message)
    }

    #[test]
    fn one_server_or_several_are_read() {
        let one = read("[dicomweb]\nurl = \"https://a.example/dicom-web/\"").unwrap();
        assert_eq!(one.preset().unwrap().name, "dicomweb");
        let several = read(
            "[dicomweb]\ndefault = \"b\"\n[dicomweb.a]\nurl = \"https://a.example\"\ntoken = \"t\"\n\
             [dicomweb.b]\nurl = \"http://10.0.0.1:8042/dicom-web\"\ninsecure_http = true\nusername = \"u\"\npassword = \"\"",
        )
        .unwrap();
        assert_eq!(
            (several.names(), several.preset().unwrap().name.as_str()),
            ("a, b".into(), "b")
        );
        assert_eq!(
            several.named("a").unwrap().credentials,
            Credentials::Bearer(Secret::new("t"))
        );
        let both = read("[dicomweb]\nurl = \"http://localhost:1\"\n[dicomweb.b]\nurl = \"https://b.example\"").unwrap();
        assert_eq!(
            (both.names(), both.preset().unwrap().name.as_str()),
            ("dicomweb, b".into(), "dicomweb")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_file_and_key_and_without_its_secret() {
        for (text, told) in [
            ("password = \"hunter2\"", "missing field `url`"),
            ("url = 1", "string"),
            ("url = \"pacs\"", "url of [dicomweb.a] is no URL"),
            ("url = \"ftp://a.example\"", "plain http(s) URL"),
            ("url = \"https://u:hunter2@a.example\"", "url of [dicomweb.a] holds"),
            ("url = \"http://a.example\"", "insecure_http = true"),
            ("url = \"https://a\"\npasword = \"hunter2\"", "unknown field `pasword`"),
            (
                "url = \"https://a\"\nusername = \"u\"\npassword = 4242",
                "quotation marks",
            ),
            ("url = \"https://a\"\npassword = \"hunter2\"", "needs a username"),
            ("url = \"https://a\"\nusername = \"u\"", "password_env"),
            (
                "url = \"https://a\"\nusername = \"u:v\"\npassword = \"hunter2\"",
                "colon",
            ),
            (
                "url = \"https://a\"\nusername = \"u\"\npassword = \"hunter2\"\ntoken = \"t\"",
                "one of the two",
            ),
            (
                "url = \"https://a\"\npassword = \"hunter2\"\npassword_env = \"P\"",
                "one of the two",
            ),
            ("url = \"https://a\"\ntoken = \"hunter2\\n\"", "visible letters"),
            (
                "url = \"https://a\"\ntoken_env = \"SAT_MCP_NO_SUCH\"",
                "SAT_MCP_NO_SUCH",
            ),
            (
                "url = \"https://a\"\nca_file = \"/nowhere.pem\"",
                "ca_file /nowhere.pem",
            ),
        ] {
            let error = read(&format!("[dicomweb.a]\n{text}")).unwrap_err();
            assert!(
                error.starts_with("/etc/sat-mcp.toml: ") && error.contains(told),
                "{error}"
            );
            assert!(
                error.contains("[dicomweb.a]") && !error.contains("hunter2") && !error.contains("4242"),
                "{error}"
            );
        }
        for text in [
            "[dicomweb]\ndefault = \"b\"\n[dicomweb.a]\nurl = \"https://a\"",
            "[dicomweb.\"a/b\"]\nurl = \"https://a\"",
            "[dicomweb]\nurl = \"https://a\"\n[dicomweb.dicomweb]\nurl = \"https://a\"",
            "[dicomweb]\nusername = \"u\"",
        ] {
            read(text).unwrap_err();
        }
    }
}
