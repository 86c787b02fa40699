//! sat-mcp: organs and lesions in radiology scans, asked for by name.

pub mod measure;
pub mod report;
pub mod segment;
pub mod volume;
