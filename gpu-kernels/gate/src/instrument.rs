//! Fuel into every loop, bounds into every access, and a `main` of our own around the customer's.
//!
//! naga's expressions refer to one another by handles in order, so a function's are laid out anew, each
//! index followed by its bound, and every statement refers to the new handles.

use std::collections::HashMap;

use gpu_kernels::customer_kernel::{STATUS_FAULT, STATUS_RECORDS, STATUS_TURNS, STATUS_USED, STATUS_WORDS, TURNS_MAX};
use gpu_kernels::number::to;
use naga::proc::IndexableLength;
use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    AddressSpace, Arena, ArraySize, AtomicFunction, BinaryOperator, Binding, Block, BuiltIn, EntryPoint, Expression,
    Function, FunctionArgument, GlobalVariable, Handle, Literal, LocalVariable, MathFunction, Module, Range,
    ResourceBinding, Scalar, ScalarKind, Span, Statement, StorageAccess, SwitchCase, Type, TypeInner, VectorSize,
};

use crate::contract::Facts;
use crate::cost::{Costs, FunctionCost};
use crate::error::GateError;

/// The globals that the gate adds.
#[derive(Clone, Copy)]
struct Own {
    fuel: Handle<GlobalVariable>,
    status: Handle<GlobalVariable>,
    word: Handle<Type>,
}

/// The safe module, and the span of each loop in the order of its number.
pub(super) fn instrument(
    source: &str,
    mut module: Module,
    info: &ModuleInfo,
    costs: &Costs,
    facts: &Facts,
    fuel: u32,
) -> Result<(Module, Vec<Span>), GateError> {
    let own = add_globals(&mut module, fuel);
    let mut loops = Vec::new();
    let mut functions = std::mem::take(&mut module.functions);
    for (handle, function) in functions.iter_mut() {
        let cost = costs.functions[&handle].clone();
        Instrumenter::new(source, &module, &info[handle], own, &mut loops).instrument(function, &cost)?;
    }
    module.functions = functions;
    if let Some(mut entry) = module.entry_points.pop() {
        Instrumenter::new(source, &module, info.get_entry_point(0), own, &mut loops)
            .instrument(&mut entry.function, &costs.entry)?;
        let wrapped = wrap(&mut module, entry, own, fuel, facts.barriers);
        module.entry_points.push(wrapped);
    }
    Ok((module, loops))
}

fn add_globals(module: &mut Module, fuel: u32) -> Own {
    let no_name = |inner| Type { name: None, inner };
    let word = module.types.insert(no_name(TypeInner::Scalar(Scalar::U32)), Span::UNDEFINED);
    let atomic = module.types.insert(no_name(TypeInner::Atomic(Scalar::U32)), Span::UNDEFINED);
    let len = std::num::NonZeroU32::new(to(STATUS_WORDS)).expect("there should be a word");
    let array = TypeInner::Array { base: atomic, size: ArraySize::Constant(len), stride: 4 };
    let array = module.types.insert(no_name(array), Span::UNDEFINED);
    let init = module.global_expressions.append(Expression::Literal(Literal::U32(fuel)), Span::UNDEFINED);
    let global = |name: &str, space, binding, ty, init| GlobalVariable {
        name: Some(name.to_owned()),
        space,
        binding,
        ty,
        init,
        memory_decorations: naga::MemoryDecorations::empty(),
    };
    let fuel = global("tessera_fuel", AddressSpace::Private, None, word, Some(init));
    let access = StorageAccess::LOAD | StorageAccess::STORE;
    let place = Some(ResourceBinding { group: 0, binding: 3 });
    let status = global("tessera_status", AddressSpace::Storage { access }, place, array, None);
    Own {
        fuel: module.global_variables.append(fuel, Span::UNDEFINED),
        status: module.global_variables.append(status, Span::UNDEFINED),
        word,
    }
}

struct Instrumenter<'a> {
    source: &'a str,
    module: &'a Module,
    info: &'a FunctionInfo,
    own: Own,
    loops: &'a mut Vec<Span>,
    new: Arena<Expression>,
    locals: Arena<LocalVariable>,
    /// The new handle of each old expression.
    places: Vec<Handle<Expression>>,
    /// The first new expression that belongs to an old one: its bound, or itself.
    firsts: Vec<Handle<Expression>>,
    words: HashMap<u32, Handle<Expression>>,
    turns: std::vec::IntoIter<u64>,
}

impl<'a> Instrumenter<'a> {
    fn new(source: &'a str, module: &'a Module, info: &'a FunctionInfo, own: Own, loops: &'a mut Vec<Span>) -> Self {
        Self {
            source,
            module,
            info,
            own,
            loops,
            new: Arena::new(),
            locals: Arena::new(),
            places: Vec::new(),
            firsts: Vec::new(),
            words: HashMap::new(),
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
        }
        for (handle, expression) in old.iter() {
            self.place(handle, expression, old.get_span(handle))?;
        }
        for (_, variable) in function.local_variables.iter_mut() {
            variable.init = variable.init.map(|init| self.at(init));
        }
        self.locals = std::mem::take(&mut function.local_variables);
        let names = std::mem::take(&mut function.named_expressions);
        for (handle, name) in names {
            function.named_expressions.insert(self.at(handle), name);
        }
        let body = std::mem::take(&mut function.body);
        function.body = self.block(body)?;
        function.expressions = self.new;
        function.local_variables = self.locals;
        Ok(())
    }

    fn at(&self, old: Handle<Expression>) -> Handle<Expression> {
        self.places[old.index()]
    }

    fn append(&mut self, expression: Expression) -> Handle<Expression> {
        self.new.append(expression, Span::UNDEFINED)
    }

    fn word(&mut self, value: u32) -> Handle<Expression> {
        if let Some(&known) = self.words.get(&value) {
            return known;
        }
        let literal = self.append(Expression::Literal(Literal::U32(value)));
        self.words.insert(value, literal);
        literal
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

    fn place(&mut self, handle: Handle<Expression>, old: &Expression, span: Span) -> Result<(), GateError> {
        let bound = self.bound(handle, old);
        let mut expression = self.remap(old).ok_or_else(|| {
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
        let place = self.new.append(expression, span);
        self.places.push(place);
        self.firsts.push(first.unwrap_or(place));
        Ok(())
    }

    /// The same expression over new handles; none for a kind that no kernel has.
    fn remap(&self, old: &Expression) -> Option<Expression> {
        let at = |handle: &Handle<Expression>| self.at(*handle);
        let maybe = |handle: &Option<Handle<Expression>>| handle.map(|handle| self.at(handle));
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
                Expression::Compose { ty: *ty, components: components.iter().map(at).collect() }
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
            Expression::Math { fun, arg, arg1, arg2, arg3 } => {
                Expression::Math { fun: *fun, arg: at(arg), arg1: maybe(arg1), arg2: maybe(arg2), arg3: maybe(arg3) }
            }
            Expression::As { expr, kind, convert } => Expression::As { expr: at(expr), kind: *kind, convert: *convert },
            Expression::ArrayLength(array) => Expression::ArrayLength(at(array)),
            _ => return None,
        })
    }

    fn block(&mut self, block: Block) -> Result<Block, GateError> {
        let mut new = Block::with_capacity(block.len());
        for (statement, span) in block.span_into_iter() {
            let statement = self.statement(statement, span)?;
            new.push(statement, span);
        }
        Ok(new)
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
            Statement::Call { function, arguments, result } => Statement::Call {
                function,
                arguments: arguments.into_iter().map(|argument| self.at(argument)).collect(),
                result: result.map(|result| self.at(result)),
            },
            Statement::WorkGroupUniformLoad { pointer, result } => {
                Statement::WorkGroupUniformLoad { pointer: self.at(pointer), result: self.at(result) }
            }
            Statement::Break | Statement::Continue | Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => {
                statement
            }
            _ => {
                let message = "this statement has no place in a kernel of independent records";
                return Err(GateError::at(self.source, span, message));
            }
        })
    }

    /// Before the loop `turns = 0`, and in each iteration
    /// `if fuel < turn || turns == most { status = max(status, loop); fuel = 0; break } fuel -= turn; turns += 1`
    fn spend(&mut self) -> (Statement, Block) {
        let turn = u32::try_from(self.turns.next().unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let number = to::<u32, _>(self.loops.len());
        let counter = LocalVariable { name: Some("tessera_turns".to_owned()), ty: self.own.word, init: None };
        let counter = self.locals.append(counter, Span::UNDEFINED);
        let [turn, dry, round, none, one, most] =
            [turn, number, number | STATUS_TURNS, 0, 1, TURNS_MAX].map(|value| self.word(value));
        let fuel = self.append(Expression::GlobalVariable(self.own.fuel));
        let status = self.append(Expression::GlobalVariable(self.own.status));
        let turns = self.append(Expression::LocalVariable(counter));
        let emit = |first, last| Statement::Emit(Range::new_from_bounds(first, last));

        let left = self.append(Expression::Load { pointer: fuel });
        let short = self.append(Expression::Binary { op: BinaryOperator::Less, left, right: turn });
        let rounds = self.append(Expression::Load { pointer: turns });
        let long = self.append(Expression::Binary { op: BinaryOperator::GreaterEqual, left: rounds, right: most });
        let over = self.append(Expression::Binary { op: BinaryOperator::LogicalOr, left: short, right: long });
        let fault = self.append(status_word(status, STATUS_FAULT));
        let value = self.append(Expression::Select { condition: short, accept: dry, reject: round });
        let rest = self.append(Expression::Binary { op: BinaryOperator::Subtract, left, right: turn });
        let next = self.append(Expression::Binary { op: BinaryOperator::Add, left: rounds, right: one });
        let stop = vec![
            emit(fault, value),
            Statement::Atomic { pointer: fault, fun: AtomicFunction::Max, value, result: None },
            Statement::Store { pointer: fuel, value: none },
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

/// A `main` that calls the customer's for the tile's records only and notes the fuel they used.
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

    let work = vec![
        Statement::Call { function: inner, arguments: passed, result: None },
        emit(left, most),
        Statement::Atomic { pointer: most, fun: AtomicFunction::Max, value: used, result: None },
    ];
    let first = if member.is_some() { id } else { record };
    let body = if barriers {
        // Every invocation must come to a barrier; what lies past the last record clamps to it.
        work
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
