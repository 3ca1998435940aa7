//! Several turns in one, for a driver that counts how often a loop goes back to its beginning.

use gpu_kernels::number::to;
use naga::{Block, Expression, Handle, Statement};

use super::instrumenter::Instrumenter;
use super::pays::Pays;
use crate::barriers::has_barrier;
use crate::error::GateError;

/// Turns of which nobody needs fewer: about half of what the driver takes, as loops around turn too.
const TURNS: u32 = 30_000;
const COPIES_MAX: u32 = 8;
/// Branches of all copies that leave the loop: each puts what stands behind it inside a condition, and those are counted too.
const LEAVING_MAX: u32 = 32;

impl Instrumenter<'_> {
    /// How often a loop's body is written in a row; `None` where once is enough, or it cannot be.
    pub(super) fn copies_in_a_turn(
        &self,
        body: &Block,
        continuing: &Block,
        break_if: Option<Handle<Expression>>,
        turn: u32,
    ) -> Option<u32> {
        let guard = self.own.guard?;
        if break_if.is_some() || !may_stand_in_a_row(body) || !may_stand_in_a_row(continuing) {
            return None;
        }
        // The one for fuel is ours.
        let leaving = 1 + breaks(body) + breaks(continuing);
        let wanted = (guard.fuel / turn.max(1)).div_ceil(TURNS).min(COPIES_MAX);
        Some(wanted.min(LEAVING_MAX / leaving)).filter(|copies| *copies > 1)
    }

    pub(super) fn several_in_a_turn(
        &mut self,
        copies: u32,
        body: &Block,
        continuing: &Block,
        pays: Pays,
    ) -> Result<Statement, GateError> {
        let mut turn = Block::new();
        for copy in 0..copies {
            if copy > 0 {
                self.place_again(&[body, continuing])?;
            }
            let mut once = self.spend(pays);
            once.extend_block(self.block(body.clone())?);
            once.extend_block(self.block(continuing.clone())?);
            turn.push(Statement::Block(once), naga::Span::UNDEFINED);
        }
        Ok(Statement::Loop { body: turn, continuing: Block::new(), break_if: None })
    }

    /// What blocks compute is an expression of its own in each copy: naga writes one once.
    fn place_again(&mut self, blocks: &[&Block]) -> Result<(), GateError> {
        let mut computed = Vec::new();
        blocks.iter().for_each(|block| note_computed(block, &mut computed));
        computed.sort_unstable_by_key(|handle| handle.index());
        for handle in computed {
            let (expression, span) = (self.old[handle].clone(), self.old.get_span(handle));
            let (place, first) = self.place(handle, &expression, span, false)?;
            self.places[handle.index()] = place;
            self.firsts[handle.index()] = first;
        }
        Ok(())
    }
}

/// A `continue` would skip the other copies, and a loop inside would be written often.
fn may_stand_in_a_row(block: &Block) -> bool {
    !has_barrier(block)
        && block.iter().all(|statement| match statement {
            Statement::Continue | Statement::Loop { .. } => false,
            Statement::Block(inner) => may_stand_in_a_row(inner),
            Statement::If { accept, reject, .. } => may_stand_in_a_row(accept) && may_stand_in_a_row(reject),
            Statement::Switch { cases, .. } => cases.iter().all(|case| may_stand_in_a_row(&case.body)),
            _ => true,
        })
}

/// Branches that may leave, and the cases of a `switch`, which count like them.
fn breaks(block: &Block) -> u32 {
    let of = |statement: &Statement| match statement {
        Statement::Break | Statement::Return { .. } => 1,
        Statement::Block(inner) => breaks(inner),
        Statement::If { accept, reject, .. } => breaks(accept) + breaks(reject),
        Statement::Switch { cases, .. } => {
            to::<u32, _>(cases.len()) + cases.iter().map(|case| breaks(&case.body)).sum::<u32>()
        }
        _ => 0,
    };
    block.iter().map(of).sum()
}

fn note_computed(block: &Block, computed: &mut Vec<Handle<Expression>>) {
    for statement in block {
        match statement {
            Statement::Emit(range) => computed.extend(range.clone()),
            Statement::Call { result: Some(result), .. } => computed.push(*result),
            Statement::Block(inner) => note_computed(inner, computed),
            Statement::If { accept, reject, .. } => {
                note_computed(accept, computed);
                note_computed(reject, computed);
            }
            Statement::Switch { cases, .. } => cases.iter().for_each(|case| note_computed(&case.body, computed)),
            _ => {}
        }
    }
}
