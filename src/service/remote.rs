//! A series in an archive, as a name says it.

use super::Fault;
use crate::dicomweb::{Archive, Client, SeriesName, Uid};
use std::collections::BTreeSet;

/// How the name of such an image begins.
pub(super) const DICOMWEB: &str = "dicomweb:";
/// Instances of a series that is fetched: as many as files of a folder are looked at.
const MOST_INSTANCES: usize = 20_000;
/// A series in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    pub archive: Archive,
    pub series: SeriesName,
}

impl Remote {
    /// By what its instances are known: the same series under another of the server's names is the same, and once something
    /// was added to it, it is another.
    pub fn key(&self, listed: &BTreeSet<Uid>) -> String {
        let uids: Vec<&str> = listed.iter().map(Uid::as_str).collect();
        let SeriesName { study, series } = &self.series;
        let of = serde_json::json!([self.archive.url.as_str(), study.as_str(), series.as_str(), uids]);
        blake3::hash(of.to_string().as_bytes()).to_hex().to_string()
    }

    /// Its instances now.
    pub fn list(&self, client: &Client) -> Result<BTreeSet<Uid>, Fault> {
        Ok(client.instances(&self.series, MOST_INSTANCES)?)
    }
}
