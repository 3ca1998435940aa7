//! Barriers stand where every invocation of a workgroup comes to them, which Chromium's compiler demands: in `main` itself,
//! under conditions that are the same for all of a workgroup.
//!
//! Fuel is an invocation's own, so a loop with a barrier cannot be left when it runs out: it is one whose turns are known
//! and few enough, and an invocation without fuel turns on to the end.

use std::collections::HashSet;

use gpu_kernels::number::to;
use naga::{
    AddressSpace, Binding, Block, BuiltIn, Expression, Function, Handle, LocalVariable, Module, Span, Statement,
};

use crate::contract::FUEL_MAX;
use crate::error::GateError;
use crate::operands::map_operands;

/// What is known of a loop of `main`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoopFacts {
    /// Operations of one turn, without those of loops inside.
    pub turn: u64,
    /// How often it turns at most, where the text tells.
    pub turns: Option<u64>,
}

/// What barriers ask of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Barriers {
    /// There is one, so every invocation must come to it.
    pub any: bool,
    /// Operations of the loops that hold some, which a record takes whatever fuel it has.
    pub operations: u64,
}

/// `loops` are those of `main`, each before those inside it.
pub(super) fn check(source: &str, module: &Module, loops: &[LoopFacts]) -> Result<Barriers, GateError> {
    for (_, function) in module.functions.iter() {
        if let Some(span) = first_barrier(&function.body) {
            return Err(refusal(source, span, "a barrier in a function"));
        }
    }
    let Some(entry) = module.entry_points.first() else { return Ok(Barriers::default()) };
    let main = &entry.function;
    if first_barrier(&main.body).is_none() {
        return Ok(Barriers::default());
    }
    let mut workgroup = Workgroup::new(source, module, main);
    workgroup.settle();
    let mut met = Met { loops: loops.iter(), operations: 0, left: false };
    workgroup.check(&main.body, true, 1, &mut met)?;
    Ok(Barriers { any: true, operations: met.operations })
}

pub(super) fn has_barrier(block: &Block) -> bool {
    first_barrier(block).is_some()
}

fn refusal(source: &str, span: Span, what: &str) -> GateError {
    let where_they_stand = "barriers stand in `main` itself, where all of a workgroup come to them: outside branches and \
                            loops, or in loops that count from one constant to another";
    GateError::at(source, span, format!("{what}; {where_they_stand}"))
}

/// What all invocations of a workgroup have alike, and what varies among them.
struct Workgroup<'a> {
    source: &'a str,
    module: &'a Module,
    main: &'a Function,
    varying: HashSet<Handle<LocalVariable>>,
    /// Of each expression; of a pointer, what it points to.
    varies: Vec<bool>,
}

/// What was met on the way through `main`.
struct Met<'a> {
    loops: std::slice::Iter<'a, LoopFacts>,
    /// Of the loops with barriers.
    operations: u64,
    /// Some invocations may have returned.
    left: bool,
}

impl<'a> Workgroup<'a> {
    fn new(source: &'a str, module: &'a Module, main: &'a Function) -> Self {
        let mut varying = HashSet::new();
        note_passed(main, &main.body, &mut varying);
        Self { source, module, main, varying, varies: Vec::new() }
    }

    /// A variable is the same for all until something that varies is stored in it, or something is stored in it where not
    /// all come.
    fn settle(&mut self) {
        loop {
            let known = self.varying.len();
            self.varies.clear();
            for (_, expression) in self.main.expressions.iter() {
                let varies = self.varies_by_operands(expression);
                self.varies.push(varies);
            }
            self.spread(&self.main.body, true);
            if self.varying.len() == known {
                return;
            }
        }
    }

    /// Operands come before what they are used in.
    fn varies_by_operands(&self, expression: &Expression) -> bool {
        match expression {
            Expression::FunctionArgument(index) => {
                let binding =
                    self.main.arguments.get(to::<usize, _>(*index)).and_then(|argument| argument.binding.as_ref());
                !matches!(binding, Some(Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups)))
            }
            Expression::GlobalVariable(variable) => {
                self.module.global_variables[*variable].space != AddressSpace::Uniform
            }
            Expression::LocalVariable(variable) => self.varying.contains(variable),
            Expression::CallResult(_) => true,
            Expression::WorkGroupUniformLoadResult { .. } => false,
            _ => {
                let mut varies = false;
                let known = map_operands(expression, |operand| {
                    varies |= self.varies(operand);
                    operand
                });
                varies || known.is_none()
            }
        }
    }

    fn varies(&self, expression: Handle<Expression>) -> bool {
        self.varies.get(expression.index()).copied().unwrap_or(true)
    }

    fn spread(&mut self, block: &Block, all_come: bool) {
        for statement in block {
            if let Statement::Store { pointer, value } = statement
                && let Some((variable, index_varies)) = self.stored_in(*pointer)
                && (!all_come || index_varies || self.varies(*value))
            {
                self.varying.insert(variable);
            }
            for (inner, all_come) in self.inner(statement, all_come) {
                self.spread(inner, all_come);
            }
        }
    }

    /// The variable that a pointer is to, or to a part of, and whether which part varies.
    fn stored_in(&self, pointer: Handle<Expression>) -> Option<(Handle<LocalVariable>, bool)> {
        match self.main.expressions[pointer] {
            Expression::LocalVariable(variable) => Some((variable, false)),
            Expression::AccessIndex { base, .. } => self.stored_in(base),
            Expression::Access { base, index } => {
                self.stored_in(base).map(|(variable, varies)| (variable, varies || self.varies(index)))
            }
            _ => None,
        }
    }

    /// Whether a pointer goes to one element in one invocation, and to another in another.
    fn differs_in_place(&self, pointer: Handle<Expression>) -> bool {
        match self.main.expressions[pointer] {
            Expression::Access { base, index } => self.varies(index) || self.differs_in_place(base),
            Expression::AccessIndex { base, .. } => self.differs_in_place(base),
            _ => false,
        }
    }

    /// The blocks of a statement, and whether all invocations of a workgroup come there.
    fn inner<'b>(&self, statement: &'b Statement, all_come: bool) -> Vec<(&'b Block, bool)> {
        match statement {
            Statement::Block(block) => vec![(block, all_come)],
            Statement::If { condition, accept, reject } => {
                let all_come = all_come && !self.varies(*condition);
                vec![(accept, all_come), (reject, all_come)]
            }
            // A case may be left early.
            Statement::Switch { cases, .. } => cases.iter().map(|case| (&case.body, false)).collect(),
            Statement::Loop { body, continuing, break_if } => {
                let all_come = all_come
                    && has_barrier(body) | has_barrier(continuing)
                    && !break_if.is_some_and(|condition| self.varies(condition))
                    && !self.some_leave(body, true, true)
                    && !self.some_leave(continuing, true, true);
                vec![(body, all_come), (continuing, all_come)]
            }
            _ => Vec::new(),
        }
    }

    /// Whether some invocations leave a turn of a loop where others go on. `own` is whether a `break` leaves this loop.
    fn some_leave(&self, block: &Block, all_come: bool, own: bool) -> bool {
        block.iter().any(|statement| match statement {
            Statement::Return { .. } => true,
            Statement::Break | Statement::Continue => own && !all_come,
            Statement::Block(inner) => self.some_leave(inner, all_come, own),
            Statement::If { condition, accept, reject } => {
                let all_come = all_come && !self.varies(*condition);
                self.some_leave(accept, all_come, own) || self.some_leave(reject, all_come, own)
            }
            Statement::Switch { cases, .. } => cases.iter().any(|case| continues_or_returns(&case.body)),
            Statement::Loop { body, continuing, .. } => {
                self.some_leave(body, false, false) || self.some_leave(continuing, false, false)
            }
            _ => false,
        })
    }

    /// `times` is how often the block is come to at most.
    fn check(&self, block: &Block, all_come: bool, times: u64, met: &mut Met<'_>) -> Result<(), GateError> {
        for (statement, span) in block.span_iter() {
            if is_barrier(statement) {
                if !all_come {
                    return Err(refusal(self.source, *span, "a barrier in a branch or a loop where not all may come"));
                }
                if met.left {
                    return Err(refusal(self.source, *span, "a barrier after a return that some invocations may take"));
                }
            }
            if let Statement::WorkGroupUniformLoad { pointer, .. } = statement
                && self.differs_in_place(*pointer)
            {
                let message = "workgroupUniformLoad of an element that is not the same for all of a workgroup";
                return Err(GateError::at(self.source, *span, message));
            }
            let mut times = times;
            if let Statement::Loop { body, continuing, .. } = statement {
                let facts = met.loops.next();
                if let Some(barrier) = first_barrier(body).or_else(|| first_barrier(continuing)) {
                    let Some(LoopFacts { turn, turns: Some(turns) }) = facts else {
                        return Err(refusal(
                            self.source,
                            barrier,
                            "a barrier in a loop that turns nobody knows how often",
                        ));
                    };
                    // It begins one turn more than it ends.
                    let begun = times.saturating_mul(turns + 1);
                    met.operations = met.operations.saturating_add(begun.saturating_mul(*turn));
                    times = times.saturating_mul(*turns);
                    if met.operations > u64::from(FUEL_MAX) {
                        let message = format!(
                            "loops with barriers take {} operations a record; at most {FUEL_MAX}",
                            met.operations
                        );
                        return Err(GateError::at(self.source, *span, message));
                    }
                }
            }
            // A return in one branch is before nothing in the other.
            let (before, mut left) = (met.left, matches!(statement, Statement::Return { .. }));
            for (inner, all_come) in self.inner(statement, all_come) {
                met.left = before;
                self.check(inner, all_come, times, met)?;
                left |= met.left;
            }
            met.left = before || left;
        }
        Ok(())
    }
}

/// Variables that functions get as pointers: what they store in them is nobody's knowledge here.
fn note_passed(main: &Function, block: &Block, passed: &mut HashSet<Handle<LocalVariable>>) {
    for statement in block {
        match statement {
            Statement::Call { arguments, .. } => {
                for argument in arguments {
                    let mut pointer = *argument;
                    while let Expression::Access { base, .. } | Expression::AccessIndex { base, .. } =
                        main.expressions[pointer]
                    {
                        pointer = base;
                    }
                    if let Expression::LocalVariable(variable) = main.expressions[pointer] {
                        passed.insert(variable);
                    }
                }
            }
            Statement::Block(inner) => note_passed(main, inner, passed),
            Statement::If { accept: one, reject: other, .. } | Statement::Loop { body: one, continuing: other, .. } => {
                note_passed(main, one, passed);
                note_passed(main, other, passed);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| note_passed(main, &case.body, passed)),
            _ => {}
        }
    }
}

/// The `break`s in a `switch` leave it, and nothing else.
fn continues_or_returns(block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Continue | Statement::Return { .. } => true,
        Statement::Block(inner) => continues_or_returns(inner),
        Statement::If { accept, reject, .. } => continues_or_returns(accept) || continues_or_returns(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| continues_or_returns(&case.body)),
        // Its own `continue`s are, too: a loop inside a `switch` inside a loop with a barrier is rare.
        Statement::Loop { body, continuing, .. } => continues_or_returns(body) || continues_or_returns(continuing),
        _ => false,
    })
}

/// Where the first barrier of a block stands, inside of what stands in it too.
fn first_barrier(block: &Block) -> Option<Span> {
    block.span_iter().find_map(|(statement, span)| match statement {
        Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) | Statement::WorkGroupUniformLoad { .. } => {
            Some(*span)
        }
        Statement::Block(inner) => first_barrier(inner),
        Statement::If { accept: one, reject: other, .. } | Statement::Loop { body: one, continuing: other, .. } => {
            first_barrier(one).or_else(|| first_barrier(other))
        }
        Statement::Switch { cases, .. } => cases.iter().find_map(|case| first_barrier(&case.body)),
        _ => None,
    })
}

fn is_barrier(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) | Statement::WorkGroupUniformLoad { .. }
    )
}
