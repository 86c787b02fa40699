//! Floats as whole numbers that sort alike, for order statistics by counting or by integer sorting.

/// A whole number that is larger exactly where the float is (`f32::total_cmp`).
pub(crate) fn to_key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// What [`to_key`] undoes.
pub(crate) fn from_key(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_the_floats_do_and_lead_back() {
        let sorted = [
            f32::NEG_INFINITY,
            -2.5,
            -1e-40,
            -0.0,
            0.0,
            1e-40,
            3.0,
            f32::MAX,
            f32::INFINITY,
        ];
        assert!(sorted.windows(2).all(|pair| to_key(pair[0]) < to_key(pair[1])));
        assert!(
            sorted
                .iter()
                .all(|value| from_key(to_key(*value)).to_bits() == value.to_bits())
        );
    }
}
