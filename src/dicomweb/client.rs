//! One server, for the while of one piece of work.

use super::header::{MOST_HEAD, instance_of};
use super::pace::Paced;
use super::{
    Archive, Credentials, DicomWebError, Failure, MediaType, SeriesName, Stored, Uid, instances_in, receive, retrieve,
    stored_in,
};
use crate::causes::causes;
use reqwest::StatusCode;
use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// For a connection to the server.
const CONNECT: Duration = Duration::from_secs(10);
/// For the next word from it.
const IDLE: Duration = Duration::from_secs(60);
/// For the server to file what it was sent, beside the time that the bytes take.
const FILING: Duration = Duration::from_secs(120);
/// Bytes a second that a server is taken to receive at least.
const SLOWEST: u64 = 64 << 10;
/// Instances of one page of a listing.
const PAGE: usize = 1000;
/// Bytes of such a page, and of the answer to a store.
const MOST_JSON: u64 = 32 << 20;
/// The DICOM JSON Model (PS3.18 section 8.7.3.2).
const JSON: &str = "application/dicom+json";
/// Whole files in whatever transfer syntax they are in (PS3.18 section 8.7.3.5.2).
const FILES: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
const LISTING: &str = "search for the series";
const STORE: &str = "store";

/// Speaks to one server. It may neither be made nor dropped on an async thread.
pub struct Client<'a> {
    archive: &'a Archive,
    http: reqwest::blocking::Client,
}

impl<'a> Client<'a> {
    /// For `archive`; nothing is sent yet.
    ///
    /// # Errors
    /// When its certificates can't be read.
    pub fn new(archive: &'a Archive) -> Result<Client<'a>, DicomWebError> {
        let settings = |fault: String| Failure::Settings(fault).of(&archive.name);
        // Where a provider is installed already, that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::blocking::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(IDLE)
            // One that leads elsewhere would take our credentials, or people's images, there.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sat-mcp/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &archive.ca_file {
            let wrong = |fault: String| settings(format!("ca_file {}: {fault}", path.display()));
            let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&bytes)
                .map_err(|_| wrong("there are no PEM certificates in it".into()))?;
            if certificates.is_empty() {
                return Err(wrong("there are no PEM certificates in it".into()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| settings(causes(&error)))?;
        Ok(Client { archive, http })
    }

    /// The SOP Instance UIDs of a series (QIDO-RS, PS3.18 section 10.6), page by page (section 8.3.4.4).
    ///
    /// # Errors
    /// When there are none, or more than `most`.
    pub fn instances(&self, series: &SeriesName, most: usize) -> Result<BTreeSet<Uid>, DicomWebError> {
        self.list(series, most).map_err(|failure| self.failed(failure))
    }

    fn list(&self, series: &SeriesName, most: usize) -> Result<BTreeSet<Uid>, Failure> {
        let mut found = BTreeSet::new();
        // A page may be shorter than asked for and not the last, and a server may know no pages: the end is where nothing new comes.
        loop {
            let known = found.len();
            let mut url = self.at(series, &["instances"]);
            url.query_pairs_mut()
                .append_pair("limit", &PAGE.to_string())
                .append_pair("offset", &known.to_string());
            let answer = self.send(self.http.get(url).header(ACCEPT, JSON))?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NO_CONTENT => break,
                StatusCode::NOT_FOUND => break,
                status => return Err(Failure::Status { status, asked: LISTING }),
            }
            let page =
                instances_in(&json(answer, LISTING)?).map_err(|fault| Failure::Answer { asked: LISTING, fault })?;
            found.extend(page);
            if found.len() > most {
                return Err(Failure::TooMany { limit: most });
            }
            if found.len() == known {
                break;
            }
        }
        match found.is_empty() {
            true => Err(no_series(series)),
            false => Ok(found),
        }
    }

    /// Fetches a series, of which `listed` are the instances, of at most so many bytes into an empty folder (WADO-RS, PS3.18 section 10.4).
    ///
    /// # Errors
    /// When it does not come whole. The folder may then hold a part of it.
    pub fn retrieve(
        &self,
        series: &SeriesName,
        listed: &BTreeSet<Uid>,
        folder: &Path,
        bytes: u64,
    ) -> Result<(), DicomWebError> {
        let fetch = || {
            let answer = self.send(self.http.get(self.at(series, &[])).header(ACCEPT, FILES))?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(no_series(series)),
                status => {
                    let asked = retrieve::ASKED;
                    return Err(Failure::Status { status, asked });
                }
            }
            let kind = MediaType::parse(header(&answer, CONTENT_TYPE.as_str()));
            receive(Paced::new(answer, IDLE), &kind, listed, folder, bytes)
        };
        fetch().map_err(|failure| self.failed(failure))
    }

    /// Sends files, each a whole DICOM file, to the studies that they say they are of (STOW-RS, PS3.18 section 10.5).
    ///
    /// # Errors
    /// When none may have arrived. Of those that the server would not have, [`Stored`] tells.
    pub fn store(&self, files: &[PathBuf]) -> Result<Stored, DicomWebError> {
        self.post(files).map_err(|failure| self.failed(failure))
    }

    fn post(&self, files: &[PathBuf]) -> Result<Stored, Failure> {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let (mut sent, mut length) = (Vec::new(), 0);
        let mut body: Box<dyn Read + Send> = Box::new(std::io::empty());
        for path in files {
            let unreadable = |source| Failure::File {
                path: path.clone(),
                source,
            };
            let file = File::open(path).map_err(unreadable)?;
            let bytes = file.metadata().map_err(unreadable)?.len();
            let mut start = Vec::new();
            (&file)
                .take(MOST_HEAD as u64)
                .read_to_end(&mut start)
                .map_err(unreadable)?;
            let uid = instance_of(&start).ok_or_else(|| unreadable(std::io::ErrorKind::InvalidData.into()))?;
            sent.push(uid.to_string());
            let head = format!("\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
            length += head.len() as u64 + bytes;
            let rest = file.take(bytes - start.len() as u64);
            body = Box::new(body.chain(Cursor::new(head)).chain(Cursor::new(start)).chain(rest));
        }
        let end = format!("\r\n--{boundary}--\r\n");
        length += end.len() as u64;
        let body = Body::sized(body.chain(Cursor::new(end)), length);
        let mut url = self.archive.url.clone();
        extend(&mut url, &["studies"]);
        let kind = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
        let request = self.http.post(url).header(ACCEPT, JSON).header(CONTENT_TYPE, kind);
        let patience = FILING + Duration::from_secs(length / SLOWEST);
        let answer = self.send(request.body(body).timeout(patience))?;
        match answer.status() {
            // All, some or none of them were stored; the body says which.
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::CONFLICT => {
                let said = stored_in(&json(answer, STORE)?, &sent);
                said.map_err(|fault| Failure::Answer { asked: STORE, fault })
            }
            status => Err(Failure::Status { status, asked: STORE }),
        }
    }

    /// The place of a series, and what lies below it.
    fn at(&self, series: &SeriesName, below: &[&str]) -> Url {
        let mut url = self.archive.url.clone();
        extend(
            &mut url,
            &["studies", series.study.as_str(), "series", series.series.as_str()],
        );
        extend(&mut url, below);
        url
    }

    fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let request = match &self.archive.credentials {
            Credentials::None => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password.bare())),
            Credentials::Bearer(token) => request.bearer_auth(token.bare()),
        };
        // What is packed could unpack to anything; DICOM has its own compression.
        let answer = request
            .header(ACCEPT_ENCODING, "identity")
            .send()
            .map_err(unreachable)?;
        match header(&answer, CONTENT_ENCODING.as_str()) {
            "" | "identity" => Ok(answer),
            _ => Err(Failure::Answer {
                asked: "request",
                fault: "it is packed, although nothing of the kind was asked for".into(),
            }),
        }
    }

    fn failed(&self, failure: Failure) -> DicomWebError {
        failure.of(&self.archive.name)
    }
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("archive", &self.archive.name)
            .finish_non_exhaustive()
    }
}

fn extend(url: &mut Url, below: &[&str]) {
    // Only URLs that can't be a base have no path, and settings refuse those.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(below);
    }
}

fn no_series(series: &SeriesName) -> Failure {
    Failure::NoSeries {
        study: series.study.to_string(),
        series: series.series.to_string(),
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim()
}

/// A body that should be JSON, within its limit.
fn json(answer: Response, asked: &'static str) -> Result<Vec<u8>, Failure> {
    let fault = |fault: String| Failure::Answer { asked, fault };
    let kind = MediaType::parse(header(&answer, CONTENT_TYPE.as_str())).essence;
    if !matches!(kind.as_str(), JSON | "application/json" | "") {
        return Err(fault(format!(
            "it is {:?} and no {JSON}",
            kind.chars().take(60).collect::<String>()
        )));
    }
    let mut bytes = Vec::new();
    let mut body = Paced::new(answer, IDLE).take(MOST_JSON + 1);
    body.read_to_end(&mut bytes).map_err(|error| Failure::reading(&error))?;
    match bytes.len() as u64 > MOST_JSON {
        true => Err(fault(format!("it is larger than {MOST_JSON} bytes"))),
        false => Ok(bytes),
    }
}

fn unreachable(error: reqwest::Error) -> Failure {
    match error.is_timeout() && !error.is_connect() {
        true => Failure::TooSlow,
        false => Failure::Unreachable(causes(&error.without_url())),
    }
}
