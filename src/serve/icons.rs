//! Icons of the server and its tools (SEP-973): drawn by ourselves, in the message, so that no client has to fetch anything.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{Icon, IconTheme};

/// The server: a slice through the trunk, one organ marked in it.
pub(super) fn server() -> Vec<Icon> {
    themed(
        "<ellipse cx='12' cy='12' rx='10' ry='8'/><path d='M5 11.5c0-4.5 5-6 9-4.5 1.5 1-1 2.5-2.5 4s-2 4.5-4 4-2.5-2-2.5-3.5z'/>\
         <path d='M6.5 11.5l4-4M7.5 14l5-5'/><path d='M11 20l-.5-3.5h3L13 20'/>",
    )
}

/// Looking names up.
pub(super) fn list_anatomy() -> Vec<Icon> {
    themed("<path d='M3 6h9M3 11h6M3 16h5'/><circle cx='15.5' cy='14' r='4.5'/><path d='M19 17.5l3 3'/>")
}

/// An outline drawn in a slice.
pub(super) fn segment() -> Vec<Icon> {
    themed(
        "<rect x='3' y='3' width='18' height='18' rx='2'/>\
         <path d='M8 8c3-2 8-1 8.5 3s-2 6-5 5.5-6.5-6.5-3.5-8.5z' stroke-dasharray='2.5 1.5'/>",
    )
}

/// A ruler.
pub(super) fn measure_volume() -> Vec<Icon> {
    themed("<rect x='2' y='8' width='20' height='8' rx='1'/><path d='M6 8v3M10 8v4M14 8v3M18 8v4'/>")
}

/// The drawing in dark lines for light grounds, and in light lines for dark ones.
fn themed(drawing: &str) -> Vec<Icon> {
    let icon = |colour: &str, theme| {
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='{colour}' stroke-width='1.5' \
             stroke-linecap='round' stroke-linejoin='round'>{drawing}</svg>"
        );
        Icon::new(format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg)))
            .with_mime_type("image/svg+xml")
            .with_sizes(vec!["any".into()])
            .with_theme(theme)
    };
    vec![icon("#0b5563", IconTheme::Light), icon("#9be1ee", IconTheme::Dark)]
}
