//! What a plan is made of: values, and the kernel calls that compute them. Data alone; whoever makes, changes
//! or runs a plan stands in a file of its own.

use std::sync::Arc;

use gpu_kernels::dtype::DType;
use gpu_kernels::kernels::Call;
use gpu_kernels::number::to;

use crate::f16_constants::F16Constants;

/// Index of a [`Value`] in [`Plan::values`].
pub type ValueId = usize;

#[derive(Debug)]
pub struct Plan {
    pub values: Vec<Value>,
    pub steps: Vec<Step>,
    /// What is fed and not known before the run, in order.
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// For each of those, whether all rows share it.
    pub shared: Vec<bool>,
    pub(crate) f16_constants: Arc<F16Constants>,
}

/// A tensor of the plan.
#[derive(Clone, Debug)]
pub struct Value {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub kind: ValueKind,
}

#[derive(Clone, Debug)]
pub enum ValueKind {
    Input(usize),
    Constant(Arc<[u32]>),
    Computed,
    /// Some of another value's data, which is itself no view.
    View {
        root: ValueId,
        offset: i64,
        strides: Vec<i64>,
    },
}

/// One kernel call. Several may write one output together, each its part, in order.
#[derive(Clone, Debug)]
pub struct Step {
    pub call: Call,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
    /// The node it comes from.
    pub node: usize,
}

impl Value {
    /// Number of values; shapes were checked when the plan was made.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Elements to step for each axis of a contiguous tensor.
pub(crate) fn strides(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * long(shape[i].max(1));
    }
    strides
}

pub(crate) fn long(size: usize) -> i64 {
    to(size)
}

/// The shape that numpy's broadcasting gives.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect()
}

/// How an iteration goes over a buffer: an offset, and a stride an axis.
pub(crate) type Layout = (i64, Vec<i64>);

/// Where elements lie in a buffer: the value that owns it, an offset and a stride an axis.
pub(crate) type BufferView = (ValueId, i64, Vec<i64>);

impl Plan {
    pub fn flops(&self) -> u64 {
        self.steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.call.flops()))
    }

    /// The value whose data `id` shows: itself, or what it is a view of.
    pub fn root(&self, id: ValueId) -> ValueId {
        match self.values[id].kind {
            ValueKind::View { root, .. } => root,
            ValueKind::Input(_) | ValueKind::Constant(_) | ValueKind::Computed => id,
        }
    }
}
