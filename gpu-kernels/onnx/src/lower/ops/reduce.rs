//! Reductions, softmax, cumulative sums and top-k.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, reduce as kernel, scan, top_k, units_for};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::convert;
use crate::lower::prims::gather::take_along_axis;
use crate::lower::prims::iota::iota;
use crate::lower::prims::reduce::{mean_axes, reduce_axes, softmax_lines};
use crate::lower::prims::views::squeeze_axes;

pub(crate) fn reduce(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let rank = cx.shape(x).len();
    let keep = cx.int("keepdims", 1) != 0;
    let nothing = cx.flag("noop_with_empty_axes");
    let axes = cx.ints_or_input("axes", 1)?.filter(|axes| !axes.is_empty());
    let axes = match axes {
        Some(axes) => cx.axes(&axes, rank)?,
        None if nothing => Vec::new(),
        None => (0..rank).collect(),
    };
    let dtype = cx.dtype(x);
    let result = match cx.node.op.as_str() {
        "ReduceSum" => reduce_axes(cx, kernel::Op::Sum, x, &axes, keep)?,
        "ReduceProd" => reduce_axes(cx, kernel::Op::Prod, x, &axes, keep)?,
        "ReduceMax" => reduce_axes(cx, kernel::Op::Max, x, &axes, keep)?,
        "ReduceMin" => reduce_axes(cx, kernel::Op::Min, x, &axes, keep)?,
        "ReduceL1" => reduce_axes(cx, kernel::Op::SumAbs, x, &axes, keep)?,
        "ReduceSumSquare" => reduce_axes(cx, kernel::Op::SumSquare, x, &axes, keep)?,
        "ReduceL2" => {
            let square = reduce_axes(cx, kernel::Op::SumSquare, x, &axes, keep)?;
            through_float(cx, square, dtype, Unary::Sqrt)?
        }
        "ReduceLogSum" => {
            let sum = reduce_axes(cx, kernel::Op::Sum, x, &axes, keep)?;
            through_float(cx, sum, dtype, Unary::Log)?
        }
        "ReduceMean" => mean_axes(cx, x, &axes, keep)?,
        _ => log_sum_exp(cx, x, &axes, keep)?,
    };
    Ok(vec![result])
}

fn through_float(cx: &mut NodeContext<'_, '_>, x: ValueId, dtype: DType, op: Unary) -> Result<ValueId, ModelError> {
    cx.elementwise(&[x], dtype, |p, r| {
        let value = convert(p, r[0], dtype, DType::F32);
        let value = p.un(op, value);
        convert(p, value, DType::F32, dtype)
    })
}

/// log Σ eˣ, shifted by the largest value where that is finite.
fn log_sum_exp(cx: &mut NodeContext<'_, '_>, x: ValueId, axes: &[usize], keep: bool) -> Result<ValueId, ModelError> {
    let dtype = cx.float_type(x)?;
    let top = reduce_axes(cx, kernel::Op::Max, x, axes, true)?;
    let finite = cx.elementwise(&[top], dtype, |p, r| {
        let (low, high, zero) = (p.f(f32::MIN), p.f(f32::MAX), p.f(0.0));
        let above = p.bin(Binary::Le, low, r[0]);
        let below = p.bin(Binary::Le, r[0], high);
        let both = p.bin(Binary::And, above, below);
        p.select(both, r[0], zero)
    })?;
    let shifted = cx.elementwise(&[x, finite], dtype, |p, r| {
        let shifted = p.bin(Binary::Sub, r[0], r[1]);
        p.un(Unary::Exp, shifted)
    })?;
    let sum = reduce_axes(cx, kernel::Op::Sum, shifted, axes, true)?;
    let result = cx.elementwise(&[sum, finite], dtype, |p, r| {
        let log = p.un(Unary::Log, r[0]);
        p.bin(Binary::Add, log, r[1])
    })?;
    if keep { Ok(result) } else { squeeze_axes(cx, result, axes) }
}

pub(crate) fn place(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let rank = cx.shape(x).len();
    let axis = cx.axis(cx.int("axis", 0), rank, rank)?;
    let keep = cx.int("keepdims", 1) != 0;
    let op = match (cx.node.op.as_str(), cx.flag("select_last_index")) {
        ("ArgMax", false) => kernel::Op::ArgMax,
        ("ArgMax", true) => kernel::Op::ArgMaxLast,
        (_, false) => kernel::Op::ArgMin,
        (_, true) => kernel::Op::ArgMinLast,
    };
    Ok(vec![reduce_axes(cx, op, x, &[axis], keep)?])
}

/// Sizes before, along and after the axis of a softmax. Before operator set 13 it took all axes from the named
/// one on as one.
fn line_axis(cx: &mut NodeContext<'_, '_>, x: ValueId) -> Result<(usize, usize, usize), ModelError> {
    let shape = cx.shape(x);
    let modern = cx.opset >= 13;
    let axis = cx.axis(cx.int("axis", if modern { -1 } else { 1 }), shape.len(), shape.len())?;
    let outer = shape[..axis].iter().product();
    if modern {
        Ok((outer, shape[axis], shape[axis + 1..].iter().product()))
    } else {
        Ok((outer, shape[axis..].iter().product(), 1))
    }
}

pub(crate) fn softmax(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (outer, axis, inner) = line_axis(cx, x)?;
    let log = cx.node.op == "LogSoftmax";
    Ok(vec![softmax_lines(cx, x, [outer, axis, inner], log)?])
}

pub(crate) fn hardmax(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (outer, axis, inner) = line_axis(cx, x)?;
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    let lines = cx.builder.reshaped(x, vec![outer, axis, inner])?;
    let best = reduce_axes(cx, kernel::Op::ArgMax, lines, &[1], true)?;
    let places = iota(cx, axis, 1, 3)?;
    let hot = cx.elementwise(&[best, places], dtype, |p, r| {
        let hot = p.bin(Binary::Eq, r[0], r[1]);
        convert(p, hot, DType::U32, dtype)
    })?;
    Ok(vec![cx.builder.reshaped(hot, shape)?])
}

pub(crate) fn running(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    let axis = cx.known_ints(1)?.and_then(|axis| axis.first().copied()).unwrap_or(0);
    let axis = cx.axis(axis, shape.len(), shape.len())?;
    let op = if cx.node.op == "CumSum" { scan::Op::Sum } else { scan::Op::Prod };
    let (exclusive, reverse) = (u32::from(cx.flag("exclusive")), u32::from(cx.flag("reverse")));
    let dense = cx.builder.dense(x)?;
    let root = cx.builder.root(dense);
    let out = cx.builder.computed(dtype, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let inner: usize = shape[axis + 1..].iter().product();
        let lines = to(shape[..axis].iter().product::<usize>() * inner);
        let params = scan::Params {
            start: 0,
            units: units_for(lines),
            lines,
            axis: to(shape[axis]),
            inner: to(inner),
            exclusive,
            reverse,
        };
        steps.push(cx.builder.step(Call::Scan(scan::Scan { op, repr: dtype.repr(), params }), vec![root], out));
    }
    cx.builder.emit(steps, out);
    Ok(vec![out])
}

pub(crate) fn top(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["sorted"]);
    let x = cx.input(0)?;
    let shape = cx.shape(x);
    let axis = cx.axis(cx.int("axis", -1), shape.len(), shape.len())?;
    let largest = cx.int("largest", 1) != 0;
    let k = match cx.attribute("k") {
        Some(k) => k.i,
        None => cx.known_ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0),
    };
    let k = cx.size(k)?;
    if k > shape[axis] {
        return Err(cx.shape_error("k is larger than the axis", format!("{k} of {}", show(&shape))));
    }
    let dense = cx.builder.dense(x)?;
    let root = cx.builder.root(dense);
    let mut target = shape.clone();
    target[axis] = k;
    let places = cx.builder.computed(DType::I64, target.clone())?;
    let mut steps = Vec::new();
    if !target.contains(&0) {
        let len = to(shape.iter().product::<usize>());
        let params = top_k::Params {
            start: 0,
            units: units_for(len),
            len,
            axis: to(shape[axis]),
            inner: to(shape[axis + 1..].iter().product::<usize>()),
            k: to(k),
            largest: u32::from(largest),
        };
        steps.push(cx.builder.step(Call::TopK(top_k::TopK { repr: cx.repr(x), params }), vec![root], places));
    }
    cx.builder.emit(steps, places);
    let values = take_along_axis(cx, dense, places, axis)?;
    Ok(vec![values, places])
}
