//! Normalizations.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, norm as kernel, reduce as reduction};

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long};
use crate::lower::at::At;
use crate::lower::prims::cast::wrapped;
use crate::lower::prims::reduce::{as_f32, axes_len, mean_axes, reduce_axes};
use crate::lower::prims::resample::resample_axis;

/// A value a channel, beside tensors whose second axis the channels are.
fn beside(at: &mut At<'_, '_>, x: ValueId, rank: usize) -> Result<ValueId, ModelError> {
    let mut shape = vec![1; rank.max(2) - 1];
    shape[0] = at.shape(x).iter().product();
    at.b.reshaped(x, shape)
}

pub(crate) fn batch(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["spatial"]);
    let (epsilon, momentum) = (at.float("epsilon", 1e-5), at.float("momentum", 0.9));
    let x = at.input(0)?;
    let (shape, dtype) = (at.shape(x), at.dtype(x));
    let channels =
        shape.get(1).copied().ok_or_else(|| at.wrong("the input needs a channel dimension", show(&shape)))?;
    let mut stats = Vec::new();
    for i in 1..5 {
        let id = at.input(i)?;
        if at.shape(id) != [channels] {
            return Err(at.wrong("scale, bias, mean and variance need a value a channel", show(&at.shape(id))));
        }
        stats.push(id);
    }
    // What is normalized by its own mean is mostly a weight, and gone before the run.
    let mut running = Vec::new();
    if at.flag("training_mode") {
        let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
        let (mean, variance) = moments(at, x, &axes)?;
        for (own, fresh) in [(2, mean), (3, variance)] {
            running.push(at.map(&[stats[own], fresh], DType::F32, |p, r| {
                let (kept, taken) = (p.f(momentum), p.f(1.0 - momentum));
                let (kept, taken) = (p.bin(Binary::Mul, r[0], kept), p.bin(Binary::Mul, r[1], taken));
                p.bin(Binary::Add, kept, taken)
            })?);
            stats[own] = fresh;
        }
    }
    // Four values a channel are brought to two, once where they are stored.
    let factor = at.map(&[stats[0], stats[3]], DType::F32, |p, r| {
        let epsilon = p.f(epsilon);
        let spread = p.bin(Binary::Add, r[1], epsilon);
        let spread = p.un(Unary::Sqrt, spread);
        p.bin(Binary::Div, r[0], spread)
    })?;
    let shift = at.map(&[stats[1], stats[2], factor], DType::F32, |p, r| {
        let moved = p.bin(Binary::Mul, r[1], r[2]);
        p.bin(Binary::Sub, r[0], moved)
    })?;
    let mut outputs = vec![scaled(at, x, Some(factor), Some(shift), dtype)?];
    outputs.append(&mut running);
    Ok(outputs)
}

/// Mean and variance over `axes`.
fn moments(at: &mut At<'_, '_>, x: ValueId, axes: &[usize]) -> Result<(ValueId, ValueId), ModelError> {
    let mean = mean_axes(at, x, axes, true)?;
    let off = at.map(&[x, mean], DType::F32, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
    let square = reduce_axes(at, reduction::Op::SumSquare, off, axes, false)?;
    let count = as_f32(axes_len(at, x, axes));
    let variance = at.map(&[square], DType::F32, |p, r| {
        let count = p.f(count);
        p.bin(Binary::Div, r[0], count)
    })?;
    let shape = at.shape(variance);
    Ok((at.b.reshaped(mean, shape)?, variance))
}

/// x · scale + shift, by channel.
fn scaled(
    at: &mut At<'_, '_>,
    x: ValueId,
    scale: Option<ValueId>,
    shift: Option<ValueId>,
    dtype: DType,
) -> Result<ValueId, ModelError> {
    let shape = at.shape(x);
    let mut ids = vec![x];
    for id in [scale, shift].into_iter().flatten() {
        ids.push(beside(at, id, shape.len())?);
    }
    affine(at, &ids, scale.is_some(), &shape, dtype)
}

/// The first, by the second where `by`, and the last added.
fn affine(
    at: &mut At<'_, '_>,
    ids: &[ValueId],
    by: bool,
    shape: &[usize],
    dtype: DType,
) -> Result<ValueId, ModelError> {
    at.map_to(ids, shape, dtype, |p, r| {
        let mut value = r[0];
        let mut rest = r[1..].iter();
        if by && let Some(&scale) = rest.next() {
            value = p.bin(Binary::Mul, value, scale);
        }
        rest.fold(value, |value, &shift| p.bin(Binary::Add, value, shift))
    })
}

/// Lines of `axis` values normalized, whatever the tensor's shape.
fn lines(at: &mut At<'_, '_>, x: ValueId, axis: usize, centred: bool, epsilon: f32) -> Result<ValueId, ModelError> {
    let shape = at.shape(x);
    let dense = at.b.dense(x)?;
    let root = at.b.root(dense);
    let out = at.b.computed(DType::F32, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let units = u(shape.iter().product::<usize>() / axis);
        let params = kernel::Params { start: 0, units, axis: u(axis), centred: u32::from(centred), epsilon };
        steps.push(at.b.step(Call::Norm(params), vec![root], out));
    }
    at.b.emit(steps, out);
    Ok(out)
}

pub(crate) fn layer(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["stash_type"]);
    let x = at.input(0)?;
    let (scale, bias) = (at.input(1)?, at.optional(2)?);
    let dtype = at.float_type(x)?;
    let epsilon = at.float("epsilon", 1e-5);
    let shape = at.shape(x);
    let axis = at.axis(at.int("axis", -1), shape.len(), shape.len())?;
    let normal = lines(at, x, shape[axis..].iter().product(), true, epsilon)?;
    let ids: Vec<ValueId> = [Some(normal), Some(scale), bias].into_iter().flatten().collect();
    let mut outputs = vec![affine(at, &ids, true, &shape, dtype)?];
    if at.wants(1) || at.wants(2) {
        let axes: Vec<usize> = (axis..shape.len()).collect();
        let mean = mean_axes(at, x, &axes, true)?;
        let off = at.map(&[x, mean], DType::F32, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
        let square = reduce_axes(at, reduction::Op::SumSquare, off, &axes, true)?;
        let count = as_f32(axes_len(at, x, &axes));
        let inverse = at.map(&[square], DType::F32, |p, r| {
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

pub(crate) fn root_mean_square(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["stash_type"]);
    let (x, scale) = (at.input(0)?, at.input(1)?);
    let dtype = at.float_type(x)?;
    let epsilon = at.float("epsilon", 1e-5);
    let shape = at.shape(x);
    let axis = at.axis(at.int("axis", -1), shape.len(), shape.len())?;
    let normal = lines(at, x, shape[axis..].iter().product(), false, epsilon)?;
    Ok(vec![affine(at, &[normal, scale], true, &shape, dtype)?])
}

pub(crate) fn instance(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (x, scale, bias) = (at.input(0)?, at.input(1)?, at.input(2)?);
    let dtype = at.float_type(x)?;
    let epsilon = at.float("epsilon", 1e-5);
    let shape = at.shape(x);
    let axis = shape.get(2..).ok_or_else(|| at.wrong("the input needs a channel dimension", show(&shape)))?;
    let normal = lines(at, x, axis.iter().product(), true, epsilon)?;
    Ok(vec![scaled(at, normal, Some(scale), Some(bias), dtype)?])
}

pub(crate) fn group(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["stash_type"]);
    let (x, scale, bias) = (at.input(0)?, at.input(1)?, at.input(2)?);
    let dtype = at.float_type(x)?;
    let epsilon = at.float("epsilon", 1e-5);
    let groups = at.size(at.int("num_groups", 1))?;
    let shape = at.shape(x);
    let channels = shape.get(1).copied().unwrap_or(0);
    if groups == 0 || channels == 0 || channels % groups != 0 {
        return Err(at.wrong("the channels do not divide into groups", format!("{} by {groups}", show(&shape))));
    }
    let axis = shape[1..].iter().product::<usize>() / groups;
    let normal = lines(at, x, axis, true, epsilon)?;
    // Before operator set 21 there was a scale a group.
    if at.shape(scale) == [groups] && groups != channels {
        let parts = at.b.reshaped(normal, vec![shape[0], groups, axis])?;
        let parts = scaled(at, parts, Some(scale), Some(bias), dtype)?;
        return Ok(vec![at.b.reshaped(parts, shape)?]);
    }
    Ok(vec![scaled(at, normal, Some(scale), Some(bias), dtype)?])
}

pub(crate) fn mean_variance(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let dtype = at.float_type(x)?;
    let rank = at.shape(x).len();
    let axes = at.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = at.axes(&axes, rank)?;
    let mean = mean_axes(at, x, &axes, true)?;
    let off = at.map(&[x, mean], dtype, |p, r| p.bin(Binary::Sub, r[0], r[1]))?;
    let square = reduce_axes(at, reduction::Op::SumSquare, off, &axes, true)?;
    let count = as_f32(axes_len(at, x, &axes));
    let result = at.map(&[off, square], dtype, |p, r| {
        let (count, epsilon) = (p.f(count), p.f(1e-9));
        let variance = p.bin(Binary::Div, r[1], count);
        let spread = p.un(Unary::Sqrt, variance);
        let spread = p.bin(Binary::Add, spread, epsilon);
        p.bin(Binary::Div, r[0], spread)
    })?;
    Ok(vec![result])
}

pub(crate) fn lp(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let dtype = at.float_type(x)?;
    let rank = at.shape(x).len();
    let axis = at.axis(at.int("axis", -1), rank, rank)?;
    let square = match at.int("p", 2) {
        1 => false,
        2 => true,
        _ => return Err(at.unsupported("p", "it must be 1 or 2")),
    };
    let op = if square { reduction::Op::SumSquare } else { reduction::Op::SumAbs };
    let size = reduce_axes(at, op, x, &[axis], true)?;
    let result = at.map(&[x, size], dtype, |p, r| {
        let size = if square { p.un(Unary::Sqrt, r[1]) } else { r[1] };
        let zero = p.f(0.0);
        let nothing = p.bin(Binary::Eq, size, zero);
        let ratio = p.bin(Binary::Div, r[0], size);
        p.select(nothing, zero, ratio)
    })?;
    Ok(vec![result])
}

/// Each value over a power of the mean square of its channel's neighbours.
pub(crate) fn local_response(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let dtype = at.float_type(x)?;
    let (alpha, beta, bias) = (at.float("alpha", 1e-4), at.float("beta", 0.75), at.float("bias", 1.0));
    let size = at.size(at.int("size", 1))?.max(1);
    let shape = at.shape(x);
    let channels =
        shape.get(1).copied().ok_or_else(|| at.wrong("the input needs a channel dimension", show(&shape)))?;
    let square = at.map(&[x], dtype, |p, r| p.bin(Binary::Mul, r[0], r[0]))?;
    at.check_table(size.checked_mul(channels))?;
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
    let sums = resample_axis(at, square, 1, channels, &places, &weights)?;
    let result = at.map(&[x, sums], dtype, |p, r| {
        let (bias, beta) = (p.f(bias), p.f(beta));
        let base = p.bin(Binary::Add, r[1], bias);
        let power = p.bin(Binary::Pow, base, beta);
        let ratio = p.bin(Binary::Div, r[0], power);
        wrapped(p, ratio, dtype)
    })?;
    Ok(vec![result])
}
