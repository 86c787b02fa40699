//! NIfTI-1 and NIfTI-2, in one file or two.
//!
//! The header is parsed here and not by crate `nifti` (0.18): that one reads version 1 only, allocates what a header promises
//! before it has looked at the file, picks gzip by the file's name, and hides the difference between "cut short" and
//! "damaged", all of which a server that is handed unknown files must tell apart.

mod datatype;
mod head;
mod header;
mod placement;
mod read;
mod slices;
mod source;
mod stream;
mod write;

pub(super) use head::{LONGEST_HEADER, Start};
pub use placement::{Exactness, Placement};
pub use read::{read, read_bytes, read_labels, read_labels_bytes};
pub use slices::{read_slices, slices_in};
pub use write::{write_bytes_to, write_labels, write_mask, write_mask_to};
