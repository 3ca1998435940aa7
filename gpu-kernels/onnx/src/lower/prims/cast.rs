//! Values of one type as those of another, inside an elementwise program.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::{Program, Reg, Unary};

/// A conversion that changes nothing.
pub(crate) fn same(repr: Repr) -> Unary {
    match repr {
        Repr::F32 => Unary::ToF32,
        Repr::I32 => Unary::ToI32,
        Repr::U32 => Unary::ToU32,
    }
}

/// Whether results of a type are cut to its values. Half floats are not: what one node hands to the next stays a
/// float32, as onnxruntime's CPU keeps it, so that no square or sum overflows inside a model.
pub(crate) fn wraps(dtype: DType) -> bool {
    match dtype {
        DType::I16 | DType::I8 | DType::U16 | DType::U8 => true,
        DType::F32 | DType::F16 | DType::BF16 | DType::I64 | DType::I32 | DType::U32 | DType::Bool => false,
    }
}

/// Cuts a result to the values of a narrow type.
pub(crate) fn wrapped(p: &mut Program, value: Reg, dtype: DType) -> Reg {
    if wraps(dtype) { p.un(Unary::Wrap(dtype), value) } else { value }
}

/// A value as another type's, without the cut to a narrow one.
pub(crate) fn convert(p: &mut Program, value: Reg, from: DType, to: DType) -> Reg {
    if to == DType::Bool {
        let zero = p.is_zero(value);
        return p.is_zero(zero);
    }
    match (from.repr(), to.repr()) {
        (Repr::F32, Repr::F32) | (Repr::I32, Repr::I32) | (Repr::U32, Repr::U32) => value,
        (_, Repr::F32) => p.un(Unary::ToF32, value),
        (_, Repr::I32) => p.un(Unary::ToI32, value),
        // Below zero a float goes by way of a signed number, and wraps.
        (_, Repr::U32) => p.un(Unary::ToU32, value),
    }
}
