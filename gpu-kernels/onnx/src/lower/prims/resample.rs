//! Weighted sums along an axis.

use gpu_kernels::kernels::{Call, resample, units_for};
use gpu_kernels::number::to;

use crate::error::ModelError;
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::tensor::Tensor;

/// Each of `out` places along an axis as a weighted sum of others.
pub(crate) fn resample_axis(
    cx: &mut NodeContext<'_, '_>,
    x: ValueId,
    axis: usize,
    out: usize,
    places: &[i64],
    weights: &[f32],
) -> Result<ValueId, ModelError> {
    let (shape, dtype) = (cx.shape(x), cx.dtype(x));
    let mut target = shape.clone();
    target[axis] = out;
    let table = cx.constant_ints(vec![places.len()], places)?;
    let weights = cx.constant(&Tensor::floats(vec![weights.len()], weights))?;
    let dense = cx.builder.dense(x)?;
    let root = cx.builder.root(dense);
    let result = cx.builder.computed(dtype, target.clone())?;
    let mut steps = Vec::new();
    if !target.contains(&0) {
        let len = to(target.iter().product::<usize>());
        let params = resample::Params {
            start: 0,
            units: units_for(len),
            len,
            axis_in: to(shape[axis]),
            axis_out: to(out),
            inner: to(shape[axis + 1..].iter().product::<usize>()),
            taps: to(places.len() / out),
        };
        steps.push(cx.builder.step(Call::Resample(params), vec![root, table, weights], result));
    }
    cx.builder.emit(steps, result);
    Ok(result)
}
