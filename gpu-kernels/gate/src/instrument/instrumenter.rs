//! A function's expressions and statements laid out anew.

use std::collections::{HashMap, HashSet};

use gpu_kernels::customer_kernel::{STATUS_FAULT, STATUS_FIRST, STATUS_TURNS, TURNS_MAX};
use gpu_kernels::number::to;
use naga::proc::IndexableLength;
use naga::valid::FunctionInfo;
use naga::{
    AddressSpace, Arena, AtomicFunction, BinaryOperator, Block, Expression, Function, Handle, Literal, LocalVariable,
    MathFunction, Module, Range, ScalarKind, Span, Statement, SwitchCase, SwitchValue, Type, TypeInner,
};

use super::casts::Cast;
use super::globals::{Own, status_word};
use super::guard;
use super::laid::Laid;
use super::pays::Pays;
use super::trigonometry::Trigonometry;
use super::unroll::{self, Row};
use crate::barriers::{LoopFacts, has_barrier};
use crate::contract::LOCAL_BYTES_MAX;
use crate::error::GateError;
use crate::operands::map_operands;
use crate::pointers::{self, WrittenArguments};

/// Deepest expression that is written in one piece: what goes on has a name first. A browser's parser takes about a
/// hundred brackets inside one another.
const DEPTH_MAX: u32 = 16;

pub(super) struct Instrumenter<'a> {
    source: &'a str,
    module: &'a Module,
    info: &'a FunctionInfo,
    own: Own,
    written: &'a WrittenArguments,
    loops: &'a mut Vec<Span>,
    old: Arena<Expression>,
    out: Laid,
    locals: Arena<LocalVariable>,
    names: Vec<(Handle<Expression>, String)>,
    /// Copies of parts, by their type and their place among a call's; calls do not lie inside one another.
    copies: HashMap<(Handle<Type>, usize), Handle<LocalVariable>>,
    /// The customer's variables and our copies.
    local_bytes: u32,
    /// The new handle of each old expression.
    places: Vec<Handle<Expression>>,
    /// The first new expression that belongs to an old one: its bound, or itself.
    firsts: Vec<Handle<Expression>>,
    /// Those of trigonometry, where there is any.
    numbers: Vec<Handle<Expression>>,
    /// Of the loops that are still to come.
    facts: std::iter::Copied<std::slice::Iter<'a, LoopFacts>>,
    /// What a `break` would leave, from the outside in: the numbers of loops, and none for a `switch`.
    around: Vec<Option<u32>>,
}

/// Which element of the records.
#[derive(Clone, Copy)]
enum Element {
    At(u32),
    Computed(Handle<Expression>),
}

impl<'a> Instrumenter<'a> {
    pub(super) fn new(
        source: &'a str,
        module: &'a Module,
        info: &'a FunctionInfo,
        own: Own,
        written: &'a WrittenArguments,
        loops: &'a mut Vec<Span>,
    ) -> Self {
        Self {
            source,
            module,
            info,
            own,
            written,
            loops,
            old: Arena::new(),
            out: Laid::default(),
            locals: Arena::new(),
            names: Vec::new(),
            copies: HashMap::new(),
            local_bytes: 0,
            places: Vec::new(),
            firsts: Vec::new(),
            numbers: Vec::new(),
            facts: [].iter().copied(),
            around: Vec::new(),
        }
    }

    pub(super) fn instrument(mut self, function: &mut Function, facts: &'a [LoopFacts]) -> Result<(), GateError> {
        self.facts = facts.iter().copied();
        let old = std::mem::take(&mut function.expressions);
        // Literals cannot be emitted, so they stand before everything that is.
        for (handle, expression) in old.iter() {
            if let Some(bound) = self.bound(handle, expression) {
                self.word(match bound {
                    IndexableLength::Known(len) => len - 1,
                    IndexableLength::Dynamic => 1,
                });
            }
            if let Some(cast) = self.cast(expression) {
                for literal in cast.literals() {
                    self.literal(literal);
                }
            }
            if self.trigonometry(expression).is_some() {
                self.numbers = Trigonometry::literals().map(|literal| self.literal(literal)).collect();
            }
        }
        let customers: Vec<_> = std::mem::take(&mut function.named_expressions).into_iter().collect();
        let named: HashSet<Handle<Expression>> = customers.iter().map(|(handle, _)| *handle).collect();
        for (handle, expression) in old.iter() {
            let (place, first) = self.place(handle, expression, old.get_span(handle), named.contains(&handle))?;
            self.places.push(place);
            self.firsts.push(first);
        }
        for (_, variable) in function.local_variables.iter_mut() {
            variable.init = variable.init.map(|init| self.at(init));
        }
        self.locals = std::mem::take(&mut function.local_variables);
        self.local_bytes = self.locals.iter().map(|(_, variable)| self.bytes(variable.ty)).sum();
        for (handle, name) in customers {
            self.names.push((self.at(handle), name));
        }
        self.old = old;
        let body = std::mem::take(&mut function.body);
        function.body = self.block(body)?;
        function.expressions = self.out.expressions;
        function.local_variables = self.locals;
        function.named_expressions.extend(self.names);
        Ok(())
    }

    fn at(&self, old: Handle<Expression>) -> Handle<Expression> {
        self.places[old.index()]
    }

    fn append(&mut self, expression: Expression) -> Handle<Expression> {
        self.out.append(expression)
    }

    fn append_at(&mut self, expression: Expression, span: Span) -> Handle<Expression> {
        self.out.append_at(expression, span)
    }

    fn bytes(&self, ty: Handle<Type>) -> u32 {
        self.module.types[ty].inner.size(self.module.to_ctx())
    }

    fn word(&mut self, value: u32) -> Handle<Expression> {
        self.out.word(value)
    }

    fn literal(&mut self, literal: Literal) -> Handle<Expression> {
        self.out.literal(literal)
    }

    /// A float that becomes an integer.
    fn cast(&self, expression: &Expression) -> Option<Cast> {
        let Expression::As { expr, .. } = expression else { return None };
        Cast::of(expression, self.info[*expr].ty.inner_with(&self.module.types))
    }

    fn trigonometry(&self, expression: &Expression) -> Option<Trigonometry> {
        Trigonometry::of(expression, |operand| self.info[operand].ty.inner_with(&self.module.types).clone())
    }

    /// Length of what a computed index goes into.
    fn bound(&self, _handle: Handle<Expression>, expression: &Expression) -> Option<IndexableLength> {
        let Expression::Access { base, .. } = expression else { return None };
        let inner = self.info[*base].ty.inner_with(&self.module.types);
        // A matrix that is no variable takes constant indices only, which naga has checked.
        if matches!(inner, TypeInner::Matrix { .. }) {
            return None;
        }
        inner.indexable_length(self.module).ok()
    }

    /// Where an expression is now, and the first of those that belong to it.
    fn place(
        &mut self,
        handle: Handle<Expression>,
        old: &Expression,
        span: Span,
        named: bool,
    ) -> Result<(Handle<Expression>, Handle<Expression>), GateError> {
        let bound = self.bound(handle, old);
        let mut expression = map_operands(old, |operand| self.at(operand)).ok_or_else(|| {
            GateError::at(self.source, span, "this expression has no place in a kernel of independent records")
        })?;
        let mut first = None;
        if let (Some(bound), Expression::Access { base, index }, Expression::Access { index: old_index, .. }) =
            (bound, &mut expression, old)
        {
            let begin = self.out.expressions.len();
            let mut bounded = *index;
            if self.is_signed(*old_index) {
                // A negative index becomes a large one.
                bounded = self.append(Expression::As { expr: bounded, kind: ScalarKind::Uint, convert: Some(4) });
            }
            let last = match bound {
                IndexableLength::Known(len) => self.word(len - 1),
                IndexableLength::Dynamic => {
                    let len = self.append(Expression::ArrayLength(*base));
                    let one = self.word(1);
                    self.append(Expression::Binary { op: BinaryOperator::Subtract, left: len, right: one })
                }
            };
            let fun = MathFunction::Min;
            *index = self.append(Expression::Math { fun, arg: bounded, arg1: Some(last), arg2: None, arg3: None });
            first = self.out.expressions.iter().nth(begin).map(|(handle, _)| handle);
        }
        if let (Some(cast), Expression::As { expr, .. }) = (self.cast(old), &mut expression) {
            let begin = self.out.expressions.len();
            let literals = cast.literals().map(|literal| self.literal(literal));
            *expr = cast.in_range(*expr, literals, |expression| self.append(expression));
            first = self.out.expressions.iter().nth(begin).map(|(handle, _)| handle);
        }
        let place = match (self.trigonometry(old), &expression) {
            (Some(trigonometry), Expression::Math { arg, arg1, .. }) => {
                let (begin, numbers) = (self.out.expressions.len(), std::mem::take(&mut self.numbers));
                let place = trigonometry.write((*arg, *arg1), &numbers, &mut |expression| self.append(expression));
                self.numbers = numbers;
                first = self.out.expressions.iter().nth(begin).map(|(handle, _)| handle);
                place
            }
            _ => self.append_at(expression, span),
        };
        let is_value = !matches!(
            self.info[handle].ty.inner_with(&self.module.types),
            TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. }
        );
        if named {
            self.out.depths[place.index()] = 0;
        } else if self.out.depths[place.index()] >= DEPTH_MAX && is_value {
            self.names.push((place, "tessera_step".to_owned()));
            self.out.depths[place.index()] = 0;
        }
        Ok((place, first.unwrap_or(place)))
    }

    fn block(&mut self, block: Block) -> Result<Block, GateError> {
        let mut new = Block::with_capacity(block.len());
        for (statement, span) in block.span_into_iter() {
            if let Statement::Call { function, arguments, result } = statement {
                self.call(&mut new, function, &arguments, result, span)?;
            } else {
                let statement = self.statement(statement, span)?;
                new.push(statement, span);
            }
        }
        Ok(new)
    }

    /// A call. Where it hands over a part of a variable, a copy goes in, and comes back if the function changes it.
    fn call(
        &mut self,
        block: &mut Block,
        function: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
        span: Span,
    ) -> Result<(), GateError> {
        let mut passed = Vec::with_capacity(arguments.len());
        let mut back = Vec::new();
        for (index, &old) in arguments.iter().enumerate() {
            let argument = self.at(old);
            let Some(ty) = pointers::part(self.module, &self.old, self.info, old) else {
                passed.push(argument);
                continue;
            };
            let copy = self.copy_of(ty, index, span)?;
            let copy = self.append(Expression::LocalVariable(copy));
            self.assign(block, copy, argument);
            passed.push(copy);
            if self.written.writes(function, index) {
                back.push((old, copy));
            }
        }
        let result = result.map(|result| self.at(result));
        block.push(Statement::Call { function, arguments: passed, result }, span);
        for (part, copy) in back {
            let value = self.append(Expression::Load { pointer: copy });
            block.push(Statement::Emit(Range::new_from_bounds(value, value)), Span::UNDEFINED);
            let store = Statement::Store { pointer: self.at(part), value };
            block.push(self.within_bounds(part, store), Span::UNDEFINED);
        }
        Ok(())
    }

    fn copy_of(&mut self, ty: Handle<Type>, index: usize, span: Span) -> Result<Handle<LocalVariable>, GateError> {
        if let Some(&known) = self.copies.get(&(ty, index)) {
            return Ok(known);
        }
        self.local_bytes = self.local_bytes.saturating_add(self.bytes(ty));
        if self.local_bytes > LOCAL_BYTES_MAX {
            let message = format!(
                "with a copy of this part the function's variables take {} bytes; at most {LOCAL_BYTES_MAX}: pass the \
                 whole variable, or a smaller part",
                self.local_bytes
            );
            return Err(GateError::at(self.source, span, message));
        }
        let variable = LocalVariable { name: Some("tessera_part".to_owned()), ty, init: None };
        let variable = self.locals.append(variable, Span::UNDEFINED);
        self.copies.insert((ty, index), variable);
        Ok(variable)
    }

    /// `*to = *from`
    fn assign(&mut self, block: &mut Block, to: Handle<Expression>, from: Handle<Expression>) {
        let value = self.append(Expression::Load { pointer: from });
        block.push(Statement::Emit(Range::new_from_bounds(value, value)), Span::UNDEFINED);
        block.push(Statement::Store { pointer: to, value }, Span::UNDEFINED);
    }

    /// `if index < arrayLength(&results) { store }`, where the store is to the output records. What would go beyond them
    /// writes nothing: on the last of them, it and that one's own would race.
    fn within_bounds(&mut self, pointer: Handle<Expression>, store: Statement) -> Statement {
        let Some((records, element)) = self.element(pointer) else { return store };
        let records = self.at(records);
        let index = match element {
            Element::At(index) => self.word(index),
            Element::Computed(index) => self.at(index),
        };
        let is_own = self.own.within.map(|within| self.append(Expression::GlobalVariable(within)));
        let begin = self.out.expressions.len();
        let index = match element {
            Element::Computed(old) if self.is_signed(old) => {
                self.append(Expression::As { expr: index, kind: ScalarKind::Uint, convert: Some(4) })
            }
            _ => index,
        };
        let len = self.append(Expression::ArrayLength(records));
        let mut condition = self.append(Expression::Binary { op: BinaryOperator::Less, left: index, right: len });
        if let Some(pointer) = is_own {
            let is_own = self.append(Expression::Load { pointer });
            let op = BinaryOperator::LogicalAnd;
            condition = self.append(Expression::Binary { op, left: condition, right: is_own });
        }
        let first = self.out.expressions.iter().nth(begin).map_or(condition, |(handle, _)| handle);
        Statement::Block(Block::from_vec(vec![
            Statement::Emit(Range::new_from_bounds(first, condition)),
            Statement::If { condition, accept: Block::from_vec(vec![store]), reject: Block::new() },
        ]))
    }

    /// The output records that a pointer goes into, and at which element.
    fn element(&self, mut pointer: Handle<Expression>) -> Option<(Handle<Expression>, Element)> {
        loop {
            let (base, element) = match self.old[pointer] {
                Expression::Access { base, index } => (base, Element::Computed(index)),
                Expression::AccessIndex { base, index } => (base, Element::At(index)),
                _ => return None,
            };
            if let Expression::GlobalVariable(variable) = self.old[base] {
                let space = self.module.global_variables[variable].space;
                return matches!(space, AddressSpace::Storage { .. }).then_some((base, element));
            }
            pointer = base;
        }
    }

    fn is_signed(&self, old: Handle<Expression>) -> bool {
        self.info[old].ty.inner_with(&self.module.types).scalar_kind() == Some(ScalarKind::Sint)
    }

    fn statement(&mut self, statement: Statement, span: Span) -> Result<Statement, GateError> {
        Ok(match statement {
            Statement::Emit(range) => match range.first_and_last() {
                Some((first, last)) => {
                    Statement::Emit(Range::new_from_bounds(self.firsts[first.index()], self.at(last)))
                }
                None => Statement::Block(Block::new()),
            },
            Statement::Block(block) => Statement::Block(self.block(block)?),
            Statement::If { condition, accept, reject } => Statement::If {
                condition: self.at(condition),
                accept: self.block(accept)?,
                reject: self.block(reject)?,
            },
            Statement::Switch { selector, cases } => {
                let selector = self.at(selector);
                let mut new = Vec::with_capacity(cases.len());
                self.around.push(None);
                for case in cases {
                    new.push(SwitchCase { body: self.block(case.body)?, ..case });
                }
                self.around.pop();
                Statement::Switch { selector, cases: new }
            }
            Statement::Loop { body, continuing, break_if } => self.turning(body, continuing, break_if, span)?,
            Statement::Return { value } => Statement::Return { value: value.map(|value| self.at(value)) },
            Statement::Store { pointer, value } => {
                let store = Statement::Store { pointer: self.at(pointer), value: self.at(value) };
                self.within_bounds(pointer, store)
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                Statement::WorkGroupUniformLoad { pointer: self.at(pointer), result: self.at(result) }
            }
            Statement::Break => guard::leave(self.own, &mut self.out, &self.around),
            Statement::Continue | Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => statement,
            // Calls are written by `call`.
            _ => {
                let message = "this statement has no place in a kernel of independent records";
                return Err(GateError::at(self.source, span, message));
            }
        })
    }

    /// A loop, with its fuel and the most turns that it may make.
    fn turning(
        &mut self,
        body: Block,
        continuing: Block,
        break_if: Option<Handle<Expression>>,
        span: Span,
    ) -> Result<Statement, GateError> {
        self.loops.push(span);
        let number = to::<u32, _>(self.loops.len());
        self.around.push(Some(number));
        let facts = self.facts.next().unwrap_or(LoopFacts { turn: u64::MAX, turns: None });
        let turn = u32::try_from(facts.turn).unwrap_or(u32::MAX);
        let counter = LocalVariable { name: Some("tessera_turns".to_owned()), ty: self.own.word, init: None };
        let counter = self.locals.append(counter, Span::UNDEFINED);
        let pays = Pays { number, turn, counter, goes_on: has_barrier(&body) || has_barrier(&continuing) };
        let begin = self.begin(counter);
        let row = self.own.guard.filter(|guard| break_if.is_none() && guard.fuel > 0);
        let row = row.and_then(|guard| unroll::row(guard.fuel / turn.max(1), facts.turns, &body, &continuing));
        let round = if let Some(row) = row {
            self.in_a_row(&row, pays)?
        } else {
            let mut fuelled = self.spend(pays);
            fuelled.extend_block(self.block(body)?);
            let mut continuing = self.block(continuing)?;
            let break_if = break_if.map(|handle| self.at(handle));
            guard::note_break_if(self.own, &mut self.out, &mut continuing, break_if, number);
            Statement::Loop { body: fuelled, continuing, break_if }
        };
        self.around.pop();
        Ok(Statement::Block(guard::guarded(self.own, &mut self.out, begin, round, number)))
    }

    /// A loop of several turns in one, or one whose turns are all written out.
    fn in_a_row(&mut self, row: &Row, pays: Pays) -> Result<Statement, GateError> {
        let mut turn = Block::new();
        for copy in 0..row.copies {
            if copy > 0 {
                self.place_again(&row.turn)?;
            }
            let mut once = self.spend(pays);
            once.extend_block(self.block(row.turn.clone())?);
            turn.push(Statement::Block(once), Span::UNDEFINED);
        }
        if !row.is_all {
            return Ok(Statement::Loop { body: turn, continuing: Block::new(), break_if: None });
        }
        // What a `break` leaves, and never goes back.
        let only = SwitchCase { value: SwitchValue::Default, body: turn, fall_through: false };
        Ok(Statement::Switch { selector: self.word(0), cases: vec![only] })
    }

    /// What blocks compute is an expression of its own in each copy: naga writes one once.
    fn place_again(&mut self, block: &Block) -> Result<(), GateError> {
        for handle in unroll::computed(block) {
            let (expression, span) = (self.old[handle].clone(), self.old.get_span(handle));
            let (place, first) = self.place(handle, &expression, span, false)?;
            self.places[handle.index()] = place;
            self.firsts[handle.index()] = first;
        }
        Ok(())
    }

    /// `turns = 0`, before a loop.
    fn begin(&mut self, counter: Handle<LocalVariable>) -> Statement {
        let value = self.word(0);
        let pointer = self.append(Expression::LocalVariable(counter));
        Statement::Store { pointer, value }
    }

    /// In each iteration
    /// `if fuel < turn || turns == most { status = max(status, loop); fuel = 0; break } fuel -= turn; turns += 1`
    ///
    /// A record that was stopped finds no fuel in later loops either: the loop that stopped it comes before those.
    /// One in a loop with a barrier goes on without fuel, as all of its workgroup have to come there.
    fn spend(&mut self, Pays { number, turn, counter, goes_on }: Pays) -> Block {
        let first = number | STATUS_FIRST;
        let [turn, dry, first_dry, round, none, one, most] =
            [turn, number, first, first | STATUS_TURNS, 0, 1, TURNS_MAX].map(|value| self.word(value));
        let fuel = self.append(Expression::GlobalVariable(self.own.fuel));
        let status = self.append(Expression::GlobalVariable(self.own.status));
        let stopped = self.append(Expression::GlobalVariable(self.own.stopped));
        let turns = self.append(Expression::LocalVariable(counter));
        let emit = |first, last| Statement::Emit(Range::new_from_bounds(first, last));

        let left = self.append(Expression::Load { pointer: fuel });
        let short = self.append(Expression::Binary { op: BinaryOperator::Less, left, right: turn });
        let rounds = self.append(Expression::Load { pointer: turns });
        let long = self.append(Expression::Binary { op: BinaryOperator::GreaterEqual, left: rounds, right: most });
        let over = self.append(Expression::Binary { op: BinaryOperator::LogicalOr, left: short, right: long });
        let fault = self.append(status_word(status, STATUS_FAULT));
        let before = self.append(Expression::Load { pointer: stopped });
        let is_stopped = self.append(Expression::Binary { op: BinaryOperator::NotEqual, left: before, right: none });
        let word_dry = self.append(Expression::Select { condition: is_stopped, accept: dry, reject: first_dry });
        let value = self.append(Expression::Select { condition: short, accept: word_dry, reject: round });
        let rest = self.append(Expression::Binary { op: BinaryOperator::Subtract, left, right: turn });
        let next = self.append(Expression::Binary { op: BinaryOperator::Add, left: rounds, right: one });
        let mut stop = vec![
            emit(fault, value),
            Statement::Atomic { pointer: fault, fun: AtomicFunction::Max, value, result: None },
            Statement::Store { pointer: fuel, value: none },
            Statement::Store { pointer: stopped, value: one },
        ];
        let mut spend = vec![
            emit(rest, next),
            Statement::Store { pointer: fuel, value: rest },
            Statement::Store { pointer: turns, value: next },
        ];
        let mut spent = vec![emit(left, over)];
        if goes_on {
            let (accept, reject) = (Block::from_vec(stop), Block::from_vec(spend));
            spent.push(Statement::If { condition: over, accept, reject });
        } else {
            stop.push(guard::leave(self.own, &mut self.out, &self.around));
            spent.push(Statement::If { condition: over, accept: Block::from_vec(stop), reject: Block::new() });
            spent.append(&mut spend);
        }
        Block::from_vec(spent)
    }
}
