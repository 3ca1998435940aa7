//! How much fuel a record can need: known where every loop counts from one value to another, both of which lie in a range
//! that the text alone tells.
//!
//! A loop's counter is a variable that nothing but the loop changes, by a constant, on its way to a bound. What its start
//! and its bound can be is told by intervals (Cousot & Cousot, "Abstract interpretation", POPL 1977), one expression at a
//! time: a constant, a counter of a loop around it, a remainder, a minimum.

mod interval;
mod step;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    BinaryOperator, Block, Expression, Function, Handle, Literal, LocalVariable, MathFunction, Module, Statement,
    UnaryOperator,
};

use self::interval::{Interval, of_binary, of_literal, of_scalar};
use self::step::{Step, mirrored, negated};

use crate::barriers::LoopFacts;
use crate::cost::{Costs, FunctionCost};

/// What the text tells of a kernel's loops.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The most fuel that the loops of one record spend; `None` where some loop may turn more often than is known.
    pub needed: Option<u64>,
    /// Those of `main`, each before those inside it.
    pub loops: Vec<LoopFacts>,
    /// Those of each function, likewise.
    pub loops_of: HashMap<Handle<Function>, Vec<LoopFacts>>,
}

pub(super) fn tell(module: &Module, info: &ModuleInfo, costs: &Costs) -> Told {
    let (mut of_functions, mut loops_of) = (HashMap::new(), HashMap::new());
    for (handle, function) in module.functions.iter() {
        let mut counter = Counter::new(module, function, &info[handle], &of_functions, &costs.functions[&handle]);
        let fuel = counter.block(&function.body);
        loops_of.insert(handle, counter.loops);
        of_functions.insert(handle, fuel);
    }
    let Some(entry) = module.entry_points.first() else { return Told::default() };
    let mut main = Counter::new(module, &entry.function, info.get_entry_point(0), &of_functions, &costs.entry);
    let needed = main.block(&entry.function.body);
    Told { needed, loops: main.loops, loops_of }
}

struct Counter<'a> {
    module: &'a Module,
    function: &'a Function,
    info: &'a FunctionInfo,
    of_functions: &'a HashMap<Handle<Function>, Option<u64>>,
    /// Operations of a turn of each loop, in the order in which they are met.
    turns: std::slice::Iter<'a, u64>,
    /// How often each variable is written; one that is handed over as a pointer is written any number of times.
    writes: HashMap<Handle<LocalVariable>, u32>,
    /// Counters of the loops around.
    counters: HashMap<Handle<LocalVariable>, Values>,
    /// Those that were met.
    loops: Vec<LoopFacts>,
}

/// What a loop's counter can have inside of it.
#[derive(Clone)]
struct Values {
    values: Interval,
    /// What is read inside of the loop; what was read before it may be anything.
    read_inside: Rc<HashSet<Handle<Expression>>>,
}

/// A loop that counts.
struct Counted {
    counter: Handle<LocalVariable>,
    in_body: Interval,
    in_continuing: Interval,
    turns: u64,
}

impl<'a> Counter<'a> {
    fn new(
        module: &'a Module,
        function: &'a Function,
        info: &'a FunctionInfo,
        of_functions: &'a HashMap<Handle<Function>, Option<u64>>,
        cost: &'a FunctionCost,
    ) -> Self {
        let mut writes = HashMap::new();
        note_writes(function, &function.body, &mut writes);
        let (turns, counters) = (cost.turns.iter(), HashMap::new());
        Self { module, function, info, of_functions, turns, writes, counters, loops: Vec::new() }
    }

    /// All loops are met, also behind one that is not known, so that each finds its own cost.
    fn block(&mut self, block: &Block) -> Option<u64> {
        let mut sum = Some(0u64);
        let mut before: Option<&Statement> = None;
        for statement in block {
            let fuel = self.statement(statement, before);
            sum = sum.zip(fuel).map(|(sum, fuel)| sum.saturating_add(fuel));
            if !matches!(statement, Statement::Emit(_)) {
                before = Some(statement);
            }
        }
        sum
    }

    fn statement(&mut self, statement: &Statement, before: Option<&Statement>) -> Option<u64> {
        match statement {
            Statement::Block(block) => self.block(block),
            Statement::If { accept, reject, .. } => {
                let (accept, reject) = (self.block(accept), self.block(reject));
                Some(accept?.max(reject?))
            }
            Statement::Switch { cases, .. } => {
                let of_cases: Vec<_> = cases.iter().map(|case| self.block(&case.body)).collect();
                of_cases.into_iter().try_fold(0u64, |sum, fuel| Some(sum.saturating_add(fuel?)))
            }
            Statement::Call { function, .. } => self.of_functions.get(function).copied().flatten(),
            Statement::Loop { body, continuing, .. } => self.turning(body, continuing, before),
            _ => Some(0),
        }
    }

    /// A loop, which begins one turn more than it ends: the last one finds that it is over.
    fn turning(&mut self, body: &Block, continuing: &Block, before: Option<&Statement>) -> Option<u64> {
        let turn = self.turns.next().copied();
        let mut read_inside = HashSet::new();
        note_reads(body, &mut read_inside);
        note_reads(continuing, &mut read_inside);
        let read_inside = Rc::new(read_inside);
        let counted = self.counted(body, continuing, before, &read_inside);
        let turns = counted.as_ref().map(|found| found.turns);
        self.loops.push(LoopFacts { turn: turn.unwrap_or(u64::MAX), turns });
        let of_counter = |values| Values { values, read_inside: Rc::clone(&read_inside) };
        let outer = counted.as_ref().map(|found| self.counters.insert(found.counter, of_counter(found.in_body)));
        let in_body = self.block(body);
        if let Some(found) = &counted {
            self.counters.insert(found.counter, of_counter(found.in_continuing));
        }
        let in_continuing = self.block(continuing);
        let Counted { counter, turns, .. } = counted?;
        match outer.flatten() {
            Some(values) => drop(self.counters.insert(counter, values)),
            None => drop(self.counters.remove(&counter)),
        }
        let inside = in_body?.saturating_add(in_continuing?).saturating_mul(turns);
        Some(turn?.saturating_mul(turns + 1).saturating_add(inside))
    }

    fn counted(
        &self,
        body: &Block,
        continuing: &Block,
        before: Option<&Statement>,
        read_inside: &HashSet<Handle<Expression>>,
    ) -> Option<Counted> {
        self.conditions(body)?.into_iter().find_map(|(left, op, right)| {
            let sides = [(left, op, right), (right, mirrored(op), left)];
            sides.into_iter().find_map(|(read, op, bound)| {
                let counter = self.variable(read).filter(|_| read_inside.contains(&read))?;
                let (start, bound) = (self.start(counter, before)?, self.interval(bound)?);
                let of_block = |block| self.step(counter, block, read_inside);
                let (step, at_end) = match (of_block(continuing), of_block(body)) {
                    (Some(step), None) => (step, true),
                    // Nothing skips it.
                    (None, Some(step)) if !continues(body) => (step, false),
                    _ => return None,
                };
                let (values, turns) = step.count(self.scalar_of(counter)?, start, op, bound)?;
                let beyond = step.beyond(values);
                let in_body = if at_end { values } else { beyond };
                Some(Counted { counter, in_body, in_continuing: beyond, turns })
            })
        })
    }

    /// What has to hold for a loop to go on, where it asks that before anything else: comparisons.
    fn conditions(&self, body: &Block) -> Option<Vec<Comparison>> {
        let mut asked = Vec::new();
        for statement in body.iter().filter(|statement| !matches!(statement, Statement::Emit(_))) {
            let Statement::If { condition, accept, reject } = statement else { return None };
            let goes_on = match (is_break(accept), is_break(reject)) {
                (false, true) if accept.is_empty() => true,
                (true, false) if reject.is_empty() => false,
                _ => {
                    asked.push(Asked::of(self.function, *condition, accept, reject)?);
                    continue;
                }
            };
            let mut found = Vec::new();
            self.compare(*condition, goes_on, &asked, &mut found);
            return Some(found);
        }
        None
    }

    /// The comparisons that hold where an expression is `wanted`. What is joined by `&&` and `||` is a variable that both
    /// ways of a branch write.
    fn compare(&self, expression: Handle<Expression>, wanted: bool, asked: &[Asked], found: &mut Vec<Comparison>) {
        match self.function.expressions[expression] {
            Expression::Binary { op, left, right } => {
                found.extend(if wanted { Some(op) } else { negated(op) }.map(|op| (left, op, right)));
            }
            Expression::Unary { op: UnaryOperator::LogicalNot, expr } => self.compare(expr, !wanted, asked, found),
            Expression::Load { pointer } => {
                let variable = local(self.function, pointer);
                let joined =
                    asked.iter().find(|joined| Some(joined.variable) == variable && joined.otherwise != wanted);
                if let Some(joined) = joined {
                    self.compare(joined.condition, true, asked, found);
                    self.compare(joined.value, wanted, asked, found);
                }
            }
            _ => {}
        }
    }

    /// The variable that an expression reads.
    fn variable(&self, expression: Handle<Expression>) -> Option<Handle<LocalVariable>> {
        let Expression::Load { pointer } = self.function.expressions[expression] else { return None };
        local(self.function, pointer)
    }

    /// What a counter has before its loop: it is written there and in the loop, or in the loop alone.
    fn start(&self, counter: Handle<LocalVariable>, before: Option<&Statement>) -> Option<Interval> {
        match (self.writes.get(&counter)?, before) {
            (1, _) => self.first_value(counter),
            (2, Some(Statement::Store { pointer, value })) if local(self.function, *pointer) == Some(counter) => {
                self.interval(*value)
            }
            _ => None,
        }
    }

    fn first_value(&self, variable: Handle<LocalVariable>) -> Option<Interval> {
        match self.function.local_variables[variable].init {
            Some(init) => self.interval(init),
            None => Some(Interval::one(0)),
        }
    }

    /// How the one statement of a block that writes a variable changes it.
    fn step(
        &self,
        variable: Handle<LocalVariable>,
        block: &Block,
        read_inside: &HashSet<Handle<Expression>>,
    ) -> Option<Step> {
        let is_read = |value| self.variable(value) == Some(variable) && read_inside.contains(&value);
        block.iter().find_map(|statement| match statement {
            Statement::Block(inner) => self.step(variable, inner, read_inside),
            Statement::Store { pointer, value } if local(self.function, *pointer) == Some(variable) => {
                let Expression::Binary { op, left, right } = self.function.expressions[*value] else { return None };
                let (by, is_left) = match (is_read(left), is_read(right)) {
                    (true, false) => (self.interval(right)?, true),
                    (false, true) => (self.interval(left)?, false),
                    _ => return None,
                };
                if by.least != by.most {
                    return None;
                }
                Step::of(op, by.least, is_left)
            }
            _ => None,
        })
    }

    fn scalar_of(&self, variable: Handle<LocalVariable>) -> Option<Interval> {
        of_scalar(&self.module.types[self.function.local_variables[variable].ty].inner)
    }

    /// What an expression's value can be, if it is one integer of 32 bits.
    fn interval(&self, expression: Handle<Expression>) -> Option<Interval> {
        let any = of_scalar(self.info[expression].ty.inner_with(&self.module.types))?;
        Some(self.told(expression).filter(|values| values.is_within(any)).unwrap_or(any))
    }

    /// As far as the text tells; what wraps around may be anything.
    fn told(&self, expression: Handle<Expression>) -> Option<Interval> {
        match self.function.expressions[expression] {
            Expression::Literal(literal) => of_literal(literal),
            Expression::ZeroValue(_) => Some(Interval::one(0)),
            Expression::Constant(constant) => {
                match self.module.global_expressions[self.module.constants[constant].init] {
                    Expression::Literal(literal) => of_literal(literal),
                    _ => None,
                }
            }
            Expression::Load { pointer } => {
                let variable = local(self.function, pointer)?;
                match self.counters.get(&variable) {
                    Some(counter) => counter.read_inside.contains(&expression).then_some(counter.values),
                    None if !self.writes.contains_key(&variable) => self.first_value(variable),
                    None => None,
                }
            }
            Expression::As { expr, .. } => self.interval(expr),
            Expression::Binary { op, left, right } => of_binary(op, self.interval(left)?, self.interval(right)?),
            Expression::Math { fun, arg, arg1: Some(arg1), arg2, .. } => {
                let (one, other) = (self.interval(arg)?, self.interval(arg1)?);
                match (fun, arg2) {
                    (MathFunction::Min, None) => Some(one.min(other)),
                    (MathFunction::Max, None) => Some(one.max(other)),
                    (MathFunction::Clamp, Some(most)) => Some(one.max(other).min(self.interval(most)?)),
                    _ => None,
                }
            }
            Expression::Select { accept, reject, .. } => {
                let (one, other) = (self.interval(accept)?, self.interval(reject)?);
                Some(Interval { least: one.least.min(other.least), most: one.most.max(other.most) })
            }
            _ => None,
        }
    }
}

/// A comparison of two integers.
type Comparison = (Handle<Expression>, BinaryOperator, Handle<Expression>);

/// `variable = condition ? value : otherwise`, as naga writes `&&` and `||`.
struct Asked {
    variable: Handle<LocalVariable>,
    condition: Handle<Expression>,
    value: Handle<Expression>,
    otherwise: bool,
}

impl Asked {
    fn of(function: &Function, condition: Handle<Expression>, accept: &Block, reject: &Block) -> Option<Self> {
        let (Statement::Store { pointer, value }, [Statement::Store { pointer: again, value: otherwise }]) =
            (accept.last()?, &reject[..])
        else {
            return None;
        };
        let variable = local(function, *pointer).filter(|variable| local(function, *again) == Some(*variable))?;
        // Those that naga makes up have no name, and are read at once. What is called in between takes fuel of its own.
        if function.local_variables[variable].name.is_some() || calls(accept) {
            return None;
        }
        let Expression::Literal(Literal::Bool(otherwise)) = function.expressions[*otherwise] else { return None };
        Some(Self { variable, condition, value: *value, otherwise })
    }
}

fn local(function: &Function, pointer: Handle<Expression>) -> Option<Handle<LocalVariable>> {
    match function.expressions[pointer] {
        Expression::LocalVariable(variable) => Some(variable),
        _ => None,
    }
}

/// Visits every statement of a block, and of the blocks in it.
fn each(block: &Block, visit: &mut impl FnMut(&Statement)) {
    for statement in block {
        visit(statement);
        match statement {
            Statement::Block(inner) => each(inner, visit),
            Statement::If { accept: one, reject: other, .. } | Statement::Loop { body: one, continuing: other, .. } => {
                each(one, visit);
                each(other, visit);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| each(&case.body, visit)),
            _ => {}
        }
    }
}

/// Whether something in a block calls a function or turns.
fn calls(block: &Block) -> bool {
    let mut found = false;
    each(block, &mut |statement| found |= matches!(statement, Statement::Call { .. } | Statement::Loop { .. }));
    found
}

/// Expressions that are computed in a block.
fn note_reads(block: &Block, reads: &mut HashSet<Handle<Expression>>) {
    each(block, &mut |statement| {
        if let Statement::Emit(range) = statement {
            reads.extend(range.clone());
        }
    });
}

fn is_break(block: &Block) -> bool {
    matches!(block[..], [Statement::Break])
}

/// Whether some statement of a loop's body goes on with the next turn.
fn continues(block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Continue => true,
        Statement::Block(inner) => continues(inner),
        Statement::If { accept, reject, .. } => continues(accept) || continues(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| continues(&case.body)),
        _ => false,
    })
}

/// More than any loop may have: it is written out of sight.
const ANYWHERE: u32 = 1 << 20;

fn note_writes(function: &Function, block: &Block, writes: &mut HashMap<Handle<LocalVariable>, u32>) {
    let mut note = |pointer: Handle<Expression>, times: u32| {
        if let Some(variable) = local(function, pointer) {
            let known = writes.entry(variable).or_default();
            *known = known.saturating_add(times);
        }
    };
    each(block, &mut |statement| match statement {
        Statement::Store { pointer, .. } => note(*pointer, 1),
        Statement::Call { arguments, .. } => arguments.iter().for_each(|argument| note(*argument, ANYWHERE)),
        _ => {}
    });
}
