use naga::{Handle, LocalVariable};

/// What a loop's turns are paid with.
#[derive(Clone, Copy)]
pub(super) struct Pays {
    pub(super) number: u32,
    /// Operations of a turn.
    pub(super) turn: u32,
    /// The variable that counts the turns.
    pub(super) counter: Handle<LocalVariable>,
    /// A loop with a barrier goes on without fuel.
    pub(super) goes_on: bool,
}
