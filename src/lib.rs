//! sat-mcp: organs and lesions in radiology scans, asked for by name.

pub mod anatomy;
pub mod volume;
