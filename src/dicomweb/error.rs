//! Why an archive could not be used.

use super::MultipartError;
use std::path::PathBuf;

/// What went wrong with which server. Neither its URL nor anything that it wrote is in the words but media types: both may
/// tell of people.
#[derive(Debug, thiserror::Error)]
#[error("DICOMweb server {server}: {failure}")]
pub struct DicomWebError {
    /// The server's name in the settings.
    pub server: String,
    /// What happened.
    #[source]
    pub failure: Failure,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The settings don't do.
    #[error("{0}")]
    Settings(String),
    /// Nobody there, or nobody who is who they say.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It said nothing, or too little, for too long.
    #[error("it answers too slowly")]
    TooSlow,
    /// It would not.
    #[error("it answers {status} to a {asked}")]
    Status {
        /// HTTP's status, with its words.
        status: reqwest::StatusCode,
        /// What was asked for.
        asked: &'static str,
    },
    /// It has no such series.
    #[error("it has no series {series} in study {study}")]
    NoSeries {
        /// Study Instance UID.
        study: String,
        /// Series Instance UID.
        series: String,
    },
    /// What it sent is not what was asked for.
    #[error("its answer to a {asked} cannot be used: {fault}")]
    Answer {
        /// What was asked for.
        asked: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// More bytes than may be fetched.
    #[error("the series is larger than the {limit} bytes that may be fetched")]
    TooLarge {
        /// How many may.
        limit: u64,
    },
    /// More instances than are read.
    #[error("the series has more than the {limit} instances that are read")]
    TooMany {
        /// How many are.
        limit: usize,
    },
    /// Not the instances that it had listed.
    #[error("it lists {listed} instances of the series and sent {came} of them; one of the two is not up to date")]
    Incomplete {
        /// By QIDO-RS.
        listed: usize,
        /// By WADO-RS.
        came: usize,
    },
    /// A file on this side.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Failure {
    pub(super) fn of(self, server: &str) -> DicomWebError {
        DicomWebError {
            server: server.to_owned(),
            failure: self,
        }
    }

    /// Of a body that could not be read to its end.
    pub(super) fn reading(error: &std::io::Error) -> Failure {
        let timed_out = error.kind() == std::io::ErrorKind::TimedOut
            || error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<reqwest::Error>())
                .is_some_and(reqwest::Error::is_timeout);
        match timed_out {
            true => Failure::TooSlow,
            false => Failure::Unreachable("the connection broke before the answer was whole".into()),
        }
    }

    pub(super) fn multipart(asked: &'static str, error: MultipartError) -> Failure {
        match error {
            MultipartError::Read(error) => Failure::reading(&error),
            error => Failure::Answer {
                asked,
                fault: error.to_string(),
            },
        }
    }
}
