//! Which instances a series has, as QIDO-RS says it: the DICOM JSON Model (PS3.18 annex F).

use super::Uid;
use serde::Deserialize;

/// An instance, of which only SOP Instance UID (0008,0018) is looked at.
#[derive(Deserialize)]
struct Instance {
    #[serde(rename = "00080018")]
    uid: Element,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "Value", default)]
    values: Vec<String>,
}

/// The SOP Instance UIDs in an answer to a search for instances (PS3.18 section 10.6).
///
/// # Errors
/// With what is wrong with it.
pub fn instances_in(answer: &[u8]) -> Result<Vec<Uid>, String> {
    // An empty list is mostly told by 204, and sometimes by 200 and nothing.
    if answer.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    // What serde says of it may repeat what is in it.
    let instances: Vec<Instance> = serde_json::from_slice(answer)
        .map_err(|error| format!("it is no list of instances in DICOM JSON ({})", place(&error)))?;
    let uids = instances.iter().map(|instance| match instance.uid.values.as_slice() {
        [uid] => Uid::new(uid).ok_or("an instance's SOP Instance UID is none"),
        _ => Err("an instance has no SOP Instance UID"),
    });
    uids.collect::<Result<_, _>>().map_err(str::to_owned)
}

/// Where JSON is wrong, without what stands there.
pub(super) fn place(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it breaks off",
        serde_json::error::Category::Data => "it says something else",
        _ => "it is no JSON",
    };
    format!("{kind} in line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn instances_are_found_by_their_uids_alone() {
        let answer = br#"[{"00080018": {"vr": "UI", "Value": ["1.2.3"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A"}]}},
            {"00080018": {"vr": "UI", "Value": ["1.2.4"]}}]"#;
        let found: Vec<String> = instances_in(answer).unwrap().iter().map(Uid::to_string).collect();
        assert_eq!(found, ["1.2.3", "1.2.4"]);
        assert_eq!(instances_in(b" \n").unwrap(), []);
        assert_eq!(instances_in(b"[]").unwrap(), []);
    }

    #[test]
    fn anything_else_is_refused_and_not_repeated() {
        for wrong in [
            "<html>Miller^Ann</html>",
            "{}",
            "[{}]",
            r#"["Miller^Ann"]"#,
            r#"[{"00080018": {"vr": "UI"}}]"#,
            r#"[{"00080018": {"vr": "UI", "Value": ["../Miller^Ann"]}}]"#,
            r#"[{"00080018": {"vr": "UI", "Value": [["#,
            &"[".repeat(100_000),
        ] {
            let told = instances_in(wrong.as_bytes()).unwrap_err();
            assert!(!told.contains("Miller"), "{told}");
        }
    }
}
