//! Operations that a kernel takes: counted once, before it runs anywhere.
//!
//! One addition of one 32-bit word is one operation. What a loop's body takes is charged to the
//! record's fuel at every iteration; everything else is counted straight through, both ways of a branch.

use std::collections::HashMap;

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    BinaryOperator, Block, Expression, Function, Handle, MathFunction, Module, ScalarKind, Statement, TypeInner,
};

use crate::pointers;

/// Operations of a quotient or a remainder.
const DIVISION: u64 = 4;
/// Operations of a sine and the like, written out.
const TRIGONOMETRIC: u64 = 32;
/// Operations of an exponential and the like.
const TRANSCENDENTAL: u64 = 8;
/// Operations of an iteration's own bookkeeping: fuel and counter are read, compared and written.
const TURN: u64 = 8;
const BARRIER: u64 = 4;
const CAST: u64 = 6;

/// What one function costs.
#[derive(Clone, Debug, Default)]
pub(super) struct FunctionCost {
    /// Operations outside loops.
    pub straight: u64,
    /// Operations of one iteration of each loop, in the order in which they are instrumented.
    pub turns: Vec<u64>,
}

pub(super) struct Costs {
    pub functions: HashMap<Handle<Function>, FunctionCost>,
    pub entry: FunctionCost,
}

/// Counts every function. Functions stand after those that they call, as naga lays them out.
pub(super) fn count(module: &Module, info: &ModuleInfo) -> Costs {
    let mut costs = Costs { functions: HashMap::new(), entry: FunctionCost::default() };
    for (handle, function) in module.functions.iter() {
        let counted = Counter { module, function, info: &info[handle], costs: &costs, turns: Vec::new() }.count();
        costs.functions.insert(handle, counted);
    }
    for (index, entry) in module.entry_points.iter().enumerate() {
        let info = info.get_entry_point(index);
        costs.entry = Counter { module, function: &entry.function, info, costs: &costs, turns: Vec::new() }.count();
    }
    costs
}

/// Whether there is a loop anywhere in the module.
pub(super) fn has_loops(module: &Module) -> bool {
    let functions = module.functions.iter().map(|(_, function)| function);
    functions.chain(module.entry_points.iter().map(|entry| &entry.function)).any(|function| goes_round(&function.body))
}

fn goes_round(block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Loop { .. } => true,
        Statement::Block(inner) => goes_round(inner),
        Statement::If { accept, reject, .. } => goes_round(accept) || goes_round(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| goes_round(&case.body)),
        _ => false,
    })
}

struct Counter<'a> {
    module: &'a Module,
    function: &'a Function,
    info: &'a FunctionInfo,
    costs: &'a Costs,
    turns: Vec<u64>,
}

impl Counter<'_> {
    fn count(mut self) -> FunctionCost {
        let function = self.function;
        // Local variables are set to zero, or to their first value.
        let locals = function.local_variables.iter().map(|(_, variable)| {
            u64::from(self.module.types[variable.ty].inner.size(self.module.to_ctx()).div_ceil(4))
        });
        let straight = locals.sum::<u64>().saturating_add(self.block(&function.body));
        FunctionCost { straight, turns: self.turns }
    }

    fn block(&mut self, block: &Block) -> u64 {
        block.iter().fold(0u64, |sum, statement| sum.saturating_add(self.statement(statement)))
    }

    fn statement(&mut self, statement: &Statement) -> u64 {
        match statement {
            Statement::Emit(range) => {
                range.clone().fold(0u64, |sum, handle| sum.saturating_add(self.expression(handle)))
            }
            Statement::Block(block) => self.block(block),
            Statement::If { accept, reject, .. } => {
                let accept = self.block(accept);
                accept.saturating_add(self.block(reject)).saturating_add(1)
            }
            Statement::Switch { cases, .. } => {
                cases.iter().fold(1u64, |sum, case| sum.saturating_add(self.block(&case.body)).saturating_add(1))
            }
            Statement::Loop { body, continuing, .. } => {
                // An outer loop comes before those inside it.
                let place = self.turns.len();
                self.turns.push(0);
                let turn = self.block(body).saturating_add(self.block(continuing)).saturating_add(TURN);
                self.turns[place] = turn;
                TURN
            }
            Statement::Store { value, .. } => self.words(*value),
            Statement::Call { function, arguments, .. } => {
                let copied = arguments.iter().fold(0u64, |sum, argument| sum.saturating_add(self.copied(*argument)));
                self.costs.functions[function].straight.saturating_add(copied).saturating_add(1)
            }
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) | Statement::WorkGroupUniformLoad { .. } => {
                BARRIER
            }
            _ => 1,
        }
    }

    /// Words of the part of a variable that is handed to a function: there and back.
    fn copied(&self, argument: Handle<Expression>) -> u64 {
        pointers::part(self.module, &self.function.expressions, self.info, argument)
            .map_or(0, |ty| 2 * u64::from(self.module.types[ty].inner.size(self.module.to_ctx()).div_ceil(4)))
    }

    /// Words of an expression's value.
    fn words(&self, handle: Handle<Expression>) -> u64 {
        let inner = self.info[handle].ty.inner_with(&self.module.types);
        match inner {
            TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. } => 1,
            _ => inner.try_size(self.module.to_ctx()).map_or(1, |bytes| u64::from(bytes.div_ceil(4).max(1))),
        }
    }

    fn expression(&self, handle: Handle<Expression>) -> u64 {
        match &self.function.expressions[handle] {
            Expression::Binary { op, left, right } => {
                let (left, right, words) = (self.words(*left), self.words(*right), self.words(handle));
                match op {
                    BinaryOperator::Divide | BinaryOperator::Modulo => DIVISION * words,
                    // A matrix product takes more operations than its result has words: at most four a word.
                    BinaryOperator::Multiply if left.max(right) > 4 => 8 * left.max(right),
                    _ => words,
                }
            }
            Expression::Math { fun, arg, .. } => {
                let words = self.words(*arg).max(self.words(handle));
                weight(*fun).saturating_mul(words)
            }
            // A float that becomes an integer is brought into its range before.
            Expression::As { kind: ScalarKind::Sint | ScalarKind::Uint, convert: Some(_), .. } => {
                CAST * self.words(handle)
            }
            Expression::Load { .. }
            | Expression::Unary { .. }
            | Expression::Select { .. }
            | Expression::Relational { .. }
            | Expression::As { .. } => self.words(handle),
            // The index is compared with the length.
            Expression::Access { .. } => 2,
            Expression::ArrayLength(_) => 1,
            _ => 0,
        }
    }
}

fn weight(fun: MathFunction) -> u64 {
    use MathFunction as Math;
    match fun {
        Math::Cos | Math::Sin | Math::Tan | Math::Acos | Math::Asin | Math::Atan | Math::Atan2 => TRIGONOMETRIC,
        Math::Cosh
        | Math::Sinh
        | Math::Tanh
        | Math::Asinh
        | Math::Acosh
        | Math::Atanh
        | Math::Exp
        | Math::Exp2
        | Math::Log
        | Math::Log2
        | Math::Pow
        | Math::Normalize
        | Math::Length
        | Math::Distance
        | Math::Inverse
        | Math::Determinant
        | Math::Refract => TRANSCENDENTAL,
        Math::Sqrt
        | Math::InverseSqrt
        | Math::SmoothStep
        | Math::Modf
        | Math::Frexp
        | Math::Ldexp
        | Math::Reflect
        | Math::FaceForward => DIVISION,
        Math::Dot | Math::Cross | Math::Mix | Math::Fma | Math::Clamp => 2,
        _ => 1,
    }
}
