//! Colours as DICOM has them: CIELab in sixteen bits (PS3.3 C.10.7.1.1).
//!
//! The standard means CIELab relative to D50. DCMTK, dcmqi and with it 3D Slicer, dcmjs and with it OHIF, PixelMed and highdicom all
//! read and write it relative to sRGB's own white, D65. A colour should be on the screen what it is in the label map, so we do as they do.

/// sRGB (IEC 61966-2-1) to XYZ.
const TO_XYZ: [[f64; 3]; 3] = [
    [0.4124, 0.3576, 0.1805],
    [0.2126, 0.7152, 0.0722],
    [0.0193, 0.1192, 0.9505],
];

/// D65.
const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];

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
        let sum: f64 = (0..3).map(|column| TO_XYZ[row][column] * linear[column]).sum();
        curve(sum / WHITE[row])
    });
    let scaled =
        |value: f64, least: f64, span: f64| ((value - least) / span * 65535.0).round().clamp(0.0, 65535.0) as u16;
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
    fn colours_are_those_of_other_programs() {
        // highdicom.color.CIELabColor.from_rgb(...).value
        for (colour, expected) in [
            ([255, 0, 0], [34886, 53484, 50172]),
            ([230, 57, 70], [34113, 49791, 41670]),
            ([0, 128, 255], [35860, 37725, 14668]),
        ] {
            let found = lab(colour);
            let near = found
                .iter()
                .zip(expected)
                .all(|(&found, expected): (&u16, u16)| found.abs_diff(expected) <= 1);
            assert!(near, "{colour:?}: {found:?} {expected:?}");
        }
    }
}
