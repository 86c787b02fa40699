//! The viewer as one page: alone, as a host in a chat loads it, or with a result inside, for people.
//!
//! `viewer/` is what it is made from (`make viewer`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// The page that shows a result: everything it needs is in it, except the result.
pub const VIEWER: &str = include_str!("../../share/viewer/viewer.html");

/// Where the page looks for a result of its own. Empty, it asks the host that it is shown by.
const SLOT: &str = r#"<script type="application/json" id="result"></script>"#;

/// What a page shows.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// `result.json`.
    pub result: Value,
    /// The label map, as `.nii.gz`.
    pub labels: &'a [u8],
    /// Its colours, as ITK-SNAP's table.
    pub colours: &'a str,
    /// The scan, as `.nii.gz`, or why it can't be shown.
    pub image: Result<&'a [u8], String>,
}

/// The viewer with a result in it: needs neither host nor network.
pub fn page(shown: &Shown<'_>) -> String {
    let mut data = Map::new();
    data.insert("result".into(), shown.result.clone());
    data.insert("labels".into(), BASE64_STANDARD.encode(shown.labels).into());
    data.insert("colours".into(), shown.colours.into());
    match &shown.image {
        Ok(image) => data.insert("image".into(), BASE64_STANDARD.encode(image).into()),
        Err(why) => data.insert("imageFault".into(), why.as_str().into()),
    };
    // A browser ends a script at `</script`, whatever surrounds it; in JSON a `<` can only be inside a string.
    let json = Value::Object(data).to_string().replace('<', "\\u003c");
    let (open, close) = SLOT.split_at(SLOT.len() - "</script>".len());
    VIEWER.replacen(SLOT, &format!("{open}{json}{close}"), 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_cannot_break_out_of_its_place() {
        let shown = Shown {
            result: json!({"masks": [{"target": "</script><script>alert(1)</script><!--"}]}),
            labels: b"labels",
            colours: "",
            image: Err("no </script> here".into()),
        };
        let page = page(&shown);
        let (open, _) = SLOT.split_once("</").unwrap();
        let data = page.split_once(open).unwrap().1.split_once("</script>").unwrap().0;
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["result"], shown.result);
        assert_eq!(data["imageFault"], "no </script> here");
        assert_eq!(page.matches("<script").count(), VIEWER.matches("<script").count());
    }

    #[test]
    fn the_page_has_one_place_for_a_result() {
        assert_eq!(VIEWER.matches(SLOT).count(), 1);
    }
}
