//! How many digits a figure keeps.
//!
//! Answers are read by models that pay for every digit, so figures are rounded when they are made, always below what a
//! scan can resolve: millimetres to 0.01, millilitres to 0.001 or five digits, intensities to 0.01 or six digits, shares
//! to 0.0001. Whichever keeps more applies, so a lesion of a few small voxels isn't rounded away.

/// `value` to at least `decimals` places and `digits` significant digits; nothing for a value that isn't finite.
fn round(value: f64, decimals: i32, digits: i32) -> Option<f64> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some(0.0); // never a negative zero
    }
    let places = decimals.max(digits - 1 - value.abs().log10().floor() as i32);
    let factor = 10f64.powi(places.min(300));
    let rounded = (value * factor).round() / factor;
    Some(if rounded.is_finite() { rounded + 0.0 } else { value })
}

/// Millimetres, to 0.01.
pub(crate) fn mm(value: f64) -> Option<f64> {
    round(value, 2, 1).map(|v| if v.abs() < 0.005 { 0.0 } else { v })
}

/// A point in mm, whole or not at all.
pub(crate) fn point(values: [f64; 3]) -> Option<[f64; 3]> {
    Some([mm(values[0])?, mm(values[1])?, mm(values[2])?])
}

/// Millilitres, to 0.001 or five digits.
pub(crate) fn ml(value: f64) -> Option<f64> {
    round(value, 3, 5)
}

/// Intensities, to 0.01 or six digits.
pub(crate) fn intensity(value: f64) -> Option<f64> {
    round(value, 2, 6)
}

/// Shares, probabilities, ratios: to 0.0001.
pub(crate) fn share(value: f64) -> Option<f64> {
    round(value, 4, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_what_a_scan_can_resolve() {
        assert_eq!(mm(-27.123456), Some(-27.12));
        assert_eq!(mm(-0.0001), Some(0.0));
        assert_eq!(ml(1523.123456), Some(1523.123));
        assert_eq!(ml(0.000125), Some(0.000125));
        assert_eq!(ml(3.42109), Some(3.4211));
        assert_eq!(intensity(0.123456789), Some(0.123457));
        assert_eq!(intensity(-1024.0), Some(-1024.0));
        assert_eq!(share(0.91239), Some(0.9124));
    }

    #[test]
    fn what_is_not_a_number_is_absent() {
        assert_eq!(mm(f64::NAN), None);
        assert_eq!(ml(f64::INFINITY), None);
        assert_eq!(point([0.0, f64::NAN, 0.0]), None);
    }
}
