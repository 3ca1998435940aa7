//! Several turns in one, for a driver that counts how often loops go back to their beginning.

use gpu_kernels::number::to;
use naga::{Block, Expression, Handle, Span, Statement};

use crate::barriers::has_barrier;

/// Turns of which nobody needs fewer: about half of what the driver takes, as loops around turn too.
const TURNS: u32 = 30_000;
const COPIES_MAX: u32 = 8;
/// Branches of all copies that leave the loop: each puts what stands behind it inside a condition, and those are counted too.
const LEAVING_MAX: u32 = 32;

/// How a loop is written out.
pub(super) struct Row {
    pub(super) copies: u32,
    /// One turn, without a `continue`.
    pub(super) turn: Block,
    /// These are all the turns there are, and the last one that finds that it is over.
    pub(super) is_all: bool,
}

/// For a loop whose fuel is for so many turns, and which makes `known` at most. `None` where it stays as it is.
pub(super) fn row(turns: u32, known: Option<u64>, body: &Block, continuing: &Block) -> Option<Row> {
    let blocks = [body, continuing];
    // A loop inside would be written often; and what is known of loops is told in their order, those that nobody comes to too.
    if turns < TURNS || blocks.iter().any(|block| has_barrier(block) || has_loop(block)) {
        return None;
    }
    let mut turn = without_continue(body.clone())?;
    turn.extend_block(without_continue(continuing.clone())?);
    // The one for fuel is ours.
    let most = COPIES_MAX.min(LEAVING_MAX / (1 + leaving(&turn)));
    let all = known.and_then(|known| u32::try_from(known + 1).ok()).filter(|all| *all <= most);
    let copies = all.unwrap_or_else(|| turns.div_ceil(TURNS).min(most));
    (copies > 1 || all.is_some()).then_some(Row { copies, turn, is_all: all.is_some() })
}

/// What a block computes, in its order.
pub(super) fn computed(block: &Block) -> Vec<Handle<Expression>> {
    let mut computed = Vec::new();
    note_computed(block, &mut computed);
    computed.sort_unstable_by_key(|handle| handle.index());
    computed
}

/// The same statements where nothing skips the rest of a turn: `if a { b; continue; } c` is `if a { b } else { c }`. `None` where
/// that is not enough.
fn without_continue(block: Block) -> Option<Block> {
    let mut rest: Vec<(Statement, Span)> = block.span_into_iter().collect();
    rest.reverse();
    let mut written = Block::new();
    while let Some((statement, span)) = rest.pop() {
        match statement {
            Statement::Continue => return Some(written),
            Statement::Block(inner) => {
                // Laid flat, so that what is behind it can be moved into a branch of it.
                rest.extend(inner.span_into_iter().collect::<Vec<_>>().into_iter().rev());
            }
            Statement::If { condition, accept, reject } if has_continue(&accept) || has_continue(&reject) => {
                let mut behind = Block::new();
                rest.into_iter().rev().for_each(|(statement, span)| behind.push(statement, span));
                let with_rest = |mut branch: Block, behind: Block| {
                    if !ends(&branch) {
                        branch.extend_block(behind);
                    }
                    without_continue(branch)
                };
                // The rest is written once: one of the branches never comes to it.
                if !ends(&accept) && !ends(&reject) {
                    return None;
                }
                let accept = with_rest(accept, behind.clone())?;
                let reject = with_rest(reject, behind)?;
                written.push(Statement::If { condition, accept, reject }, span);
                return Some(written);
            }
            Statement::Switch { ref cases, .. } if cases.iter().any(|case| has_continue(&case.body)) => return None,
            other => written.push(other, span),
        }
    }
    Some(written)
}

/// Whether nothing comes behind a block.
fn ends(block: &Block) -> bool {
    match block.last() {
        Some(Statement::Continue | Statement::Break | Statement::Return { .. }) => true,
        Some(Statement::Block(inner)) => ends(inner),
        _ => false,
    }
}

fn has_continue(block: &Block) -> bool {
    any(block, &|statement| matches!(statement, Statement::Continue))
}

fn has_loop(block: &Block) -> bool {
    any(block, &|statement| matches!(statement, Statement::Loop { .. }))
}

/// Whether some statement of a block, outside of loops, is one of these.
fn any(block: &Block, is: &dyn Fn(&Statement) -> bool) -> bool {
    block.iter().any(|statement| {
        is(statement)
            || match statement {
                Statement::Block(inner) => any(inner, is),
                Statement::If { accept, reject, .. } => any(accept, is) || any(reject, is),
                Statement::Switch { cases, .. } => cases.iter().any(|case| any(&case.body, is)),
                _ => false,
            }
    })
}

/// Branches that may leave or that hold the rest of a turn, and the cases of a `switch`, which count like them.
fn leaving(block: &Block) -> u32 {
    let of = |statement: &Statement| match statement {
        Statement::Break | Statement::Return { .. } => 1,
        Statement::Block(inner) => leaving(inner),
        Statement::If { accept, reject, .. } => 1 + leaving(accept) + leaving(reject),
        Statement::Switch { cases, .. } => {
            to::<u32, _>(cases.len()) + cases.iter().map(|case| leaving(&case.body)).sum::<u32>()
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
