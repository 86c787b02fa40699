//! Unique identifiers that follow from what they name.

/// Root of UIDs that are made of UUIDs (PS3.5 B.2).
const ROOT: &str = "2.25.";

/// The UID that these words give: a UUID (version 8, its bits a BLAKE3 hash) as an integer.
pub(super) fn derived(words: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes()); // so that "a", "bc" is not "ab", "c"
        hasher.update(word.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("{ROOT}{}", u128::from_be_bytes(bytes))
}

/// Whether a UID of someone else's can be repeated: digits and dots, at most 64 (PS3.5 9.1). Leading zeros, which old
/// software wrote, are let through: another spelling would be another instance.
pub(super) fn usable(uid: &str) -> bool {
    let parts = || uid.split('.');
    uid.len() <= 64
        && parts().count() > 1
        && parts().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_uid_is_a_uid_and_the_same_each_time() {
        let uid = derived(&["a", "bc"]);
        assert!(usable(&uid) && uid.starts_with("2.25."), "{uid}");
        assert_eq!(uid, derived(&["a", "bc"]));
        assert_ne!(uid, derived(&["ab", "c"]));
        let number: u128 = uid[5..].parse().unwrap();
        assert_eq!((number >> 76 & 0xf, number >> 62 & 3), (8, 2), "a UUID of version 8");
    }

    #[test]
    fn what_is_no_uid_is_not_repeated() {
        for uid in ["1.2.3", "1.2.003", "2.25.12345"] {
            assert!(usable(uid), "{uid}");
        }
        for uid in ["", "1", "1..2", "1.2.", "1.2.x", "1.2 .3", &"1.".repeat(40)] {
            assert!(!usable(uid), "{uid}");
        }
    }
}
