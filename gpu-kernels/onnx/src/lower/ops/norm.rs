//! Normalizations.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, norm as kernel, reduce as reduction};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;
use crate::lower::prims::reduce::{as_f32, axes_len, mean_axes, reduce_axes};
use crate::lower::prims::resample::resample_axis;

/// A value a channel, beside tensors whose second axis the channels are.
fn beside(cx: &mut NodeContext<'_, '_>, x: ValueId, rank: usize) -> Result<ValueId, ModelError> {
    let mut shape = vec![1; rank.max(2) - 1];
    shape[0] = cx.shape(x).iter().product();
    cx.builder.reshaped(x, shape)
}

pub(crate) fn batch(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["spatial"]);
    let (epsilon, momentum) = (cx.float("epsilon", 1e-5), cx.float("momentum", 0.9));
    let x = cx.input(0)?;
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    let channels =
        shape.get(1).copied().ok_or_else(|| cx.shape_error("the input needs a channel dimension", show(&shape)))?;
    let mut stats = Vec::new();
    for i in 1..5 {
        let id = cx.input(i)?;
        if cx.shape(id) != [channels] {
            return Err(cx.shape_error("scale, bias, mean and variance need a value a channel", show(&cx.shape(id))));
        }
        stats.push(id);
    }
    // What is normalized by its own mean is mostly a weight, and gone before the run.
    let mut running = Vec::new();
    if cx.flag("training_mode") {
        let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
        let (mean, variance) = moments(cx, x, &axes)?;
        for (own, fresh) in [(2, mean), (3, variance)] {
            running.push(cx.elementwise(&[stats[own], fresh], DType::F32, |p, r| {
                let (kept, taken) = (p.f(momentum), p.f(1.0 - momentum));
                let (kept, taken) = (p.bin(Binary::Mul, r[0], kept), p.bin(Binary::Mul, r[1], taken));
                p.bin(Binary::Add, kept, taken)
            })?);
            stats[own] = fresh;
        }
    }
    // Four values a channel are brought to two, once where they are stored.
    let factor = cx.elementwise(&[stats[0], stats[3]], DType::F32, |p, r| {
        let epsilon = p.f(epsilon);
        let spread = p.bin(Binary::Add, r[1], epsilon);
        let spread = p.un(Unary::Sqrt, spread);
        p.bin(Binary::Div, r[0], spread)
    })?;
    let shift = cx.elementwise(&[stats[1], stats[2], factor], DType::F32, |p, r| {
        let moved = p.bin(Binary::Mul, r[1], r[2]);
        p.bin(Binary::Sub, r[0], moved)
    })?;
    let mut outputs = vec![scaled(cx, x, Some(factor), Some(shift), dtype)?];
    outputs.append(&mut running);
    Ok(outputs)
}

/// Mean and variance over `axes`.
fn moments(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId), ModelError> {
    let mean = mean_axes(cx, x, axes, true)?;
    let off = cx.elementwise(&[x, mean], DType::F32, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
    let square = reduce_axes(cx, reduction::Op::SumSquare, off, axes, false)?;
    let count = as_f32(axes_len(cx, x, axes));
    let variance = cx.elementwise(&[square], DType::F32, |p, r| {
        let count = p.f(count);
        p.bin(Binary::Div, r[0], count)
    })?;
    let shape = cx.shape(variance);
    Ok((cx.builder.reshaped(mean, shape)?, variance))
}

/// x · scale + shift, by channel.
fn scaled(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    scale: Option<ValueId>,
    shift: Option<ValueId>,
    dtype: DType,
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let mut ids = vec![x];
    for id in [scale, shift].into_iter().flatten() {
        ids.push(beside(cx, id, shape.len())?);
    }
    affine(cx, &ids, scale.is_some(), &shape, dtype)
}

/// The first, by the second where `by`, and the last added.
fn affine(
    cx: &mut NodeContext<'_, '_>,
    ids: &[ValueId],
    by: bool,
    shape: &[usize],
    dtype: DType,
) -> Result<ValueId, ModelError> {
    cx.elementwise_to(ids, shape, dtype, |p, r| {
        let mut value = r[0];
        let mut rest = r[1..].iter();
        if by && let Some(&scale) = rest.next() {
            value = p.bin(Binary::Mul, value, scale);
        }
        rest.fold(value, |value, &shift| p.bin(Binary::Add, value, shift))
    })
}

/// Lines of `axis` values normalized, whatever the tensor's shape.
fn lines(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    axis: usize,
    centred: bool,
    epsilon: f32,
) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let dense = cx.builder.dense(x)?;
    let root = cx.builder.root(dense);
    let out = cx.builder.computed(DType::F32, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let units = to(shape.iter().product::<usize>() / axis);
        let params = kernel::Params { start: 0, units, axis: to(axis), centred: u32::from(centred), epsilon };
        steps.push(cx.builder.step(Call::Norm(params), vec![root], out));
    }
    cx.builder.emit(steps, out);
    Ok(out)
}

pub(crate) fn layer(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["stash_type"]);
    let x = cx.input(0)?;
    let (scale, bias) = (cx.input(1)?, cx.optional_input(2)?);
    let dtype = cx.float_type(x)?;
    let epsilon = cx.float("epsilon", 1e-5);
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", -1), shape.len(), shape.len())?;
    let normal = lines(cx, x, shape[axis..].iter().product(), true, epsilon)?;
    let ids: Vec<ValueId> = [Some(normal), Some(scale), bias].into_iter().flatten().collect();
    let mut outputs = vec![affine(cx, &ids, true, &shape, dtype)?];
    if cx.is_output_used(1) || cx.is_output_used(2) {
        let axes: Vec<usize> = (axis..shape.len()).collect();
        let mean = mean_axes(cx, x, &axes, true)?;
        let off = cx.elementwise(&[x, mean], DType::F32, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
        let square = reduce_axes(cx, reduction::Op::SumSquare, off, &axes, true)?;
        let count = as_f32(axes_len(cx, x, &axes));
        let inverse = cx.elementwise(&[square], DType::F32, |p, r| {
            let (count, epsilon, one) = (p.f(count), p.f(epsilon), p.f(1.0));
            let variance = p.bin(Binary::Div, r[0], count);
            let variance = p.bin(Binary::Add, variance, epsilon);
            let spread = p.un(Unary::Sqrt, variance);
            p.bin(Binary::Div, one, spread)
        })?;
        outputs.extend([mean, inverse]);
    }
    Ok(outputs)
}

pub(crate) fn root_mean_square(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["stash_type"]);
    let (x, scale) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.float_type(x)?;
    let epsilon = cx.float("epsilon", 1e-5);
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", -1), shape.len(), shape.len())?;
    let normal = lines(cx, x, shape[axis..].iter().product(), false, epsilon)?;
    Ok(vec![affine(cx, &[normal, scale], true, &shape, dtype)?])
}

pub(crate) fn instance(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, scale, bias) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let dtype = cx.float_type(x)?;
    let epsilon = cx.float("epsilon", 1e-5);
    let shape = cx.shape(x);
    let axis = shape.get(2..).ok_or_else(|| cx.shape_error("the input needs a channel dimension", show(&shape)))?;
    let normal = lines(cx, x, axis.iter().product(), true, epsilon)?;
    Ok(vec![scaled(cx, normal, Some(scale), Some(bias), dtype)?])
}

pub(crate) fn group(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["stash_type"]);
    let (x, scale, bias) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let dtype = cx.float_type(x)?;
    let epsilon = cx.float("epsilon", 1e-5);
    let groups = cx.size(cx.int("num_groups", 1))?;
    let shape = cx.shape(x);
    let channels = shape.get(1).copied().unwrap_or(0);
    if groups == 0 || channels == 0 || channels % groups != 0 {
        return Err(cx.shape_error("the channels do not divide into groups", format!("{} by {groups}", show(&shape))));
    }
    let axis = shape[1..].iter().product::<usize>() / groups;
    let normal = lines(cx, x, axis, true, epsilon)?;
    // Before operator set 21 there was a scale a group.
    if cx.shape(scale) == [groups] && groups != channels {
        let parts = cx.builder.reshaped(normal, vec![shape[0], groups, axis])?;
        let parts = scaled(cx, parts, Some(scale), Some(bias), dtype)?;
        return Ok(vec![cx.builder.reshaped(parts, shape)?]);
    }
    Ok(vec![scaled(cx, normal, Some(scale), Some(bias), dtype)?])
}

pub(crate) fn mean_variance(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.float_type(x)?;
    let rank = cx.shape(x).len();
    let axes = cx.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = cx.axes(&axes, rank)?;
    let mean = mean_axes(cx, x, &axes, true)?;
    let off = cx.elementwise(&[x, mean], dtype, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
    let square = reduce_axes(cx, reduction::Op::SumSquare, off, &axes, true)?;
    let count = as_f32(axes_len(cx, x, &axes));
    let result = cx.elementwise(&[off, square], dtype, |p, r| {
        let (count, epsilon) = (p.f(count), p.f(1e-9));
        let variance = p.bin(Binary::Div, r[1], count);
        let spread = p.un(Unary::Sqrt, variance);
        let spread = p.bin(Binary::Add, spread, epsilon);
        p.bin(Binary::Div, r[0], spread)
    })?;
    Ok(vec![result])
}

pub(crate) fn lp(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.float_type(x)?;
    let rank = cx.shape(x).len();
    let axis = cx.axis(cx.int("axis", -1), rank, rank)?;
    let square = match cx.int("p", 2) {
        1 => false,
        2 => true,
        _ => return Err(cx.unsupported_attribute("p", "it must be 1 or 2")),
    };
    let op = if square { reduction::Op::SumSquare } else { reduction::Op::SumAbs };
    let size = reduce_axes(cx, op, x, &[axis], true)?;
    let result = cx.elementwise(&[x, size], dtype, |p, r| {
        let size = if square { p.un(Unary::Sqrt, r[1]) } else { r[1] };
        let zero = p.f(0.0);
        let nothing = p.bin(Binary::Eq, size, zero);
        let ratio = p.bin(Binary::Div, r[0], size);
        p.select(nothing, zero, ratio)
    })?;
    Ok(vec![result])
}

/// Each value over a power of the mean square of its channel's neighbours.
pub(crate) fn local_response(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.float_type(x)?;
    let (alpha, beta, bias) = (cx.float("alpha", 1e-4), cx.float("beta", 0.75), cx.float("bias", 1.0));
    let size = cx.size(cx.int("size", 1))?.max(1);
    let shape = cx.shape(x);
    let channels =
        shape.get(1).copied().ok_or_else(|| cx.shape_error("the input needs a channel dimension", show(&shape)))?;
    let square = cx.elementwise(&[x], dtype, |p, r| p.bin(Binary::Mul, r[0], r[0]))?;
    cx.check_table(size.checked_mul(channels))?;
    let (mut places, mut weights) = (Vec::new(), Vec::new());
    let first = -((long(size) - 1) / 2);
    for channel in 0..long(channels) {
        for tap in 0..long(size) {
            let place = channel + first + tap;
            let inside = (0..long(channels)).contains(&place);
            places.push(if inside { place } else { 0 });
            weights.push(if inside { alpha / as_f32(size) } else { 0.0 });
        }
    }
    let sums = resample_axis(cx, square, 1, channels, &places, &weights)?;
    let result = cx.elementwise(&[x, sums], dtype, |p, r| {
        let (bias, beta) = (p.f(bias), p.f(beta));
        let base = p.bin(Binary::Add, r[1], bias);
        let power = p.bin(Binary::Pow, base, beta);
        p.bin(Binary::Div, r[0], power)
    })?;
    Ok(vec![result])
}
