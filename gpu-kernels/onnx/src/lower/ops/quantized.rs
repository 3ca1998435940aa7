//! Quantization. Whole numbers are multiplied and added as such, and what is rounded is divided
//! exactly, so the results are the same to the bit on every backend.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg, Unary};
use gpu_kernels::kernels::reduce as reduction;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::convolution::convolve;
use crate::lower::prims::copies::zero_scalar;
use crate::lower::prims::product::multiply;
use crate::lower::prims::reduce::reduce_axes;
use crate::lower::prims::views::{broadcast_to, slice_axis, unsqueeze_axes};

fn range(dtype: DType) -> Option<(i32, i32)> {
    match dtype {
        DType::U8 => Some((0, 255)),
        DType::I8 => Some((-128, 127)),
        DType::U16 => Some((0, 65_535)),
        DType::I16 => Some((-32_768, 32_767)),
        _ => None,
    }
}

/// round(value) + zero, within the range of a narrow type.
fn saturated(p: &mut Program, value: Reg, zero: Reg, dtype: DType, (low, high): (i32, i32)) -> Reg {
    // Clamped first, so that the integer sum does not wrap.
    let (far_low, far_high) = (p.f(-262_144.0), p.f(262_144.0));
    let value = p.un(Unary::Round, value);
    let value = p.bin(Binary::Max, value, far_low);
    let value = p.bin(Binary::Min, value, far_high);
    let value = p.un(Unary::ToI32, value);
    let zero = p.un(Unary::ToI32, zero);
    let value = p.bin(Binary::Add, value, zero);
    let (low, high) = (p.i(low), p.i(high));
    let value = p.bin(Binary::Max, value, low);
    let value = p.bin(Binary::Min, value, high);
    if dtype.repr() == Repr::U32 { p.un(Unary::ToU32, value) } else { value }
}

/// A scale or zero point shaped to broadcast against its tensor: one value, one along an axis, or one a block.
fn beside(cx: &mut NodeContext<'_, '_>, x: ValueId, of: ValueId) -> Result<ValueId, ModelError> {
    let (shape, own) = (cx.shape(x), cx.shape(of));
    if own.iter().product::<usize>() == 1 && own.len() <= 1 {
        return cx.builder.reshaped(of, vec![]);
    }
    let axis = cx.axis(cx.int("axis", 1), shape.len(), shape.len())?;
    if own.len() == 1 && own[0] == shape[axis] {
        let mut beside = vec![1; shape.len()];
        beside[axis] = own[0];
        return cx.builder.reshaped(of, beside);
    }
    let block = cx.size(cx.int("block_size", 0))?;
    if block == 0 || own.len() != shape.len() || own[axis].checked_mul(block).is_none_or(|len| len < shape[axis]) {
        return Err(cx.shape_error(
            "the scale fits neither the axis nor its blocks",
            format!("{} for {}", show(&own), show(&shape)),
        ));
    }
    let mut wide = own.clone();
    wide.insert(axis + 1, block);
    let of = unsqueeze_axes(cx, of, &[axis + 1])?;
    let spread = broadcast_to(cx, of, wide)?;
    let mut flat = own;
    flat[axis] *= block;
    let flat = cx.builder.reshaped(spread, flat)?;
    slice_axis(cx, flat, axis, 0, shape[axis])
}

pub(crate) fn quantize(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["saturate", "axis", "block_size", "precision"]);
    let (x, scale) = (cx.input(0)?, cx.input(1)?);
    let given = cx.optional_input(2)?;
    let asked = cx.int("output_dtype", 0);
    let dtype = match (given, i32::try_from(asked).ok().and_then(DType::from_onnx)) {
        (Some(zero), _) => cx.dtype(zero),
        (None, Some(dtype)) => dtype,
        (None, None) if asked == 0 => DType::U8,
        (None, None) => {
            return Err(cx.unsupported_attribute("output_dtype", "it must be a whole number of 8 or 16 bits"));
        }
    };
    let bounds = range(dtype).ok_or_else(|| cx.type_error(dtype))?;
    let point = match given {
        Some(point) => point,
        None => zero_scalar(cx, dtype)?,
    };
    let x = cx.cast(x, DType::F32)?;
    let scale = cx.cast(scale, DType::F32)?;
    let (scale, zero) = (beside(cx, x, scale)?, beside(cx, x, point)?);
    let shape = cx.shape(x);
    let result = cx.elementwise_to(&[x, scale, zero], &shape, dtype, |p, r| {
        let ratio = p.bin(Binary::DivExact, r[0], r[1]);
        saturated(p, ratio, r[2], dtype, bounds)
    })?;
    Ok(vec![result])
}

pub(crate) fn dequantize(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["axis", "block_size", "output_dtype"]);
    let (x, scale) = (cx.input(0)?, cx.input(1)?);
    let given = cx.optional_input(2)?;
    let from = cx.dtype(x);
    if from.is_float() {
        return Err(cx.type_error(from));
    }
    let dtype = cx.float_type(scale)?;
    let point = match given {
        Some(point) => point,
        None => zero_scalar(cx, from)?,
    };
    let (scale, zero) = (beside(cx, x, scale)?, beside(cx, x, point)?);
    let shape = cx.shape(x);
    let result = cx.elementwise_to(&[x, scale, zero], &shape, dtype, |p, r| {
        let (value, zero) = (p.un(Unary::ToI32, r[0]), p.un(Unary::ToI32, r[2]));
        let value = p.bin(Binary::Sub, value, zero);
        let value = p.un(Unary::ToF32, value);
        p.bin(Binary::Mul, value, r[1])
    })?;
    Ok(vec![result])
}

pub(crate) fn quantize_dynamically(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    cx.float_type(x)?;
    let axes: Vec<usize> = (0..cx.shape(x).len()).collect();
    let low = reduce_axes(cx, reduction::Op::Min, x, &axes, false)?;
    let high = reduce_axes(cx, reduction::Op::Max, x, &axes, false)?;
    let scale = cx.elementwise(&[low, high], DType::F32, |p, r| {
        let (zero, steps) = (p.f(0.0), p.f(255.0));
        let low = p.bin(Binary::Min, r[0], zero);
        let high = p.bin(Binary::Max, r[1], zero);
        let span = p.bin(Binary::Sub, high, low);
        p.bin(Binary::DivExact, span, steps)
    })?;
    let point = cx.elementwise(&[low, scale], DType::U8, |p, r| {
        let (zero, none) = (p.f(0.0), p.i(0));
        let low = p.bin(Binary::Min, r[0], zero);
        let low = p.un(Unary::Neg, low);
        let ratio = p.bin(Binary::DivExact, low, r[1]);
        saturated(p, ratio, none, DType::U8, (0, 255))
    })?;
    let result = cx.elementwise(&[x, scale, point], DType::U8, |p, r| {
        let ratio = p.bin(Binary::DivExact, r[0], r[1]);
        saturated(p, ratio, r[2], DType::U8, (0, 255))
    })?;
    Ok(vec![result, scale, point])
}

/// A quantized tensor minus its zero point, as int32.
fn centred(cx: &mut NodeContext<'_, '_>, x: ValueId, zero: Option<ValueId>) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(x);
    if range(dtype).is_none() {
        return Err(cx.type_error(dtype));
    }
    let Some(zero) = zero else { return cx.cast(x, DType::I32) };
    let shape = cx.shape(x);
    cx.elementwise_to(&[x, zero], &shape, DType::I32, |p, r| {
        let (value, zero) = (p.un(Unary::ToI32, r[0]), p.un(Unary::ToI32, r[1]));
        p.bin(Binary::Sub, value, zero)
    })
}

/// One value, or one for each output channel, shaped to broadcast against weights of `rank` axes.
fn by_channel(cx: &mut NodeContext<'_, '_>, of: Option<ValueId>, rank: usize) -> Result<Option<ValueId>, ModelError> {
    let Some(of) = of else { return Ok(None) };
    let len: usize = cx.shape(of).iter().product();
    let mut shape = vec![1; rank];
    if let Some(first) = shape.first_mut() {
        *first = len;
    }
    cx.builder.reshaped(of, shape).map(Some)
}

/// One value, or one for each row of the left matrix.
fn by_row(cx: &mut NodeContext<'_, '_>, of: Option<ValueId>) -> Result<Option<ValueId>, ModelError> {
    match of {
        Some(of) if cx.shape(of).len() == 1 && cx.shape(of) != [1] => {
            let rank = cx.shape(of).len();
            unsqueeze_axes(cx, of, &[rank]).map(Some)
        }
        of => Ok(of),
    }
}

pub(crate) fn matmul_integer(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (zero_a, zero_b) = (cx.optional_input(2)?, cx.optional_input(3)?);
    let zero_a = by_row(cx, zero_a)?;
    let (a, b) = (centred(cx, a, zero_a)?, centred(cx, b, zero_b)?);
    Ok(vec![multiply(cx, a, b)?])
}

pub(crate) fn conv_integer(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, w) = (cx.input(0)?, cx.input(1)?);
    let (zero_x, zero_w) = (cx.optional_input(2)?, cx.optional_input(3)?);
    let (window, groups) = (cx.window()?, cx.groups()?);
    let rank = cx.shape(w).len();
    let zero_x = zero_x.map(|zero| cx.builder.reshaped(zero, vec![])).transpose()?;
    let zero_w = by_channel(cx, zero_w, rank)?;
    let (x, w) = (centred(cx, x, zero_x)?, centred(cx, w, zero_w)?);
    Ok(vec![convolve(cx, x, w, None, &window, groups)?])
}

/// Sums of products brought back to a narrow type: `sum · (a · b / y)`, rounded, and the zero point.
fn requantized(
    cx: &mut NodeContext<'_, '_>,
    sums: ValueId,
    [a, b, y]: [ValueId; 3],
    zero: ValueId,
) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(zero);
    let bounds = range(dtype).ok_or_else(|| cx.type_error(dtype))?;
    let ratio = cx.elementwise(&[a, b, y], DType::F32, |p, r| {
        let product = p.bin(Binary::Mul, r[0], r[1]);
        p.bin(Binary::DivExact, product, r[2])
    })?;
    let shape = cx.shape(sums);
    cx.elementwise_to(&[sums, ratio, zero], &shape, dtype, |p, r| {
        let value = p.un(Unary::ToF32, r[0]);
        let value = p.bin(Binary::Mul, value, r[1]);
        saturated(p, value, r[2], dtype, bounds)
    })
}

pub(crate) fn matmul(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let ids: Vec<ValueId> = (0..8).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    let (scale_a, zero_a) = (by_row(cx, Some(ids[1]))?, by_row(cx, Some(ids[2]))?);
    let (a, b) = (centred(cx, ids[0], zero_a)?, centred(cx, ids[3], Some(ids[5]))?);
    let sums = multiply(cx, a, b)?;
    let scales = [scale_a.unwrap_or(ids[1]), ids[4], ids[6]];
    let scales = floats(cx, scales)?;
    Ok(vec![requantized(cx, sums, scales, ids[7])?])
}

fn floats(cx: &mut NodeContext<'_, '_>, ids: [ValueId; 3]) -> Result<[ValueId; 3], ModelError> {
    Ok([cx.cast(ids[0], DType::F32)?, cx.cast(ids[1], DType::F32)?, cx.cast(ids[2], DType::F32)?])
}

pub(crate) fn conv(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let ids: Vec<ValueId> = (0..8).map(|i| cx.input(i)).collect::<Result<_, _>>()?;
    let bias = cx.optional_input(8)?;
    let (window, groups) = (cx.window()?, cx.groups()?);
    let rank = cx.shape(ids[3]).len().max(1);
    let zero_x = cx.builder.reshaped(ids[2], vec![])?;
    let zero_w = by_channel(cx, Some(ids[5]), rank)?;
    let (x, w) = (centred(cx, ids[0], Some(zero_x))?, centred(cx, ids[3], zero_w)?);
    let sums = convolve(cx, x, w, bias, &window, groups)?;
    // The weights' scale is one for each filter, which is the second axis of the output.
    let scale_w = match by_channel(cx, Some(ids[4]), rank - 1)? {
        Some(scale) => scale,
        None => ids[4],
    };
    let scalar = |cx: &mut NodeContext<'_, '_>, id: ValueId| cx.builder.reshaped(id, vec![]);
    let (scale_x, scale_y, zero_y) = (scalar(cx, ids[1])?, scalar(cx, ids[6])?, scalar(cx, ids[7])?);
    Ok(vec![requantized(cx, sums, [scale_x, scale_w, scale_y], zero_y)?])
}
