//! Whether a loop was left by one of its own conditions, for a driver that leaves loops when it has had enough of them.
//!
//! Each `break` notes its loop's number first; whoever comes out of a loop without that was put out of it.

use gpu_kernels::customer_kernel::{STATUS_CUT, STATUS_FAULT};
use naga::{AtomicFunction, BinaryOperator, Block, Expression, Handle, Range, Span, Statement};

use super::globals::{Guard, status_word};
use super::instrumenter::Instrumenter;

impl Instrumenter<'_> {
    /// `left[place] = number; break`, in the loop of that number.
    pub(super) fn leave(&mut self) -> Statement {
        match (self.own.guard, self.around.last()) {
            (Some(guard), Some(Some(number))) => {
                let note = self.note(guard, *number);
                Statement::Block(Block::from_vec(vec![note, Statement::Break]))
            }
            _ => Statement::Break,
        }
    }

    /// `left[place] = number`, on the way out of the loop whose number it is.
    pub(super) fn note(&mut self, guard: Guard, number: u32) -> Statement {
        let value = self.word(number);
        let (pointer, emit) = self.pointer(guard);
        Statement::Block(Block::from_vec(vec![emit, Statement::Store { pointer, value }]))
    }

    /// `if left[place] != number { status = cut }`, behind the loop of that number.
    pub(super) fn check_left(&mut self, guard: Guard, number: u32) -> Statement {
        let [number, cut] = [number, STATUS_CUT].map(|value| self.word(value));
        let status = self.append(Expression::GlobalVariable(self.own.status));
        let (pointer, emit) = self.pointer(guard);
        let found = self.append(Expression::Load { pointer });
        let is_other = self.append(Expression::Binary { op: BinaryOperator::NotEqual, left: found, right: number });
        let fault = self.append(status_word(status, STATUS_FAULT));
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

    fn pointer(&mut self, guard: Guard) -> (Handle<Expression>, Statement) {
        let left = self.append(Expression::GlobalVariable(guard.left));
        let place = self.append(Expression::GlobalVariable(guard.place));
        let index = self.append(Expression::Load { pointer: place });
        let pointer = self.append(Expression::Access { base: left, index });
        (pointer, Statement::Emit(Range::new_from_bounds(index, pointer)))
    }

    /// The loop's own statements with what guards it: `left[place] = 0` before it, and the check behind it.
    pub(super) fn guarded(&mut self, before: Statement, round: Statement, number: u32) -> Block {
        let Some(guard) = self.own.guard else { return Block::from_vec(vec![before, round]) };
        let (reset, check) = (self.note(guard, 0), self.check_left(guard, number));
        Block::from_vec(vec![before, reset, round, check])
    }

    /// `if condition { left[place] = number }`, at the end of a turn that a `break if` may end.
    pub(super) fn note_break_if(&mut self, continuing: &mut Block, condition: Option<Handle<Expression>>, number: u32) {
        if let (Some(guard), Some(condition)) = (self.own.guard, condition) {
            let accept = Block::from_vec(vec![self.note(guard, number)]);
            continuing.push(Statement::If { condition, accept, reject: Block::new() }, Span::UNDEFINED);
        }
    }
}
