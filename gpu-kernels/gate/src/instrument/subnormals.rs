//! Constants that are nearly zero.

use naga::{Expression, Literal, Module};

/// Writes zero for constants so small that devices may do so: some do, some do not, and one compiles them wrong.
pub(super) fn flush(module: &mut Module) {
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    let entries = module.entry_points.iter_mut().map(|entry| &mut entry.function);
    let of_functions = functions.chain(entries).flat_map(|function| function.expressions.iter_mut());
    for (_, expression) in module.global_expressions.iter_mut().chain(of_functions) {
        if let Expression::Literal(Literal::F32(value)) = expression
            && value.is_subnormal()
        {
            *value = 0.0;
        }
    }
}
