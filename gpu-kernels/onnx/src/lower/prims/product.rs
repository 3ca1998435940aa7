//! numpy's matrix product.

use gpu_kernels::kernels::{Call, elementwise, matmul as kernel};
use gpu_kernels::number::to;

use crate::error::{ModelError, show};
use crate::ir::{ValueId, broadcast};
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::{wrapped, wraps};
use crate::lower::prims::copies::zero_scalar;
use crate::lower::prims::views::{broadcast_to, squeeze_axes, unsqueeze_axes};

/// numpy's product of two stacks of matrices; a vector is a row on the left, a column on the right.
pub(crate) fn multiply(cx: &mut NodeContext<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId, ModelError> {
    let (rank_a, rank_b) = (cx.shape(a).len(), cx.shape(b).len());
    if rank_a == 0 || rank_b == 0 {
        return Err(cx.shape_error(
            "a matrix product needs an axis",
            format!("{} and {}", show(&cx.shape(a)), show(&cx.shape(b))),
        ));
    }
    let left = if rank_a == 1 { unsqueeze_axes(cx, a, &[0])? } else { a };
    let right = if rank_b == 1 { unsqueeze_axes(cx, b, &[1])? } else { b };
    let product = matrices(cx, left, right)?;
    let rank = cx.shape(product).len();
    let product = if rank_b == 1 { squeeze_axes(cx, product, &[rank - 1])? } else { product };
    if rank_a == 1 {
        let rank = cx.shape(product).len();
        return squeeze_axes(cx, product, &[rank - if rank_b == 1 { 1 } else { 2 }]);
    }
    Ok(product)
}

/// Where an operand's matrices lie.
pub(crate) struct Operand {
    pub(crate) root: ValueId,
    pub(crate) offset: i64,
    /// By batch axis.
    pub(crate) batch: Vec<i64>,
    pub(crate) row: i64,
    pub(crate) col: i64,
}

pub(crate) fn operand(cx: &mut NodeContext<'_, '_>, x: ValueId, batch: &[usize]) -> Result<Operand, ModelError> {
    let shape = cx.shape(x);
    let mut target = batch.to_vec();
    target.extend_from_slice(&shape[shape.len() - 2..]);
    let place = cx.builder.broadcast_view(x, &target);
    let (root, offset, mut walked) =
        place.ok_or_else(|| cx.shape_error("the batches of a product do not broadcast", show(&shape)))?;
    if offset < 0 || walked.iter().any(|&stride| stride < 0) {
        let dense = cx.builder.dense(x)?;
        return operand(cx, dense, batch);
    }
    let col = walked.pop().unwrap_or(0);
    let row = walked.pop().unwrap_or(0);
    Ok(Operand { root, offset, batch: walked, row, col })
}

pub(crate) fn matrices(cx: &mut NodeContext<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId, ModelError> {
    let (shape_a, shape_b) = (cx.shape(a), cx.shape(b));
    let (dims_a, dims_b) = (shape_a.len(), shape_b.len());
    let [m, k] = [shape_a[dims_a - 2], shape_a[dims_a - 1]];
    let [inner, n] = [shape_b[dims_b - 2], shape_b[dims_b - 1]];
    let batch = broadcast(&shape_a[..dims_a - 2], &shape_b[..dims_b - 2]);
    let Some(batch) = batch.filter(|_| inner == k) else {
        return Err(cx.shape_error("the matrices do not fit", format!("{} times {}", show(&shape_a), show(&shape_b))));
    };
    let dtype = cx.dtype(a);
    let mut target = batch.clone();
    target.extend([m, n]);
    let (left, right) = (operand(cx, a, &batch)?, operand(cx, b, &batch)?);
    let out = cx.builder.computed(dtype, target.clone())?;
    if target.contains(&0) {
        cx.builder.emit(Vec::new(), out);
        return Ok(out);
    }
    if k == 0 {
        let zero = zero_scalar(cx, dtype)?;
        return broadcast_to(cx, zero, target);
    }
    let (merged, layouts) =
        elementwise::merge(&batch, &[(left.offset, left.batch.clone()), (right.offset, right.batch.clone())]);
    if merged.len() > 2 {
        // Batches that no two strides walk are copied out first.
        let (a, b) = (spread_dense(cx, a, &batch)?, spread_dense(cx, b, &batch)?);
        return matrices(cx, a, b);
    }
    let params = params(&merged, &layouts, &left, &right, [m, n, k]);
    let params = params.ok_or_else(|| cx.shape_error("the matrices are too large", show(&target)))?;
    let call = kernel::Matmul { repr: dtype.repr(), params };
    let root = left.root;
    let step = cx.builder.step(Call::Matmul(call), vec![left.root, right.root, root], out);
    cx.builder.emit(vec![step], out);
    if wraps(dtype) { cx.elementwise(&[out], dtype, |p, r| wrapped(p, r[0], dtype)) } else { Ok(out) }
}

fn spread_dense(cx: &mut NodeContext<'_, '_>, x: ValueId, batch: &[usize]) -> Result<ValueId, ModelError> {
    let shape = cx.shape(x);
    let mut target = batch.to_vec();
    target.extend_from_slice(&shape[shape.len() - 2..]);
    let spread = broadcast_to(cx, x, target)?;
    cx.builder.dense(spread)
}

pub(crate) fn params(
    batch: &[usize],
    layouts: &[(i64, Vec<i64>)],
    left: &Operand,
    right: &Operand,
    [m, n, k]: [usize; 3],
) -> Option<kernel::Params> {
    let narrow = |value: i64| u32::try_from(value).ok();
    let (outer, inner) = match batch[..] {
        [one] => (1, one),
        [outer, inner] => (outer, inner),
        _ => return None,
    };
    let stride = |layout: &(i64, Vec<i64>)| match layout.1[..] {
        [one] => Some((0, narrow(one)?)),
        [outer, inner] => Some((narrow(outer)?, narrow(inner)?)),
        _ => None,
    };
    let ((a_outer, a_batch), (b_outer, b_batch)) = (stride(&layouts[0])?, stride(&layouts[1])?);
    let mut params = kernel::Params {
        a_offset: narrow(left.offset)?,
        a_batch,
        a_row: narrow(left.row)?,
        a_col: narrow(left.col)?,
        b_offset: narrow(right.offset)?,
        b_batch,
        b_row: narrow(right.row)?,
        b_col: narrow(right.col)?,
        inner: to(inner),
        a_outer,
        b_outer,
        ..kernel::Params::contiguous(to(outer * inner), to(m), to(n), to(k))
    };
    // A stack of matrices against one is one tall matrix.
    if outer == 1 && inner > 1 && b_batch == 0 && u64::from(a_batch) == u64::from(params.a_row) * u64::from(params.m) {
        let tall = kernel::Params::contiguous(1, to(inner * m), to(n), to(k));
        params = kernel::Params { batch: 1, inner: 1, m: tall.m, units: tall.units, ..params };
    }
    Some(params)
}
