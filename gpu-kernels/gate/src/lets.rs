//! Values that are computed on the device, and that a compiler would compute itself.
//!
//! `let x = -1.0; sqrt(x)` is computed as the kernel runs, and `sqrt(-1.0)` as it is compiled, where it is an error. naga
//! keeps no `let` of a constant and writes the second for the first. A `var` is never taken for a constant, so such a
//! `let` becomes one, in the text: both words have three letters, and everything stays at its place.

use std::collections::BTreeSet;

use naga::{
    BinaryOperator, Expression, Function, Handle, Literal, MathFunction, Module, ScalarKind, Span, UnaryOperator,
};

use crate::declared::{declared, words};
use crate::error::GateError;
use crate::operands::map_operands;

/// The largest float of 16 bits.
const FLOAT16_MAX: f64 = 65_504.0;

/// The sign's bit of a float32, and infinity's bits, as numbers.
const SIGN_BIT: f64 = 2_147_483_648.0;
const INFINITY_BITS: f64 = 2_139_095_040.0;
/// Those of a float16, and how many there are of 16 bits.
const HALF_SIGN_BIT: f64 = 32_768.0;
const HALF_INFINITY_BITS: f64 = 31_744.0;
const HALF_WORD: f64 = 65_536.0;
const NO_NUMBER: &str = "the bits are those of infinity or NaN";

/// What to say of something that has no value.
pub(super) fn no_value(detail: &str) -> String {
    format!("this is computed when the kernel is compiled, and has no value: {detail}; use a `var` if it is meant")
}

/// Whether a value can be computed when a kernel is compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Computed {
    Fine,
    Unknown,
    /// And why.
    Never(&'static str),
}

/// The text with `let`s as variables where naga writes constants that other compilers may refuse.
pub(super) fn settle(text: String, module: Module, parse: impl Fn(&str) -> Option<Module>) -> (String, Module) {
    let next = as_variables(&text, &roots(&module, |values, handle| values.computed(handle) != Computed::Fine));
    let read = next.and_then(|next| Some((parse(&next)?, next)));
    read.map_or((text, module), |(module, next)| (next, module))
}

/// The text with all `let`s as variables that something is computed from which may have no value.
pub(super) fn settle_all(text: &str, parse: impl Fn(&str) -> Option<Module>) -> Option<(String, Module)> {
    let counts = |values: &Values<'_>, handle| values.may_fail(handle) || values.computed(handle) != Computed::Fine;
    let next = as_variables(text, &roots(&parse(text)?, counts))?;
    let module = parse(&next)?;
    Some((next, module))
}

/// Names what naga leaves to other compilers to compute: they compute nothing from a `let` before the kernel runs.
pub(super) fn name_computed(module: &mut Module) {
    let named: Vec<Vec<Handle<Expression>>> = all(module).map(|values| values.left_to_others()).collect();
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    let functions = functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function));
    for (function, named) in functions.zip(named) {
        function.named_expressions.extend(named.into_iter().map(|handle| (handle, "computed".to_owned())));
    }
}

/// Refuses what has no value in the customer's own text, wherever naga leaves that to other compilers.
pub(super) fn check(source: &str, module: &Module) -> Result<(), GateError> {
    for values in all(module) {
        for (handle, _) in values.function.expressions.iter() {
            if let Computed::Never(why) = values.computed(handle) {
                return Err(GateError::at(source, values.function.expressions.get_span(handle), no_value(why)));
            }
        }
    }
    Ok(())
}

/// Where the first computation stands that may have no value.
pub(super) fn suspect(module: &Module) -> Span {
    let suspects = all(module).flat_map(|values| {
        let expressions = &values.function.expressions;
        let handles = expressions.iter().map(|(handle, _)| handle);
        handles.filter(|handle| values.may_fail(*handle)).map(|handle| expressions.get_span(handle)).collect::<Vec<_>>()
    });
    suspects.into_iter().next().unwrap_or(Span::UNDEFINED)
}

fn all(module: &Module) -> impl Iterator<Item = Values<'_>> {
    let functions = module.functions.iter().map(|(_, function)| function);
    functions
        .chain(module.entry_points.iter().map(|entry| &entry.function))
        .map(|function| Values::of(module, function))
}

/// What a `let` was made a constant from, in which function and where.
struct Root<'a> {
    function: &'a str,
    name: &'a str,
    at: Option<usize>,
}

/// The constants behind `let`s that what `counts` is computed from. naga knows the last name of each and its first place.
fn roots(module: &Module, counts: impl Fn(&Values<'_>, Handle<Expression>) -> bool) -> Vec<Root<'_>> {
    let mut roots = Vec::new();
    for values in all(module) {
        let (function, expressions) = (values.function, &values.function.expressions);
        let mut open: Vec<_> = expressions.iter().map(|(handle, _)| handle).collect();
        open.retain(|handle| counts(&values, *handle));
        let mut seen = vec![false; values.constant.len()];
        while let Some(handle) = open.pop() {
            if std::mem::replace(&mut seen[handle.index()], true) {
                continue;
            }
            map_operands(&expressions[handle], |operand| {
                if values.constant[operand.index()] {
                    open.push(operand);
                }
                operand
            });
            let name = function.named_expressions.get(&handle).filter(|_| is_leaf(&expressions[handle]));
            roots.extend(name.map(|name| Root {
                function: function.name.as_deref().unwrap_or_default(),
                name,
                at: expressions.get_span(handle).to_range().map(|range| range.start),
            }));
        }
    }
    roots
}

/// What naga writes where it is used, whatever its name.
fn is_leaf(expression: &Expression) -> bool {
    matches!(expression, Expression::Literal(_) | Expression::Constant(_) | Expression::ZeroValue(_))
}

/// The expressions of a function that are constants as naga writes them.
struct Values<'a> {
    module: &'a Module,
    function: &'a Function,
    constant: Vec<bool>,
}

impl<'a> Values<'a> {
    fn of(module: &'a Module, function: &'a Function) -> Self {
        let mut constant: Vec<bool> = Vec::with_capacity(function.expressions.len());
        for (handle, expression) in function.expressions.iter() {
            let is_constant = is_leaf(expression) || {
                let (mut operands, mut constants) = (0, 0);
                let is_known = map_operands(expression, |operand| {
                    operands += 1;
                    constants += usize::from(constant[operand.index()]);
                    operand
                });
                let is_computed = !matches!(expression, Expression::Load { .. } | Expression::ArrayLength(_));
                let is_named = function.named_expressions.contains_key(&handle);
                is_known.is_some() && is_computed && !is_named && operands > 0 && operands == constants
            };
            constant.push(is_constant);
        }
        Self { module, function, constant }
    }

    /// What is computed from constants alone, and not by naga.
    fn left_to_others(&self) -> Vec<Handle<Expression>> {
        let expressions = self.function.expressions.iter();
        let left = expressions.filter(|(handle, expression)| {
            let is_computed = matches!(
                expression,
                Expression::Unary { .. }
                    | Expression::Binary { .. }
                    | Expression::Select { .. }
                    | Expression::Relational { .. }
                    | Expression::Math { .. }
                    | Expression::As { .. }
            );
            self.constant[handle.index()] && is_computed
        });
        left.map(|(handle, _)| handle).collect()
    }

    /// Whether naga evaluates this as it reads its own text, and may find that it has no value.
    fn may_fail(&self, handle: Handle<Expression>) -> bool {
        let constant = |operand: &Handle<Expression>| self.constant[operand.index()];
        match &self.function.expressions[handle] {
            Expression::Binary { op, left, right } => match op {
                BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::ShiftLeft
                | BinaryOperator::ShiftRight => constant(right),
                BinaryOperator::Add | BinaryOperator::Subtract | BinaryOperator::Multiply => {
                    constant(left) && constant(right)
                }
                _ => false,
            },
            Expression::Unary { op: UnaryOperator::Negate, expr } | Expression::As { expr, .. } => constant(expr),
            Expression::Math { arg, arg1, arg2, arg3, .. } => {
                [Some(arg), arg1.as_ref(), arg2.as_ref(), arg3.as_ref()].into_iter().flatten().any(constant)
            }
            _ => false,
        }
    }

    /// Of what naga does not evaluate, and other compilers do.
    fn computed(&self, handle: Handle<Expression>) -> Computed {
        match &self.function.expressions[handle] {
            Expression::As { expr, kind: ScalarKind::Float, convert: None } if !self.is_float(*expr) => {
                self.of_each(&[*expr], |values| {
                    let is_number = values[0].rem_euclid(SIGN_BIT) < INFINITY_BITS;
                    (!is_number).then_some(NO_NUMBER)
                })
            }
            Expression::Math { fun, arg, arg1, arg2, arg3 } => {
                let some =
                    |arguments: &[Option<Handle<Expression>>]| arguments.iter().flatten().copied().collect::<Vec<_>>();
                match fun {
                    MathFunction::Clamp => self.of_each(&some(&[*arg1, *arg2]), |values| {
                        (values[0] > values[1]).then_some("the low end of clamp is above its high end")
                    }),
                    MathFunction::ExtractBits => self.of_each(&some(&[*arg1, *arg2]), bits),
                    MathFunction::InsertBits => self.of_each(&some(&[*arg2, *arg3]), bits),
                    MathFunction::Ldexp => self.of_each(&some(&[*arg1]), |values| {
                        (values[0] > 128.0).then_some("the exponent of ldexp is above 128")
                    }),
                    MathFunction::SmoothStep => self.of_each(&some(&[Some(*arg), *arg1]), |values| {
                        let [low, high] = [values[0], values[1]];
                        low.total_cmp(&high).is_eq().then_some("the ends of smoothstep are the same")
                    }),
                    MathFunction::Pack2x16float | MathFunction::QuantizeToF16 => self.of_each(&[*arg], |values| {
                        (values[0].abs() > FLOAT16_MAX).then_some("the value is beyond float16, whose largest is 65504")
                    }),
                    MathFunction::Unpack2x16float => self.of_each(&[*arg], |values| {
                        let halves = [values[0] / HALF_WORD, values[0]].map(|bits| bits.rem_euclid(HALF_WORD).floor());
                        let is_number = |half: f64| half.rem_euclid(HALF_SIGN_BIT) < HALF_INFINITY_BITS;
                        (!halves.into_iter().all(is_number)).then_some(NO_NUMBER)
                    }),
                    MathFunction::InverseSqrt
                    | MathFunction::Fma
                    | MathFunction::Mix
                    | MathFunction::Reflect
                    | MathFunction::Refract
                    | MathFunction::FaceForward
                    | MathFunction::Determinant
                        if self.constant[handle.index()] =>
                    {
                        Computed::Unknown
                    }
                    _ => Computed::Fine,
                }
            }
            _ => Computed::Fine,
        }
    }

    /// What `fault` says of the operands, component by component. Those that are no constants are fine.
    fn of_each(&self, operands: &[Handle<Expression>], fault: impl Fn(&[f64]) -> Option<&'static str>) -> Computed {
        if !operands.iter().all(|operand| self.constant[operand.index()]) {
            return Computed::Fine;
        }
        let known: Option<Vec<Vec<f64>>> = operands.iter().map(|operand| self.numbers(*operand)).collect();
        let Some(known) = known else { return Computed::Unknown };
        let len = known.iter().map(Vec::len).max().unwrap_or(0);
        let lane = |lane: usize| known.iter().map(|of| of[lane.min(of.len() - 1)]).collect::<Vec<f64>>();
        (0..len).find_map(|at| fault(&lane(at))).map_or(Computed::Fine, Computed::Never)
    }

    fn is_float(&self, handle: Handle<Expression>) -> bool {
        match &self.function.expressions[handle] {
            Expression::Literal(literal) => matches!(literal, Literal::F32(_)),
            Expression::Splat { value, .. } => self.is_float(*value),
            Expression::Compose { components, .. } => components.first().is_some_and(|first| self.is_float(*first)),
            _ => false,
        }
    }

    /// The components of a constant; none where that takes computing.
    fn numbers(&self, handle: Handle<Expression>) -> Option<Vec<f64>> {
        match &self.function.expressions[handle] {
            Expression::Literal(literal) => number(*literal).map(|number| vec![number]),
            Expression::ZeroValue(_) => Some(vec![0.0]),
            Expression::Constant(constant) => {
                match self.module.global_expressions[self.module.constants[*constant].init] {
                    Expression::Literal(literal) => number(literal).map(|number| vec![number]),
                    _ => None,
                }
            }
            Expression::Splat { value, .. } => self.numbers(*value),
            Expression::Compose { components, .. } => {
                let parts: Option<Vec<_>> = components.iter().map(|component| self.numbers(*component)).collect();
                parts.map(|parts| parts.concat())
            }
            _ => None,
        }
    }
}

fn bits(offset_and_count: &[f64]) -> Option<&'static str> {
    (offset_and_count.iter().sum::<f64>() > 32.0).then_some("offset and count are more than 32 bits together")
}

fn number(literal: Literal) -> Option<f64> {
    Some(match literal {
        Literal::F32(value) => f64::from(value),
        Literal::U32(value) => f64::from(value),
        Literal::I32(value) => f64::from(value),
        _ => return None,
    })
}

/// The text with `var` for the `let`s of these; none where it stays as it is.
///
/// A `let` that a constant's own text stands in is the one: those that take their values from it read a variable then.
/// Behind a `const` it is those `let`s of the function that name it, or are named as the constant is.
fn as_variables(text: &str, roots: &[Root<'_>]) -> Option<String> {
    let words = if roots.is_empty() { Vec::new() } else { words(text) };
    let declared = declared(&words);
    let (mut exact, mut constants, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for root in roots {
        let Some(at) = root.at else { continue };
        let found = declared.partition_point(|of| of.at.start <= at).checked_sub(1).map(|index| &declared[index]);
        let Some(of) = found.filter(|of| of.at.contains(&at)) else { continue };
        if of.is_let {
            exact.insert(of.at.start);
        } else {
            constants.insert((of.name, root.function));
            names.insert((root.name, root.function));
        }
    }
    for of in &declared {
        if !of.value.iter().any(|(_, word)| constants.contains(&(*word, of.function))) {
            continue;
        }
        let is_same =
            of.value.iter().all(|(_, word)| !word.starts_with(['+', '-', '*', '/', '%', '&', '|', '<', '>', ',']));
        if !of.is_let {
            constants.insert((of.name, of.function));
        } else if !of.is_pointer() && (is_same || names.contains(&(of.name, of.function))) {
            exact.insert(of.at.start);
        }
    }
    let (mut changed, mut from) = (String::with_capacity(text.len()), 0);
    for at in &exact {
        changed.extend([&text[from..*at], "var"]);
        from = at + "let".len();
    }
    changed.push_str(&text[from..]);
    (!exact.is_empty()).then_some(changed)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn parse(text: &str) -> Option<Module> {
        naga::front::wgsl::parse_str(text).ok()
    }

    #[test]
    fn a_text_is_read_at_most_three_times_again_however_long_its_chains_of_names() {
        let chain = (1..2000).map(|n| format!("let a{n} = a{}; ", n - 1)).collect::<Vec<_>>().concat();
        for first in ["let a0 = 200;", "const c = 200i; let a0 = c;"] {
            let text =
                format!("fn main() {{ {first} {chain} let x = ldexp(1.0, a0) + ldexp(1.0, a1999) + sqrt(f32(a7)); }}");
            let times = Cell::new(0);
            let counted = |text: &str| {
                times.set(times.get() + 1);
                parse(text)
            };
            let (text, module) = settle(text.clone(), parse(&text).unwrap(), counted);
            settle_all(&text, counted);

            assert!(check(&text, &module).is_ok(), "{first}");
            assert!(times.get() <= 3, "{} times: {first}", times.get());
        }
    }

    #[test]
    fn only_the_let_that_is_meant_becomes_a_variable() {
        let cases = [
            (
                "fn one() { let n = 200; let x = ldexp(1.0, n); } fn two() { let n = 64u; let x = array<u32, 9>()[n % 9u]; }",
                "var n = 200",
            ),
            (
                "fn one() { if true { let n = 64; } let n: i32 = /* = */ 200; let m = n; let x = ldexp(1.0, m); }",
                "var n: i32",
            ),
            ("fn one() { const c = vec2i(1, 200); let n = c.y; let m = 1; let x = ldexp(1.0, n); }", "var n = c.y"),
            ("const c = 200; fn one() { let m = 1; let n = c; let x = ldexp(1.0, n); }", "var n = c"),
        ];
        for (text, changed) in cases {
            let (found, module) = settle(text.to_owned(), parse(text).unwrap(), parse);

            assert!(check(&found, &module).is_ok() && found.contains(changed), "{found}");
            assert!(found.contains(if text.contains("64") { "let n = 64" } else { "let m" }), "{found}");
        }
    }
}
