//! Execution providers of ONNX Runtime: which hardware runs the network.

use super::{Precision, ProviderOptions};
use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Hardware and library that run the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// Intel OpenVINO, on the CPU.
    OpenVino,
    /// NVIDIA CUDA with cuDNN.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
}

/// The provider a user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProviderChoice {
    /// The fastest that really starts.
    #[default]
    Auto,
    /// This one or an error.
    Named(Provider),
}

impl Provider {
    /// All of them, in the order that `auto` would like to have them. TensorRT is never chosen by `auto`: building its
    /// engine takes minutes, which is for the user to decide.
    pub const ALL: [Provider; 4] = [Provider::TensorRt, Provider::Cuda, Provider::OpenVino, Provider::Cpu];

    /// Providers that `auto` tries, best first.
    pub const AUTO: [Provider; 3] = [Provider::Cuda, Provider::OpenVino, Provider::Cpu];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::OpenVino => "openvino",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
        }
    }

    /// The Python package whose ONNX Runtime has it.
    pub fn package(self) -> &'static str {
        match self {
            Provider::Cpu => "onnxruntime",
            Provider::OpenVino => "onnxruntime-openvino",
            Provider::Cuda | Provider::TensorRt => "onnxruntime-gpu",
        }
    }

    /// How to get what `fault`, ONNX Runtime's own words, finds missing. Empty where those say enough.
    pub fn remedy(self, fault: &str) -> String {
        let lacks = |libraries: &[&str]| libraries.iter().any(|library| fault.contains(library));
        let needs = match self {
            Provider::Cpu => return String::new(),
            Provider::OpenVino => {
                return "This ONNX Runtime has OpenVINO, so nothing need be installed: look at [openvino] in sat-mcp.toml and \
                        at the model; --provider cpu runs without it."
                    .to_owned();
            }
            _ if lacks(&["libnvinfer", "nvonnxparser"]) => "TensorRT 10 is missing: `pip install 'tensorrt-cu13<11'`",
            _ if lacks(&["libcudnn"]) => "cuDNN 9 is missing: `pip install onnxruntime-gpu[cuda,cudnn]`",
            _ if lacks(&["libcublas", "libcudart", "libcufft", "libcurand", "libnvrtc"]) => {
                "CUDA is missing: `pip install onnxruntime-gpu[cuda,cudnn]`"
            }
            _ if lacks(&["libcuda.so", "nvcuda.dll"]) => {
                return "The NVIDIA driver is missing; without an NVIDIA GPU use another provider.".to_owned();
            }
            Provider::Cuda => "It needs an NVIDIA GPU with its driver, CUDA and cuDNN 9",
            Provider::TensorRt => "It needs an NVIDIA GPU with its driver, CUDA, cuDNN 9 and TensorRT 10",
        };
        format!("{needs}, in the same Python environment; libraries that lie elsewhere are found by LD_LIBRARY_PATH.")
    }

    /// Whether it computes on a device with memory of its own.
    pub fn on_device(self) -> bool {
        matches!(self, Provider::Cuda | Provider::TensorRt)
    }

    /// Whether the loaded library was built with it, which says nothing about the hardware.
    pub fn built_in(self) -> bool {
        match self {
            Provider::Cpu => Ok(true),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::TensorRt => ep::TensorRT::is_available(),
        }
        .unwrap_or(false)
    }

    /// How sessions ask for it: in `precision`, and with an error rather than a quiet CPU session.
    pub(super) fn dispatch(self, precision: Precision, with: &Dispatch) -> ExecutionProviderDispatch {
        let (options, threads) = (with.options, with.threads);
        match self {
            // An arena would keep a window's peak, 10 GB and more of SAT-Nano, as long as the session lives. Without it a
            // window costs 6 % more CPU time, for pages that are had anew.
            Provider::Cpu => ep::CPU::default().with_arena_allocator(false).build(),
            Provider::OpenVino => {
                let device = &options.openvino.device;
                // Without a hint OpenVINO takes the coarsest that the device does well.
                let hint = match precision {
                    Precision::Bf16 => "bf16",
                    Precision::Fp32 | Precision::Fp16 => "f32",
                };
                let config = serde_json::json!({ device.plug_in(): { "INFERENCE_PRECISION_HINT": hint } });
                ep::OpenVINO::default()
                    .with_device_type(device.as_str())
                    .with_num_threads(threads)
                    .with_arbitrary_config("load_config", config)
                    .build()
            }
            Provider::Cuda => {
                let cuda = ep::CUDA::default()
                    .with_device_id(i32::from(options.cuda.device_id.0))
                    .with_tf32(false)
                    .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
                match options.cuda.memory_limit_gb {
                    Some(limit) => cuda.with_memory_limit(limit.bytes()).build(),
                    None => cuda.build(),
                }
            }
            Provider::TensorRt => {
                let mut tensorrt = ep::TensorRT::default()
                    .with_device_id(i32::from(options.tensorrt.device_id.0))
                    .with_fp16(precision == Precision::Fp16);
                if let Some(limit) = options.tensorrt.workspace_gb {
                    tensorrt = tensorrt.with_max_workspace_size(limit.bytes());
                }
                if let Some(cache) = with.engines {
                    tensorrt = tensorrt
                        .with_engine_cache(true)
                        .with_engine_cache_path(cache.display())
                        .with_timing_cache(true)
                        .with_timing_cache_path(cache.display());
                }
                tensorrt.build()
            }
        }
        .error_on_failure()
    }
}

/// What a session's provider is set up with.
pub(super) struct Dispatch<'a> {
    /// The providers' options.
    pub options: &'a ProviderOptions,
    /// Threads on the CPU.
    pub threads: usize,
    /// Folder of TensorRT's engines.
    pub engines: Option<&'a Path>,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProviderChoice::Auto => f.write_str("auto"),
            ProviderChoice::Named(provider) => provider.fmt(f),
        }
    }
}

impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<ProviderChoice, String> {
        if word.eq_ignore_ascii_case("auto") {
            return Ok(ProviderChoice::Auto);
        }
        let named = Provider::ALL
            .into_iter()
            .find(|provider| provider.as_str().eq_ignore_ascii_case(word));
        named
            .map(ProviderChoice::Named)
            .ok_or_else(|| format!("{word:?} is no provider; there are auto, cpu, openvino, cuda and tensorrt"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named_with_the_package_that_has_it() {
        let fault = "Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file";
        assert!(Provider::Cuda.remedy(fault).contains("cuDNN 9 is missing"));
        let fault = "libcublasLt.so.13: cannot open shared object file";
        assert!(Provider::TensorRt.remedy(fault).contains("CUDA is missing"));
        let fault = "libnvinfer.so.10: cannot open shared object file";
        assert!(Provider::TensorRt.remedy(fault).contains("TensorRT 10 is missing"));
        let fault = "libcuda.so.1: cannot open shared object file";
        assert!(Provider::Cuda.remedy(fault).contains("driver is missing"));
        let fault = "no CUDA-capable device is detected";
        assert!(Provider::Cuda.remedy(fault).contains("GPU with its driver"));
    }
}
