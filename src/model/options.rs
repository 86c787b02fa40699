//! Options of the execution providers, as sat-mcp.toml has them:
//!
//! ```toml
//! [openvino]
//! device = "CPU"            # or "GPU", "GPU.1"
//! precision = "bf16"        # default "f32"; `--provider auto` chooses by the model's evidence
//!
//! [cuda]
//! device_id = 0
//! memory_limit_gb = 20
//!
//! [tensorrt]
//! device_id = 0
//! precision = "fp16"        # default "fp32"
//! workspace_gb = 8
//! cache = "/var/cache/sat-mcp/tensorrt"
//! ```

use super::Precision;
use serde::Deserialize;
use std::path::PathBuf;

/// Options of all providers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderOptions {
    /// Of OpenVINO.
    pub openvino: OpenVinoOptions,
    /// Of CUDA.
    pub cuda: CudaOptions,
    /// Of TensorRT.
    pub tensorrt: TensorRtOptions,
}

/// Options of OpenVINO.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "OpenVinoTable")]
pub struct OpenVinoOptions {
    /// Which of its devices; the CPU where absent.
    pub device: OpenVinoDevice,
    /// What to count in; where absent, single precision or what `auto` finds safe.
    pub precision: Option<OpenVinoPrecision>,
}

/// The table before its options have been held against one another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenVinoTable {
    #[serde(default)]
    device: OpenVinoDevice,
    precision: Option<OpenVinoPrecision>,
}

impl TryFrom<OpenVinoTable> for OpenVinoOptions {
    type Error = String;

    fn try_from(table: OpenVinoTable) -> Result<OpenVinoOptions, String> {
        let OpenVinoTable { device, precision } = table;
        if precision == Some(OpenVinoPrecision::Bf16) && !device.is_cpu() {
            return Err(format!(
                "precision = \"bf16\" is for device = \"CPU\"; {} has \"f32\"",
                device.0
            ));
        }
        Ok(OpenVinoOptions { device, precision })
    }
}

/// A device of OpenVINO. Those that choose among devices (AUTO, MULTI, HETERO) are left out: nobody could say what ran.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OpenVinoDevice(String);

impl OpenVinoDevice {
    /// OpenVINO's own word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the processor.
    pub fn is_cpu(&self) -> bool {
        self.0 == "CPU"
    }

    /// The plug-in that drives it: `GPU` for `GPU.1`.
    pub(super) fn plug_in(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl Default for OpenVinoDevice {
    fn default() -> OpenVinoDevice {
        OpenVinoDevice("CPU".to_owned())
    }
}

impl TryFrom<String> for OpenVinoDevice {
    type Error = String;

    fn try_from(word: String) -> Result<OpenVinoDevice, String> {
        let upper = word.to_uppercase();
        let number = upper.strip_prefix("GPU.").is_some_and(|n| n.parse::<u8>().is_ok());
        match upper.as_str() {
            "CPU" | "GPU" => Ok(OpenVinoDevice(upper)),
            _ if number => Ok(OpenVinoDevice(upper)),
            _ => Err(format!(
                "{word:?} is no device; there are \"CPU\", \"GPU\" and \"GPU.N\""
            )),
        }
    }
}

/// What OpenVINO counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenVinoPrecision {
    /// Single precision.
    F32,
    /// 8 significant bits, on processors that have it.
    Bf16,
}

/// Options of CUDA.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CudaOptions {
    /// Which GPU.
    pub device_id: DeviceId,
    /// Most memory that ONNX Runtime's arena takes.
    pub memory_limit_gb: Option<Gigabytes>,
}

/// Options of TensorRT.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TensorRtOptions {
    /// Which GPU.
    pub device_id: DeviceId,
    /// What to count in.
    pub precision: TensorRtPrecision,
    /// Most memory for trying out kernels while an engine is built.
    pub workspace_gb: Option<Gigabytes>,
    /// Folder for engines and timings, which take minutes to make.
    pub cache: Option<PathBuf>,
}

/// What TensorRT counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TensorRtPrecision {
    /// Single precision.
    #[default]
    Fp32,
    /// Half precision wherever TensorRT finds it faster.
    Fp16,
}

impl From<TensorRtPrecision> for Precision {
    fn from(word: TensorRtPrecision) -> Precision {
        match word {
            TensorRtPrecision::Fp32 => Precision::Fp32,
            TensorRtPrecision::Fp16 => Precision::Fp16,
        }
    }
}

/// Number of a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "i64")]
pub struct DeviceId(pub u8);

impl TryFrom<i64> for DeviceId {
    type Error = String;

    fn try_from(number: i64) -> Result<DeviceId, String> {
        u8::try_from(number)
            .map(DeviceId)
            .map_err(|_| format!("{number} is no number of a GPU; the first is 0"))
    }
}

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Gigabytes(f64);

impl Gigabytes {
    /// In bytes.
    pub fn bytes(self) -> usize {
        (self.0 * 1e9) as usize
    }
}

impl TryFrom<f64> for Gigabytes {
    type Error = String;

    fn try_from(gigabytes: f64) -> Result<Gigabytes, String> {
        match gigabytes.is_finite() && (0.001..=1e6).contains(&gigabytes) {
            true => Ok(Gigabytes(gigabytes)),
            false => Err(format!("{gigabytes} is no amount of memory in gigabytes")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_option_has_a_word_in_the_settings_file() {
        let openvino: OpenVinoOptions = toml::from_str("device = \"gpu.1\"\nprecision = \"f32\"").unwrap();
        assert_eq!((openvino.device.as_str(), openvino.device.plug_in()), ("GPU.1", "GPU"));
        let cuda: CudaOptions = toml::from_str("device_id = 1\nmemory_limit_gb = 20").unwrap();
        assert_eq!(cuda.device_id, DeviceId(1));
        assert_eq!(cuda.memory_limit_gb.unwrap().bytes(), 20_000_000_000);
        let tensorrt: TensorRtOptions =
            toml::from_str("precision = \"fp16\"\nworkspace_gb = 1.5\ncache = \"/var/cache\"").unwrap();
        assert_eq!(tensorrt.precision, TensorRtPrecision::Fp16);
        assert_eq!(tensorrt.cache.unwrap(), PathBuf::from("/var/cache"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        let openvino = |text: &str| toml::from_str::<OpenVinoOptions>(text).unwrap_err().to_string();
        assert!(openvino("device = \"AUTO\"").contains("\"CPU\", \"GPU\""));
        assert!(openvino("precision = \"fp16\"").contains("`bf16`"));
        assert!(openvino("device = \"GPU\"\nprecision = \"bf16\"").contains("device = \"CPU\""));
        assert!(openvino("presicion = \"bf16\"").contains("`precision`"));
        let cuda = |text: &str| toml::from_str::<CudaOptions>(text).unwrap_err().to_string();
        assert!(cuda("device_id = -1").contains("the first is 0"));
        assert!(cuda("memory_limit_gb = 0").contains("gigabytes"));
        assert!(cuda("memory_limit_gb = inf").contains("gigabytes"));
        assert!(cuda("precision = \"fp16\"").contains("unknown field"));
    }
}
