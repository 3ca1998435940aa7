//! One node to kernel calls, with shapes inferred and checked on the way, after the operator
//! definitions at <https://onnx.ai/onnx/operators/>.

pub(crate) mod context;
pub(crate) mod ops;
pub(crate) mod prims;
mod unroll;

use crate::builder::Builder;
use crate::error::ModelError;
use crate::graph::Node;
use crate::ir::ValueId;
use crate::lower::context::NodeContext;

/// Appends the calls of `node` and returns its outputs.
pub(crate) fn lower<'a>(builder: &mut Builder<'a>, node: &'a Node) -> Result<Vec<ValueId>, ModelError> {
    let lower = ops::find(&node.op).ok_or_else(|| ops::unsupported(&node.name, &node.op))?;
    let mut cx = NodeContext::new(builder, node);
    let outputs = lower(&mut cx)?;
    cx.finish()?;
    Ok(outputs)
}
