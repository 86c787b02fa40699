//! What the numbers of a series are: Hounsfield units, standardized uptake values, or something else.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::attributes::{Groups, item, number, text, texts};
use super::note::Note;
use crate::volume::{IntensityUnit, Modality};

/// Philips keeps the factor from its counts to SUV here.
const PHILIPS_SUV_FACTOR: Tag = Tag(0x7053, 0x1000);

/// What stored values are multiplied by after slope and intercept, and what they are then.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Units {
    pub factor: f64,
    /// None where a number means nothing on another scanner.
    pub unit: Option<IntensityUnit>,
    pub note: Option<Note>,
}

/// The units of a series, by its first instance and the time of its first acquisition (a date and a time, where they are known).
pub(super) fn units(header: &InMemDicomObject, modality: Modality, acquired: Option<&(String, String)>) -> Units {
    let plain = |unit| Units {
        factor: 1.0,
        unit,
        note: None,
    };
    match modality {
        Modality::Mri => plain(None),
        Modality::Ct => ct(header),
        Modality::Pet => pet(header, acquired),
    }
}

/// CT is in Hounsfield units unless its rescaling says otherwise, or there is none (PS3.3 section C.8.2.1.1.5, C.7.6.16.2.9).
fn ct(header: &InMemDicomObject) -> Units {
    let groups = Groups::of(header, 0);
    let rescale = groups.get(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE).unwrap_or(header);
    let other = |unit: &str, why: String| Units {
        factor: 1.0,
        unit: Some(IntensityUnit::Other(unit.to_owned())),
        note: Some(Note::NotHounsfield { why }),
    };
    match text(rescale, tags::RESCALE_TYPE) {
        Some(kind) if !kind.starts_with("HU") && kind != "US" => other(&kind, format!("Rescale Type is {kind}")),
        _ if rescale.get(tags::RESCALE_SLOPE).is_none() || rescale.get(tags::RESCALE_INTERCEPT).is_none() => {
            other("as stored", "Rescale Slope or Rescale Intercept is missing".into())
        }
        _ => Units {
            factor: 1.0,
            unit: Some(IntensityUnit::Hounsfield),
            note: None,
        },
    }
}

fn pet(header: &InMemDicomObject, acquired: Option<&(String, String)>) -> Units {
    let stored = text(header, tags::UNITS).unwrap_or_default();
    let by_factor = |factor| Units {
        factor,
        unit: Some(IntensityUnit::SuvBodyWeight),
        note: None,
    };
    if stored == "GML" {
        // Already standardized, and by body weight unless it says otherwise.
        let kind = text(header, tags::SUV_TYPE).unwrap_or_else(|| "BW".into());
        return match &kind[..] {
            "BW" => by_factor(1.0),
            other => Units {
                factor: 1.0,
                unit: Some(IntensityUnit::Other(format!("SUV ({other})"))),
                note: None,
            },
        };
    }
    let reason = match &stored[..] {
        "BQML" => match suv_factor(header, acquired) {
            Ok(factor) => return by_factor(factor),
            Err(why) => why,
        },
        "CNTS" => match number(header, PHILIPS_SUV_FACTOR).filter(|factor| *factor > 0.0) {
            Some(factor) => return by_factor(factor),
            None => "counts are not calibrated".to_owned(),
        },
        "" => "Units is missing".to_owned(),
        other => format!("Units is {other}"),
    };
    let unit = match &stored[..] {
        "BQML" => IntensityUnit::BecquerelPerMl,
        "CNTS" => IntensityUnit::Other("counts".into()),
        "" => IntensityUnit::Other("of an unknown unit".into()),
        other => IntensityUnit::Other(other.to_owned()),
    };
    Units {
        factor: 1.0,
        note: Some(Note::PetNotStandardized {
            unit: unit.as_str().to_owned(),
            why: reason,
        }),
        unit: Some(unit),
    }
}

/// Grams of body weight for each becquerel injected that is left at the time to which the image is corrected, as the
/// Quantitative Imaging Biomarkers Alliance computes it (QIBA FDG-PET/CT Profile, "SUV calculation" vendor-neutral pseudo-code).
fn suv_factor(header: &InMemDicomObject, acquired: Option<&(String, String)>) -> Result<f64, String> {
    let corrected = texts(header, tags::CORRECTED_IMAGE);
    let has = |what: &str| corrected.iter().any(|correction| correction == what);
    if !has("ATTN") || !has("DECY") {
        return Err("the image is not corrected for attenuation and decay".into());
    }
    let positive = |value: Option<f64>, what: &str| {
        value
            .filter(|value| *value > 0.0)
            .ok_or_else(|| format!("{what} is missing"))
    };
    let weight = positive(number(header, tags::PATIENT_WEIGHT), "Patient's Weight")?;
    let dose =
        item(header, tags::RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE).ok_or("the radiopharmaceutical is missing")?;
    let injected = positive(number(dose, tags::RADIONUCLIDE_TOTAL_DOSE), "Radionuclide Total Dose")?;
    let left = match &text(header, tags::DECAY_CORRECTION).unwrap_or_default()[..] {
        "ADMIN" => injected,
        "START" => {
            let half_life = positive(number(dose, tags::RADIONUCLIDE_HALF_LIFE), "Radionuclide Half Life")?;
            let waited = scan_start(header, acquired)?.since(injection(header, dose)?);
            if !(0.0..=48.0 * 3600.0).contains(&waited) {
                return Err(format!("the times of injection and scan are {waited:.0} s apart"));
            }
            injected * (-waited / half_life).exp2()
        }
        other => return Err(format!("Decay Correction is {other:?}")),
    };
    Ok(weight * 1000.0 / left)
}

/// When the image's decay correction begins: the series' time, or that of the first acquisition where the series was made later.
fn scan_start(header: &InMemDicomObject, acquired: Option<&(String, String)>) -> Result<Moment, String> {
    let series = text(header, tags::SERIES_DATE).zip(text(header, tags::SERIES_TIME));
    let series = series.and_then(|(date, time)| Moment::of(&date, &time));
    let acquired = acquired.and_then(|(date, time)| Moment::of(date, time));
    match (series, acquired) {
        (Some(series), Some(acquired)) if series.since(acquired) > 0.0 => Ok(acquired),
        (Some(series), _) => Ok(series),
        (None, Some(acquired)) => Ok(acquired),
        (None, None) => Err("the time of the scan is missing".into()),
    }
}

/// When the radiopharmaceutical was injected. Where only the hour is known, it was on the day of the series.
fn injection(header: &InMemDicomObject, dose: &InMemDicomObject) -> Result<Moment, String> {
    if let Some(at) = text(dose, tags::RADIOPHARMACEUTICAL_START_DATE_TIME) {
        let (date, time) = at.split_at_checked(8).ok_or("the time of injection is no time")?;
        let (time, zone) = match time.find(['+', '-']) {
            Some(sign) => (&time[..sign], Some(&time[sign..])),
            None => (time, None),
        };
        let moment = Moment::of(date, time).ok_or("the time of injection is no time")?;
        // The scan's own times are local; where injection says its zone, theirs has to be known.
        let local = text(header, tags::TIMEZONE_OFFSET_FROM_UTC);
        let local = local.as_deref().and_then(offset);
        return match zone {
            None => Ok(moment),
            Some(zone) => match (offset(zone), local) {
                (Some(zone), Some(local)) => Ok(moment.later(local - zone)),
                _ => Err("the time of injection has a time zone, and that of the scan none".into()),
            },
        };
    }
    let time = text(dose, tags::RADIOPHARMACEUTICAL_START_TIME).ok_or("the time of injection is missing")?;
    let date = text(header, tags::SERIES_DATE).ok_or("Series Date is missing")?;
    Moment::of(&date, &time).ok_or_else(|| "the time of injection is no time".into())
}

/// Seconds of an offset from UTC, as +0530.
fn offset(zone: &str) -> Option<f64> {
    let sign = match zone.get(..1)? {
        "+" => 1.0,
        "-" => -1.0,
        _ => return None,
    };
    let part = |from: usize| zone.get(from..from + 2)?.parse::<u8>().ok();
    Some(sign * (f64::from(part(1)?) * 3600.0 + f64::from(part(3)?) * 60.0))
}

/// Days and seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    day: i64,
    seconds: f64,
}

impl Moment {
    /// DICOM's DA and TM, which must say the minute: an hour more or less is a sixth of fluorine's dose.
    fn of(date: &str, time: &str) -> Option<Moment> {
        use chrono::Datelike as _;
        let day = chrono::NaiveDate::parse_from_str(date.get(..8)?, "%Y%m%d").ok()?;
        let part = |at: usize| time.get(at..at + 2)?.parse::<u8>().ok().map(f64::from);
        let seconds = match time.get(4..)? {
            "" => 0.0,
            rest => rest
                .parse::<f64>()
                .ok()
                .filter(|seconds| (0.0..61.0).contains(seconds))?,
        };
        Some(Moment {
            day: i64::from(day.num_days_from_ce()),
            seconds: part(0)? * 3600.0 + part(2)? * 60.0 + seconds,
        })
    }

    fn later(self, seconds: f64) -> Moment {
        Moment {
            seconds: self.seconds + seconds,
            ..self
        }
    }

    fn since(self, other: Moment) -> f64 {
        (self.day - other.day) as f64 * 86_400.0 + self.seconds - other.seconds
    }
}
