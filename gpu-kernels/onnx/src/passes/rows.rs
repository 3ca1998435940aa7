//! Which tensors can be computed row by row.
//!
//! A tensor holds *rows* when every `inner` values in a row belong to one batch row, the next ones to the next,
//! and so on round and round: where the batch comes first `inner` is all that a row has, further in it is
//! what follows the batch. Whether a kernel call keeps to that is read off the strides by which it walks
//! its operands ([`AccessFootprint`]), so no operator needs a rule of its own, unless it answers with places.

use std::collections::HashMap;

use gpu_kernels::kernels::{Access, AccessFootprint, Call, pool};
use gpu_kernels::number::to;

use crate::ir::{Plan, Step, Value, ValueKind, long};

/// How a tensor relates to the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The same for every row.
    Shared,
    /// Value `i` depends on row `i / inner % batch` alone.
    Separate { inner: i64 },
    /// Some value depends on more than one row, first at this node.
    Mixed(usize),
}

/// The rows of every value of a plan for `batch` rows. Two rows at least, or nothing can be told.
pub(crate) fn of_plan(plan: &Plan, batch: usize) -> Vec<Rows> {
    let whole = |value: &Value| Rows::Separate { inner: long(value.len() / batch) };
    let mut rows: Vec<Rows> = plan
        .values
        .iter()
        .map(|value| match value.kind {
            ValueKind::Input(index) if !plan.shared[index] => whole(value),
            _ => Rows::Shared,
        })
        .collect();
    // Parts of a value that are the same for all rows, as long as no part tells how its rows lie.
    let mut undecided: HashMap<usize, Vec<&Step>> = HashMap::new();
    for step in &plan.steps {
        let before = rows[step.output];
        let found = RowPropagation { plan, batch: long(batch), step, footprint: step.call.footprint() }.rows(&rows);
        rows[step.output] = join(before, found, step.node);
        match (rows[step.output], found) {
            (Rows::Shared, _) => undecided.entry(step.output).or_default().push(step),
            (separate @ Rows::Separate { .. }, _) => {
                let here = (found == Rows::Shared).then_some(step);
                for part in undecided.remove(&step.output).unwrap_or_default().into_iter().chain(here) {
                    let own = RowPropagation { plan, batch: long(batch), step: part, footprint: part.call.footprint() };
                    if !own.is_uniform_over(separate) {
                        rows[step.output] = Rows::Mixed(part.node);
                    }
                }
            }
            (Rows::Mixed(_), _) => {}
        }
    }
    rows
}

fn join(a: Rows, b: Rows, node: usize) -> Rows {
    match (a, b) {
        (Rows::Mixed(node), _) | (_, Rows::Mixed(node)) => Rows::Mixed(node),
        (Rows::Shared, other) | (other, Rows::Shared) => other,
        (a, b) if a == b => a,
        _ => Rows::Mixed(node),
    }
}

/// The axis along which an iteration goes from one batch row to the next, every `share` steps.
#[derive(Clone, Copy)]
struct BatchAxis {
    axis: usize,
    share: i64,
}

/// The axes of an iteration that may step through the batch rows of a tensor in which each batch row has
/// `inner` values on end.
fn batch_axes(access: &Access, inner: i64) -> impl Iterator<Item = BatchAxis> {
    let steps = access.strides.iter().enumerate().filter(move |(_, stride)| **stride > 0 && inner % **stride == 0);
    steps.map(move |(axis, stride)| BatchAxis { axis, share: inner / stride })
}

/// How one call hands the rows of its inputs on to its output.
struct RowPropagation<'a> {
    plan: &'a Plan,
    batch: i64,
    step: &'a Step,
    footprint: AccessFootprint,
}

impl RowPropagation<'_> {
    /// How the call's output lies, where its inputs lie so.
    fn rows(&self, rows: &[Rows]) -> Rows {
        let mut separate = None;
        for (&id, access) in self.step.inputs.iter().zip(&self.footprint.inputs) {
            match rows[id] {
                Rows::Mixed(node) => return Rows::Mixed(node),
                Rows::Separate { inner } => separate = separate.or(Some((access, inner))),
                Rows::Shared => {}
            }
        }
        let Some((access, inner)) = separate else { return Rows::Shared };
        // A place in the whole tensor counts the rows before it; no stride tells.
        if matches!(&self.step.call, Call::Pool(call) if call.mode == pool::Mode::ArgMax) {
            return Rows::Mixed(self.step.node);
        }
        batch_axes(access, inner)
            .find_map(|batch_axis| self.output_along(batch_axis, rows))
            .map_or(Rows::Mixed(self.step.node), |inner| Rows::Separate { inner })
    }

    /// How the output lies along this axis, if every operand goes along with it.
    fn output_along(&self, batch_axis: BatchAxis, rows: &[Rows]) -> Option<i64> {
        for (&id, access) in self.step.inputs.iter().zip(&self.footprint.inputs) {
            let value = &self.plan.values[id];
            let keeps = match rows[id] {
                Rows::Separate { inner } => self.keeps(access, long(value.len()), batch_axis) == Some(inner),
                Rows::Shared => self.is_uniform(value, access, batch_axis),
                Rows::Mixed(_) => false,
            };
            if !keeps {
                return None;
            }
        }
        self.keeps(&self.footprint.output, long(self.plan.values[self.step.output].len()), batch_axis)
    }

    /// The `inner` of a tensor of `len` values, if iterations along this axis touch the values of one batch row
    /// each; `None` where one touches several rows.
    fn keeps(&self, access: &Access, len: i64, BatchAxis { axis, share }: BatchAxis) -> Option<i64> {
        let along = access.strides[axis];
        let inner = along.checked_mul(share).filter(|inner| *inner > 0)?;
        let period = inner.checked_mul(self.batch)?;
        let round = share.checked_mul(self.batch)?;
        if len % period != 0 || long(self.footprint.shape[axis]) % round != 0 {
            return None;
        }
        let mut low = access.offset.rem_euclid(period);
        let mut high = low + along * (share - 1);
        let others = self.footprint.shape.iter().zip(&access.strides).enumerate().filter(|(other, _)| *other != axis);
        let others = others.map(|(_, (&size, &stride))| (long(size), stride));
        let spreads = access.spreads.iter().map(|&(count, stride)| (i64::try_from(count).unwrap_or(i64::MAX), stride));
        for (size, stride) in others.chain(spreads) {
            // A whole number of rounds leads to the same row.
            if stride % period != 0 {
                let span = size.saturating_sub(1).saturating_mul(stride);
                low = low.saturating_add(span.min(0));
                high = high.saturating_add(span.max(0));
            }
        }
        (low >= 0 && high < inner).then_some(inner)
    }

    /// Whether a tensor that no row made gives every row the same: it does not move with the rows, or
    /// holds the same values for each.
    fn is_uniform(&self, value: &Value, access: &Access, batch_axis: BatchAxis) -> bool {
        if access.strides[batch_axis.axis] == 0 {
            return true;
        }
        let ValueKind::Constant(words) = &value.kind else { return false };
        let Some(inner) =
            self.keeps(access, long(words.len()), batch_axis).and_then(|inner| usize::try_from(inner).ok())
        else {
            return false;
        };
        let batch = to::<usize, _>(self.batch);
        words.chunks(inner * batch).all(|round| round.chunks(inner).all(|row| row == &round[..inner]))
    }

    /// Whether a call whose inputs no row made writes the same for every row of an output that lies so.
    fn is_uniform_over(&self, output: Rows) -> bool {
        let Rows::Separate { inner } = output else { return false };
        let access = &self.footprint.output;
        let len = long(self.plan.values[self.step.output].len());
        let is_same = |batch_axis: BatchAxis| {
            self.keeps(access, len, batch_axis) == Some(inner)
                && self
                    .step
                    .inputs
                    .iter()
                    .zip(&self.footprint.inputs)
                    .all(|(&id, access)| self.is_uniform(&self.plan.values[id], access, batch_axis))
        };
        batch_axes(access, inner).any(is_same)
    }
}
