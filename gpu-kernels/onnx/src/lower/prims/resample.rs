//! Weighted sums along an axis.

use gpu_kernels::kernels::{Call, resample, units_for};

use crate::error::ModelError;
use crate::ir::ValueId;
use crate::lower::at::At;
use crate::tensor::Tensor;

/// Each of `out` places along an axis as a weighted sum of others.
pub(crate) fn resample_axis(
    at: &mut At<'_, '_>,
    x: ValueId,
    axis: usize,
    out: usize,
    places: &[i64],
    weights: &[f32],
) -> Result<ValueId, ModelError> {
    let (shape, dtype) = (at.shape(x), at.dtype(x));
    let mut target = shape.clone();
    target[axis] = out;
    let table = at.constant_ints(vec![places.len()], places)?;
    let weights = at.constant(&Tensor::floats(vec![weights.len()], weights))?;
    let dense = at.b.dense(x)?;
    let root = at.b.root(dense);
    let result = at.b.computed(dtype, target.clone())?;
    let mut steps = Vec::new();
    if !target.contains(&0) {
        let len = u(target.iter().product());
        let params = resample::Params {
            start: 0,
            units: units_for(len),
            len,
            axis_in: u(shape[axis]),
            axis_out: u(out),
            inner: u(shape[axis + 1..].iter().product()),
            taps: u(places.len() / out),
        };
        steps.push(at.b.step(Call::Resample(params), vec![root, table, weights], result));
    }
    at.b.emit(steps, result);
    Ok(result)
}
