//! DICOMweb (PS3.18): series from an archive, and objects back to it.
//!
//! An [`Archive`] is a server as the settings name it; a [`Client`] speaks to one for the while of one piece of work: which
//! instances a series has (QIDO-RS, `listing`), the series as files in a folder (WADO-RS, `retrieve` over `multipart`), and files
//! into the archive (STOW-RS, `storing`). Everything here blocks, and nothing is tried twice unless somebody asks again. What a
//! server says is a stranger's word: its answers are read within limits of size and time, its redirects are not followed,
//! its compression is not asked for, and what reads them takes any `Read`, so that a fuzzer can play the server.

mod archive;
mod client;
mod error;
mod header;
mod listing;
mod multipart;
mod pace;
mod retrieve;
mod storing;
mod uid;

pub use archive::{Archive, Archives, Credentials, Secret};
pub use client::Client;
pub use error::{DicomWebError, Failure};
pub use header::{MOST_HEAD, instance_of};
pub use listing::instances_in;
pub use multipart::{MediaType, Multipart, MultipartError};
pub use retrieve::receive;
pub use storing::{Refusal, Stored, stored_in};
pub use uid::{SeriesName, Uid};
