//! Constants, and operators whose result depends on shapes alone.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Binary;
use gpu_kernels::number::to;

use crate::error::ModelError;
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::convert;
use crate::lower::prims::iota::iota;
use crate::tensor::Tensor;

/// Most values of a tensor that an operator generates from numbers alone, like Range.
const GENERATED_VALUES_MAX: i64 = 1 << 26;

pub(crate) fn constant(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let tensor = if let Some(value) = cx.attribute("value") {
        let tensor = value.t.as_ref().ok_or_else(|| cx.unsupported_attribute("value", "it holds no tensor"))?;
        Tensor::parse(&cx.node.name, tensor)?
    } else if let Some(value) = cx.attribute("value_float") {
        Tensor::floats(vec![], &[value.f])
    } else if let Some(value) = cx.attribute("value_floats") {
        Tensor::floats(vec![value.floats.len()], &value.floats)
    } else if let Some(value) = cx.attribute("value_int") {
        return Ok(vec![cx.constant_ints(vec![], &[value.i])?]);
    } else if let Some(value) = cx.attribute("value_ints") {
        return Ok(vec![cx.constant_ints(vec![value.ints.len()], &value.ints)?]);
    } else {
        return Err(cx.unsupported_attribute("value", "a constant must be a tensor of numbers"));
    };
    Ok(vec![cx.constant(&tensor)?])
}

pub(crate) fn shape(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let rank = long(shape.len());
    let bound = |value: i64| {
        let value = if value < 0 { value.saturating_add(rank) } else { value };
        to::<usize, _>(value.clamp(0, rank))
    };
    let (start, end) = (bound(cx.int("start", 0)), bound(cx.int("end", rank)));
    let sizes: Vec<i64> = shape.get(start..end.max(start)).unwrap_or(&[]).iter().map(|&size| long(size)).collect();
    Ok(vec![cx.constant_ints(vec![sizes.len()], &sizes)?])
}

pub(crate) fn size(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let size = cx.shape(x).iter().map(|&size| long(size)).product();
    Ok(vec![cx.constant_ints(vec![], &[size])?])
}

pub(crate) fn constant_of_shape(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let sizes = cx.known_ints(0)?.unwrap_or_default();
    let shape: Vec<usize> = sizes.iter().map(|&size| cx.size(size)).collect::<Result<_, _>>()?;
    let value = match cx.attribute("value").and_then(|value| value.t.as_ref()) {
        Some(tensor) => Tensor::parse(&cx.node.name, tensor)?,
        None => Tensor::floats(vec![1], &[0.0]),
    };
    let Some(&word) = value.words.first() else {
        return Err(cx.unsupported_attribute("value", "it must hold one value"));
    };
    // A view of one value: nothing is stored until somebody needs it whole.
    let one = cx.constant(&Tensor { dtype: value.dtype, shape: vec![], words: [word].into() })?;
    let strides = vec![0; shape.len()];
    Ok(vec![cx.builder.view(value.dtype, shape, (one, 0, strides))?])
}

pub(crate) fn range(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let first = cx.input(0)?;
    let dtype = cx.dtype(first);
    if dtype.is_float() {
        let mut ends = [0.0; 3];
        for (i, end) in ends.iter_mut().enumerate() {
            *end = cx.known_floats(i)?.and_then(|values| values.first().copied()).unwrap_or(0.0);
        }
        let [start, limit, delta] = ends;
        let count = ((limit - start) / delta).ceil();
        if count.is_nan() || count > 1e7 {
            return Err(cx.shape_error("a range is endless or too long", format!("{start} to {limit} by {delta}")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::as_conversions, reason = "checked")]
        let count = count.max(0.0) as u32;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "as the definition has it")]
        let values: Vec<f32> = (0..count).map(|i| start + i as f32 * delta).collect();
        let id = cx.constant_floats(vec![values.len()], &values)?;
        return Ok(vec![cx.cast(id, dtype)?]);
    }
    let mut ends = [0; 3];
    for (i, end) in ends.iter_mut().enumerate() {
        *end = cx.known_ints(i)?.and_then(|values| values.first().copied()).unwrap_or(0);
    }
    let [start, limit, delta] = ends;
    let count = if delta == 0 { GENERATED_VALUES_MAX } else { ((limit - start) + delta - delta.signum()) / delta };
    if count >= GENERATED_VALUES_MAX {
        return Err(cx.shape_error("a range is endless or too long", format!("{start} to {limit} by {delta}")));
    }
    let values: Vec<i64> = (0..count.max(0)).map(|i| start + i * delta).collect();
    let id = cx.constant_ints(vec![values.len()], &values)?;
    Ok(vec![cx.cast(id, dtype)?])
}

pub(crate) fn eye_like(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let [rows, cols] = cx.shape(x)[..] else {
        return Err(cx.shape_error("the input must have two axes", format!("{:?}", cx.shape(x))));
    };
    let asked = cx.attribute("dtype").map(|attribute| i32::try_from(attribute.i).unwrap_or(0));
    let unknown = || cx.unsupported_attribute("dtype", "the type is none that devices here compute with");
    let dtype = asked.map_or(Ok(cx.dtype(x)), |to| DType::from_onnx(to).ok_or_else(unknown))?;
    let k = cx.int("k", 0).clamp(-GENERATED_VALUES_MAX, GENERATED_VALUES_MAX);
    let (row, col) = (iota(cx, rows, 0, 2)?, iota(cx, cols, 1, 2)?);
    let id = cx.elementwise(&[row, col], dtype, |p, r| {
        let k = p.i(to(k));
        let wanted = p.bin(Binary::Add, r[0], k);
        let on = p.bin(Binary::Eq, wanted, r[1]);
        convert(p, on, DType::U32, dtype)
    })?;
    Ok(vec![id])
}

pub(crate) fn one_hot(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (indices, values) = (cx.input(0)?, cx.input(2)?);
    let depth = cx.input(1)?;
    cx.builder.known(depth).ok_or_else(|| cx.not_constant(1))?;
    // The depth may be given as a float.
    let depth = cx.cast(depth, DType::I64)?;
    let depth = cx.builder.known_ints(depth).and_then(|depth| depth.first().copied()).unwrap_or(0);
    let depth = cx.size(depth)?;
    let indices = cx.cast(indices, DType::I64)?;
    let mut shape = cx.shape(indices);
    let axis = cx.axis(cx.int("axis", -1), shape.len() + 1, shape.len() + 1)?;
    shape.insert(axis, 1);
    let (root, offset, mut strides) = cx.builder.buffer_view(indices);
    strides.insert(axis, 0);
    let rank = shape.len();
    let indices = cx.builder.view(DType::I64, shape.clone(), (root, offset, strides))?;
    let places = iota(cx, depth, axis, rank)?;
    let dtype = cx.dtype(values);
    if cx.shape(values) != [2] {
        return Err(cx.shape_error("values must be two: off and on", format!("{:?}", cx.shape(values))));
    }
    let (root, offset, strides) = cx.builder.buffer_view(values);
    let step = strides.first().copied().unwrap_or(1);
    let off = cx.builder.view(dtype, vec![], (root, offset, vec![]))?;
    let on = cx.builder.view(dtype, vec![], (root, offset + step, vec![]))?;
    let id = cx.elementwise(&[indices, places, on, off], dtype, |p, r| {
        let zero = p.i(0);
        let depth = p.i(to(depth));
        let negative = p.bin(Binary::Lt, r[0], zero);
        let wrapped = p.bin(Binary::Add, r[0], depth);
        let index = p.select(negative, wrapped, r[0]);
        let hot = p.bin(Binary::Eq, index, r[1]);
        p.select(hot, r[2], r[3])
    })?;
    Ok(vec![id])
}
