//! Values copied to new places: behind one another, or with something around them.

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::elementwise::Program;
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, long, strides};
use crate::lower::context::NodeContext;
use crate::tensor::Tensor;

/// Values one after another along an axis.
pub(crate) fn concat_along(
    cx: &mut NodeContext<'_, '_>,
    inputs: &[ValueId],
    axis: usize,
) -> Result<ValueId, ModelError> {
    let dtype = cx.dtype(inputs[0]);
    let mut shape = cx.shape(inputs[0]);
    if axis >= shape.len() {
        return Err(cx.shape_error("an input has fewer axes than its operator needs", show(&shape)));
    }
    shape[axis] = 0;
    for &id in inputs {
        let other = cx.builder.shape(id);
        let fits = other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || other[i] == shape[i]);
        if !fits {
            let found = format!("{} and {}", show(cx.builder.shape(inputs[0])), show(other));
            return Err(cx.shape_error("the inputs differ outside the axis", found));
        }
        shape[axis] += other[axis];
    }
    let out = cx.builder.computed(dtype, shape.clone())?;
    let walked = strides(&shape);
    let mut steps = Vec::with_capacity(inputs.len());
    let mut start = 0;
    for &id in inputs {
        let own = cx.shape(id);
        let mut copy = Program::default();
        copy.load(dtype.repr());
        steps.extend(cx.builder.elementwise_step(&[id], &own, (out, start * walked[axis], walked.clone()), copy)?);
        start += long(own[axis]);
    }
    cx.builder.emit(steps, out);
    Ok(out)
}

/// A value with `value` around it; what is taken away where a pad is negative is left out.
pub(crate) fn padded(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    before: &[i64],
    after: &[i64],
    value: ValueId,
) -> Result<ValueId, ModelError> {
    let steps = vec![1; before.len()];
    pad_dilated(cx, x, before, after, &steps, value)
}

/// The same with `spacing[axis]` places from one element to the next.
pub(crate) fn pad_dilated(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    before: &[i64],
    after: &[i64],
    spacing: &[i64],
    value: ValueId,
) -> Result<ValueId, ModelError> {
    let (dtype, shape) = (cx.dtype(x), cx.shape(x));
    let (root, mut offset, own) = cx.builder.buffer_view(x);
    let mut target = Vec::with_capacity(shape.len());
    for (axis, &size) in shape.iter().enumerate() {
        let stretched = long(size).saturating_sub(1).saturating_mul(spacing[axis]) + i64::from(size > 0);
        let total = stretched.saturating_add(before[axis]).saturating_add(after[axis]);
        target.push(cx.size(total.max(0))?);
    }
    let out = cx.builder.computed(dtype, target.clone())?;
    let walked = strides(&target);
    let mut fill = Program::default();
    fill.load(dtype.repr());
    let mut steps: Vec<_> =
        cx.builder.elementwise_step(&[value], &target, (out, 0, walked.clone()), fill)?.into_iter().collect();
    // What of the input lies inside, and where it goes.
    let mut inner = shape.clone();
    let mut out_offset = 0;
    let mut walked_by = walked.clone();
    for axis in 0..shape.len() {
        let step = spacing[axis];
        let first = if before[axis] < 0 { before[axis].unsigned_abs().div_ceil(step.unsigned_abs()) } else { 0 };
        let first = to::<i64, _>(first);
        let room = long(target[axis]) - before[axis];
        let end = if room <= 0 { 0 } else { (room - 1) / step + 1 }.min(long(shape[axis]));
        inner[axis] = usize::try_from(end - first).unwrap_or(0);
        offset += first * own[axis];
        out_offset += (before[axis] + first * step) * walked[axis];
        walked_by[axis] = walked[axis] * step;
    }
    if !inner.contains(&0) {
        let from = cx.builder.view(dtype, inner.clone(), (root, offset, own))?;
        let mut copy = Program::default();
        copy.load(dtype.repr());
        steps.extend(cx.builder.elementwise_step(&[from], &inner, (out, out_offset, walked_by), copy)?);
    }
    cx.builder.emit(steps, out);
    Ok(out)
}

pub(crate) fn zero_scalar(cx: &mut NodeContext<'_, '_>, dtype: DType) -> Result<ValueId, ModelError> {
    cx.constant(&Tensor { dtype, shape: vec![], words: [0].into() })
}
