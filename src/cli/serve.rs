//! `sat-mcp serve`: the tools over MCP.

use super::arguments::{Common, Serve};
use super::settings::{Config, given_roots};
use crate::serve::{Options, ServeError, data_roots, run_stdio};
use crate::service::{Access, Code, Fault, Service};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) fn run(common: &Common, arguments: &Serve) -> Result<(), Fault> {
    let config = Config::read(common.config.as_deref())?;
    let mut settings = config.settings(common)?;
    settings.access = Access::Roots(roots(arguments, &config)?);
    let service = Service::open(settings)?;
    let options = Options {
        answer_within: arguments.answer_within,
        ..Options::default()
    };
    run_stdio(Arc::new(service), options).map_err(|error| Fault::new(Code::Internal, error.to_string()))
}

/// What was given, else the working directory.
fn roots(arguments: &Serve, config: &Config) -> Result<Vec<PathBuf>, Fault> {
    let given = given_roots(&arguments.data_roots, config);
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
