//! What an archive says of objects that it was sent by STOW-RS: the Store Instances Response (PS3.18 section 10.5.3, annex I).

use super::listing::place;
use serde::Deserialize;

/// What became of what was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// SOP Instance UIDs that the archive has now.
    pub stored: Vec<String>,
    /// Those that it would not have.
    pub refused: Vec<Refusal>,
}

/// An instance that an archive would not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its SOP Instance UID.
    pub uid: String,
    /// Failure Reason (0008,1197); none where it says nothing of the instance at all.
    pub reason: Option<u16>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(reason) = self.reason else {
            return write!(f, "{} is not confirmed", self.uid);
        };
        write!(f, "{} failed with {reason:04X}H ({})", self.uid, meaning(reason))
    }
}

/// Duplicate SOP Instance.
const DUPLICATE: u16 = 0x0111;

/// PS3.18 table I.2-2 and PS3.4 table B.2-1.
fn meaning(reason: u16) -> &'static str {
    match reason {
        0x0110 => "processing failure",
        0x0122 => "this class of objects is not taken",
        0x0124 => "not authorized",
        0x0131 | 0x0132 => "no association",
        0xa700..=0xa7ff => "out of resources",
        0xa900..=0xa9ff => "the data set does not match its class",
        0xc122 => "this transfer syntax is not taken",
        0xc000..=0xcfff => "it is not understood",
        _ => "no reason that DICOM names",
    }
}

#[derive(Default, Deserialize)]
struct Reply {
    /// Failed SOP Sequence.
    #[serde(rename = "00081198", default)]
    failed: Sequence,
    /// Referenced SOP Sequence.
    #[serde(rename = "00081199", default)]
    referenced: Sequence,
}

#[derive(Default, Deserialize)]
struct Sequence {
    #[serde(rename = "Value", default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    /// Referenced SOP Instance UID.
    #[serde(rename = "00081155", default)]
    uid: Values<String>,
    /// Failure Reason.
    #[serde(rename = "00081197", default)]
    reason: Values<u16>,
}

#[derive(Deserialize)]
struct Values<T> {
    #[serde(rename = "Value", default = "Vec::new")]
    values: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Values<T> {
        Values { values: Vec::new() }
    }
}

/// What the answer to a store says of the instances `sent`: whatever it does not confirm counts as refused.
///
/// # Errors
/// With what is wrong with it.
pub fn stored_in(answer: &[u8], sent: &[String]) -> Result<Stored, String> {
    let wrong = |error: serde_json::Error| format!("it is no DICOM JSON ({})", place(&error));
    // Some put the one data set into a list, as all other services do.
    let reply = match answer.trim_ascii().starts_with(b"[") {
        true => {
            serde_json::from_slice::<Vec<Reply>>(answer).map(|replies| replies.into_iter().next().unwrap_or_default())
        }
        false => serde_json::from_slice(answer),
    };
    let reply: Reply = reply.map_err(wrong)?;
    let about = |items: &[Item], uid: &str| {
        items
            .iter()
            .position(|item| item.uid.values.iter().any(|one| one == uid))
    };
    let mut stored = Stored::default();
    for uid in sent {
        let failed = about(&reply.failed.items, uid).map(|at| reply.failed.items[at].reason.values.first().copied());
        match (failed, about(&reply.referenced.items, uid)) {
            // A duplicate is there, and under this UID it is nothing else: ours follow from the result.
            (None, Some(_)) | (Some(Some(DUPLICATE)), _) => stored.stored.push(uid.clone()),
            (reason, _) => stored.refused.push(Refusal {
                uid: uid.clone(),
                reason: reason.flatten(),
            }),
        }
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_the_archive_confirms_counts_as_stored() {
        let answer = br#"{"00081190": {"vr": "UR", "Value": ["https://a.example"]},
            "00081198": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}, "00081197": {"vr": "US", "Value": [43264]}}]},
            "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.1"]}}, {"00081155": {"vr": "UI", "Value": ["1.9"]}}]}}"#;
        let sent = ["1.1", "1.2", "1.3"].map(str::to_owned);
        let said = stored_in(answer, &sent).unwrap();
        assert_eq!(said.stored, ["1.1"]);
        let refused: Vec<String> = said.refused.iter().map(Refusal::to_string).collect();
        assert_eq!(
            refused,
            [
                "1.2 failed with A900H (the data set does not match its class)",
                "1.3 is not confirmed"
            ]
        );
        let listed = [b"[".as_slice(), answer, b"]"].concat();
        assert_eq!(stored_in(&listed, &sent).unwrap(), said);
        let twice = br#"{"00081198": {"Value": [{"00081155": {"Value": ["1.1"]}, "00081197": {"Value": [273]}}]}}"#;
        assert_eq!(stored_in(twice, &sent[..1]).unwrap().stored, ["1.1"]);
        assert_eq!(stored_in(b"{}", &sent).unwrap().refused.len(), 3);
        assert_eq!(stored_in(b"[]", &sent).unwrap().refused.len(), 3);
        for wrong in [
            &b""[..],
            b"<html>",
            b"{\"00081199\": 1}",
            b"{\"00081199\": {\"Value\": [{\"00081155\":",
        ] {
            stored_in(wrong, &sent).unwrap_err();
        }
    }
}
