//! Values that are computed on the device, and that a compiler would compute itself.
//!
//! `let x = -1.0; sqrt(x)` is computed as the kernel runs, and `sqrt(-1.0)` as it is compiled, where it is an error. naga
//! keeps no `let` of a constant and writes the second for the first. A `var` is never taken for a constant, so such a
//! `let` becomes one, in the text: both words have three letters, and everything stays at its place.

use std::collections::BTreeSet;

use naga::{
    BinaryOperator, Expression, Function, Handle, Literal, MathFunction, Module, ScalarKind, Span, UnaryOperator,
};

use crate::directives::skip_blank;
use crate::error::GateError;
use crate::operands::map_operands;

/// How often a `let` of another `let` is followed: naga knows the last name of a value only.
const ROUNDS_MAX: usize = 8;
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
pub(super) fn settle(mut text: String, mut module: Module, parse: impl Fn(&str) -> Option<Module>) -> (String, Module) {
    for _ in 0..ROUNDS_MAX {
        let names = names(&module, |values, handle| values.computed(handle) != Computed::Fine);
        let next = as_variables(&text, &names);
        let Some(again) = parse(&next).filter(|_| next != text) else { break };
        (text, module) = (next, again);
    }
    (text, module)
}

/// The text with all `let`s as variables that something is computed from which may have no value.
pub(super) fn settle_all(mut text: String, parse: impl Fn(&str) -> Option<Module>) -> Option<(String, Module)> {
    let (mut module, mut changed) = (parse(&text)?, false);
    for _ in 0..ROUNDS_MAX {
        let counts = |values: &Values<'_>, handle| values.may_fail(handle) || values.computed(handle) != Computed::Fine;
        let next = as_variables(&text, &names(&module, counts));
        let Some(again) = parse(&next).filter(|_| next != text) else { break };
        (text, module, changed) = (next, again, true);
    }
    changed.then_some((text, module))
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

/// The `let`s that are constants and that what `counts` is computed from.
fn names(module: &Module, counts: impl Fn(&Values<'_>, Handle<Expression>) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for values in all(module) {
        let mut open: Vec<_> = values.function.expressions.iter().map(|(handle, _)| handle).collect();
        open.retain(|handle| counts(&values, *handle));
        let mut seen = vec![false; values.constant.len()];
        while let Some(handle) = open.pop() {
            if std::mem::replace(&mut seen[handle.index()], true) {
                continue;
            }
            map_operands(&values.function.expressions[handle], |operand| {
                if values.constant[operand.index()] {
                    open.push(operand);
                }
                operand
            });
            if is_leaf(&values.function.expressions[handle]) {
                names.extend(values.function.named_expressions.get(&handle).cloned());
            }
        }
    }
    names
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

/// The text with `var` for the `let` of each of these names. Pointers stay: no variable holds one.
fn as_variables(text: &str, names: &BTreeSet<String>) -> String {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    let mut changed = text.to_owned();
    if names.is_empty() {
        return changed;
    }
    for (at, word) in text.match_indices("let") {
        let after = at + word.len();
        let name_at = skip_blank(text, after);
        let name = text[name_at..].split(|c| !is_word(c)).next().unwrap_or_default();
        let is_let = name_at > after && !text[..at].ends_with(is_word) && names.contains(name);
        let value = text[name_at..].split_once('=').map(|(_, value)| value).unwrap_or_default();
        if is_let && !value[skip_blank(value, 0)..].starts_with('&') {
            changed.replace_range(at..after, "var");
        }
    }
    changed
}
