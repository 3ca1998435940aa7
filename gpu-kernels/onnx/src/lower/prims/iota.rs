//! Counting along an axis.

use crate::error::ModelError;
use crate::ir::{ValueId, long};
use crate::lower::context::NodeContext;

/// A list of whole numbers from 0 along one axis of a shape of `rank` axes.
pub(crate) fn iota(cx: &mut NodeContext<'_, '_>, len: usize, axis: usize, rank: usize) -> Result<ValueId, ModelError> {
    cx.check_table(Some(len))?;
    let values: Vec<i64> = (0..long(len)).collect();
    let mut shape = vec![1; rank];
    if let Some(size) = shape.get_mut(axis) {
        *size = len;
    }
    cx.constant_ints(shape, &values)
}
