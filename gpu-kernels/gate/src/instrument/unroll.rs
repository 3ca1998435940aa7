//! Several turns in one, for a driver that counts how often a loop goes back to its beginning.

use gpu_kernels::number::to;
use naga::{Block, Expression, Handle, Statement};

use crate::barriers::has_barrier;

/// Turns of which nobody needs fewer: about half of what the driver takes, as loops around turn too.
const TURNS: u32 = 30_000;
const COPIES_MAX: u32 = 8;
/// Branches of all copies that leave the loop: each puts what stands behind it inside a condition, and those are counted too.
const LEAVING_MAX: u32 = 32;

/// How often a loop's body is written in a row, where its fuel is for so many turns; `None` where once is enough, or it cannot be.
pub(super) fn copies_in_a_turn(turns: u32, body: &Block, continuing: &Block) -> Option<u32> {
    if !may_stand_in_a_row(body) || !may_stand_in_a_row(continuing) {
        return None;
    }
    // The one for fuel is ours.
    let leaving = 1 + breaks(body) + breaks(continuing);
    Some(turns.div_ceil(TURNS).min(COPIES_MAX).min(LEAVING_MAX / leaving)).filter(|copies| *copies > 1)
}

/// What blocks compute, in its order.
pub(super) fn computed(blocks: &[&Block]) -> Vec<Handle<Expression>> {
    let mut computed = Vec::new();
    blocks.iter().for_each(|block| note_computed(block, &mut computed));
    computed.sort_unstable_by_key(|handle| handle.index());
    computed
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
