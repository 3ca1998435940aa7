//! Which tensors can be computed row by row.
//!
//! A tensor holds *rows* when its data is one equal, contiguous chunk a batch row, and each chunk
//! depends on that row alone. Whether a kernel call keeps to that is read off the strides by which
//! it walks its operands ([`Reach`]), so no operator needs a rule of its own.

use super::plan::{Plan, Source, Value};
use crate::kernels::{Access, Reach};

/// How a tensor relates to the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// The same for every batch.
    Same,
    Apart,
    /// Some value depends on more than one row, first at this node.
    Mixed(usize),
}

/// The rows of every value of a plan for `batch` rows. Two rows at least, or nothing can be told.
pub(super) fn of_plan(plan: &Plan, batch: usize) -> Vec<Rows> {
    let mut rows: Vec<Rows> = plan
        .values
        .iter()
        .map(|value| match value.source {
            Source::Input(index) if !plan.shared[index] => Rows::Apart,
            _ => Rows::Same,
        })
        .collect();
    for step in &plan.steps {
        let reach = step.call.reach();
        let apart = step.inputs.iter().any(|&id| rows[id] == Rows::Apart);
        let mut found = Rows::Same;
        for (&id, access) in step.inputs.iter().zip(&reach.inputs) {
            let kept = match rows[id] {
                Rows::Apart if !keeps(&reach, access, plan.values[id].len(), batch) => Rows::Mixed(step.node),
                // A tensor that is no row's own may still differ along the rows it is put against.
                Rows::Same if apart && !is_uniform(&plan.values[id], &reach, access, batch) => Rows::Mixed(step.node),
                kept => kept,
            };
            found = join(found, kept);
        }
        // What is the same for all rows may be written anywhere; rows must stay in their chunk.
        if found == Rows::Apart && !keeps(&reach, &reach.output, plan.values[step.output].len(), batch) {
            found = Rows::Mixed(step.node);
        }
        rows[step.output] = join(rows[step.output], found);
    }
    rows
}

fn join(a: Rows, b: Rows) -> Rows {
    match (a, b) {
        (Rows::Mixed(node), _) | (_, Rows::Mixed(node)) => Rows::Mixed(node),
        (Rows::Apart, _) | (_, Rows::Apart) => Rows::Apart,
        (Rows::Same, Rows::Same) => Rows::Same,
    }
}

/// The axis along which the iteration goes from row to row, with the iterations of one row.
fn leading(reach: &Reach, batch: usize) -> Option<(usize, i64)> {
    let axis = reach.shape.iter().position(|&size| size > 1)?;
    let size = reach.shape[axis];
    size.is_multiple_of(batch).then(|| (axis, i64::try_from(size / batch).unwrap_or(i64::MAX)))
}

/// Whether the iterations of one row touch that row's chunk alone.
fn keeps(reach: &Reach, access: &Access, len: usize, batch: usize) -> bool {
    if !len.is_multiple_of(batch) {
        return false;
    }
    let chunk = i64::try_from(len / batch).unwrap_or(i64::MAX);
    let Some((axis, share)) = leading(reach, batch) else { return false };
    let along = access.strides[axis];
    if along.saturating_mul(share) != chunk {
        return false;
    }
    let mut low = access.offset + access.low + (along * (share - 1)).min(0);
    let mut high = access.offset + access.high + (along * (share - 1)).max(0);
    for (i, (&size, &stride)) in reach.shape.iter().zip(&access.strides).enumerate() {
        if i != axis {
            let span = i64::try_from(size).unwrap_or(i64::MAX).saturating_sub(1).saturating_mul(stride);
            low += span.min(0);
            high += span.max(0);
        }
    }
    low >= 0 && high < chunk
}

/// Whether a tensor that no row made gives every row the same: it does not move with the rows, or
/// holds the same chunk for each.
fn is_uniform(value: &Value, reach: &Reach, access: &Access, batch: usize) -> bool {
    let Some((axis, _)) = leading(reach, batch) else { return true };
    if access.strides[axis] == 0 {
        return true;
    }
    let Source::Constant(words) = &value.source else {
        return false;
    };
    if !keeps(reach, access, words.len(), batch) {
        return false;
    }
    let chunk = words.len() / batch;
    chunk == 0 || words.chunks(chunk).all(|row| row == &words[..chunk])
}
