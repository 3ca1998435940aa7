//! Operators that bring an axis down to one value, or order it.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{
    Call, MAX_RANK, View, elementwise, reduce as kernel, scan, softmax as lines, top_k, units_for,
};

use super::super::ModelError;
use super::super::error::show;
use super::super::plan::ValueId;
use super::super::tensor::Tensor;
use super::at::{At, wrapped};
use super::index::take_along_axis;
use super::u;

pub(super) fn reduce(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let rank = at.shape(x).len();
    let keep = at.int("keepdims", 1) != 0;
    let nothing = at.flag("noop_with_empty_axes");
    let axes = at.list("axes", 1)?.filter(|axes| !axes.is_empty());
    let axes = match axes {
        Some(axes) => at.axes(&axes, rank)?,
        None if nothing => Vec::new(),
        None => (0..rank).collect(),
    };
    let dtype = at.dtype(x);
    let result = match at.node.op.as_str() {
        "ReduceSum" => reduce_axes(at, kernel::Op::Sum, x, &axes, keep)?,
        "ReduceProd" => reduce_axes(at, kernel::Op::Prod, x, &axes, keep)?,
        "ReduceMax" => reduce_axes(at, kernel::Op::Max, x, &axes, keep)?,
        "ReduceMin" => reduce_axes(at, kernel::Op::Min, x, &axes, keep)?,
        "ReduceL1" => reduce_axes(at, kernel::Op::SumAbs, x, &axes, keep)?,
        "ReduceSumSquare" => reduce_axes(at, kernel::Op::SumSquare, x, &axes, keep)?,
        "ReduceL2" => {
            let square = reduce_axes(at, kernel::Op::SumSquare, x, &axes, keep)?;
            through_float(at, square, dtype, Unary::Sqrt)?
        }
        "ReduceLogSum" => {
            let sum = reduce_axes(at, kernel::Op::Sum, x, &axes, keep)?;
            through_float(at, sum, dtype, Unary::Log)?
        }
        "ReduceMean" => mean_axes(at, x, &axes, keep)?,
        _ => log_sum_exp(at, x, &axes, keep)?,
    };
    Ok(vec![result])
}

fn through_float(at: &mut At<'_, '_>, x: ValueId, dtype: DType, op: Unary) -> Result<ValueId, ModelError> {
    at.map(&[x], dtype, |p, r| {
        let value = convert(p, r[0], dtype, DType::F32);
        let value = p.un(op, value);
        convert(p, value, DType::F32, dtype)
    })
}

pub(super) fn axes_len(at: &At<'_, '_>, x: ValueId, axes: &[usize]) -> usize {
    axes.iter().map(|&axis| at.b.shape(x)[axis]).product()
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a divisor of a float mean")]
pub(super) fn as_f32(count: usize) -> f32 {
    count as f32
}

pub(super) fn mean_axes(at: &mut At<'_, '_>, x: ValueId, axes: &[usize], keep: bool) -> Result<ValueId, ModelError> {
    let (dtype, count) = (at.dtype(x), axes_len(at, x, axes));
    let sum = reduce_axes(at, kernel::Op::Sum, x, axes, keep)?;
    at.map(&[sum], dtype, |p, r| {
        let count = match dtype.repr() {
            Repr::F32 => p.f(as_f32(count)),
            Repr::I32 => p.i(i32::try_from(count).unwrap_or(i32::MAX)),
            Repr::U32 => p.u(u32::try_from(count).unwrap_or(u32::MAX)),
        };
        p.bin(Binary::Div, r[0], count)
    })
}

/// log Σ eˣ, shifted by the largest value where that is finite.
fn log_sum_exp(at: &mut At<'_, '_>, x: ValueId, axes: &[usize], keep: bool) -> Result<ValueId, ModelError> {
    let dtype = at.float_type(x)?;
    let top = reduce_axes(at, kernel::Op::Max, x, axes, true)?;
    let finite = at.map(&[top], dtype, |p, r| {
        let (low, high, zero) = (p.f(f32::MIN), p.f(f32::MAX), p.f(0.0));
        let above = p.bin(Binary::Le, low, r[0]);
        let below = p.bin(Binary::Le, r[0], high);
        let both = p.bin(Binary::And, above, below);
        p.select(both, r[0], zero)
    })?;
    let shifted = at.map(&[x, finite], dtype, |p, r| {
        let shifted = p.bin(Binary::Sub, r[0], r[1]);
        p.un(Unary::Exp, shifted)
    })?;
    let sum = reduce_axes(at, kernel::Op::Sum, shifted, axes, true)?;
    let result = at.map(&[sum, finite], dtype, |p, r| {
        let log = p.un(Unary::Log, r[0]);
        p.bin(Binary::Add, log, r[1])
    })?;
    if keep { Ok(result) } else { squeeze_axes(at, result, axes) }
}

/// The reduction of `axes`, with size 1 or without them.
pub(super) fn reduce_axes(
    at: &mut At<'_, '_>,
    op: kernel::Op,
    x: ValueId,
    axes: &[usize],
    keep: bool,
) -> Result<ValueId, ModelError> {
    let (shape, dtype) = (at.shape(x), at.dtype(x));
    let (root, offset, own) = at.b.place(x);
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let target: Vec<usize> = kept.iter().map(|&axis| shape[axis]).collect();
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let to = if op.is_index() { DType::I64 } else { dtype };
    let result = if count == 0 {
        // Nothing to reduce: what changes nothing when it is reduced with something.
        let word = empty(op, dtype);
        let one = at.constant(&Tensor { dtype: to, shape: vec![], words: [word].into() })?;
        broadcast_to(at, one, target.clone())?
    } else {
        let out = at.b.computed(to, target.clone())?;
        let mut steps = Vec::new();
        if !target.contains(&0) {
            let pick =
                |list: &[usize]| (list.iter().map(|&i| shape[i]).collect(), list.iter().map(|&i| own[i]).collect());
            let (outer, outer_walk): (Vec<usize>, Vec<i64>) = pick(&kept);
            let (inner, inner_walk): (Vec<usize>, Vec<i64>) = pick(axes);
            let call = call(op, dtype.repr(), offset, (&outer, outer_walk), (&inner, inner_walk));
            let call = call
                .ok_or_else(|| at.wrong("an operator works on at most 8 axes that cannot be merged", show(&shape)))?;
            steps.push(at.b.step(Call::Reduce(Box::new(call)), vec![root], out));
        }
        at.b.emit(steps, out);
        let narrow = !matches!(op, kernel::Op::Max | kernel::Op::Min) && !op.is_index();
        if narrow && !matches!(dtype, DType::F32 | DType::I64 | DType::I32 | DType::U32) {
            at.map(&[out], dtype, |p, r| wrapped(p, r[0], dtype))?
        } else {
            out
        }
    };
    if keep { unsqueeze_axes(at, result, axes) } else { Ok(result) }
}

fn empty(op: kernel::Op, dtype: DType) -> u32 {
    match (op, dtype) {
        (kernel::Op::Prod, _) if dtype.is_float() => 1.0f32.to_bits(),
        (kernel::Op::Prod, _) | (kernel::Op::Min, DType::Bool) => 1,
        (kernel::Op::Max, _) if dtype.is_float() => f32::NEG_INFINITY.to_bits(),
        (kernel::Op::Min, _) if dtype.is_float() => f32::INFINITY.to_bits(),
        (kernel::Op::Max, DType::I64 | DType::I32) => i32::MIN.cast_unsigned(),
        (kernel::Op::Max, DType::I16) => i32::from(i16::MIN).cast_unsigned(),
        (kernel::Op::Max, DType::I8) => i32::from(i8::MIN).cast_unsigned(),
        (kernel::Op::Min, DType::I64 | DType::I32) => i32::MAX.cast_unsigned(),
        (kernel::Op::Min, DType::I16) => i32::from(i16::MAX).cast_unsigned(),
        (kernel::Op::Min, DType::I8) => i32::from(i8::MAX).cast_unsigned(),
        (kernel::Op::Min, DType::U16) => u32::from(u16::MAX),
        (kernel::Op::Min, DType::U8) => u32::from(u8::MAX),
        (kernel::Op::Min, _) => u32::MAX,
        _ => 0,
    }
}

fn call(
    op: kernel::Op,
    repr: Repr,
    offset: i64,
    (outer, outer_walk): (&[usize], Vec<i64>),
    (inner, inner_walk): (&[usize], Vec<i64>),
) -> Option<kernel::Reduce> {
    let (outer, walks) = elementwise::merge(outer, &[(offset, outer_walk)]);
    let (inner, inner_walks) = elementwise::merge(inner, &[(0, inner_walk)]);
    if outer.len() > MAX_RANK || inner.len() > MAX_RANK {
        return None;
    }
    let mut params = kernel::Params {
        start: 0,
        units: 0,
        len: u(outer.iter().product()),
        rank: u(outer.len()),
        red_rank: u(inner.len()),
        red_len: u(inner.iter().product()),
        shape: [1; MAX_RANK],
        red_shape: [1; MAX_RANK],
        view: View { offset: i32::try_from(walks[0].0).ok()?, ..View::default() },
        red_strides: [0; MAX_RANK],
    };
    for (i, &size) in outer.iter().enumerate() {
        params.shape[i] = u(size);
        params.view.strides[i] = i32::try_from(walks[0].1[i]).ok()?;
    }
    for (i, &size) in inner.iter().enumerate() {
        params.red_shape[i] = u(size);
        params.red_strides[i] = i32::try_from(inner_walks[0].1[i]).ok()?;
    }
    Some(kernel::Reduce { op, repr, params: params.whole() })
}

pub(super) fn place(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let rank = at.shape(x).len();
    let axis = at.axis(at.int("axis", 0), rank, rank)?;
    let keep = at.int("keepdims", 1) != 0;
    let op = match (at.node.op.as_str(), at.flag("select_last_index")) {
        ("ArgMax", false) => kernel::Op::ArgMax,
        ("ArgMax", true) => kernel::Op::ArgMaxLast,
        (_, false) => kernel::Op::ArgMin,
        (_, true) => kernel::Op::ArgMinLast,
    };
    Ok(vec![reduce_axes(at, op, x, &[axis], keep)?])
}

/// Before operator set 13 all axes from the named one on were one.
fn line_axis(at: &mut At<'_, '_>, x: ValueId) -> Result<(usize, usize, usize), ModelError> {
    let shape = at.shape(x);
    let modern = at.opset >= 13;
    let axis = at.axis(at.int("axis", if modern { -1 } else { 1 }), shape.len(), shape.len())?;
    let outer = shape[..axis].iter().product();
    if modern {
        Ok((outer, shape[axis], shape[axis + 1..].iter().product()))
    } else {
        Ok((outer, shape[axis..].iter().product(), 1))
    }
}

pub(super) fn softmax(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (outer, axis, inner) = line_axis(at, x)?;
    let log = at.node.op == "LogSoftmax";
    Ok(vec![softmax_lines(at, x, [outer, axis, inner], log)?])
}

pub(super) fn softmax_lines(
    at: &mut At<'_, '_>,
    x: ValueId,
    [outer, axis, inner]: [usize; 3],
    log: bool,
) -> Result<ValueId, ModelError> {
    let dtype = at.float_type(x)?;
    let shape = at.shape(x);
    let dense = at.b.dense(x)?;
    let root = at.b.root(dense);
    let out = at.b.computed(dtype, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let params =
            lines::Params { start: 0, units: u(outer * inner), axis: u(axis), inner: u(inner), log: u32::from(log) };
        steps.push(at.b.step(Call::Softmax(params), vec![root], out));
    }
    at.b.emit(steps, out);
    if dtype == DType::F32 { Ok(out) } else { at.map(&[out], dtype, |p, r| wrapped(p, r[0], dtype)) }
}

pub(super) fn hardmax(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (outer, axis, inner) = line_axis(at, x)?;
    let (shape, dtype) = (at.shape(x), at.dtype(x));
    let lines = at.b.reshaped(x, vec![outer, axis, inner])?;
    let best = reduce_axes(at, kernel::Op::ArgMax, lines, &[1], true)?;
    let places = iota(at, axis, 1, 3)?;
    let hot = at.map(&[best, places], dtype, |p, r| {
        let hot = p.bin(Binary::Eq, r[0], r[1]);
        convert(p, hot, DType::U32, dtype)
    })?;
    Ok(vec![at.b.reshaped(hot, shape)?])
}

pub(super) fn running(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (shape, dtype) = (at.shape(x), at.dtype(x));
    let axis = at.known_ints(1)?.and_then(|axis| axis.first().copied()).unwrap_or(0);
    let axis = at.axis(axis, shape.len(), shape.len())?;
    let op = if at.node.op == "CumSum" { scan::Op::Sum } else { scan::Op::Prod };
    let (exclusive, reverse) = (u32::from(at.flag("exclusive")), u32::from(at.flag("reverse")));
    let dense = at.b.dense(x)?;
    let root = at.b.root(dense);
    let out = at.b.computed(dtype, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let inner: usize = shape[axis + 1..].iter().product();
        let lines = u(shape[..axis].iter().product::<usize>() * inner);
        let params = scan::Params {
            start: 0,
            units: units_for(lines),
            lines,
            axis: u(shape[axis]),
            inner: u(inner),
            exclusive,
            reverse,
        };
        steps.push(at.b.step(Call::Scan(scan::Scan { op, repr: dtype.repr(), params }), vec![root], out));
    }
    at.b.emit(steps, out);
    Ok(vec![out])
}

pub(super) fn top(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    at.ignore(&["sorted"]);
    let x = at.input(0)?;
    let shape = at.shape(x);
    let axis = at.axis(at.int("axis", -1), shape.len(), shape.len())?;
    let largest = at.int("largest", 1) != 0;
    let k = match at.attribute("k") {
        Some(k) => k.i,
        None => at.known_ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0),
    };
    let k = at.size(k)?;
    if k > shape[axis] {
        return Err(at.wrong("k is larger than the axis", format!("{k} of {}", show(&shape))));
    }
    let dense = at.b.dense(x)?;
    let root = at.b.root(dense);
    let mut target = shape.clone();
    target[axis] = k;
    let places = at.b.computed(DType::I64, target.clone())?;
    let mut steps = Vec::new();
    if !target.contains(&0) {
        let len = u(shape.iter().product());
        let params = top_k::Params {
            start: 0,
            units: units_for(len),
            len,
            axis: u(shape[axis]),
            inner: u(shape[axis + 1..].iter().product()),
            k: u(k),
            largest: u32::from(largest),
        };
        steps.push(at.b.step(Call::TopK(top_k::TopK { repr: at.repr(x), params }), vec![root], places));
    }
    at.b.emit(steps, places);
    let values = take_along_axis(at, dense, places, axis)?;
    Ok(vec![values, places])
}
