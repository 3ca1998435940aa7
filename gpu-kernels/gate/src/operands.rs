//! An expression's operands.

use naga::{Expression, Handle};

/// The same expression over other operands; none for a kind that no kernel has.
pub(super) fn map_operands(
    old: &Expression,
    mut map: impl FnMut(Handle<Expression>) -> Handle<Expression>,
) -> Option<Expression> {
    let mut at = |handle: &Handle<Expression>| map(*handle);
    Some(match old {
        Expression::Literal(_)
        | Expression::Constant(_)
        | Expression::ZeroValue(_)
        | Expression::FunctionArgument(_)
        | Expression::GlobalVariable(_)
        | Expression::LocalVariable(_)
        | Expression::CallResult(_)
        | Expression::WorkGroupUniformLoadResult { .. } => old.clone(),
        Expression::Compose { ty, components } => {
            Expression::Compose { ty: *ty, components: components.iter().map(&mut at).collect() }
        }
        Expression::Access { base, index } => Expression::Access { base: at(base), index: at(index) },
        Expression::AccessIndex { base, index } => Expression::AccessIndex { base: at(base), index: *index },
        Expression::Splat { size, value } => Expression::Splat { size: *size, value: at(value) },
        Expression::Swizzle { size, vector, pattern } => {
            Expression::Swizzle { size: *size, vector: at(vector), pattern: *pattern }
        }
        Expression::Load { pointer } => Expression::Load { pointer: at(pointer) },
        Expression::Unary { op, expr } => Expression::Unary { op: *op, expr: at(expr) },
        Expression::Binary { op, left, right } => Expression::Binary { op: *op, left: at(left), right: at(right) },
        Expression::Select { condition, accept, reject } => {
            Expression::Select { condition: at(condition), accept: at(accept), reject: at(reject) }
        }
        Expression::Relational { fun, argument } => Expression::Relational { fun: *fun, argument: at(argument) },
        Expression::Math { fun, arg, arg1, arg2, arg3 } => Expression::Math {
            fun: *fun,
            arg: at(arg),
            arg1: arg1.as_ref().map(&mut at),
            arg2: arg2.as_ref().map(&mut at),
            arg3: arg3.as_ref().map(&mut at),
        },
        Expression::As { expr, kind, convert } => Expression::As { expr: at(expr), kind: *kind, convert: *convert },
        Expression::ArrayLength(array) => Expression::ArrayLength(at(array)),
        _ => return None,
    })
}
