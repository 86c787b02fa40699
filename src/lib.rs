//! sat-mcp: organs and lesions in radiology scans, asked for by name.

pub mod model;
pub mod segment;
pub mod volume;
