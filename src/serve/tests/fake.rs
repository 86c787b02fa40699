//! A desk whose image names say how a run goes: `slow-5x100.nii` takes 5 windows of 100 ms.

use crate::anatomy::{Catalogue, ListAnswer, ListRequest, Mentions, Offered, Resolver};
use crate::measure::{BoundingBox, Check, Intensity, Measurement, Part, Status};
use crate::segment::{Cancel, Progress, Step};
use crate::serve::desk::Desk;
use crate::service::*;
use crate::store::{Store, StoreError, TaskStore};
use crate::volume::Modality;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

pub struct FakeDesk {
    folder: tempfile::TempDir,
    /// Scans read and masks measured, slowly.
    pub plodded: AtomicUsize,
    pub started: AtomicUsize,
    pub finished: AtomicUsize,
    pub cancelled: AtomicUsize,
    store: Mutex<HashSet<String>>,
    /// Notes of runs, as another process would find them.
    pub notes: Mutex<HashMap<String, Underway>>,
    /// Results that lie in the store from earlier, the newest first, and how many files each has.
    pub kept: Mutex<Vec<(Place, usize)>>,
    /// Results that were opened.
    pub opened: AtomicUsize,
    /// How often the images were changed under their names.
    pub changed: AtomicUsize,
    /// Requests whose image was read.
    pub planned: AtomicUsize,
}

static NAMES: LazyLock<Resolver> =
    LazyLock::new(|| Resolver::new(Catalogue::load(), &Offered::everything("fake", Catalogue::load())));

impl FakeDesk {
    /// Puts a result into the store, made so many seconds after 1970.
    pub fn keep(&self, id: &str, made: u64, files: usize) {
        let place = Place {
            id: id.into(),
            made: SystemTime::UNIX_EPOCH + Duration::from_secs(made),
            owner: None,
        };
        let mut kept = self.kept.lock().unwrap();
        kept.push((place, files));
        kept.sort_by(|a, b| b.0.made.cmp(&a.0.made).then_with(|| a.0.id.cmp(&b.0.id)));
    }

    /// Puts the result of another process into the store.
    pub fn finish_elsewhere(&self, id: &str) {
        self.store.lock().unwrap().insert(id.into());
    }
}

impl Default for FakeDesk {
    fn default() -> FakeDesk {
        FakeDesk {
            folder: tempfile::tempdir().unwrap(),
            plodded: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            store: Mutex::default(),
            notes: Mutex::default(),
            kept: Mutex::default(),
            opened: AtomicUsize::new(0),
            changed: AtomicUsize::new(0),
            planned: AtomicUsize::new(0),
        }
    }
}

impl FakeDesk {
    fn plod(&self) {
        std::thread::sleep(Duration::from_millis(1000));
        self.plodded.fetch_add(1, SeqCst);
    }
}

pub struct FakePlan {
    image: String,
    targets: Vec<String>,
    version: usize,
}

impl FakePlan {
    /// From `…-5x100.nii`.
    fn pace(&self) -> (u32, Duration) {
        let pace = self
            .image
            .trim_end_matches(".nii")
            .rsplit('-')
            .next()
            .and_then(|pace| pace.split_once('x'));
        let (windows, millis) = pace.unwrap_or(("1", "1"));
        (windows.parse().unwrap(), Duration::from_millis(millis.parse().unwrap()))
    }
}

impl Desk for FakeDesk {
    type Plan = FakePlan;

    fn list_anatomy(&self, request: &ListRequest) -> Result<ListAnswer, Fault> {
        Ok(NAMES.list(request)?)
    }

    fn mentions(&self, report: &str, modality: Modality) -> Result<Mentions, Fault> {
        Ok(NAMES.mentions(report, modality))
    }

    fn plan(&self, _caller: &Caller, request: &SegmentRequest) -> Result<FakePlan, Fault> {
        self.planned.fetch_add(1, SeqCst);
        if request.image.contains("missing") {
            return Err(Fault::new(Code::BadImage, "missing.nii: no such file.").hint("Give the path of a scan."));
        }
        if request.image.contains("plodding") {
            self.plod();
        }
        Ok(FakePlan {
            image: request.image.clone(),
            targets: request.targets.clone(),
            version: self.changed.load(SeqCst),
        })
    }

    fn result_id(plan: &FakePlan) -> String {
        let version = "'".repeat(plan.version);
        format!("{}{version}:{}", plan.image, plan.targets.join(","))
    }

    fn stored(&self, plan: &FakePlan) -> Result<Option<SegmentAnswer>, Fault> {
        let done = self.store.lock().unwrap().contains(&Self::result_id(plan));
        Ok(done.then(|| answer(plan, RunStatus::Done)))
    }

    fn run(&self, plan: FakePlan, progress: &dyn Progress, cancel: &Cancel) -> Result<SegmentAnswer, Fault> {
        if let Some(answer) = self.stored(&plan)? {
            return Ok(answer);
        }
        self.started.fetch_add(1, SeqCst);
        let (windows, pace) = plan.pace();
        for done in 0..windows {
            if cancel.is_cancelled() {
                self.cancelled.fetch_add(1, SeqCst);
                return Err(Fault::new(Code::Cancelled, "Cancelled."));
            }
            progress.report(&Step {
                done,
                total: windows,
                sentence: format!("Window {} of {windows}.", done + 1),
            });
            std::thread::sleep(pace);
        }
        if plan.image.contains("broken") {
            return Err(Fault::new(Code::Internal, "The network gave up."));
        }
        assert!(!plan.image.contains("panic"), "as told");
        self.store.lock().unwrap().insert(Self::result_id(&plan));
        self.finished.fetch_add(1, SeqCst);
        Ok(answer(&plan, RunStatus::Done))
    }

    fn running(&self, plan: &FakePlan) -> SegmentAnswer {
        SegmentAnswer {
            masks: vec![],
            labelmap: None,
            report: None,
            preview: None,
            ..answer(plan, RunStatus::Running)
        }
    }

    fn measure_volume(&self, _caller: &Caller, request: &MeasureRequest) -> Result<MeasureAnswer, Fault> {
        match &request.result_id {
            Some(id) if id == "plodding" => {
                self.plod();
                Ok(MeasureAnswer {
                    measurements: vec![measurement("plodding")],
                    warnings: vec![],
                })
            }
            Some(_) => Ok(MeasureAnswer {
                measurements: vec![measurement("liver")],
                warnings: vec![],
            }),
            None => Err(Fault::new(Code::InvalidArgument, "Nothing to measure.").hint("Give `result_id` or `mask`.")),
        }
    }

    fn resource(&self, _caller: &Caller, uri: &str) -> Result<ResourceFile, Fault> {
        let name = uri.strip_prefix("sat://results/abc/").unwrap_or_default();
        match name {
            "result.json" => Ok(file(name, "application/json", 2)),
            "liver.nii.gz" => Ok(file(name, "application/gzip", 3)),
            "huge.nii.gz" => Ok(file(name, "application/gzip", (1 << 20) + 1)),
            _ if uri.ends_with("/result.json")
                && self.store.lock().unwrap().iter().any(|id| uri.contains(id.as_str())) =>
            {
                Ok(ResourceFile {
                    uri: uri.into(),
                    ..file("result.json", "application/json", 2)
                })
            }
            _ => Err(Fault::new(Code::NotFound, format!("{uri}: no such resource."))),
        }
    }

    fn read_resource(&self, _caller: &Caller, uri: &str) -> Result<Vec<u8>, Fault> {
        Ok(if uri.ends_with(".json") {
            b"{}".to_vec()
        } else {
            vec![0x1f, 0x8b, 0xff]
        })
    }

    fn place_of(&self, _caller: &Caller, image: &str) -> Option<std::path::PathBuf> {
        Some(image.into())
    }

    /// All images are one file here, which grows with each change.
    fn stamp(&self, _caller: &Caller, _image: &str) -> Option<Stamp> {
        let file = self.folder.path().join("image");
        std::fs::write(&file, vec![0; self.changed.load(SeqCst)]).ok()?;
        std::fs::File::open(&file)
            .ok()?
            .set_modified(SystemTime::UNIX_EPOCH)
            .ok()?;
        Stamp::of(file)
    }

    fn tasks(&self) -> Result<TaskStore, StoreError> {
        Store::open(self.folder.path())?.tasks()
    }

    fn display(&self, _caller: &Caller, result_id: &str) -> Result<Vec<u8>, Fault> {
        match result_id {
            "abc" => Ok(vec![0x1f, 0x8b, 0xff]),
            _ => Err(Fault::new(
                Code::NotFound,
                format!("There is no result {result_id:?} here."),
            )),
        }
    }

    fn read_slices(&self, _caller: &Caller, uri: &str, query: &str, _limit: u64) -> Result<Vec<u8>, Fault> {
        match query {
            "slices=0-1" => Ok(vec![0x1f, 0x8b]),
            _ => Err(Fault::new(
                Code::InvalidArgument,
                format!("{uri}?{query} does not say which slices."),
            )),
        }
    }

    fn too_large(&self, _caller: &Caller, file: &ResourceFile, limit: u64) -> Fault {
        Fault::new(
            Code::InvalidArgument,
            format!("{} has more than {limit} bytes.", file.uri),
        )
        .hint(format!("Read {}?slices=0-1.", file.uri))
    }

    fn result_places(&self, _caller: &Caller) -> Result<Vec<Place>, Fault> {
        Ok(self
            .kept
            .lock()
            .unwrap()
            .iter()
            .map(|(place, _)| place.clone())
            .collect())
    }

    fn result_files(&self, _caller: &Caller, id: &str) -> Result<Option<ResultFiles>, Fault> {
        self.opened.fetch_add(1, SeqCst);
        let kept = self.kept.lock().unwrap();
        let plan = FakePlan {
            image: "scan.nii".into(),
            targets: vec!["liver".into()],
            version: 0,
        };
        Ok(kept
            .iter()
            .find(|(place, _)| place.id == id)
            .map(|(_, files)| ResultFiles {
                answer: SegmentAnswer {
                    result_id: id.into(),
                    ..answer(&plan, RunStatus::Done)
                },
                files: (0..*files)
                    .map(|name| ResourceFile {
                        uri: format!("sat://results/{id}/{name:03}.nii.gz"),
                        ..file(&format!("{name:03}.nii.gz"), "application/gzip", 3)
                    })
                    .collect(),
            }))
    }

    fn standing(&self, _caller: &Caller, id: &str) -> Result<Standing, Fault> {
        let kept = self.kept.lock().unwrap().iter().any(|(place, _)| place.id == id);
        if kept || id == "abc" || self.store.lock().unwrap().contains(id) {
            return Ok(Standing::Done);
        }
        let note = self.notes.lock().unwrap().get(id).cloned();
        Ok(note.map_or(Standing::Unknown, |state| Standing::Underway(Box::new(state))))
    }

    fn note_underway(&self, _caller: &Caller, state: &Underway) -> Result<(), Fault> {
        self.notes
            .lock()
            .unwrap()
            .insert(state.result_id.clone(), state.clone());
        Ok(())
    }

    fn forget_underway(&self, id: &str) -> Result<(), Fault> {
        self.notes.lock().unwrap().remove(id);
        Ok(())
    }

    fn model_names(&self) -> Result<Vec<ModelName>, Fault> {
        let name = |name: &str, default| ModelName {
            name: name.into(),
            default,
        };
        Ok(vec![name("fake", true), name("other", false)])
    }

    fn model_card(&self, name: &str) -> Result<ModelCard, Fault> {
        Err(Fault::new(Code::NotFound, format!("There is no model {name:?}.")))
    }
}

fn file(name: &str, mime: &'static str, bytes: u64) -> ResourceFile {
    ResourceFile {
        uri: format!("sat://results/abc/{name}"),
        name: name.into(),
        mime,
        bytes,
        path: name.into(),
    }
}

fn answer(plan: &FakePlan, status: RunStatus) -> SegmentAnswer {
    let id = FakeDesk::result_id(plan);
    let uri = |file: &str| format!("sat://results/{id}/{file}");
    let mask = |target: &String| MaskAnswer {
        target: target.clone(),
        name: target.clone(),
        composed_of: None,
        includes: None,
        trust: None,
        files: vec![FileAnswer {
            format: Format::Nifti,
            uri: uri(&format!("{target}.nii.gz")),
            path: Some(format!("/results/{target}.nii.gz")),
            bytes: 42,
            sha256: Some("00".into()),
            segment_number: None,
        }],
        measurement: measurement(target),
    };
    SegmentAnswer {
        status,
        result_id: id.clone(),
        model: ModelIdentity {
            name: "fake".into(),
            version: "1".into(),
            sha256: "00".into(),
            published: None,
        },
        image: ImageIdentity {
            uri: "file:///scan.nii".into(),
            sha256: "00".into(),
            shape: [2, 2, 2],
            spacing_mm: [1.0; 3],
            orientation: "RAS".into(),
            modality: Modality::Ct,
        },
        masks: plan.targets.iter().map(mask).collect(),
        labelmap: Some(LabelmapAnswer {
            uri: uri("labels.nii.gz"),
            path: None,
            labels: vec![],
        }),
        preview: Some(PreviewAnswer {
            uri: uri("preview.png"),
            path: None,
        }),
        warnings: vec![],
        execution: Execution {
            provider: "cpu".into(),
            precision: "fp32".into(),
            decoder: None,
            windows: 1,
            cached: false,
            seconds: 0.1,
        },
        report: None,
        sent: None,
        eta_s: None,
    }
}

/// A measurement with every field that the summary leaves out.
pub fn measurement(name: &str) -> Measurement {
    Measurement {
        name: name.into(),
        voxels: 8,
        volume_ml: 0.008,
        centroid_mm: Some([0.5; 3]),
        bounding_box_voxel: Some(BoundingBox {
            min: [0; 3],
            max: [1; 3],
        }),
        bounding_box_mm: Some(BoundingBox {
            min: [-0.5; 3],
            max: [1.5; 3],
        }),
        extent_mm: Some([2.0; 3]),
        longest_diameter_mm: Some(1.4),
        components: 1,
        largest_component_ml: Some(0.008),
        truncated_at: vec![],
        intensity: Some(Intensity {
            unit: "HU".into(),
            mean: 1.0,
            sd: 0.0,
            min: 1.0,
            p05: Some(1.0),
            p50: Some(1.0),
            p95: Some(1.0),
            max: 1.0,
        }),
        mean_probability: None,
        status: Status::Present,
        parts: vec![Part {
            volume_ml: 0.008,
            centroid_mm: [0.5; 3],
            longest_diameter_mm: 1.4,
            mean_intensity: None,
        }],
        checks: vec![
            Check {
                check: "side_of_image_centre".into(),
                value: 1.0,
                ok: true,
                note: "passed".into(),
            },
            Check {
                check: "agreement_with_parts".into(),
                value: 0.1,
                ok: false,
                note: "failed".into(),
            },
        ],
        comparison: None,
        warnings: vec![],
    }
}
