//! A `continue` skips no `let` that the loop's `continuing` reads: WGSL forbids it, naga does not look, and such a value is none.

use std::collections::HashSet;

use naga::{Block, Expression, Function, Handle, Module, Statement};

use crate::error::GateError;
use crate::operands::map_operands;

pub(super) fn check(source: &str, module: &Module) -> Result<(), GateError> {
    let functions = module.functions.iter().map(|(_, function)| function);
    functions
        .chain(module.entry_points.iter().map(|entry| &entry.function))
        .try_for_each(|function| check_block(source, function, &function.body))
}

fn check_block(source: &str, function: &Function, block: &Block) -> Result<(), GateError> {
    for statement in block {
        match statement {
            Statement::Loop { body, continuing, break_if } => {
                let mut skipped = HashSet::new();
                note_skipped(body, &mut false, &mut skipped);
                if !skipped.is_empty() {
                    let mut read: Vec<_> = break_if.iter().copied().collect();
                    note_read(function, continuing, &mut read);
                    if let Some(handle) = read.into_iter().find(|handle| skipped.contains(handle)) {
                        let message = "a `continue` skips this `let`, which the loop's `continuing` reads; use a `var` that is \
                                       declared before the `continue`";
                        return Err(GateError::at(source, function.expressions.get_span(handle), message));
                    }
                }
                check_block(source, function, body)?;
                check_block(source, function, continuing)?;
            }
            Statement::Block(inner) => check_block(source, function, inner)?,
            Statement::If { accept, reject, .. } => {
                check_block(source, function, accept)?;
                check_block(source, function, reject)?;
            }
            Statement::Switch { cases, .. } => {
                cases.iter().try_for_each(|case| check_block(source, function, &case.body))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is computed behind the first `continue` of a loop. Those of loops inside are their own.
fn note_skipped(block: &Block, is_behind: &mut bool, skipped: &mut HashSet<Handle<Expression>>) {
    for statement in block {
        match statement {
            Statement::Continue => *is_behind = true,
            Statement::Emit(range) if *is_behind => skipped.extend(range.clone()),
            Statement::Call { result: Some(result), .. } if *is_behind => drop(skipped.insert(*result)),
            Statement::Block(inner) => note_skipped(inner, is_behind, skipped),
            Statement::If { accept, reject, .. } => {
                let before = *is_behind;
                note_skipped(accept, is_behind, skipped);
                let behind_accept = std::mem::replace(is_behind, before);
                note_skipped(reject, is_behind, skipped);
                *is_behind |= behind_accept;
            }
            Statement::Switch { cases, .. } => {
                cases.iter().for_each(|case| note_skipped(&case.body, is_behind, skipped));
            }
            _ => {}
        }
    }
}

/// What statements read that is computed elsewhere.
fn note_read(function: &Function, block: &Block, read: &mut Vec<Handle<Expression>>) {
    for statement in block {
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    map_operands(&function.expressions[handle], |operand| {
                        read.push(operand);
                        operand
                    });
                }
            }
            Statement::Store { pointer, value } => read.extend([*pointer, *value]),
            Statement::Call { arguments, .. } => read.extend(arguments),
            Statement::Block(inner) => note_read(function, inner, read),
            Statement::If { condition, accept, reject } => {
                read.push(*condition);
                note_read(function, accept, read);
                note_read(function, reject, read);
            }
            Statement::Switch { selector, cases } => {
                read.push(*selector);
                cases.iter().for_each(|case| note_read(function, &case.body, read));
            }
            Statement::Loop { body, continuing, break_if } => {
                read.extend(break_if);
                note_read(function, body, read);
                note_read(function, continuing, read);
            }
            _ => {}
        }
    }
}
