//! The backbone on a device with memory of its own: what it computes crosses to the host once, and late.
//!
//! Features are bound to pinned host memory that later windows use again. Those of a run in reduced precision cross in half
//! precision, rounded on the device where the graph gives them in single: on an H100 a window of SAT-Nano takes about as long
//! as half of its features need for the way. Those of a run in single precision cross as they are, since rounding would
//! move logits by more than the 1e-3 that a result named fp32 may be off. Memory tokens are a thousandth of that.

use super::session::Sessions;
use super::values::{failed, finite};
use super::{Features, Manifest, ModelError, NumericClass, Precision, Provider, WindowOutput};
use half::f16;
use ndarray::Array2;
use ort::editor::{Node, ONNX_DOMAIN};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::operator::Attribute;
use ort::session::{IoBinding, Session};
use ort::value::{PrimitiveTensorElementType, Tensor, TensorElementType};
use std::sync::{Arc, Mutex};

/// ONNX's number for half precision.
const FLOAT16: i64 = 10;

/// Where a session's numbers live.
#[derive(Debug, Clone)]
pub(super) struct Place {
    device: AllocationDevice<'static>,
    /// Host memory that the device copies to without a detour.
    pinned: Option<AllocationDevice<'static>>,
    number: i32,
}

impl Place {
    /// An NVIDIA GPU, under CUDA and TensorRT alike.
    pub fn cuda(number: u8) -> Place {
        Place {
            device: AllocationDevice::CUDA,
            pinned: Some(AllocationDevice::CUDA_PINNED),
            number: i32::from(number),
        }
    }

    /// The host itself, so that everything here can be tried where there is no GPU.
    #[cfg(test)]
    pub fn host() -> Place {
        Place {
            device: AllocationDevice::CPU,
            pinned: None,
            number: 0,
        }
    }

    fn memory(&self) -> ort::Result<MemoryInfo<'static>> {
        MemoryInfo::new(
            self.device.clone(),
            self.number,
            AllocatorType::Device,
            MemoryType::Default,
        )
    }

    /// Allocates host memory that `session`'s device copies to.
    fn host_memory(&self, session: &Session) -> ort::Result<Allocator> {
        match &self.pinned {
            None => Ok(Allocator::default()),
            Some(pinned) => {
                let memory = MemoryInfo::new(
                    pinned.clone(),
                    self.number,
                    AllocatorType::Device,
                    MemoryType::CPUOutput,
                )?;
                Allocator::new(session, memory)
            }
        }
    }
}

/// A backbone whose inputs and outputs are bound.
#[derive(Debug)]
pub(super) struct Bound {
    backbone: IoBinding,
    crossing: Crossing,
    /// Where an image waits for the way over; ort would copy a borrowed one first.
    image: Tensor<f32>,
    memory: Tensor<f32>,
    memory_shape: [usize; 2],
}

/// How features come to the host.
#[derive(Debug)]
enum Crossing {
    /// As the graph gives them, in single precision.
    Single(Buffers<f32>),
    /// As the graph gives them, in half precision.
    Half(Buffers<f16>),
    /// In half precision, rounded on the device.
    Rounded(Buffers<f16>, Box<Rounding>),
}

#[derive(Debug)]
struct Rounding {
    session: Session,
    binding: IoBinding,
}

impl Bound {
    /// Binds `backbone`, which runs on `provider` at `place` in `precision`.
    pub fn new(
        sessions: &Sessions,
        backbone: &Session,
        provider: Provider,
        precision: Precision,
        place: &Place,
        manifest: &Manifest,
    ) -> Result<Bound, ModelError> {
        let [x, y, z] = manifest.window.size;
        let shape = [1, manifest.backbone.feature_width, x, y, z];
        let memory_shape = [manifest.backbone.memory_tokens, manifest.backbone.memory_width];
        let mut binding = backbone.create_binding().map_err(failed)?;
        let mut memory = Tensor::<f32>::new(&Allocator::default(), memory_shape).map_err(failed)?;
        binding.bind_output("memory", &mut memory).map_err(failed)?;
        let host = place.host_memory(backbone).map_err(failed)?;
        let image = Tensor::<f32>::new(&host, [1, 1, x, y, z]).map_err(failed)?;
        let crossing = match (manifest.precision, precision.class()) {
            (Precision::Fp16, _) => Crossing::Half(Buffers::new(host, shape)),
            (_, NumericClass::Fp32) => Crossing::Single(Buffers::new(host, shape)),
            (_, NumericClass::Reduced) => {
                let on_device = place.memory().map_err(failed)?;
                binding.bind_output_to_device("features", &on_device).map_err(failed)?;
                Crossing::Rounded(
                    Buffers::new(host, shape),
                    Box::new(Rounding::new(sessions, provider, shape)?),
                )
            }
        };
        Ok(Bound {
            backbone: binding,
            crossing,
            image,
            memory,
            memory_shape,
        })
    }

    /// One window to features and memory.
    pub fn window(&mut self, backbone: &mut Session, image: &[f32]) -> Result<WindowOutput, ModelError> {
        let staged = self.image.extract_tensor_mut().1;
        if staged.len() != image.len() {
            return Err(failed(format!(
                "a window of {} voxels for one of {}",
                image.len(),
                staged.len()
            )));
        }
        staged.copy_from_slice(image);
        // Crosses to the device now; bound once, later images would never be seen.
        self.backbone.bind_input("image", &self.image).map_err(failed)?;
        let features = match &mut self.crossing {
            Crossing::Single(buffers) => {
                let mut features = buffers.take()?;
                run_into(backbone, &mut self.backbone, "features", features.tensor()?)?;
                Features::LentSingle(features)
            }
            Crossing::Half(buffers) => {
                let mut features = buffers.take()?;
                run_into(backbone, &mut self.backbone, "features", features.tensor()?)?;
                Features::LentHalf(features)
            }
            Crossing::Rounded(buffers, rounding) => {
                let mut features = buffers.take()?;
                let mut outputs = backbone.run_binding(&self.backbone).map_err(failed)?;
                let single = outputs
                    .remove("features")
                    .ok_or_else(|| failed("the graph gave no features"))?;
                rounding.binding.bind_input("x", &single).map_err(failed)?;
                run_into(&mut rounding.session, &mut rounding.binding, "y", features.tensor()?)?;
                Features::LentHalf(features)
            }
        };
        let rows = self.memory.extract_tensor().1.to_vec();
        let memory = finite(
            Array2::from_shape_vec(self.memory_shape, rows).map_err(failed)?,
            "memory",
        )?;
        Ok(WindowOutput { features, memory })
    }
}

/// Runs a session whose output `name` is to be written to `tensor`.
fn run_into<T: Element>(
    session: &mut Session,
    binding: &mut IoBinding,
    name: &str,
    tensor: &mut Tensor<T>,
) -> Result<(), ModelError> {
    binding.bind_output(name, tensor).map_err(failed)?;
    session.run_binding(binding).map(drop).map_err(failed)
}

impl Rounding {
    fn new(sessions: &Sessions, provider: Provider, shape: [usize; 5]) -> Result<Rounding, ModelError> {
        // TensorRT would build an engine for this one node; CUDA has it ready, in the same memory.
        let provider = match provider {
            Provider::TensorRt => Provider::Cuda,
            other => other,
        };
        let shape = shape.map(|n| n as i64);
        let to = Attribute::new("to", FLOAT16).map_err(failed)?;
        let node = Node::new("Cast", ONNX_DOMAIN, "round", ["x"], ["y"], [to]).map_err(failed)?;
        let inputs: [(&str, TensorElementType, &[i64]); 1] = [("x", TensorElementType::Float32, &shape)];
        let output: (TensorElementType, &[i64]) = (TensorElementType::Float16, &shape);
        let session = sessions.of_node(node, &inputs, output, provider, Precision::Fp32)?;
        let binding = session.create_binding().map_err(failed)?;
        Ok(Rounding { session, binding })
    }
}

/// A number that features come in.
pub(super) trait Element: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static {}
impl Element for f32 {}
impl Element for f16 {}

/// Host buffers for features, used again as soon as their readers have dropped them: as many as windows are read at a time.
#[derive(Debug)]
struct Buffers<T: Element> {
    free: Arc<Mutex<Vec<Tensor<T>>>>,
    host: Allocator,
    shape: [usize; 5],
}

impl<T: Element> Buffers<T> {
    fn new(host: Allocator, shape: [usize; 5]) -> Buffers<T> {
        Buffers {
            free: Arc::default(),
            host,
            shape,
        }
    }

    fn take(&self) -> Result<Lent<T>, ModelError> {
        let free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let tensor = match free {
            Some(tensor) => tensor,
            None => Tensor::<T>::new(&self.host, self.shape).map_err(failed)?,
        };
        Ok(Lent {
            tensor: Some(tensor),
            home: self.free.clone(),
        })
    }
}

/// Features of one window in a buffer that goes back when they are dropped.
#[derive(Debug)]
pub(super) struct Lent<T: Element> {
    tensor: Option<Tensor<T>>,
    home: Arc<Mutex<Vec<Tensor<T>>>>,
}

impl<T: Element> Lent<T> {
    /// The values.
    pub fn values(&self) -> &[T] {
        self.tensor.as_ref().map_or(&[], |tensor| tensor.extract_tensor().1)
    }

    fn tensor(&mut self) -> Result<&mut Tensor<T>, ModelError> {
        self.tensor.as_mut().ok_or_else(|| failed("a buffer has gone"))
    }
}

impl<T: Element> Drop for Lent<T> {
    fn drop(&mut self) {
        if let (Some(tensor), Ok(mut home)) = (self.tensor.take(), self.home.lock()) {
            home.push(tensor);
        }
    }
}

#[cfg(test)]
#[path = "bound_tests.rs"]
mod tests;
