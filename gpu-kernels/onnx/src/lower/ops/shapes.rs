//! Operators whose result is known once shapes are.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Binary;

use crate::error::ModelError;
use crate::ir::{ValueId, long};
use crate::lower::at::At;
use crate::lower::prims::cast::convert;
use crate::lower::prims::iota::iota;
use crate::tensor::Tensor;

/// Most values of a tensor that is made out of nothing.
const MADE_MAX: i64 = 1 << 26;

pub(crate) fn constant(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensor = if let Some(value) = at.attribute("value") {
        let tensor = value.t.as_ref().ok_or_else(|| at.unsupported("value", "it holds no tensor"))?;
        Tensor::parse(&at.node.name, tensor)?
    } else if let Some(value) = at.attribute("value_float") {
        Tensor::floats(vec![], &[value.f])
    } else if let Some(value) = at.attribute("value_floats") {
        Tensor::floats(vec![value.floats.len()], &value.floats)
    } else if let Some(value) = at.attribute("value_int") {
        return Ok(vec![at.constant_ints(vec![], &[value.i])?]);
    } else if let Some(value) = at.attribute("value_ints") {
        return Ok(vec![at.constant_ints(vec![value.ints.len()], &value.ints)?]);
    } else {
        return Err(at.unsupported("value", "a constant must be a tensor of numbers"));
    };
    Ok(vec![at.constant(&tensor)?])
}

pub(crate) fn shape(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let shape = at.shape(x);
    let rank = long(shape.len());
    let bound = |value: i64| {
        let value = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(value.clamp(0, rank)).unwrap_or(0)
    };
    let (start, end) = (bound(at.int("start", 0)), bound(at.int("end", rank)));
    let sizes: Vec<i64> = shape.get(start..end.max(start)).unwrap_or(&[]).iter().map(|&size| long(size)).collect();
    Ok(vec![at.constant_ints(vec![sizes.len()], &sizes)?])
}

pub(crate) fn size(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let size = at.shape(x).iter().map(|&size| long(size)).product();
    Ok(vec![at.constant_ints(vec![], &[size])?])
}

pub(crate) fn constant_of_shape(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let sizes = at.known_ints(0)?.unwrap_or_default();
    let shape: Vec<usize> = sizes.iter().map(|&size| at.size(size)).collect::<Result<_, _>>()?;
    let value = match at.attribute("value").and_then(|value| value.t.as_ref()) {
        Some(tensor) => Tensor::parse(&at.node.name, tensor)?,
        None => Tensor::floats(vec![1], &[0.0]),
    };
    let Some(&word) = value.words.first() else { return Err(at.unsupported("value", "it must hold one value")) };
    // A view of one value: nothing is stored until somebody needs it whole.
    let one = at.constant(&Tensor { dtype: value.dtype, shape: vec![], words: [word].into() })?;
    let strides = vec![0; shape.len()];
    Ok(vec![at.b.view(value.dtype, shape, (one, 0, strides))?])
}

pub(crate) fn range(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let first = at.input(0)?;
    let dtype = at.dtype(first);
    if dtype.is_float() {
        let mut ends = [0.0; 3];
        for (i, end) in ends.iter_mut().enumerate() {
            *end = at.known_floats(i)?.and_then(|values| values.first().copied()).unwrap_or(0.0);
        }
        let [start, limit, delta] = ends;
        let count = ((limit - start) / delta).ceil();
        if count.is_nan() || count > 1e7 {
            return Err(at.wrong("a range is endless or too long", format!("{start} to {limit} by {delta}")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::as_conversions, reason = "checked")]
        let count = count.max(0.0) as u32;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "as the definition has it")]
        let values: Vec<f32> = (0..count).map(|i| start + i as f32 * delta).collect();
        let id = at.constant_floats(vec![values.len()], &values)?;
        return Ok(vec![at.cast(id, dtype)?]);
    }
    let mut ends = [0; 3];
    for (i, end) in ends.iter_mut().enumerate() {
        *end = at.known_ints(i)?.and_then(|values| values.first().copied()).unwrap_or(0);
    }
    let [start, limit, delta] = ends;
    let count = if delta == 0 { MADE_MAX } else { ((limit - start) + delta - delta.signum()) / delta };
    if count >= MADE_MAX {
        return Err(at.wrong("a range is endless or too long", format!("{start} to {limit} by {delta}")));
    }
    let values: Vec<i64> = (0..count.max(0)).map(|i| start + i * delta).collect();
    let id = at.constant_ints(vec![values.len()], &values)?;
    Ok(vec![at.cast(id, dtype)?])
}

pub(crate) fn eye_like(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let [rows, cols] = at.shape(x)[..] else {
        return Err(at.wrong("the input must have two axes", format!("{:?}", at.shape(x))));
    };
    let to = at.attribute("dtype").map(|attribute| i32::try_from(attribute.i).unwrap_or(0));
    let unknown = || at.unsupported("dtype", "the type is none that devices here compute with");
    let dtype = to.map_or(Ok(at.dtype(x)), |to| DType::from_onnx(to).ok_or_else(unknown))?;
    let k = at.int("k", 0).clamp(-MADE_MAX, MADE_MAX);
    let (row, col) = (iota(at, rows, 0, 2)?, iota(at, cols, 1, 2)?);
    let id = at.map(&[row, col], dtype, |p, r| {
        let k = p.i(i32::try_from(k).unwrap_or(0));
        let wanted = p.bin(Binary::Add, r[0], k);
        let on = p.bin(Binary::Eq, wanted, r[1]);
        convert(p, on, DType::U32, dtype)
    })?;
    Ok(vec![id])
}

pub(crate) fn one_hot(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (indices, values) = (at.input(0)?, at.input(2)?);
    let depth = at.input(1)?;
    at.b.known(depth).ok_or_else(|| at.not_constant(1))?;
    // It may be a float.
    let depth = at.cast(depth, DType::I64)?;
    let depth = at.b.known_ints(depth).and_then(|depth| depth.first().copied()).unwrap_or(0);
    let depth = at.size(depth)?;
    let indices = at.cast(indices, DType::I64)?;
    let mut shape = at.shape(indices);
    let axis = at.axis(at.int("axis", -1), shape.len() + 1, shape.len() + 1)?;
    shape.insert(axis, 1);
    let (of, offset, mut strides) = at.b.place(indices);
    strides.insert(axis, 0);
    let rank = shape.len();
    let indices = at.b.view(DType::I64, shape.clone(), (of, offset, strides))?;
    let places = iota(at, depth, axis, rank)?;
    let dtype = at.dtype(values);
    if at.shape(values) != [2] {
        return Err(at.wrong("values must be two: off and on", format!("{:?}", at.shape(values))));
    }
    let (of, offset, strides) = at.b.place(values);
    let step = strides.first().copied().unwrap_or(1);
    let off = at.b.view(dtype, vec![], (of, offset, vec![]))?;
    let on = at.b.view(dtype, vec![], (of, offset + step, vec![]))?;
    let id = at.map(&[indices, places, on, off], dtype, |p, r| {
        let zero = p.i(0);
        let depth = p.i(i32::try_from(depth).unwrap_or(i32::MAX));
        let negative = p.bin(Binary::Lt, r[0], zero);
        let wrapped = p.bin(Binary::Add, r[0], depth);
        let index = p.select(negative, wrapped, r[0]);
        let hot = p.bin(Binary::Eq, index, r[1]);
        p.select(hot, r[2], r[3])
    })?;
    Ok(vec![id])
}
