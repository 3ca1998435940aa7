//! What Mesa's Vulkan on processors computes wrongly, or compiles for minutes.

use std::collections::HashMap;

use naga::{Block, Expression, Function, Handle, Module, Span, Statement, Type, TypeInner};

use crate::contract::entry_span;
use crate::error::GateError;

/// Conditions within conditions, of the 80 that it keeps: the gate writes a few around the customer's.
const CONDITIONS_MAX: u32 = 72;
/// Where there is room for those of a loop that is written several times in a row: at most 32.
const FLAT: u32 = 40;
/// Words of an array whose elements are computed: one of twice as many takes four times as long to compile, and this one some
/// twenty seconds.
const ARRAY_WORDS_MAX: u32 = 1024;

/// Whether conditions lie so flat that loops may be written several times in a row.
pub(super) fn check(source: &str, module: &Module) -> Result<bool, GateError> {
    let mut conditions = Conditions { of_functions: HashMap::new() };
    let mut deepest = 0;
    for (handle, function) in module.functions.iter() {
        let depth = conditions.of_function(function);
        deepest = deepest.max(depth);
        conditions.of_functions.insert(handle, depth);
        check_depth(source, module.functions.get_span(handle), depth)?;
        check_arrays(source, module, function)?;
    }
    for entry in &module.entry_points {
        let depth = conditions.of_function(&entry.function);
        deepest = deepest.max(depth);
        check_depth(source, entry_span(source, &entry.name), depth)?;
        check_arrays(source, module, &entry.function)?;
    }
    let private = module.global_variables.iter().filter(|(_, variable)| variable.space == naga::AddressSpace::Private);
    for (handle, variable) in private {
        check_array(source, module, module.global_variables.get_span(handle), variable.ty)?;
    }
    Ok(deepest <= FLAT)
}

fn check_depth(source: &str, at: Span, depth: u32) -> Result<(), GateError> {
    if depth <= CONDITIONS_MAX {
        return Ok(());
    }
    let message = format!(
        "conditions lie {depth} deep for this device's driver, llvmpipe, which forgets those beyond {CONDITIONS_MAX}: each case \
         of a `switch` counts, and what stands behind a branch with a `return`, `break` or `continue`"
    );
    Err(GateError::at(source, at, message))
}

fn check_arrays(source: &str, module: &Module, function: &Function) -> Result<(), GateError> {
    for (handle, variable) in function.local_variables.iter() {
        check_array(source, module, function.local_variables.get_span(handle), variable.ty)?;
    }
    for (handle, expression) in function.expressions.iter() {
        // A constant whose element is computed is kept as a variable.
        if let Expression::Access { base, .. } = expression
            && let Expression::Constant(constant) = function.expressions[*base]
        {
            check_array(source, module, function.expressions.get_span(handle), module.constants[constant].ty)?;
        }
    }
    Ok(())
}

fn check_array(source: &str, module: &Module, at: Span, ty: Handle<Type>) -> Result<(), GateError> {
    let words = module.types[ty].inner.size(module.to_ctx()).div_ceil(4);
    if words <= ARRAY_WORDS_MAX || matches!(module.types[ty].inner, TypeInner::Scalar(_)) {
        return Ok(());
    }
    let message = format!(
        "an array of {words} words takes this device's driver, llvmpipe, minutes to compile; at most {ARRAY_WORDS_MAX}"
    );
    Err(GateError::at(source, at, message))
}

/// How deep conditions lie once the driver has brought a function into a form without jumps, where everything behind a branch
/// that some leave stands inside a condition. Functions stand after those that they call, and are written where they are called.
struct Conditions {
    of_functions: HashMap<Handle<Function>, u32>,
}

impl Conditions {
    fn of_function(&self, function: &Function) -> u32 {
        self.of_block(&function.body, 0)
    }

    fn of_block(&self, block: &Block, mut depth: u32) -> u32 {
        let mut deepest = depth;
        for statement in block {
            let inside = match statement {
                Statement::Block(inner) => self.of_block(inner, depth),
                Statement::If { accept, reject, .. } => {
                    self.of_block(accept, depth + 1).max(self.of_block(reject, depth + 1))
                }
                Statement::Switch { cases, .. } => {
                    let of_cases = (1..).zip(cases).map(|(nth, case)| self.of_block(&case.body, depth + nth));
                    of_cases.max().unwrap_or(depth)
                }
                // The gate asks for fuel first.
                Statement::Loop { body, continuing, .. } => {
                    self.of_block(body, depth + 2).max(self.of_block(continuing, depth + 2))
                }
                Statement::Call { function, .. } => depth + self.of_functions.get(function).copied().unwrap_or(0),
                _ => depth,
            };
            deepest = deepest.max(inside);
            if is_left(statement) {
                depth += 1;
            }
        }
        deepest
    }
}

/// Whether some leave in a statement where others go on behind it.
fn is_left(statement: &Statement) -> bool {
    let any = |block: &Block| block.iter().any(leaves);
    match statement {
        Statement::If { accept, reject, .. } => any(accept) || any(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| case.body.iter().any(leaves_switch)),
        Statement::Loop { body, continuing, .. } => body.iter().chain(continuing.iter()).any(returns),
        Statement::Block(inner) => inner.iter().any(is_left),
        _ => false,
    }
}

fn leaves(statement: &Statement) -> bool {
    matches!(statement, Statement::Return { .. } | Statement::Break | Statement::Continue) || is_left(statement)
}

/// A `break` leaves the `switch` alone.
fn leaves_switch(statement: &Statement) -> bool {
    matches!(statement, Statement::Return { .. } | Statement::Continue)
        || match statement {
            Statement::If { accept, reject, .. } => accept.iter().chain(reject.iter()).any(leaves_switch),
            Statement::Block(inner) => inner.iter().any(leaves_switch),
            other => is_left(other),
        }
}

fn returns(statement: &Statement) -> bool {
    match statement {
        Statement::Return { .. } => true,
        Statement::Block(inner) => inner.iter().any(returns),
        Statement::If { accept, reject, .. } => accept.iter().chain(reject.iter()).any(returns),
        Statement::Switch { cases, .. } => cases.iter().any(|case| case.body.iter().any(returns)),
        Statement::Loop { body, continuing, .. } => body.iter().chain(continuing.iter()).any(returns),
        _ => false,
    }
}
