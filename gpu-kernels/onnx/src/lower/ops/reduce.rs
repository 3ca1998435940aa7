//! Operators that bring an axis down to one value, or order it.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::{Binary, Unary};
use gpu_kernels::kernels::{Call, reduce as kernel, scan, softmax as lines, top_k, units_for};

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::at::At;
use crate::lower::prims::cast::convert;
use crate::lower::prims::gather::take_along_axis;
use crate::lower::prims::iota::iota;
use crate::lower::prims::reduce::{mean_axes, reduce_axes, softmax_lines};
use crate::lower::prims::views::squeeze_axes;

pub(crate) fn reduce(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
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

pub(crate) fn place(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
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

pub(crate) fn softmax(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = at.input(0)?;
    let (outer, axis, inner) = line_axis(at, x)?;
    let log = at.node.op == "LogSoftmax";
    Ok(vec![softmax_lines(at, x, [outer, axis, inner], log)?])
}

pub(crate) fn hardmax(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
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

pub(crate) fn running(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
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

pub(crate) fn top(at: &mut At<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
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
