//! What the gate adds to a kernel's globals.

use gpu_kernels::customer_kernel::STATUS_WORDS;
use gpu_kernels::number::to;
use naga::{
    AddressSpace, ArraySize, Expression, GlobalVariable, Handle, Literal, Module, ResourceBinding, Scalar, Span,
    StorageAccess, Type, TypeInner,
};

/// The globals that the gate adds.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) fuel: Handle<GlobalVariable>,
    pub(super) status: Handle<GlobalVariable>,
    /// Whether a loop has stopped the record.
    pub(super) stopped: Handle<GlobalVariable>,
    /// Whether the invocation's record is one of the tile's, where others run too, to come to the barriers.
    pub(super) within: Option<Handle<GlobalVariable>>,
    pub(super) word: Handle<Type>,
}

pub(super) fn add_globals(module: &mut Module, fuel: u32, barriers: bool) -> Own {
    let no_name = |inner| Type { name: None, inner };
    let word = module.types.insert(no_name(TypeInner::Scalar(Scalar::U32)), Span::UNDEFINED);
    let atomic = module.types.insert(no_name(TypeInner::Atomic(Scalar::U32)), Span::UNDEFINED);
    let len = std::num::NonZeroU32::new(to(STATUS_WORDS)).expect("there should be a word");
    let array = TypeInner::Array { base: atomic, size: ArraySize::Constant(len), stride: 4 };
    let array = module.types.insert(no_name(array), Span::UNDEFINED);
    let init = module.global_expressions.append(Expression::Literal(Literal::U32(fuel)), Span::UNDEFINED);
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
    Own {
        fuel: module.global_variables.append(fuel, Span::UNDEFINED),
        status: module.global_variables.append(status, Span::UNDEFINED),
        stopped: module.global_variables.append(stopped, Span::UNDEFINED),
        within: barriers.then(|| module.global_variables.append(within, Span::UNDEFINED)),
        word,
    }
}
