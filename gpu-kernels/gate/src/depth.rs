//! How deep a kernel nests. Compilers of devices recurse, each with a limit of its own, and some with none.

use std::collections::HashMap;

use naga::{Block, Function, Handle, Module, Span, Statement, TypeInner};

use crate::contract::entry_span;
use crate::error::GateError;

/// Types within types: WGSL's own limit.
const TYPES_MAX: u32 = 15;
/// Functions that call one another.
const CALLS_MAX: u32 = 64;
/// Blocks within blocks; a loop counts twice, since one is written around it.
const BLOCKS_MAX: u32 = 60;

pub(super) fn check(source: &str, module: &Module) -> Result<(), GateError> {
    check_types(source, module)?;
    let mut calls = HashMap::new();
    for (handle, function) in module.functions.iter() {
        let span = module.functions.get_span(handle);
        let depth = check_function(source, function, span, &calls)?;
        calls.insert(handle, depth);
    }
    for entry in &module.entry_points {
        check_function(source, &entry.function, entry_span(source, &entry.name), &calls)?;
    }
    Ok(())
}

fn refuse<T>(source: &str, span: Span, what: &str, most: u32) -> Result<T, GateError> {
    Err(GateError::at(source, span, format!("{what} more than {most} deep")))
}

/// Types stand after those that they hold.
fn check_types(source: &str, module: &Module) -> Result<(), GateError> {
    let mut depths = HashMap::new();
    for (handle, ty) in module.types.iter() {
        let depth = match &ty.inner {
            TypeInner::Array { base, .. } => 1 + depths.get(base).copied().unwrap_or(0),
            TypeInner::Struct { members, .. } => {
                let held = members.iter().map(|member| depths.get(&member.ty).copied().unwrap_or(0));
                1 + held.max().unwrap_or(0)
            }
            _ => 0,
        };
        if depth > TYPES_MAX {
            return refuse(source, module.types.get_span(handle), "types lie", TYPES_MAX);
        }
        depths.insert(handle, depth);
    }
    Ok(())
}

fn check_function(
    source: &str,
    function: &Function,
    at: Span,
    calls: &HashMap<Handle<Function>, u32>,
) -> Result<u32, GateError> {
    let mut called = 0;
    let mut blocks = vec![(&function.body, 1, at)];
    while let Some((block, depth, at)) = blocks.pop() {
        if depth > BLOCKS_MAX {
            return refuse(source, at, "blocks lie", BLOCKS_MAX);
        }
        for (statement, span) in block.span_iter() {
            let at = if span.is_defined() { *span } else { at };
            if let Statement::Call { function, .. } = statement {
                called = called.max(calls.get(function).copied().unwrap_or(0));
            }
            if called >= CALLS_MAX {
                return refuse(source, at, "functions call one another", CALLS_MAX);
            }
            let step = if matches!(statement, Statement::Loop { .. }) { 2 } else { 1 };
            blocks.extend(inner(statement).into_iter().map(|inner| (inner, depth + step, at)));
        }
    }
    Ok(called + 1)
}

fn inner(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    }
}
