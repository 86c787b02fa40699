//! A measurement in a line, for readers that see only text.

use super::types::{Face, Measurement, Status};

impl Measurement {
    /// For example: `left hippocampus: 3.42 mL (3,421 voxels), one piece, centre (-27.1, -21.0, -12.3) mm RAS; touches no
    /// edge of the image.` A mask cut off by the image's edge says "at least", an empty one that nothing was found.
    pub fn sentence(&self) -> String {
        let mut text = match self.status {
            Status::Empty => format!("{}: nothing found (0 voxels).", self.name),
            Status::Present => format!("{}: {}; touches no edge of the image.", self.name, self.facts()),
            Status::CutOff => format!(
                "{}: at least {}; cut off at the {} of the image, so it may be larger.",
                self.name,
                self.facts(),
                edges(&self.truncated_at)
            ),
        };
        if let Some(c) = &self.comparison {
            let mut figures: Vec<String> = Vec::new();
            figures.extend(c.dice.map(|v| format!("Dice {v:.3}")));
            figures.extend(c.surface_dice_1mm.map(|v| format!("surface Dice at 1 mm {v:.3}")));
            figures.extend(c.hausdorff95_mm.map(|v| format!("95 % Hausdorff distance {v:.1} mm")));
            figures.push(format!(
                "volume difference {}{} mL",
                plus(c.volume_difference_ml),
                digits(c.volume_difference_ml)
            ));
            text += &format!(" Against the reference: {}.", figures.join(", "));
        }
        text + &self.failed_checks()
    }

    /// The same in half the words, for an answer of many: `left hippocampus: 3.42 mL, 26 mm across, at (-27, -21, -12),
    /// probability 0.73.`
    pub fn brief(&self) -> String {
        let mut facts = vec![format!("{} mL", digits(self.volume_ml))];
        facts.extend((self.components > 1).then(|| self.pieces()));
        facts.extend(self.longest_diameter_mm.map(|d| format!("{d:.0} mm across")));
        // adding nothing makes -0 a plain 0
        let whole = |mm: f64| format!("{:.0}", mm.round() + 0.0);
        facts.extend(self.centroid_mm.map(|at| format!("at ({})", at.map(whole).join(", "))));
        let hounsfield = self.intensity.as_ref().filter(|intensity| intensity.unit == "HU");
        facts.extend(hounsfield.map(|intensity| format!("{} HU", whole(intensity.mean))));
        facts.extend(self.mean_probability.map(|p| format!("probability {p:.2}")));
        let facts = facts.join(", ");
        let text = match self.status {
            Status::Empty => format!("{}: nothing found.", self.name),
            Status::Present => format!("{}: {facts}.", self.name),
            Status::CutOff => format!(
                "{}: at least {facts}; cut off at the {}.",
                self.name,
                edges(&self.truncated_at)
            ),
        };
        let failed = self.checks.iter().filter(|check| !check.ok);
        let failed =
            failed.map(|check| format!(" Check failed: {} {:.2}.", check.check.replace('_', " "), check.value));
        text + &failed.collect::<String>()
    }

    fn failed_checks(&self) -> String {
        let failed = self.checks.iter().filter(|check| !check.ok);
        failed
            .map(|check| format!(" Check failed: {} is {:.2}.", check.note, check.value))
            .collect()
    }

    fn pieces(&self) -> String {
        match (self.components, self.largest_component_ml) {
            (1, _) => "one piece".to_owned(),
            (n, Some(largest)) => format!("{} (largest {} mL)", count(n, "piece"), digits(largest)),
            (n, None) => count(n, "piece"),
        }
    }

    fn facts(&self) -> String {
        let mut facts = vec![format!(
            "{} mL ({})",
            digits(self.volume_ml),
            count(self.voxels, "voxel")
        )];
        facts.push(self.pieces());
        facts.extend(
            self.centroid_mm
                .map(|[x, y, z]| format!("centre ({x:.1}, {y:.1}, {z:.1}) mm RAS")),
        );
        facts.extend(
            self.longest_diameter_mm
                .map(|d| format!("longest in-slice diameter {d:.1} mm")),
        );
        facts.extend(self.intensity.as_ref().map(|i| {
            let unit = if i.unit == "as stored" {
                String::new()
            } else {
                format!(" {}", i.unit)
            };
            format!("intensity {} ± {}{unit}", digits(i.mean), digits(i.sd))
        }));
        facts.extend(self.mean_probability.map(|p| format!("mean probability {p:.2}")));
        facts.join(", ")
    }
}

/// Three significant digits, or all before the point.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    format!("{value:.places$}")
}

fn plus(value: f64) -> &'static str {
    if value > 0.0 { "+" } else { "" }
}

/// `1 voxel`, `3,421 voxels`.
fn count(n: u64, thing: &str) -> String {
    let plain = n.to_string();
    let mut grouped = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {thing}{}", if n == 1 { "" } else { "s" })
}

/// `left and superior edges`, `inferior edge`.
fn edges(faces: &[Face]) -> String {
    let words: Vec<&str> = faces.iter().map(|face| face.as_str()).collect();
    match words.split_last() {
        None => "edge".to_owned(),
        Some((only, [])) => format!("{only} edge"),
        Some((last, others)) => format!("{} and {last} edges", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::measure::testing::mask_of;
    use crate::measure::{Laterality, Measuring, compare, measure};

    #[test]
    fn a_whole_structure_reads_as_one_line_of_facts() {
        let mask = mask_of([30, 30, 30], |i, j, k| {
            (2..22).contains(&i) && (4..12).contains(&j) && (3..15).contains(&k)
        });
        let text = measure(
            "spleen",
            &mask,
            &Measuring {
                mean_probability: Some(0.934),
                ..Default::default()
            },
        )
        .sentence();
        assert_eq!(
            text,
            "spleen: 1.92 mL (1,920 voxels), one piece, centre (11.5, 7.5, 8.5) mm RAS, longest in-slice diameter 20.2 mm, \
             mean probability 0.93; touches no edge of the image."
        );
    }

    #[test]
    fn in_brief_a_structure_takes_half_the_words() {
        let mask = mask_of([30, 30, 30], |i, j, k| {
            (0..22).contains(&i) && (4..12).contains(&j) && k < 3
        });
        let with = Measuring {
            mean_probability: Some(0.934),
            ..Default::default()
        };
        assert_eq!(
            measure("spleen", &mask, &with).brief(),
            "spleen: at least 0.528 mL, 22 mm across, at (11, 8, 1), probability 0.93; cut off at the left and inferior edges."
        );
        let none = mask_of([9, 9, 9], |_, _, _| false);
        assert_eq!(measure("spleen", &none, &with).brief(), "spleen: nothing found.");
    }

    #[test]
    fn a_structure_at_the_edge_says_at_least() {
        let mask = mask_of([9, 9, 9], |i, j, k| i < 2 && j == 3 && (k == 4 || k == 8));
        let text = measure("left kidney", &mask, &Measuring::default()).sentence();
        assert!(
            text.starts_with("left kidney: at least 0.00400 mL (4 voxels), 2 pieces (largest 0.00200 mL)"),
            "{text}"
        );
        assert!(
            text.ends_with("cut off at the left and superior edges of the image, so it may be larger."),
            "{text}"
        );
    }

    #[test]
    fn an_empty_mask_a_failed_check_and_a_comparison_are_said() {
        let none = mask_of([9, 9, 9], |_, _, _| false);
        assert_eq!(
            measure("liver tumor", &none, &Measuring::default()).sentence(),
            "liver tumor: nothing found (0 voxels)."
        );
        let mask = mask_of([9, 9, 9], |i, j, k| i == 6 && j == 4 && k == 4);
        let with = Measuring {
            laterality: Some(Laterality::Left),
            ..Default::default()
        };
        let mut found = measure("left eye", &mask, &with);
        found.comparison = compare(&mask, &mask).ok();
        let text = found.sentence();
        assert!(text.contains("(1 voxel), one piece"), "{text}");
        assert!(
            text.contains("Against the reference: Dice 1.000, surface Dice at 1 mm 1.000, 95 % Hausdorff"),
            "{text}"
        );
        assert!(
            text.contains("Check failed: share of the mask on the patient's left of the image's centre"),
            "{text}"
        );
    }
}
