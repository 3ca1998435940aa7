//! What an event costs: how many entries of any collection were looked at, which tests count in place of time.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// An entry is looked at: in every loop over devices, jobs, leases, slices or requests, and at every place of an index.
pub(super) fn step() {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

/// How many entries `event` looks at.
#[cfg(test)]
pub(super) fn steps_of(event: impl FnOnce()) -> u64 {
    let before = STEPS.with(Cell::get);
    event();
    STEPS.with(Cell::get) - before
}
