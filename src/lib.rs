//! sat-mcp: organs and lesions in 3-D radiology scans, asked for by name.
//!
//! SAT (Segment Anything in radiology scans by Text prompts, arXiv 2312.17183) is one network for 497 kinds of organs and
//! lesions. This crate runs it and hands it to people ([`cli`]) and to agents ([`serve`]). The rooms, and which way data goes:
//!
//! ```text
//! cli, serve -> service -> segment, report, store, dicomweb -> measure, anatomy -> model, volume
//! ```
//! - [`volume`]: images on a grid; depends on nothing of ours
//! - [`model`]: a SAT model on disk and in ONNX Runtime
//! - [`anatomy`]: what can be asked for, and how a phrase becomes a class
//! - [`measure`]: numbers about a mask
//! - [`store`]: results on disk
//! - [`dicomweb`]: series from an archive, and objects back to it
//! - [`report`]: what people open
//! - [`segment`]: one request, from an image and prompts to masks
//! - [`service`]: the three tools as plain functions
//!
//! Not a medical device.

pub mod anatomy;
mod causes;
pub mod cli;
pub mod dicomweb;
pub mod measure;
pub mod model;
pub mod report;
pub mod segment;
pub mod serve;
pub mod service;
pub mod store;
pub mod volume;
