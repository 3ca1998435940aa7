//! Whether a loop was left by one of its own conditions, for a driver that leaves loops when it has had enough of them.
//!
//! Each `break` notes its loop's number first; whoever comes out of a loop without that was put out of it.

use gpu_kernels::customer_kernel::{STATUS_CUT, STATUS_FAULT};
use naga::{AtomicFunction, BinaryOperator, Block, Expression, GlobalVariable, Handle, Range, Span, Statement};

use super::globals::{Guard, Own, status_word};
use super::laid::Laid;

/// `left[place] = number; break`, in the loop of that number, the last of those `around`.
pub(super) fn leave(own: Own, out: &mut Laid, around: &[Option<u32>]) -> Statement {
    match (own.guard, around.last()) {
        (Some(guard), Some(Some(number))) => {
            let note = note(guard, out, *number);
            Statement::Block(Block::from_vec(vec![note, Statement::Break]))
        }
        _ => Statement::Break,
    }
}

/// `if condition { left[place] = number }`, at the end of a turn that a `break if` may end.
pub(super) fn note_break_if(
    own: Own,
    out: &mut Laid,
    continuing: &mut Block,
    condition: Option<Handle<Expression>>,
    number: u32,
) {
    if let (Some(guard), Some(condition)) = (own.guard, condition) {
        let accept = Block::from_vec(vec![note(guard, out, number)]);
        continuing.push(Statement::If { condition, accept, reject: Block::new() }, Span::UNDEFINED);
    }
}

/// A loop with what guards it: `left[place] = 0` before it, and a check behind it.
pub(super) fn guarded(own: Own, out: &mut Laid, before: Statement, round: Statement, number: u32) -> Block {
    let Some(guard) = own.guard else { return Block::from_vec(vec![before, round]) };
    let (reset, check) = (note(guard, out, 0), check(guard, own.status, out, number));
    Block::from_vec(vec![before, reset, round, check])
}

/// `left[place] = number`
fn note(guard: Guard, out: &mut Laid, number: u32) -> Statement {
    let value = out.word(number);
    let (pointer, emit) = pointer(guard, out);
    Statement::Block(Block::from_vec(vec![emit, Statement::Store { pointer, value }]))
}

/// `if left[place] != number { status = cut }`, behind the loop of that number.
fn check(guard: Guard, status: Handle<GlobalVariable>, out: &mut Laid, number: u32) -> Statement {
    let [number, cut] = [number, STATUS_CUT].map(|value| out.word(value));
    let status = out.append(Expression::GlobalVariable(status));
    let (pointer, emit) = pointer(guard, out);
    let found = out.append(Expression::Load { pointer });
    let is_other = out.append(Expression::Binary { op: BinaryOperator::NotEqual, left: found, right: number });
    let fault = out.append(status_word(status, STATUS_FAULT));
    let tell = vec![
        Statement::Emit(Range::new_from_bounds(fault, fault)),
        Statement::Atomic { pointer: fault, fun: AtomicFunction::Max, value: cut, result: None },
    ];
    Statement::Block(Block::from_vec(vec![
        emit,
        Statement::Emit(Range::new_from_bounds(found, is_other)),
        Statement::If { condition: is_other, accept: Block::from_vec(tell), reject: Block::new() },
    ]))
}

fn pointer(guard: Guard, out: &mut Laid) -> (Handle<Expression>, Statement) {
    let left = out.append(Expression::GlobalVariable(guard.left));
    let place = out.append(Expression::GlobalVariable(guard.place));
    let index = out.append(Expression::Load { pointer: place });
    let pointer = out.append(Expression::Access { base: left, index });
    (pointer, Statement::Emit(Range::new_from_bounds(index, pointer)))
}
