//! `sat-mcp serve`: the tools over MCP.

use super::arguments::{Common, Serve};
use super::settings::{Config, given_roots};
use crate::serve::{Depth, Options, ServeError, data_roots, run_http, run_stdio};
use crate::service::{Access, Code, Fault, Service};
use std::path::PathBuf;
use std::sync::Arc;

/// Many callers may wait, but none of them may fill the queue.
const HTTP_QUEUE: Depth = Depth { all: 32, each: 8 };

pub(super) fn run(common: &Common, arguments: &Serve) -> Result<(), Fault> {
    let config = Config::read(common.config.as_deref())?;
    let mut settings = config.settings(common)?;
    settings.access = Access::Roots(roots(arguments, &config)?);
    let options = Options {
        answer_within: arguments.answer_within,
        #[cfg(feature = "fixtures")]
        fixtures: arguments.fixtures,
        ..Options::default()
    };
    let ended = match arguments.http {
        None => run_stdio(Arc::new(Service::open_unread(settings, refused)?), options),
        Some(address) => {
            let http = super::http::options(address, &arguments.network, &config.http, &config.oauth)?;
            let named = http.token_file.is_some() || http.oauth.is_some();
            // Where nobody says who they are, all programs of a machine count as one caller, and so do all behind a proxy.
            let each = if named { HTTP_QUEUE.each } else { HTTP_QUEUE.all };
            let options = Options {
                queue: Depth { each, ..HTTP_QUEUE },
                ..options
            };
            run_http(Arc::new(Service::open(settings)?), options, http)
        }
    };
    ended.map_err(|error| match error {
        ServeError::Guard(_) => Fault::new(Code::InvalidArgument, error.to_string()),
        _ => Fault::new(Code::Internal, error.to_string()),
    })
}

/// A model that is not what it promises ends the server, if it has only just begun.
fn refused(fault: Fault) {
    super::tell(&fault, false);
    std::process::exit(super::FAILED.into());
}

/// What was given, else the working directory.
fn roots(arguments: &Serve, config: &Config) -> Result<Vec<PathBuf>, Fault> {
    let given = given_roots(&arguments.data_roots, config);
    if given.is_empty() && arguments.http.is_some() {
        return Err(Fault::new(
            Code::InvalidArgument,
            "Over HTTP the folders that callers may read have to be named.",
        )
        .hint("Give --data-root FOLDER (repeatable), SAT_MCP_DATA_ROOTS, or data_roots in sat-mcp.toml."));
    }
    let cwd = std::env::current_dir().map_err(|error| {
        Fault::new(
            Code::InvalidArgument,
            format!("The working directory cannot be read: {error}."),
        )
    })?;
    let home = std::env::home_dir();
    data_roots(given, &cwd, home.as_deref())
        .map_err(|error: ServeError| Fault::new(Code::InvalidArgument, error.to_string()))
}
