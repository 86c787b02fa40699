//! Who may call over HTTP, by the built program on a real socket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod doors;
mod ending;
mod issuer;
mod oauth;
mod results;
mod server;
mod sessions;
mod start;
mod tokens;
mod uploads;

use common::Place;
use std::path::PathBuf;

pub(crate) const ANN: &str = "0123456789abcdef-ann";
pub(crate) const BOB: &str = "0123456789abcdef-bob";

/// A token file that only its owner reads.
pub(crate) fn token_file(place: &Place, text: &str) -> PathBuf {
    let path = place.folder.path().join("tokens");
    std::fs::write(&path, text).unwrap();
    only_mine(&path);
    path
}

pub(crate) fn ann_and_bob(place: &Place) -> PathBuf {
    token_file(place, &format!("# who may call\nann {ANN}\n\nbob {BOB}\n"))
}

#[cfg(unix)]
pub(crate) fn only_mine(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn only_mine(_path: &std::path::Path) {}
