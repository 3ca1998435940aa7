//! Fuel into every loop, bounds into every access, and a `main` of our own around the customer's.
//!
//! naga's expressions refer to one another by handles in order, so a function's are laid out anew, each
//! index followed by its bound, and every statement refers to the new handles.

mod casts;
mod globals;
mod guard;
mod instrumenter;
mod laid;
mod pays;
mod subnormals;
mod trigonometry;
mod unroll;
mod wrapper;

use naga::valid::ModuleInfo;
use naga::{Module, Span};

pub(super) use self::globals::Writing;
use self::globals::add_globals;
use self::instrumenter::Instrumenter;
use self::wrapper::wrap;
use crate::error::GateError;
use crate::fuel::Told;
use crate::pointers::WrittenArguments;

/// The safe module, and the span of each loop in the order of its number.
pub(super) fn instrument(
    source: &str,
    mut module: Module,
    info: &ModuleInfo,
    told: &Told,
    written: &WrittenArguments,
    writing: Writing,
) -> Result<(Module, Vec<Span>), GateError> {
    subnormals::flush(&mut module);
    let own = add_globals(&mut module, writing);
    let mut loops = Vec::new();
    let mut functions = std::mem::take(&mut module.functions);
    for (handle, function) in functions.iter_mut() {
        let facts = told.loops_of.get(&handle).map(Vec::as_slice).unwrap_or_default();
        Instrumenter::new(source, &module, &info[handle], own, written, &mut loops).instrument(function, facts)?;
    }
    module.functions = functions;
    if let Some(mut entry) = module.entry_points.pop() {
        Instrumenter::new(source, &module, info.get_entry_point(0), own, written, &mut loops)
            .instrument(&mut entry.function, &told.loops)?;
        let wrapped = wrap(&mut module, entry, own, writing.fuel);
        module.entry_points.push(wrapped);
    }
    Ok((module, loops))
}
