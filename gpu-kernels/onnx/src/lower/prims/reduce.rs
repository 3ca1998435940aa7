//! Axes brought down to one value each, and softmax along one.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::Binary;
use gpu_kernels::kernels::{Call, MAX_RANK, View, elementwise, reduce as kernel, softmax as lines};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::{wrapped, wraps};
use crate::lower::prims::views::{broadcast_to, unsqueeze_axes};
use crate::tensor::Tensor;

/// The reduction of `axes`, with size 1 or without them.
pub(crate) fn reduce_axes(
    cx: &mut NodeContext<'_, '_>,
    op: kernel::Op,
    x: ValueId,
    axes: &[usize],
    keep: bool,
) -> Result<ValueId, ModelError> {
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    let (root, offset, own) = cx.builder.buffer_view(x);
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let target: Vec<usize> = kept.iter().map(|&axis| shape[axis]).collect();
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    let to = if op.is_index() { DType::I64 } else { dtype };
    let result = if count == 0 {
        // Nothing to reduce: what changes nothing when it is reduced with something.
        let word = empty(op, dtype);
        let one = cx.constant(&Tensor { dtype: to, shape: vec![], words: [word].into() })?;
        broadcast_to(cx, one, target.clone())?
    } else {
        let out = cx.builder.computed(to, target.clone())?;
        let mut steps = Vec::new();
        if !target.contains(&0) {
            let pick =
                |list: &[usize]| (list.iter().map(|&i| shape[i]).collect(), list.iter().map(|&i| own[i]).collect());
            let (outer, outer_layout): (Vec<usize>, Vec<i64>) = pick(&kept);
            let (inner, inner_layout): (Vec<usize>, Vec<i64>) = pick(axes);
            let call = call(op, dtype.repr(), offset, (&outer, outer_layout), (&inner, inner_layout));
            let call = call.ok_or_else(|| {
                cx.shape_error("an operator works on at most 8 axes that cannot be merged", show(&shape))
            })?;
            steps.push(cx.builder.step(Call::Reduce(Box::new(call)), vec![root], out));
        }
        cx.builder.emit(steps, out);
        let narrow = !matches!(op, kernel::Op::Max | kernel::Op::Min) && !op.is_index();
        if narrow && wraps(dtype) { cx.elementwise(&[out], dtype, |p, r| wrapped(p, r[0], dtype))? } else { out }
    };
    if keep { unsqueeze_axes(cx, result, axes) } else { Ok(result) }
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
    (outer, outer_layout): (&[usize], Vec<i64>),
    (inner, inner_layout): (&[usize], Vec<i64>),
) -> Option<kernel::Reduce> {
    let (outer, layouts) = elementwise::merge(outer, &[(offset, outer_layout)]);
    let (inner, inner_layouts) = elementwise::merge(inner, &[(0, inner_layout)]);
    if outer.len() > MAX_RANK || inner.len() > MAX_RANK {
        return None;
    }
    let mut params = kernel::Params {
        start: 0,
        units: 0,
        len: to(outer.iter().product::<usize>()),
        rank: to(outer.len()),
        red_rank: to(inner.len()),
        red_len: to(inner.iter().product::<usize>()),
        shape: [1; MAX_RANK],
        red_shape: [1; MAX_RANK],
        view: View { offset: i32::try_from(layouts[0].0).ok()?, ..View::default() },
        red_strides: [0; MAX_RANK],
    };
    for (i, &size) in outer.iter().enumerate() {
        params.shape[i] = to(size);
        params.view.strides[i] = i32::try_from(layouts[0].1[i]).ok()?;
    }
    for (i, &size) in inner.iter().enumerate() {
        params.red_shape[i] = to(size);
        params.red_strides[i] = i32::try_from(inner_layouts[0].1[i]).ok()?;
    }
    Some(kernel::Reduce { op, repr, params: params.whole() })
}

pub(crate) fn mean_axes(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    axes: &[usize],
    keep: bool,
) -> Result<ValueId, ModelError> {
    let (dtype, count) = (cx.dtype(x), axes_len(cx, x, axes));
    let sum = reduce_axes(cx, kernel::Op::Sum, x, axes, keep)?;
    cx.elementwise(&[sum], dtype, |p, r| {
        let count = match dtype.repr() {
            Repr::F32 => p.f(as_f32(count)),
            Repr::I32 => p.i(to(count)),
            Repr::U32 => p.u(to(count)),
        };
        p.bin(Binary::Div, r[0], count)
    })
}

pub(crate) fn axes_len(cx: &NodeContext<'_, '_>, x: ValueId, axes: &[usize]) -> usize {
    axes.iter().map(|&axis| cx.builder.shape(x)[axis]).product()
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a divisor of a float mean")]
pub(crate) fn as_f32(count: usize) -> f32 {
    count as f32
}

pub(crate) fn softmax_lines(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    [outer, axis, inner]: [usize; 3],
    log: bool,
) -> Result<ValueId, ModelError> {
    let dtype = cx.float_type(x)?;
    let shape = cx.shape(x);
    let dense = cx.builder.dense(x)?;
    let root = cx.builder.root(dense);
    let out = cx.builder.computed(dtype, shape.clone())?;
    let mut steps = Vec::new();
    if !shape.contains(&0) {
        let params =
            lines::Params { start: 0, units: to(outer * inner), axis: to(axis), inner: to(inner), log: u32::from(log) };
        steps.push(cx.builder.step(Call::Softmax(params), vec![root], out));
    }
    cx.builder.emit(steps, out);
    Ok(out)
}
