//! What a network is asked to run on, and how finely it will count: known before any session is started, because it is part
//! of a result's name.

use super::options::OpenVinoPrecision;
use super::{Manifest, ModelFolder, NumericClass, Precision, Provider, ProviderChoice, ProviderOptions, Runtime};
use std::path::{Path, PathBuf};

/// Lowest Dice between bf16 and single precision at which `auto` takes bf16 for the same answer.
const SAME_MASK: f64 = 0.999;

/// What a network is opened with, whatever the model.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The provider asked for.
    pub provider: ProviderChoice,
    /// The providers' options.
    pub options: ProviderOptions,
    /// Threads of the network.
    pub threads: usize,
    /// Folder for what is worth keeping between runs: text queries, TensorRT's engines. Nothing is kept where absent.
    pub cache: Option<PathBuf>,
}

/// How finely a network will count, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The precision to ask for. What really starts may be finer, never coarser.
    pub precision: Precision,
    /// Why, for people.
    pub why: String,
}

impl Setup {
    /// The precision for a model. `built_in` says which providers the loaded library has; it is asked only where the
    /// answer depends on it, so that most plans need no library at all.
    pub fn planned(&self, manifest: &Manifest, built_in: impl Fn(Provider) -> bool) -> Planned {
        self.planned_on(manifest, built_in, Machine::here())
    }

    fn planned_on(&self, manifest: &Manifest, built_in: impl Fn(Provider) -> bool, machine: Machine) -> Planned {
        match self.provider {
            ProviderChoice::Named(provider) => self.planned_for(manifest, provider, machine),
            // Only OpenVINO may be coarser than CUDA and the CPU by itself.
            ProviderChoice::Auto => {
                let reduced = self.planned_for(manifest, Provider::OpenVino, machine);
                let first = || Provider::AUTO.into_iter().find(|provider| built_in(*provider));
                match reduced.precision.class() {
                    NumericClass::Reduced if first() != Some(Provider::OpenVino) => {
                        self.planned_for(manifest, Provider::Cpu, machine)
                    }
                    _ => reduced,
                }
            }
        }
    }

    /// The precision for a model on one provider, no coarser than `numeric` where the model leaves a choice.
    pub(super) fn on(&self, manifest: &Manifest, provider: Provider, numeric: NumericClass) -> Precision {
        match manifest.precision {
            Precision::Fp32 => self
                .planned_for(manifest, provider, Machine::here())
                .precision
                .within(numeric),
            of_the_graph => of_the_graph,
        }
    }

    /// A folder for the engines that TensorRT builds of a model, where one can be made. An engine is for one model, one build
    /// of ONNX Runtime and one driver; ONNX Runtime's own names for the files tell GPUs of other kinds and precisions apart.
    pub(super) fn engines(&self, folder: &ModelFolder, runtime: &Runtime) -> Option<PathBuf> {
        let root = self.options.tensorrt.cache.clone();
        let root = root.or_else(|| Some(self.cache.as_ref()?.join("tensorrt")))?;
        let path = root.join(engine_key(
            folder.sha256(),
            runtime.build_info(),
            Path::new("/proc/driver/nvidia"),
        ));
        match std::fs::create_dir_all(&path) {
            Ok(()) => Some(path),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "TensorRT's engine can't be kept and will be built each time");
                None
            }
        }
    }

    fn planned_for(&self, manifest: &Manifest, provider: Provider, machine: Machine) -> Planned {
        let planned = |precision: Precision, why: &str| Planned {
            precision,
            why: why.to_owned(),
        };
        if manifest.precision != Precision::Fp32 {
            return planned(manifest.precision, "the model was exported in half precision");
        }
        match provider {
            Provider::OpenVino => match self.options.openvino.precision {
                Some(OpenVinoPrecision::Bf16) => planned(Precision::Bf16, "[openvino] precision says so"),
                Some(OpenVinoPrecision::F32) => planned(Precision::Fp32, "[openvino] precision says so"),
                None => self.left_open(manifest, machine),
            },
            Provider::TensorRt => planned(
                self.options.tensorrt.precision.into(),
                "[tensorrt] precision, by default fp32",
            ),
            Provider::Cpu | Provider::Cuda => planned(Precision::Fp32, "it has no other"),
        }
    }

    /// OpenVINO's precision where the settings leave it open.
    fn left_open(&self, manifest: &Manifest, machine: Machine) -> Planned {
        let fp32 = |why: String| Planned {
            precision: Precision::Fp32,
            why,
        };
        if self.provider != ProviderChoice::Auto {
            return fp32(
                "a provider asked for by name means fp32 unless [openvino] precision says otherwise".to_owned(),
            );
        }
        if !self.options.openvino.device.is_cpu() {
            return fp32("bf16 is for OpenVINO on the CPU".to_owned());
        }
        match manifest.reduced.as_ref().and_then(|reduced| reduced.bf16_lowest_dice) {
            None => {
                fp32("the model's manifest does not say how near bf16 comes ([reduced] bf16_lowest_dice)".to_owned())
            }
            Some(dice) if dice < SAME_MASK => fp32(format!(
                "bf16 changes this model's masks (lowest Dice {dice}, under {SAME_MASK})"
            )),
            Some(_) if !machine.bf16 => fp32("this processor has no bf16 arithmetic".to_owned()),
            Some(dice) => Planned {
                precision: Precision::Bf16,
                why: format!("bf16 gives this model's masks (lowest Dice {dice}) in about half the time"),
            },
        }
    }
}

fn engine_key(model: &str, build: &str, driver: &Path) -> String {
    let mut of = format!("{model}\n{build}\n");
    // Absent on Windows and in some containers; the engine then serves until TensorRT itself refuses it.
    of.push_str(&std::fs::read_to_string(driver.join("version")).unwrap_or_default());
    let devices = std::fs::read_dir(driver.join("gpus")).into_iter().flatten().flatten();
    let mut devices: Vec<String> = devices
        .filter_map(|device| std::fs::read_to_string(device.path().join("information")).ok())
        .filter_map(|text| Some(text.lines().find(|line| line.starts_with("Model:"))?.to_owned()))
        .collect();
    devices.sort();
    of.push_str(&devices.join("\n"));
    blake3::hash(of.as_bytes()).to_hex()[..16].to_owned()
}

/// What the processor has.
#[derive(Debug, Clone, Copy)]
struct Machine {
    /// bf16 arithmetic. OpenVINO imitates it, slowly, on AVX-512 processors without.
    bf16: bool,
}

impl Machine {
    fn here() -> Machine {
        #[cfg(target_arch = "x86_64")]
        let bf16 = std::arch::is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let bf16 = false;
        Machine { bf16 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::ModelFolder;
    use std::path::Path;

    const NEW: Machine = Machine { bf16: true };
    const OLD: Machine = Machine { bf16: false };

    fn manifest(precision: Precision, bf16_lowest_dice: Option<f64>) -> Manifest {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/sat-mini");
        let mut manifest = ModelFolder::open(&shipped).unwrap().manifest().clone();
        manifest.precision = precision;
        manifest.reduced = Some(crate::model::Reduced {
            bf16_lowest_dice,
            measured_on: None,
        });
        manifest
    }

    fn setup(provider: ProviderChoice, openvino: Option<OpenVinoPrecision>) -> Setup {
        let mut options = ProviderOptions::default();
        options.openvino.precision = openvino;
        Setup {
            provider,
            options,
            threads: 1,
            cache: None,
        }
    }

    fn openvino_library(provider: Provider) -> bool {
        matches!(provider, Provider::OpenVino | Provider::Cpu)
    }

    #[test]
    fn auto_takes_bf16_only_with_evidence_and_a_processor_that_has_it() {
        let auto = setup(ProviderChoice::Auto, None);
        let planned = |dice, machine| {
            let manifest = manifest(Precision::Fp32, dice);
            auto.planned_on(&manifest, openvino_library, machine).precision
        };
        assert_eq!(planned(Some(0.9994), NEW), Precision::Bf16);
        assert_eq!(planned(Some(0.9994), OLD), Precision::Fp32);
        assert_eq!(planned(Some(0.9989), NEW), Precision::Fp32);
        assert_eq!(planned(None, NEW), Precision::Fp32);
    }

    #[test]
    fn auto_counts_in_fp32_where_another_provider_comes_first() {
        let auto = setup(ProviderChoice::Auto, None);
        let manifest = manifest(Precision::Fp32, Some(1.0));
        for library in [|_| true, |provider| provider == Provider::Cpu] as [fn(Provider) -> bool; 2] {
            assert_eq!(auto.planned_on(&manifest, library, NEW).precision, Precision::Fp32);
        }
    }

    #[test]
    fn a_provider_asked_for_by_name_means_fp32_unless_the_settings_say_otherwise() {
        let named = ProviderChoice::Named(Provider::OpenVino);
        let manifest = manifest(Precision::Fp32, Some(1.0));
        let precision = |word| {
            setup(named, word)
                .planned_on(&manifest, openvino_library, NEW)
                .precision
        };
        assert_eq!(precision(None), Precision::Fp32);
        assert_eq!(precision(Some(OpenVinoPrecision::Bf16)), Precision::Bf16);
    }

    #[test]
    fn no_library_is_asked_where_the_answer_does_not_depend_on_it() {
        let never = |_: Provider| -> bool { panic!("the library was asked") };
        let auto = setup(ProviderChoice::Auto, None);
        auto.planned_on(&manifest(Precision::Fp32, None), never, NEW);
        setup(ProviderChoice::Named(Provider::Cuda), None).planned_on(
            &manifest(Precision::Fp32, Some(1.0)),
            never,
            NEW,
        );
    }

    #[test]
    fn an_engine_is_for_one_model_one_library_one_driver_and_its_devices() {
        let dir = tempfile::tempdir().unwrap();
        let driver = |name: &str, version: &str, model: &str| {
            let folder = dir.path().join(name);
            std::fs::create_dir_all(folder.join("gpus/0000:01:00.0")).unwrap();
            std::fs::write(folder.join("version"), version).unwrap();
            let information = format!("Model: \t\t {model}\nIRQ: 7\n");
            std::fs::write(folder.join("gpus/0000:01:00.0/information"), information).unwrap();
            folder
        };
        let one = driver("one", "NVRM version: 580.1", "NVIDIA H100");
        let keys = [
            engine_key("model", "1.32", &one),
            engine_key("other model", "1.32", &one),
            engine_key("model", "1.33", &one),
            engine_key("model", "1.32", &driver("two", "NVRM version: 590.2", "NVIDIA H100")),
            engine_key("model", "1.32", &driver("three", "NVRM version: 580.1", "NVIDIA L4")),
            engine_key("model", "1.32", Path::new("/nowhere")),
        ];
        assert_eq!(engine_key("model", "1.32", &one), keys[0]);
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_model_in_half_precision_is_reduced_on_every_provider() {
        for provider in Provider::ALL {
            let setup = setup(ProviderChoice::Named(provider), Some(OpenVinoPrecision::F32));
            let planned = setup.planned_on(&manifest(Precision::Fp16, None), openvino_library, OLD);
            assert_eq!(planned.precision.class(), NumericClass::Reduced, "{provider}");
        }
    }
}
