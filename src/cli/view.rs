//! `sat-mcp view`: a result in the browser, as one file that needs neither server nor network.

use super::arguments::{Common, View};
use super::{print, settings};
use crate::service::{Caller, Code, Fault, Service};
use std::path::{Path, PathBuf};

pub(super) fn run(common: &Common, arguments: &View) -> Result<(), Fault> {
    let service = Service::for_looking(settings::settings(common)?)?;
    let page = service.page(&Caller::person(), &arguments.result)?;
    if let Some(fault) = &page.without_image {
        eprintln!("warning: {}", fault.message);
        eprintln!("The page shows the masks alone.");
    }
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => aside(&arguments.result)?,
    };
    std::fs::write(&path, page.html).map_err(|error| cannot_write(&path, &error))?;
    print(&path.display().to_string())?;
    if arguments.out.is_none() && !arguments.no_open {
        open(&path);
    }
    Ok(())
}

/// A file in a folder that nobody else may enter: the page holds a scan. It stays, since browsers read it again.
fn aside(id: &str) -> Result<PathBuf, Fault> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("sat-mcp-view-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let folder = builder.tempdir();
    let folder = folder.map_err(|error| cannot_write(&std::env::temp_dir(), &error))?;
    Ok(folder.keep().join(format!("{id}.html")))
}

/// A machine without a browser is no failure: the page is there.
fn open(path: &Path) {
    if let Err(error) = open::that_detached(path) {
        eprintln!("No browser could be started ({error}); open the file above in one.");
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(
        Code::Internal,
        format!("{}: the page cannot be written: {error}.", path.display()),
    )
    .hint("Name a file in a folder that may be written with --out FILE.")
}
