//! What comes out of a session, checked: shapes as the manifest says, and numbers that are numbers.

use super::ModelError;
use ndarray::Array2;

/// The network failed while it ran.
pub(super) fn failed(error: impl std::fmt::Display) -> ModelError {
    ModelError::Run {
        fault: error.to_string(),
    }
}

/// An output as rows of numbers that are numbers.
pub(super) fn array2(value: &ort::value::DynValue, what: &str, shape: [usize; 2]) -> Result<Array2<f32>, ModelError> {
    let (there, data) = value.try_extract_tensor::<f32>().map_err(failed)?;
    if **there != shape.map(|n| n as i64) {
        return Err(failed(format!("{what} have the shape {there}, not {shape:?}")));
    }
    finite(Array2::from_shape_vec(shape, data.to_vec()).map_err(failed)?, what)
}

/// `values`, or an error where one is NaN or infinite: it would become an empty mask.
pub(super) fn finite(values: Array2<f32>, what: &str) -> Result<Array2<f32>, ModelError> {
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(failed(format!("NaN or infinite values in its {what}"))),
    }
}
