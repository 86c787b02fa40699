//! Execution providers of ONNX Runtime: which hardware runs the network.

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch};
use std::fmt;
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

    /// What must be there for it to start.
    pub fn requirements(self) -> &'static str {
        match self {
            Provider::Cpu => "It needs `pip install onnxruntime`.",
            Provider::OpenVino => "It needs `pip install onnxruntime-openvino` in place of onnxruntime.",
            Provider::Cuda => {
                "It needs an NVIDIA GPU with its driver, CUDA 13, cuDNN 9, and `pip install onnxruntime-gpu` in place of onnxruntime."
            }
            Provider::TensorRt => {
                "It needs an NVIDIA GPU with its driver, CUDA 13, cuDNN 9, TensorRT 10, and `pip install onnxruntime-gpu` in place of onnxruntime."
            }
        }
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

    /// How sessions ask for it: single precision, and an error rather than a quiet CPU session.
    pub(super) fn dispatch(self, threads: usize) -> ExecutionProviderDispatch {
        match self {
            // The arena keeps every block it ever had: 12.8 GB became 23.2 in the second run of SAT-Nano.
            Provider::Cpu => ep::CPU::default().with_arena_allocator(false).build(),
            // bf16 would be chosen by itself on processors that have it.
            Provider::OpenVino => ep::OpenVINO::default()
                .with_device_type("CPU")
                .with_num_threads(threads)
                .with_arbitrary_config("load_config", r#"{"CPU":{"INFERENCE_PRECISION_HINT":"f32"}}"#)
                .build(),
            Provider::Cuda => ep::CUDA::default().with_tf32(false).build(),
            Provider::TensorRt => ep::TensorRT::default().build(),
        }
        .error_on_failure()
    }
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
