#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ndarray::Array2;

use super::*;
use crate::segment::Silent;
use crate::volume::{Affine, Anchor, AxisCode, Grid, Mask};

const WINDOW: [usize; 3] = [8, 8, 8];
const WIDTH: usize = 4;

/// A network that takes a voxel's intensity and its sines for features, and a prompt's letters for a query.
#[derive(Default)]
struct Fake {
    windows: u32,
    prompts: u32,
    device: bool,
    /// The window whose features are spoilt.
    spoilt: Option<u32>,
    /// A prompt that cannot be encoded.
    unspeakable: Option<&'static str>,
}

impl Backend for Fake {
    fn on_device(&self) -> bool {
        self.device
    }

    fn queries(&mut self, prompts: &[&str], _modality: Modality) -> Result<Queries, ModelError> {
        self.prompts += prompts.len() as u32;
        if let Some(prompt) = prompts.iter().find(|prompt| Some(**prompt) == self.unspeakable) {
            return Err(ModelError::Prompt {
                prompt: (*prompt).to_owned(),
                fault: "no such token".into(),
            });
        }
        let letter = |text: &str, n: usize| f32::from(text.as_bytes()[n % text.len()] % 16) / 4.0 - 2.0;
        Ok(Array2::from_shape_fn((prompts.len(), WIDTH), |(row, n)| {
            letter(prompts[row], n)
        }))
    }

    fn window(&mut self, image: &[f32]) -> Result<WindowOutput, ModelError> {
        self.windows += 1;
        let mut features = Vec::with_capacity(WIDTH * image.len());
        for channel in 0..WIDTH {
            features.extend(image.iter().map(|value| (value * (channel + 1) as f32).sin() * 2.0));
        }
        if self.spoilt == Some(self.windows) {
            features[77] = f32::NAN;
        }
        let mean = image.iter().sum::<f32>() / image.len() as f32;
        Ok(WindowOutput::from_parts(features, Array2::from_elem((1, 1), mean)))
    }

    fn mask_embeddings(&mut self, memory: &Array2<f32>, queries: &Queries) -> Result<Array2<f32>, ModelError> {
        Ok(queries + memory[[0, 0]])
    }
}

fn volume() -> Volume {
    let grid = Grid::new([17, 19, 23], Affine::identity());
    let mut state = 1u64;
    let voxels = (0..grid.len())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u64 << 24) as f32 + 0.1
        })
        .collect();
    Volume::new(grid, voxels, None)
}

fn how() -> Preparation {
    Preparation {
        orientation: AxisCode::RAS,
        spacing: [1.0; 3],
        ct_window: [-9.0, 9.0],
        percentiles: [0.0, 100.0],
        anchor: Anchor::Published,
    }
}

fn prompts(names: &[&str]) -> Vec<Prompt> {
    let prompt = |name: &&str| Prompt {
        text: (*name).to_owned(),
        threshold: 0.5,
    };
    names.iter().map(prompt).collect()
}

fn masks(found: &[FoundMask]) -> Vec<Mask> {
    found.iter().map(|found| found.mask.unpack()).collect()
}

/// A search of the same image for `asked`, with `next` besides.
fn search(
    backend: &mut Fake,
    cache: &mut FeatureCache,
    ahead: Ahead,
    asked: &[&str],
    next: &[&str],
) -> Result<Segmentation, SegmentError> {
    watched(backend, cache, (ahead, asked, next), &Silent, &Cancel::new())
}

/// The same with somebody who listens and may cancel.
fn watched(
    backend: &mut Fake,
    cache: &mut FeatureCache,
    (ahead, asked, next): (Ahead, &[&str], &[&str]),
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Segmentation, SegmentError> {
    let search = Search {
        volume: &volume(),
        modality: Modality::Ct,
        how: &how(),
        window: WINDOW,
        prompts: &prompts(asked),
        next: &prompts(next),
        ahead,
        key: "image",
    };
    segment(&search, backend, cache, progress, cancel)
}

#[test]
fn what_is_found_ahead_is_what_asking_finds() {
    let none = &mut FeatureCache::default();
    let ahead = search(&mut Fake::default(), none, Ahead::On, &["liver"], &["spleen", "aorta"]).unwrap();
    let asked = search(
        &mut Fake::default(),
        none,
        Ahead::Off,
        &["spleen", "aorta", "liver"],
        &["x"],
    )
    .unwrap();
    assert_eq!((ahead.masks.len(), ahead.next.len(), asked.next.len()), (1, 2, 0));
    let together = [masks(&ahead.next), masks(&ahead.masks)].concat();
    assert_eq!(together, masks(&asked.masks));
    assert!(
        together
            .iter()
            .all(|mask| !mask.is_empty() && mask.count() < 17 * 19 * 23)
    );
}

#[test]
fn a_second_question_does_not_ask_the_backbone_again() {
    let (mut backend, mut cache) = (Fake::default(), FeatureCache::new(1 << 30));
    search(&mut backend, &mut cache, Ahead::Off, &["liver"], &[]).unwrap();
    let seen = backend.windows;
    assert!(seen > 8 && cache.bytes() > 17 * 19 * 23 * WIDTH * 2);
    for _ in 0..2 {
        let again = search(&mut backend, &mut cache, Ahead::On, &["aorta", "spleen"], &["liver"]).unwrap();
        assert_eq!((backend.windows, again.windows), (seen, seen));
        let fresh = search(
            &mut Fake::default(),
            &mut FeatureCache::default(),
            Ahead::Off,
            &["aorta", "spleen"],
            &[],
        );
        assert_eq!(masks(&again.masks), masks(&fresh.unwrap().masks));
    }
}

#[test]
fn features_that_do_not_fit_are_not_kept() {
    let (mut backend, mut cache) = (Fake::default(), FeatureCache::new(100_000));
    search(&mut backend, &mut cache, Ahead::Off, &["liver"], &[]).unwrap();
    assert_eq!(cache.bytes(), 0);
    let seen = backend.windows;
    search(&mut backend, &mut cache, Ahead::Off, &["aorta"], &[]).unwrap();
    assert_eq!(backend.windows, 2 * seen);
}

#[test]
fn a_device_gives_the_same_masks() {
    let none = &mut FeatureCache::default();
    let mut device = Fake {
        device: true,
        ..Fake::default()
    };
    let there = search(&mut device, none, Ahead::On, &["liver"], &["aorta"]).unwrap();
    let here = search(&mut Fake::default(), none, Ahead::On, &["liver"], &["aorta"]).unwrap();
    assert_eq!(masks(&there.masks), masks(&here.masks));
    assert_eq!(masks(&there.next), masks(&here.next));
}

#[test]
fn features_that_are_no_numbers_are_an_error_and_not_an_empty_mask() {
    for device in [false, true] {
        for spoilt in [1, 3] {
            let mut backend = Fake {
                device,
                spoilt: Some(spoilt),
                ..Fake::default()
            };
            let failed = search(
                &mut backend,
                &mut FeatureCache::new(1 << 30),
                Ahead::Off,
                &["liver"],
                &[],
            );
            let message = failed.unwrap_err().to_string();
            assert!(message.contains("not all finite"), "{message}");
        }
    }
}

#[test]
fn a_run_that_is_cancelled_stops_before_the_next_window() {
    for device in [false, true] {
        let mut backend = Fake {
            device,
            ..Fake::default()
        };
        let cancel = Cancel::new();
        let progress = |step: &Step| {
            if step.done == 2 {
                cancel.cancel();
            }
        };
        let none = &mut FeatureCache::default();
        let stopped = watched(&mut backend, none, (Ahead::Off, &["liver"], &[]), &progress, &cancel);
        assert!(matches!(stopped, Err(SegmentError::Cancelled)));
        assert!(backend.windows <= 4, "{} windows", backend.windows);
    }
}

#[test]
fn a_run_that_nobody_waits_for_asks_the_network_nothing() {
    let (mut backend, cancel) = (Fake::default(), Cancel::new());
    cancel.cancel();
    let none = &mut FeatureCache::default();
    let stopped = watched(&mut backend, none, (Ahead::Off, &["liver"], &[]), &Silent, &cancel);
    assert!(matches!(stopped, Err(SegmentError::Cancelled)));
    assert_eq!((backend.windows, backend.prompts), (0, 0));
}

#[test]
fn a_name_that_nobody_asked_for_and_that_cannot_be_encoded_does_no_harm() {
    let mut backend = Fake {
        unspeakable: Some("spleen"),
        ..Fake::default()
    };
    let none = &mut FeatureCache::default();
    let found = search(&mut backend, none, Ahead::On, &["liver"], &["aorta", "spleen"]).unwrap();
    assert_eq!((found.masks.len(), found.next.len()), (1, 0));
    let asked = search(&mut backend, none, Ahead::On, &["spleen"], &[]);
    assert!(matches!(asked, Err(SegmentError::Model(ModelError::Prompt { .. }))));
}
