//! A `main` of our own around the customer's.

use gpu_kernels::customer_kernel::{STATUS_LEFT, STATUS_RECORDS, STATUS_USED};
use gpu_kernels::number::to;
use naga::{
    Arena, AtomicFunction, BinaryOperator, Binding, Block, BuiltIn, EntryPoint, Expression, Function, FunctionArgument,
    Handle, Literal, Module, Range, Scalar, Span, Statement, Type, TypeInner, VectorSize,
};

use super::globals::{Own, status_word};

/// A `main` that calls the customer's for the tile's records only and notes the fuel that they used and left.
pub(super) fn wrap(module: &mut Module, entry: EntryPoint, own: Own, fuel: u32) -> EntryPoint {
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
    let place = own.guard.map(|guard| append(Expression::GlobalVariable(guard.place)));
    let is_within = own.within.map(|within| append(Expression::GlobalVariable(within)));

    let [none, one] = [0, 1].map(|word| append(Expression::Literal(Literal::U32(word))));

    // Conditions first, since emitted expressions lie side by side.
    let id = member.map_or(id, |index| append(Expression::AccessIndex { base: id, index }));
    let record = append(Expression::AccessIndex { base: id, index: 0 });
    let records = append(status_word(status, STATUS_RECORDS));
    let records = append(Expression::Load { pointer: records });
    let within = append(Expression::Binary { op: BinaryOperator::Less, left: record, right: records });
    // Always 0, which is nothing that a compiler knows.
    let unknown = own.guard.map(|_| {
        let is_any = append(Expression::Binary { op: BinaryOperator::Greater, left: records, right: none });
        append(Expression::Select { condition: is_any, accept: none, reject: one })
    });
    let left = append(Expression::Load { pointer: fuel });
    let used = append(Expression::Binary { op: BinaryOperator::Subtract, left: all, right: left });
    let most = append(status_word(status, STATUS_USED));
    // What lies past the last record ran to come to the barriers, and is nobody's work.
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
    let mut body = vec![emit(first, unknown.unwrap_or(within))];
    body.extend(place.zip(unknown).map(|(pointer, value)| Statement::Store { pointer, value }));
    if let Some(pointer) = is_within {
        // Every invocation must come to a barrier; what lies past the last record writes nothing.
        body.push(Statement::Store { pointer, value: within });
        body.extend(work);
    } else {
        body.push(Statement::If { condition: within, accept: Block::from_vec(work), reject: Block::new() });
    }
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
