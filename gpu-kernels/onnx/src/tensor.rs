//! Tensors that a model stores.

use std::sync::Arc;

use gpu_kernels::dtype::{DType, stored_int};
use gpu_kernels::number::to;

use crate::error::ModelError;
use crate::proto;

/// A tensor known before the run, its values as words.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub words: Arc<[u32]>,
}

impl Tensor {
    /// Reads a stored tensor; `name` is how refusals call it.
    pub fn parse(name: &str, tensor: &proto::Tensor) -> Result<Self, ModelError> {
        if tensor.data_location == 1 {
            return Err(ModelError::ExternalData { tensor: name.to_owned() });
        }
        let found = proto::data_type_name(tensor.data_type);
        let dtype = DType::from_onnx(tensor.data_type)
            .ok_or_else(|| ModelError::DataType { tensor: name.to_owned(), found })?;
        let mut shape = Vec::with_capacity(tensor.dims.len());
        let mut expected = 1u64;
        for dim in &tensor.dims {
            let damaged = || ModelError::TensorSize { tensor: name.to_owned(), expected: u64::MAX, found: 0 };
            let dim = usize::try_from(*dim).map_err(|_negative| damaged())?;
            expected = u64::try_from(dim).ok().and_then(|dim| expected.checked_mul(dim)).ok_or_else(damaged)?;
            shape.push(dim);
        }
        let words = if tensor.data_type == proto::DOUBLE {
            doubles(tensor)
        } else if tensor.raw_data.is_empty() {
            typed(name, dtype, tensor)?
        } else {
            raw(name, dtype, tensor)?
        };
        match u64::try_from(words.len()) {
            Ok(found) if found == expected => Ok(Self { dtype, shape, words: words.into() }),
            _ => {
                let found = to(words.len());
                Err(ModelError::TensorSize { tensor: name.to_owned(), expected, found })
            }
        }
    }

    /// A list of whole numbers.
    pub fn ints(shape: Vec<usize>, values: &[i64]) -> Option<Self> {
        let words: Option<Vec<u32>> = values.iter().map(|&value| stored_int(value)).collect();
        Some(Self { dtype: DType::I64, shape, words: words?.into() })
    }

    pub fn floats(shape: Vec<usize>, values: &[f32]) -> Self {
        Self { dtype: DType::F32, shape, words: values.iter().map(|value| value.to_bits()).collect() }
    }
}

/// Wide floats narrowed; what lies beyond the largest stays finite.
fn doubles(tensor: &proto::Tensor) -> Vec<u32> {
    let raw = tensor.raw_data.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk));
    let narrow = |value: f64| {
        let value = if value.is_finite() { value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) } else { value };
        #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "brought into range")]
        let value = value as f32;
        value.to_bits()
    };
    tensor.double_data.iter().copied().chain(raw).map(narrow).collect()
}

fn raw(name: &str, dtype: DType, tensor: &proto::Tensor) -> Result<Vec<u32>, ModelError> {
    if dtype != DType::I64 {
        return dtype.words(&tensor.raw_data).map_err(|error| range(name, error.value));
    }
    let values = tensor.raw_data.as_chunks().0.iter().map(|chunk| i64::from_le_bytes(*chunk));
    values.map(|value| stored_int(value).ok_or_else(|| range(name, value))).collect()
}

/// The values of the field that the type is kept in, where the bytes are not given raw.
fn typed(name: &str, dtype: DType, tensor: &proto::Tensor) -> Result<Vec<u32>, ModelError> {
    let small = || tensor.int32_data.iter();
    Ok(match dtype {
        DType::F32 => tensor.float_data.iter().map(|value| value.to_bits()).collect(),
        DType::I64 => tensor
            .int64_data
            .iter()
            .map(|&value| stored_int(value).ok_or_else(|| range(name, value)))
            .collect::<Result<_, _>>()?,
        DType::U32 => tensor.uint64_data.iter().map(|&value| u32::try_from(value).unwrap_or(u32::MAX)).collect(),
        // F16Constants are kept as their bits.
        DType::F16 | DType::BF16 => {
            let bytes: Vec<u8> = small().flat_map(|bits| bits.to_le_bytes().into_iter().take(2)).collect();
            dtype.words(&bytes).map_err(|error| range(name, error.value))?
        }
        DType::I32 | DType::I16 | DType::I8 | DType::U16 | DType::U8 => small().map(|v| v.cast_unsigned()).collect(),
        DType::Bool => small().map(|&value| u32::from(value != 0)).collect(),
    })
}

fn range(name: &str, value: i64) -> ModelError {
    ModelError::IntRange { tensor: name.to_owned(), value }
}
