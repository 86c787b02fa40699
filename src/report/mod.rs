//! What people open: the label map with its colours, and the preview picture.

mod canvas;
mod colours;
pub mod dicom;
mod labelmap;
mod legend;
mod page;
mod planes;
mod preview;
mod slices;
mod style;
mod window;

pub use colours::{colour, colours};
pub use labelmap::{combine, itk_snap_table, slicer_table};
pub use page::{Shown, VIEWER, page};
pub use preview::{ReportError, png, preview};
pub use style::Outline;
pub use window::Window;
