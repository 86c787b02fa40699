//! How much memory a setting means.

use std::str::FromStr;
use sysinfo::{MemoryRefreshKind, System};

/// An amount of memory as people write it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum MemorySize {
    Bytes(usize),
    /// Of what is free when the program starts, from 0 to 1.
    OfFree(f64),
}

impl MemorySize {
    /// In bytes.
    pub fn bytes(self) -> usize {
        match self {
            MemorySize::Bytes(bytes) => bytes,
            MemorySize::OfFree(share) => (free() as f64 * share) as usize,
        }
    }
}

/// Memory that can be had: in a container, what its limit leaves.
fn free() -> u64 {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = system.available_memory();
    match system.cgroup_limits() {
        Some(limits) => machine.min(limits.free_memory),
        None => machine,
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<MemorySize, String> {
        let wrong = || format!("{text:?} is no amount of memory; give bytes (500MB, 4GB), a share (25%), or 0");
        let text = text.trim();
        let (digits, unit) = text.split_at(
            text.find(|c: char| !(c.is_ascii_digit() || c == '.'))
                .unwrap_or(text.len()),
        );
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        let scale = match unit.trim().to_ascii_lowercase().as_str() {
            "%" if number <= 100.0 => return Ok(MemorySize::OfFree(number / 100.0)),
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        Ok(MemorySize::Bytes((number * scale) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bytes_or_a_share() {
        let read = |text: &str| text.parse::<MemorySize>().ok();
        assert_eq!(read("0"), Some(MemorySize::Bytes(0)));
        assert_eq!(read("1.5 GB"), Some(MemorySize::Bytes(1_500_000_000)));
        assert_eq!(read("2MiB"), Some(MemorySize::Bytes(2 << 20)));
        assert_eq!(read("25%"), Some(MemorySize::OfFree(0.25)));
        assert_eq!(
            [read(""), read("-1"), read("101%"), read("4 apples"), read("1.2.3")],
            [None; 5]
        );
    }

    #[test]
    fn a_share_is_of_what_is_free() {
        let all = MemorySize::OfFree(1.0).bytes();
        assert!(all > 1 << 20, "{all} bytes are free");
        assert!(MemorySize::OfFree(0.25).bytes() < all);
    }
}
