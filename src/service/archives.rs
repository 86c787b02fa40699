//! Images that lie in an archive, `dicomweb:STUDY/SERIES`, and results that are sent to one.

use super::given::Given;
use super::remote::{DICOMWEB, Remote};
use super::{Caller, Code, Fault, Format, SegmentAnswer, SentAnswer, Service, Warning, faults, objects, paths};
use crate::dicomweb::{Archive, Client, DicomWebError, Failure, SeriesName, Stored, Uid};
use crate::volume::{Around, Input};
use std::path::PathBuf;

/// Code of the warning that objects did not arrive.
const NOT_SENT: &str = "not_sent";

impl Service {
    /// Whether images may come from elsewhere, and results may go there.
    pub fn reaches_out(&self) -> bool {
        !self.settings.archives.is_empty()
    }

    /// The image that a name `dicomweb:…` means, unfetched.
    pub(super) fn remote(&self, given: &str) -> Result<Given, Fault> {
        let archives = &self.settings.archives;
        let (name, choice) = paths::split_choice(given).map_or((given, None), |(name, choice)| (name, Some(choice)));
        let wrong = |fault: &str| Fault::new(Code::InvalidArgument, format!("{given}: {fault}."));
        let steps: Vec<&str> = name.strip_prefix(DICOMWEB).unwrap_or(name).split('/').collect();
        let (archive, study, series) = match steps.as_slice() {
            [study, series] => (archives.preset(), *study, *series),
            [name, study, series] => (Some(self.archive(name)?), *study, *series),
            _ => (None, "", ""),
        };
        let (Some(study), Some(series)) = (Uid::new(study), Uid::new(series)) else {
            return Err(wrong("this names no series").hint(format!(
                "Write dicomweb:STUDY/SERIES with the two Instance UIDs (digits and dots, at most 64 characters each), or \
                 dicomweb:NAME/STUDY/SERIES for one of the servers {}.",
                archives.names()
            )));
        };
        let archive = archive.ok_or_else(|| {
            wrong("there are several DICOMweb servers, and none of them is the default").hint(format!(
                "Write dicomweb:NAME/STUDY/SERIES with one of {}.",
                archives.names()
            ))
        })?;
        let remote = Remote {
            archive: archive.clone(),
            series: SeriesName { study, series },
        };
        let base = remote.archive.url.as_str().trim_end_matches('/');
        let SeriesName { study, series } = &remote.series;
        Ok(Given {
            // Where it is until it is fetched: no file, but a place that is the same for as long as the settings are.
            input: Input {
                path: PathBuf::from(format!("{base}/studies/{study}/series/{series}")),
                other: None,
                choice: choice.map(str::to_owned),
                around: Around::All,
            },
            uri: given.to_owned(),
            remote: Some(remote),
        })
    }

    /// The server of this name.
    pub(super) fn archive(&self, name: &str) -> Result<&Archive, Fault> {
        let archives = &self.settings.archives;
        archives.named(name).ok_or_else(|| {
            let unknown = Fault::new(Code::InvalidArgument, format!("No DICOMweb server is called {name:?}."));
            match archives.is_empty() {
                true => unknown.hint("None is configured: [dicomweb] of sat-mcp.toml names them."),
                false => unknown.hint(format!("There are: {}.", archives.names())),
            }
        })
    }

    /// What a series' instances are now, in a word.
    pub(super) fn state_of(&self, remote: &Remote) -> Result<String, Fault> {
        let client = Client::new(&remote.archive)?;
        Ok(remote.key(&remote.list(&client)?))
    }

    /// The same image where it can be read: one in an archive is fetched, unless the same instances were before.
    pub(super) fn at_hand(&self, caller: &Caller, mut given: Given) -> Result<Given, Fault> {
        let Some(remote) = &given.remote else {
            return Ok(given);
        };
        let _span = tracing::info_span!("fetch the series").entered();
        let client = Client::new(&remote.archive)?;
        let listed = remote.list(&client)?;
        let key = remote.key(&listed);
        if let Some(folder) = self.store.series(caller.owner(), &key) {
            given.input.path = folder;
            return Ok(given);
        }
        let draft = self.store.fetch_series(caller.owner(), &key)?;
        let most = self.largest_image(self.settings.reading.unpacked_bytes);
        client.retrieve(&remote.series, &listed, draft.path(), most)?;
        let folder = draft.keep()?;
        tracing::info!(
            server = remote.archive.name,
            instances = listed.len(),
            "a series was fetched"
        );
        if let Err(error) = self.store.prune_around_series(&self.settings.limits, &folder) {
            tracing::warn!(%error, "old results could not be pruned");
        }
        given.input.path = folder;
        Ok(given)
    }

    /// Sends a result's objects to a server. What goes wrong is a warning of the answer's: the masks are kept all the same.
    pub(super) fn send(&self, server: &str, formats: &[Format], answer: &mut SegmentAnswer) {
        let _span = tracing::info_span!("send").entered();
        let said = self.stored_at(server, formats, &answer.result_id);
        let (instances, why) = match said {
            Ok(Stored { stored, refused }) => {
                let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
                let why = (!told.is_empty()).then(|| {
                    format!(
                        "DICOMweb server {server}: it did not take every object: {}.",
                        told.join("; ")
                    )
                });
                (stored, why)
            }
            Err(fault) => (Vec::new(), Some(fault.to_string())),
        };
        if let Some(why) = why {
            tracing::warn!(server, "not all objects of a result could be sent");
            answer.warnings.push(Warning {
                code: NOT_SENT.into(),
                message: format!("Not sent: {why} The masks are kept; call again to send them."),
                target: None,
                targets: None,
            });
        }
        answer.sent = Some(SentAnswer {
            server: server.to_owned(),
            instances,
        });
    }

    fn stored_at(&self, server: &str, formats: &[Format], result_id: &str) -> Result<Stored, Fault> {
        let files = objects::FILES.iter().filter(|(format, _)| formats.contains(format));
        let files = files.map(|(_, file)| self.store.file(result_id, file));
        let files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
        Ok(Client::new(self.archive(server)?)?.store(&files)?)
    }
}

impl From<DicomWebError> for Fault {
    fn from(error: DicomWebError) -> Fault {
        let server = &error.server;
        let settings = format!("url of {server} under [dicomweb] in sat-mcp.toml");
        let (code, hint) = match &error.failure {
            Failure::Settings(_) => (
                Code::Internal,
                "Correct its settings under [dicomweb] in sat-mcp.toml.".into(),
            ),
            Failure::File { .. } => (
                Code::Internal,
                "Make room, or name another folder with --results.".into(),
            ),
            Failure::NoSeries { .. } => (
                Code::NotFound,
                format!("Check both UIDs, whether another server has it, and {settings}."),
            ),
            Failure::Unreachable(_) => (
                Code::BadImage,
                format!("Check that it runs, and {settings}; then call again."),
            ),
            Failure::TooSlow => (Code::BadImage, "Call again once it is less busy.".into()),
            Failure::Status { status, .. } => (Code::BadImage, hint(status.as_u16(), server, &settings)),
            Failure::Answer { .. } => (
                Code::BadImage,
                format!("Check {settings}: it ends where /studies would follow."),
            ),
            Failure::TooLarge { .. } => (
                Code::BadImage,
                "Name a smaller series, or allow more with max_unpacked_gb and results_max_gb.".into(),
            ),
            Failure::TooMany { .. } => (Code::BadImage, "Name a smaller series.".into()),
            Failure::Incomplete { .. } => (
                Code::BadImage,
                "Call again once the series has arrived there whole.".into(),
            ),
        };
        Fault::new(code, faults::sentence(error.to_string())).hint(hint)
    }
}

fn hint(status: u16, server: &str, settings: &str) -> String {
    match status {
        300..=399 => format!("Redirects are not followed: write where it leads as {settings}."),
        401 | 403 => format!(
            "It does not let sat-mcp do this: check username and password, or token, of {server} under [dicomweb] in sat-mcp.toml."
        ),
        404 | 405 | 406 | 415 => {
            format!("Check {settings}, and that the server offers QIDO-RS, WADO-RS and STOW-RS there.")
        }
        _ => "Look at the server's own log, or call again later.".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dicomweb::{Archives, Credentials};
    use crate::service::Settings;
    use crate::service::tests::settings;

    fn service(names: &[&str], default: Option<&str>) -> (tempfile::TempDir, Service) {
        let dir = tempfile::tempdir().unwrap();
        let archive = |name: &&str| Archive {
            name: (*name).to_owned(),
            // Nobody listens there.
            url: url::Url::parse("http://127.0.0.1:9/dicom-web/").unwrap(),
            credentials: Credentials::None,
            ca_file: None,
        };
        let service = Service::without_model(Settings {
            archives: Archives::new(names.iter().map(archive).collect(), default.map(str::to_owned)),
            ..settings(dir.path())
        });
        (dir, service.unwrap())
    }

    #[test]
    fn a_series_is_named_with_or_without_its_server() {
        let (_dir, service) = service(&["a", "b"], Some("b"));
        let caller = Caller::neighbour();
        let server = |given: &str| {
            service
                .given(&caller, given)
                .map(|given| given.remote.unwrap().archive.name)
        };
        assert_eq!(server("dicomweb:1.2/3.4").unwrap(), "b");
        assert_eq!(server("dicomweb:a/1.2/3.4").unwrap(), "a");
        let given = service.given(&caller, "dicomweb:1.2/3.4#1").unwrap();
        assert_eq!(
            (given.input.choice.as_deref(), given.uri.as_str()),
            (Some("1"), "dicomweb:1.2/3.4#1")
        );
        for wrong in [
            "dicomweb:",
            "dicomweb:1.2",
            "dicomweb:1.2/",
            "dicomweb:1.2/x",
            "dicomweb:a/b/1.2/3.4",
            "dicomweb:c/1.2/3.4",
            "dicomweb:1.2/../3.4",
            "dicomweb://a/1.2",
        ] {
            let fault = service.given(&caller, wrong).unwrap_err();
            assert_eq!(fault.code, Code::InvalidArgument, "{wrong}");
            assert!(fault.hint.unwrap().contains("a, b"), "{wrong}");
        }
    }

    #[test]
    fn without_a_default_or_a_server_the_way_out_is_told() {
        let caller = Caller::neighbour();
        let (_dir, several) = service(&["a", "b"], None);
        let fault = several.given(&caller, "dicomweb:1.2/3.4").unwrap_err();
        assert!(
            fault
                .to_string()
                .contains("dicomweb:NAME/STUDY/SERIES with one of a, b"),
            "{fault}"
        );
        let (_dir, none) = service(&[], None);
        assert!(!none.reaches_out());
        let fault = none.given(&caller, "dicomweb:1.2/3.4").unwrap_err();
        assert!(
            fault.to_string().contains("no DICOMweb server is configured"),
            "{fault}"
        );
    }

    #[test]
    fn a_server_that_is_gone_is_a_fault_that_names_it_and_not_its_address() {
        let (_dir, service) = service(&["pacs"], None);
        let caller = Caller::neighbour();
        let given = service.given(&caller, "dicomweb:1.2/3.4").unwrap();
        let fault = service.at_hand(&caller, given).unwrap_err();
        assert_eq!(fault.code, Code::BadImage);
        assert!(
            fault.message.starts_with("DICOMweb server pacs: it cannot be reached"),
            "{fault}"
        );
        assert!(!fault.to_string().contains("127.0.0.1"), "{fault}");
        assert_eq!(service.stamp(&caller, "dicomweb:1.2/3.4"), None);
    }
}
