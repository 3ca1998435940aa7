//! What the gate adds to a kernel's globals.

use gpu_kernels::customer_kernel::{Driver, STATUS_WORDS};
use gpu_kernels::number::to;
use naga::{
    AddressSpace, ArraySize, Expression, GlobalVariable, Handle, Literal, Module, ResourceBinding, Scalar, Span,
    StorageAccess, Type, TypeInner,
};

/// What is written into a kernel.
#[derive(Clone, Copy)]
pub(crate) struct Writing {
    /// Of a record, in operations.
    pub(crate) fuel: u32,
    /// There are barriers.
    pub(crate) barriers: bool,
    pub(crate) driver: Driver,
    /// Loops may be written several times in a row.
    pub(crate) may_repeat: bool,
}

/// The globals that the gate adds.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) fuel: Handle<GlobalVariable>,
    pub(super) status: Handle<GlobalVariable>,
    /// Whether a loop has stopped the record.
    pub(super) stopped: Handle<GlobalVariable>,
    /// Whether the invocation's record is one of the tile's, where others run too, to come to the barriers.
    pub(super) within: Option<Handle<GlobalVariable>>,
    /// Where the driver leaves loops unasked.
    pub(super) guard: Option<Guard>,
    pub(super) word: Handle<Type>,
}

/// Which loop was left by a condition last. It is kept in an array, at a place that no compiler can tell, so that none takes it
/// for known.
#[derive(Clone, Copy)]
pub(super) struct Guard {
    pub(super) left: Handle<GlobalVariable>,
    pub(super) place: Handle<GlobalVariable>,
    /// Of a record: how often loops may turn. 0 where none may be written several times in a row.
    pub(super) fuel: u32,
}

pub(super) fn add_globals(module: &mut Module, writing: Writing) -> Own {
    let Writing { fuel: operations, barriers, driver, may_repeat } = writing;
    let no_name = |inner| Type { name: None, inner };
    let word = module.types.insert(no_name(TypeInner::Scalar(Scalar::U32)), Span::UNDEFINED);
    let atomic = module.types.insert(no_name(TypeInner::Atomic(Scalar::U32)), Span::UNDEFINED);
    let len = std::num::NonZeroU32::new(to(STATUS_WORDS)).expect("there should be a word");
    let array = TypeInner::Array { base: atomic, size: ArraySize::Constant(len), stride: 4 };
    let array = module.types.insert(no_name(array), Span::UNDEFINED);
    let init = module.global_expressions.append(Expression::Literal(Literal::U32(operations)), Span::UNDEFINED);
    let global = |name: &str, space, binding, ty, init| GlobalVariable {
        name: Some(name.to_owned()),
        space,
        binding,
        ty,
        init,
        memory_decorations: naga::MemoryDecorations::empty(),
    };
    let never = module.global_expressions.append(Expression::Literal(Literal::U32(0)), Span::UNDEFINED);
    let stopped = global("tessera_stopped", AddressSpace::Private, None, word, Some(never));
    let fuel = global("tessera_fuel", AddressSpace::Private, None, word, Some(init));
    let access = StorageAccess::LOAD | StorageAccess::STORE;
    let place = Some(ResourceBinding { group: 0, binding: 3 });
    let status = global("tessera_status", AddressSpace::Storage { access }, place, array, None);
    let truth = module.types.insert(no_name(TypeInner::Scalar(Scalar::BOOL)), Span::UNDEFINED);
    let within = global("tessera_within", AddressSpace::Private, None, truth, None);
    let two = std::num::NonZeroU32::MIN.saturating_add(1);
    let pair = TypeInner::Array { base: word, size: ArraySize::Constant(two), stride: 4 };
    let pair = module.types.insert(no_name(pair), Span::UNDEFINED);
    let guard = [("tessera_left", pair), ("tessera_place", word)]
        .map(|(name, ty)| global(name, AddressSpace::Private, None, ty, None));
    let guard = (driver == Driver::Llvmpipe).then(|| {
        let [left, place] = guard.map(|variable| module.global_variables.append(variable, Span::UNDEFINED));
        Guard { left, place, fuel: if may_repeat { operations } else { 0 } }
    });
    Own {
        fuel: module.global_variables.append(fuel, Span::UNDEFINED),
        status: module.global_variables.append(status, Span::UNDEFINED),
        stopped: module.global_variables.append(stopped, Span::UNDEFINED),
        within: barriers.then(|| module.global_variables.append(within, Span::UNDEFINED)),
        guard,
        word,
    }
}

pub(super) fn status_word(status: Handle<Expression>, word: usize) -> Expression {
    Expression::AccessIndex { base: status, index: to(word) }
}
