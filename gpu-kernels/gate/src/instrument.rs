//! Fuel into every loop, bounds into every access, and a `main` of our own around the customer's.
//!
//! naga's expressions refer to one another by handles in order, so a function's are laid out anew, each
//! index followed by its bound, and every statement refers to the new handles.

mod casts;
mod globals;
mod subnormals;

use std::collections::{HashMap, HashSet};

use gpu_kernels::customer_kernel::{
    STATUS_FAULT, STATUS_FIRST, STATUS_LEFT, STATUS_RECORDS, STATUS_TURNS, STATUS_USED, TURNS_MAX,
};
use gpu_kernels::number::to;
use naga::proc::IndexableLength;
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    Arena, AtomicFunction, BinaryOperator, Binding, Block, BuiltIn, EntryPoint, Expression, Function, FunctionArgument,
    Handle, Literal, LocalVariable, MathFunction, Module, Range, Scalar, ScalarKind, Span, Statement, SwitchCase, Type,
    TypeInner, VectorSize,
};

use self::casts::Cast;
use self::globals::{Own, add_globals};
use crate::contract::{Facts, LOCAL_BYTES_MAX};
use crate::cost::{Costs, FunctionCost};
use crate::error::GateError;
use crate::pointers::{self, WrittenArguments};

/// Deepest expression that is written in one piece: what goes on has a name first. A browser's parser takes about a
/// hundred brackets inside one another.
const DEPTH_MAX: u32 = 16;

/// The safe module, and the span of each loop in the order of its number.
pub(super) fn instrument(
    source: &str,
    mut module: Module,
    info: &ModuleInfo,
    costs: &Costs,
    facts: &Facts,
    written: &WrittenArguments,
    fuel: u32,
) -> Result<(Module, Vec<Span>), GateError> {
    subnormals::flush(&mut module);
    let own = add_globals(&mut module, fuel);
    let mut loops = Vec::new();
    let mut functions = std::mem::take(&mut module.functions);
    for (handle, function) in functions.iter_mut() {
        let cost = costs.functions[&handle].clone();
        Instrumenter::new(source, &module, &info[handle], own, written, &mut loops).instrument(function, &cost)?;
    }
    module.functions = functions;
    if let Some(mut entry) = module.entry_points.pop() {
        Instrumenter::new(source, &module, info.get_entry_point(0), own, written, &mut loops)
            .instrument(&mut entry.function, &costs.entry)?;
        let wrapped = wrap(&mut module, entry, own, fuel, facts.barriers);
        module.entry_points.push(wrapped);
    }
    Ok((module, loops))
}

struct Instrumenter<'a> {
    source: &'a str,
    module: &'a Module,
    info: &'a FunctionInfo,
    own: Own,
    written: &'a WrittenArguments,
    loops: &'a mut Vec<Span>,
    old: Arena<Expression>,
    new: Arena<Expression>,
    locals: Arena<LocalVariable>,
    names: Vec<(Handle<Expression>, String)>,
    /// Copies of parts, by their type and their place among a call's; calls do not lie inside one another.
    copies: HashMap<(Handle<Type>, usize), Handle<LocalVariable>>,
    /// The customer's variables and our copies.
    local_bytes: u32,
    /// How deep each new expression lies as it is written; 0 for one that has a name.
    depths: Vec<u32>,
    /// The new handle of each old expression.
    places: Vec<Handle<Expression>>,
    /// The first new expression that belongs to an old one: its bound, or itself.
    firsts: Vec<Handle<Expression>>,
    literals: Vec<(Literal, Handle<Expression>)>,
    turns: std::vec::IntoIter<u64>,
}

impl<'a> Instrumenter<'a> {
    fn new(
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
            new: Arena::new(),
            locals: Arena::new(),
            names: Vec::new(),
            copies: HashMap::new(),
            local_bytes: 0,
            depths: Vec::new(),
            places: Vec::new(),
            firsts: Vec::new(),
            literals: Vec::new(),
            turns: Vec::new().into_iter(),
        }
    }

    fn instrument(mut self, function: &mut Function, cost: &FunctionCost) -> Result<(), GateError> {
        self.turns = cost.turns.clone().into_iter();
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
        }
        let customers: Vec<_> = std::mem::take(&mut function.named_expressions).into_iter().collect();
        let named: HashSet<Handle<Expression>> = customers.iter().map(|(handle, _)| *handle).collect();
        for (handle, expression) in old.iter() {
            self.place(handle, expression, old.get_span(handle), named.contains(&handle))?;
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
        function.expressions = self.new;
        function.local_variables = self.locals;
        function.named_expressions.extend(self.names);
        Ok(())
    }

    fn at(&self, old: Handle<Expression>) -> Handle<Expression> {
        self.places[old.index()]
    }

    fn append(&mut self, expression: Expression) -> Handle<Expression> {
        self.append_at(expression, Span::UNDEFINED)
    }

    fn append_at(&mut self, expression: Expression, span: Span) -> Handle<Expression> {
        self.depths.push(self.depth(&expression));
        self.new.append(expression, span)
    }

    /// How many brackets lie around the innermost operand; what is loaded or called has a name of its own.
    fn depth(&self, expression: &Expression) -> u32 {
        let mut deepest = None;
        if !matches!(expression, Expression::Load { .. }) {
            // Every kind that comes here was mapped once.
            map_operands(expression, |operand| {
                deepest = deepest.max(Some(self.depths[operand.index()]));
                operand
            });
        }
        deepest.map_or(0, |depth| depth + 1)
    }

    fn bytes(&self, ty: Handle<Type>) -> u32 {
        self.module.types[ty].inner.size(self.module.to_ctx())
    }

    fn word(&mut self, value: u32) -> Handle<Expression> {
        self.literal(Literal::U32(value))
    }

    fn literal(&mut self, literal: Literal) -> Handle<Expression> {
        let known = self.literals.iter().find(|(known, _)| *known == literal);
        if let Some((_, place)) = known {
            return *place;
        }
        let place = self.append(Expression::Literal(literal));
        self.literals.push((literal, place));
        place
    }

    /// A float that becomes an integer.
    fn cast(&self, expression: &Expression) -> Option<Cast> {
        let Expression::As { expr, .. } = expression else { return None };
        Cast::of(expression, self.info[*expr].ty.inner_with(&self.module.types))
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

    fn place(
        &mut self,
        handle: Handle<Expression>,
        old: &Expression,
        span: Span,
        named: bool,
    ) -> Result<(), GateError> {
        let bound = self.bound(handle, old);
        let mut expression = map_operands(old, |operand| self.at(operand)).ok_or_else(|| {
            GateError::at(self.source, span, "this expression has no place in a kernel of independent records")
        })?;
        let mut first = None;
        if let (Some(bound), Expression::Access { base, index }, Expression::Access { index: old_index, .. }) =
            (bound, &mut expression, old)
        {
            let begin = self.new.len();
            let signed =
                self.info[*old_index].ty.inner_with(&self.module.types).scalar_kind() == Some(ScalarKind::Sint);
            let mut bounded = *index;
            if signed {
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
            first = self.new.iter().nth(begin).map(|(handle, _)| handle);
        }
        if let (Some(cast), Expression::As { expr, .. }) = (self.cast(old), &mut expression) {
            let begin = self.new.len();
            let literals = cast.literals().map(|literal| self.literal(literal));
            *expr = cast.in_range(*expr, literals, |expression| self.append(expression));
            first = self.new.iter().nth(begin).map(|(handle, _)| handle);
        }
        let place = self.append_at(expression, span);
        let is_value = !matches!(
            self.info[handle].ty.inner_with(&self.module.types),
            TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. }
        );
        if named {
            self.depths[place.index()] = 0;
        } else if self.depths[place.index()] >= DEPTH_MAX && is_value {
            self.names.push((place, "tessera_step".to_owned()));
            self.depths[place.index()] = 0;
        }
        self.places.push(place);
        self.firsts.push(first.unwrap_or(place));
        Ok(())
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
                back.push((argument, copy));
            }
        }
        let result = result.map(|result| self.at(result));
        block.push(Statement::Call { function, arguments: passed, result }, span);
        for (part, copy) in back {
            self.assign(block, part, copy);
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
                for case in cases {
                    new.push(SwitchCase { body: self.block(case.body)?, ..case });
                }
                Statement::Switch { selector, cases: new }
            }
            Statement::Loop { body, continuing, break_if } => {
                self.loops.push(span);
                let (begin, mut fuelled) = self.spend();
                fuelled.extend_block(self.block(body)?);
                let continuing = self.block(continuing)?;
                let round =
                    Statement::Loop { body: fuelled, continuing, break_if: break_if.map(|handle| self.at(handle)) };
                Statement::Block(Block::from_vec(vec![begin, round]))
            }
            Statement::Return { value } => Statement::Return { value: value.map(|value| self.at(value)) },
            Statement::Store { pointer, value } => {
                Statement::Store { pointer: self.at(pointer), value: self.at(value) }
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                Statement::WorkGroupUniformLoad { pointer: self.at(pointer), result: self.at(result) }
            }
            Statement::Break | Statement::Continue | Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => {
                statement
            }
            // Calls are written by `call`.
            _ => {
                let message = "this statement has no place in a kernel of independent records";
                return Err(GateError::at(self.source, span, message));
            }
        })
    }

    /// Before the loop `turns = 0`, and in each iteration
    /// `if fuel < turn || turns == most { status = max(status, loop); fuel = 0; break } fuel -= turn; turns += 1`
    ///
    /// A record that was stopped finds no fuel in later loops either: the loop that stopped it comes before those.
    fn spend(&mut self) -> (Statement, Block) {
        let turn = u32::try_from(self.turns.next().unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let number = to::<u32, _>(self.loops.len());
        let counter = LocalVariable { name: Some("tessera_turns".to_owned()), ty: self.own.word, init: None };
        let counter = self.locals.append(counter, Span::UNDEFINED);
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
        let stop = vec![
            emit(fault, value),
            Statement::Atomic { pointer: fault, fun: AtomicFunction::Max, value, result: None },
            Statement::Store { pointer: fuel, value: none },
            Statement::Store { pointer: stopped, value: one },
            Statement::Break,
        ];
        let spent = Block::from_vec(vec![
            emit(left, over),
            Statement::If { condition: over, accept: Block::from_vec(stop), reject: Block::new() },
            emit(rest, next),
            Statement::Store { pointer: fuel, value: rest },
            Statement::Store { pointer: turns, value: next },
        ]);
        (Statement::Store { pointer: turns, value: none }, spent)
    }
}

fn status_word(status: Handle<Expression>, word: usize) -> Expression {
    Expression::AccessIndex { base: status, index: to(word) }
}

/// A `main` that calls the customer's for the tile's records only and notes the fuel that they used and left.
fn wrap(module: &mut Module, entry: EntryPoint, own: Own, fuel: u32, barriers: bool) -> EntryPoint {
    let mut arguments = entry.function.arguments.clone();
    let mut inner = entry.function;
    inner.name = Some("tessera_record".to_owned());
    inner.arguments.iter_mut().for_each(|argument| argument.binding = None);
    let own_arguments = inner.arguments.len();
    let inner = module.functions.append(inner, Span::UNDEFINED);

    let mut expressions = Arena::new();
    let mut append = |expression| expressions.append(expression, Span::UNDEFINED);
    let emit = |first, last| Statement::Emit(Range::new_from_bounds(first, last));
    let (id, member) = find_id(module, &mut arguments);
    let passed: Vec<Handle<Expression>> =
        (0u32..).take(own_arguments).map(|index| append(Expression::FunctionArgument(index))).collect();
    let id = append(Expression::FunctionArgument(id));
    let all = append(Expression::Literal(Literal::U32(fuel)));
    let fuel = append(Expression::GlobalVariable(own.fuel));
    let status = append(Expression::GlobalVariable(own.status));

    // Conditions first, since emitted expressions lie side by side.
    let id = member.map_or(id, |index| append(Expression::AccessIndex { base: id, index }));
    let record = append(Expression::AccessIndex { base: id, index: 0 });
    let records = append(status_word(status, STATUS_RECORDS));
    let records = append(Expression::Load { pointer: records });
    let within = append(Expression::Binary { op: BinaryOperator::Less, left: record, right: records });
    let left = append(Expression::Load { pointer: fuel });
    let used = append(Expression::Binary { op: BinaryOperator::Subtract, left: all, right: left });
    let most = append(status_word(status, STATUS_USED));
    // What lies past the last record ran to come to the barriers, and is nobody's work.
    let none = append(Expression::Literal(Literal::U32(0)));
    let counted = append(Expression::Select { condition: within, accept: left, reject: none });
    let all_left = append(status_word(status, STATUS_LEFT));

    let work = vec![
        Statement::Call { function: inner, arguments: passed, result: None },
        emit(left, most),
        Statement::Atomic { pointer: most, fun: AtomicFunction::Max, value: used, result: None },
        emit(counted, all_left),
        Statement::Atomic { pointer: all_left, fun: AtomicFunction::Add, value: counted, result: None },
    ];
    let first = if member.is_some() { id } else { record };
    let body: Vec<Statement> = if barriers {
        // Every invocation must come to a barrier; what lies past the last record clamps to it.
        std::iter::once(emit(first, within)).chain(work).collect()
    } else {
        let accept = Block::from_vec(work);
        vec![emit(first, within), Statement::If { condition: within, accept, reject: Block::new() }]
    };
    let function = Function { arguments, expressions, body: Block::from_vec(body), name: None, ..Function::default() };
    EntryPoint { function, ..entry_shell(entry.name, entry.workgroup_size) }
}

fn entry_shell(name: String, workgroup_size: [u32; 3]) -> EntryPoint {
    EntryPoint {
        name,
        stage: naga::ShaderStage::Compute,
        early_depth_test: None,
        workgroup_size,
        workgroup_size_overrides: None,
        function: Function::default(),
        mesh_info: None,
        task_payload: None,
        incoming_ray_payload: None,
    }
}

/// The argument that holds the invocation's id, and its member where the argument is a structure;
/// added where there is none.
fn find_id(module: &mut Module, arguments: &mut Vec<FunctionArgument>) -> (u32, Option<u32>) {
    let wanted = Some(Binding::BuiltIn(BuiltIn::GlobalInvocationId));
    for (index, argument) in (0u32..).zip(arguments.iter()) {
        if argument.binding == wanted {
            return (index, None);
        }
        if let TypeInner::Struct { members, .. } = &module.types[argument.ty].inner
            && let Some((member, _)) = (0u32..).zip(members).find(|(_, member)| member.binding == wanted)
        {
            return (index, Some(member));
        }
    }
    let inner = TypeInner::Vector { size: VectorSize::Tri, scalar: Scalar::U32 };
    let ty = module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
    arguments.push(FunctionArgument { name: Some("tessera_id".to_owned()), ty, binding: wanted });
    (to(arguments.len() - 1), None)
}

/// The same expression over other operands; none for a kind that no kernel has.
fn map_operands(old: &Expression, mut map: impl FnMut(Handle<Expression>) -> Handle<Expression>) -> Option<Expression> {
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
