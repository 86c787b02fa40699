//! Which intensities a picture shows from black to white.

use crate::volume::{Mask, Modality, Volume};

/// Intensities shown as black and as white.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub(super) black: f64,
    pub(super) white: f64,
    /// What to call it below the picture.
    pub(super) caption: String,
}

impl Window {
    /// Radiologists' own windows for CT, chosen by what the target is made of; for other scans the range of the body.
    pub fn choose(volume: &Volume, modality: Modality, target: Option<&Mask>, names: &[&str]) -> Window {
        match modality {
            Modality::Ct => Window::ct(target.and_then(|mask| median(volume, mask)), names),
            Modality::Mri => {
                let (black, white) = body_range(volume, 0.01, 0.98);
                // Some room above, or white matter would be a white patch without detail.
                let white = white + 0.2 * (white - black);
                Window {
                    black,
                    white,
                    caption: "MR".to_owned(),
                }
            }
            // Tracer shows dark on light, as it is read.
            Modality::Pet => {
                let (_, hot) = body_range(volume, 0.0, 0.995);
                Window {
                    black: hot,
                    white: 0.0,
                    caption: "PET, inverted grey".to_owned(),
                }
            }
        }
    }

    fn ct(median: Option<f64>, names: &[&str]) -> Window {
        const IN_THE_HEAD: [&str; 6] = ["brain", "cerebell", "thalamus", "putamen", "caudate nucleus", "stroke"];
        let head = names
            .iter()
            .any(|name| IN_THE_HEAD.iter().any(|word| name.contains(word)));
        let (name, level, width) = match median {
            Some(hu) if hu < -300.0 => ("lung", -600.0, 1500.0),
            Some(hu) if hu > 350.0 => ("bone", 400.0, 1800.0),
            Some(_) if head => ("brain", 40.0, 80.0),
            _ => ("soft tissue", 40.0, 400.0),
        };
        Window {
            black: level - width / 2.0,
            white: level + width / 2.0,
            caption: format!("CT, {name} window {width:.0} / {level:.0} HU"),
        }
    }

    /// What to call it below the picture: the kind of scan, and of CT the window's width and level.
    pub fn caption(&self) -> &str {
        &self.caption
    }

    /// 0 (black) to 255 (white); what is no number is black.
    pub fn byte(&self, value: f32) -> u8 {
        (self.shade(value) * 255.0).round() as u8
    }

    /// 0 (black) to 1 (white).
    pub(super) fn shade(&self, value: f32) -> f32 {
        ((f64::from(value) - self.black) / (self.white - self.black)).clamp(0.0, 1.0) as f32
    }
}

/// Median intensity of at most some thousand voxels spread over the mask.
fn median(volume: &Volume, mask: &Mask) -> Option<f64> {
    let step = (mask.count() as usize / 4096).max(1);
    let mut values: Vec<f32> = mask
        .indices()
        .step_by(step)
        .map(|n| volume.voxels()[n as usize])
        .collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).map(|&v| f64::from(v))
}

/// Some `about` intensities spread over the image, in rising order.
pub(super) fn sorted_sample(volume: &Volume, about: usize) -> Vec<f32> {
    let step = (volume.voxels().len() / about).max(1) | 1; // odd, so as not to keep to one column
    let spread = volume.voxels().iter().copied().step_by(step);
    let mut values: Vec<f32> = spread.filter(|v| v.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    values
}

/// Quantiles of the voxels that are brighter than the background; a constant image gets a range that isn't empty.
fn body_range(volume: &Volume, low: f64, high: f64) -> (f64, f64) {
    let values = sorted_sample(volume, 400_000);
    let at = |values: &[f32], share: f64| {
        values
            .get((share * values.len().saturating_sub(1) as f64) as usize)
            .map_or(0.0, |&v| f64::from(v))
    };
    let (dark, bright) = (at(&values, 0.005), at(&values, 0.995));
    let floor = dark + 0.05 * (bright - dark);
    let body = &values[values.partition_point(|&v| f64::from(v) <= floor)..];
    let (black, white) = (at(body, low).min(floor), at(body, high));
    if white > black {
        (black, white)
    } else {
        (black, black + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ct_windows_follow_the_target() {
        let caption = |median, names: &[&str]| Window::ct(median, names).caption;
        assert_eq!(caption(Some(-820.0), &["left lung"]), "CT, lung window 1500 / -600 HU");
        assert_eq!(caption(Some(620.0), &["skull"]), "CT, bone window 1800 / 400 HU");
        assert_eq!(caption(Some(33.0), &["brain"]), "CT, brain window 80 / 40 HU");
        assert_eq!(caption(Some(55.0), &["liver"]), "CT, soft tissue window 400 / 40 HU");
        assert_eq!(caption(None, &[]), "CT, soft tissue window 400 / 40 HU");
    }

    #[test]
    fn pet_is_dark_where_it_is_hot() {
        let window = Window {
            black: 10.0,
            white: 0.0,
            caption: String::new(),
        };
        assert_eq!(
            (window.shade(0.0), window.shade(10.0), window.shade(20.0)),
            (1.0, 0.0, 0.0)
        );
    }
}
