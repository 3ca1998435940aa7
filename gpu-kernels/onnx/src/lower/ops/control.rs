//! Control flow that is decided while the plan is made: the branch that is taken, and each iteration of a loop.

use gpu_kernels::dtype::DType;

use crate::error::{ModelError, show};
use crate::graph::Body;
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::copies::concat_along;
use crate::lower::prims::views::{slice_axis, squeeze_axes, unsqueeze_axes};
use crate::tensor::Tensor;

pub(crate) fn branch(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (then, otherwise) = (cx.body("then_branch")?, cx.body("else_branch")?);
    let taken = known_flag(cx, 0)?.unwrap_or(false);
    cx.unroll(if taken { then } else { otherwise }, &[])
}

/// An input that is a known condition; none where it was left out.
fn known_flag(cx: &mut NodeContext<'_, '_>, i: usize) -> Result<Option<bool>, ModelError> {
    Ok(cx.known_ints(i)?.and_then(|flag| flag.first().copied()).map(|flag| flag != 0))
}

pub(crate) fn repeat(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let body = cx.body("body")?;
    let turns = cx.known_ints(0)?.and_then(|turns| turns.first().copied());
    let mut goes_on = known_flag(cx, 1)?.unwrap_or(true);
    let mut carried = (2..cx.node.inputs.len()).map(|i| cx.tensor_or_list(i)).collect::<Result<Vec<_>, _>>()?;
    let carries = carried.len();
    check_arity(cx, body, carries + 2, carries + 1)?;
    let mut kept: Vec<Vec<ValueId>> = vec![Vec::new(); body.outputs.len() - 1 - carries];
    let mut turn = 0;
    while goes_on && turns.is_none_or(|turns| turn < turns) {
        let number = cx.constant_ints(vec![], &[turn])?;
        let flag = cx.constant(&Tensor { dtype: DType::Bool, shape: vec![], words: [1].into() })?;
        let mut inputs = vec![number, flag];
        inputs.append(&mut carried);
        let mut outputs = cx.unroll(body, &inputs)?.into_iter();
        let condition = outputs.next().and_then(|id| cx.builder.known_ints(id)?.first().copied());
        let unknown = || ModelError::NotConstant { node: cx.node.name.clone(), tensor: body.outputs[0].clone() };
        goes_on = condition.ok_or_else(unknown)? != 0;
        carried = outputs.by_ref().take(carries).collect();
        kept.iter_mut().zip(outputs).for_each(|(kept, output)| kept.push(output));
        turn += 1;
    }
    for kept in kept {
        let all = stacked(cx, &kept, 0, false)?;
        carried.push(all);
    }
    Ok(carried)
}

pub(crate) fn scan(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    if cx.opset < 9 {
        return Err(cx.unsupported_attribute("num_scan_inputs", "Scan is read from operator set 9 on"));
    }
    let body = cx.body("body")?;
    let inputs = cx.inputs()?;
    let walked = cx.size(cx.int("num_scan_inputs", 0))?;
    let carries = inputs
        .len()
        .checked_sub(walked)
        .ok_or_else(|| cx.unsupported_attribute("num_scan_inputs", "the node has fewer inputs"))?;
    check_arity(cx, body, inputs.len(), carries)?;
    let made = body.outputs.len() - carries;
    let (input_axes, output_axes) = (cx.ints("scan_input_axes"), cx.ints("scan_output_axes"));
    let (forwards, output_forwards) = (cx.ints("scan_input_directions"), cx.ints("scan_output_directions"));
    let entry = |list: &Option<Vec<i64>>, i: usize| list.as_ref().and_then(|list| list.get(i)).copied().unwrap_or(0);
    let mut lines = Vec::with_capacity(walked);
    let mut turns = None;
    for (i, &id) in inputs[carries..].iter().enumerate() {
        let rank = cx.shape(id).len();
        let axis = cx.axis(entry(&input_axes, i), rank, rank)?;
        let size = cx.shape(id)[axis];
        if *turns.get_or_insert(size) != size {
            return Err(cx.shape_error("all inputs that are walked must have one length", show(&cx.shape(id))));
        }
        lines.push((id, axis, entry(&forwards, i) != 0));
    }
    let turns = turns.unwrap_or(0);
    let mut carried = inputs[..carries].to_vec();
    let mut kept: Vec<Vec<ValueId>> = vec![Vec::new(); made];
    for turn in 0..turns {
        for &(id, axis, backwards) in &lines {
            let place = if backwards { turns - 1 - turn } else { turn };
            let one = slice_axis(cx, id, axis, place, 1)?;
            carried.push(squeeze_axes(cx, one, &[axis])?);
        }
        let mut outputs = cx.unroll(body, &carried)?.into_iter();
        carried = outputs.by_ref().take(carries).collect();
        kept.iter_mut().zip(outputs).for_each(|(kept, output)| kept.push(output));
    }
    for (i, kept) in kept.iter().enumerate() {
        let all = stacked(cx, kept, entry(&output_axes, i), entry(&output_forwards, i) != 0)?;
        carried.push(all);
    }
    Ok(carried)
}

fn check_arity(cx: &NodeContext<'_, '_>, body: &Body, inputs: usize, outputs: usize) -> Result<(), ModelError> {
    if body.inputs.len() == inputs && body.outputs.len() >= outputs {
        return Ok(());
    }
    let found = format!("{} inputs and {} outputs", body.inputs.len(), body.outputs.len());
    Err(cx.shape_error("the body does not take and give what its node does", found))
}

/// The outputs of all iterations, stacked along a new axis.
fn stacked(cx: &mut NodeContext<'_, '_>, turns: &[ValueId], axis: i64, backwards: bool) -> Result<ValueId, ModelError> {
    let Some(&first) = turns.first() else {
        return Err(cx.shape_error("a loop that never turns has no shape for what it gathers", "no turn"));
    };
    let rank = cx.shape(first).len() + 1;
    let axis = cx.axis(axis, rank, rank)?;
    let mut parts = turns.iter().map(|&id| unsqueeze_axes(cx, id, &[axis])).collect::<Result<Vec<_>, _>>()?;
    if backwards {
        parts.reverse();
    }
    concat_along(cx, &parts, axis)
}
