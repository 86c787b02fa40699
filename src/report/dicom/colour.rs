//! Colours as DICOM has them: CIELab relative to D50 in sixteen bits (PS3.3 C.10.7.1.1).

/// sRGB (IEC 61966-2-1) to XYZ, adapted from D65 to D50 after Bradford: the matrix of ICC's sRGB profile.
const TO_XYZ_D50: [[f64; 3]; 3] = [
    [0.436_074_7, 0.385_064_9, 0.143_080_4],
    [0.222_504_5, 0.716_878_6, 0.060_616_9],
    [0.013_932_2, 0.097_104_5, 0.714_173_3],
];

/// D50, the white of ICC's profile connection space.
const WHITE: [f64; 3] = [0.9642, 1.0, 0.8249];

/// L*, a* and b* of a colour, scaled: 0 to 100 and -128 to 127 each over 0 to 65535.
pub(super) fn lab(colour: [u8; 3]) -> [u16; 3] {
    let linear = colour.map(|channel| {
        let c = f64::from(channel) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    });
    let [x, y, z] = [0, 1, 2].map(|row| {
        let sum: f64 = (0..3).map(|column| TO_XYZ_D50[row][column] * linear[column]).sum();
        curve(sum / WHITE[row])
    });
    let scaled = |value: f64, least: f64, span: f64| ((value - least) / span * 65535.0).round().clamp(0.0, 65535.0) as u16;
    [
        scaled(116.0 * y - 16.0, 0.0, 100.0),
        scaled(500.0 * (x - y), -128.0, 255.0),
        scaled(200.0 * (y - z), -128.0, 255.0),
    ]
}

/// CIE's cube root with a straight foot.
fn curve(t: f64) -> f64 {
    const FOOT: f64 = 6.0 / 29.0;
    if t > FOOT.powi(3) {
        t.cbrt()
    } else {
        t / (3.0 * FOOT * FOOT) + 4.0 / 29.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_has_no_hue_and_white_is_full() {
        let middle = (128.0 / 255.0 * 65535.0_f64).round() as u16;
        for (grey, lightness) in [(0, 0), (255, 65535)] {
            let [l, a, b] = lab([grey; 3]);
            assert_eq!(l, lightness);
            assert!(a.abs_diff(middle) <= 8 && b.abs_diff(middle) <= 8, "{a} {b}");
        }
    }

    #[test]
    fn colours_are_those_of_the_icc_profile() {
        // Lab of sRGB's primaries relative to D50 (ICC): 54.29 80.80 69.89, 87.82 -79.27 80.99, 29.57 68.29 -112.03
        for (colour, [l, a, b]) in [
            ([255, 0, 0], [54.29, 80.80, 69.89]),
            ([0, 255, 0], [87.82, -79.27, 80.99]),
            ([0, 0, 255], [29.57, 68.29, -112.03]),
        ] {
            let [x, y, z] = lab(colour).map(f64::from);
            let found = [x / 655.35, y / 257.0 - 128.0, z / 257.0 - 128.0];
            for (found, expected) in found.into_iter().zip([l, a, b]) {
                assert!((found - expected).abs() < 0.05, "{colour:?}: {found} {expected}");
            }
        }
    }
}
