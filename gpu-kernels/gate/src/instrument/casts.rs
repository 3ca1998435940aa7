//! Floats that become integers, so that every device makes the same of one that is beyond their range.

use naga::{BinaryOperator, Expression, Handle, MathFunction, Scalar, ScalarKind, TypeInner, VectorSize};

use super::Instrumenter;

/// All of a float's bits but its sign, and those of infinity.
const NOT_SIGN: u32 = 0x7fff_ffff;
const INFINITY: u32 = 0x7f80_0000;

/// A float that becomes an integer; each of a vector's, where there is a size.
#[derive(Clone, Copy)]
pub(super) struct Cast {
    is_signed: bool,
    size: Option<VectorSize>,
}

impl Instrumenter<'_> {
    /// A float that becomes an integer.
    pub(super) fn cast(&self, expression: &Expression) -> Option<Cast> {
        let Expression::As { expr, kind, convert: Some(4) } = *expression else { return None };
        let to_integer = matches!(kind, ScalarKind::Sint | ScalarKind::Uint);
        let (size, scalar) = match *self.info[expr].ty.inner_with(&self.module.types) {
            TypeInner::Scalar(scalar) => (None, scalar),
            TypeInner::Vector { size, scalar } => (Some(size), scalar),
            _ => return None,
        };
        (to_integer && scalar == Scalar::F32).then_some(Cast { is_signed: kind == ScalarKind::Sint, size })
    }

    /// `0.0`, and the least and the largest float that the integer can be.
    pub(super) fn cast_literals(&mut self, cast: Cast) -> [Handle<Expression>; 3] {
        self.word(NOT_SIGN);
        self.word(INFINITY);
        let range = if cast.is_signed { [-2_147_483_648.0, 2_147_483_520.0] } else { [0.0, 4_294_967_040.0] };
        [0.0, range[0], range[1]].map(|value| self.float(value))
    }

    /// What lies beyond the integer's range is the nearest in it, and NaN is 0. WGSL leaves NaN open, and compilers differ
    /// in what they make of the largest.
    pub(super) fn in_range(&mut self, cast: Cast, value: Handle<Expression>) -> Handle<Expression> {
        let literals = self.cast_literals(cast);
        let [zero, least, largest] = literals.map(|literal| self.splat(cast.size, literal));
        let [not_sign, infinity] = [NOT_SIGN, INFINITY].map(|word| self.word(word));
        let [not_sign, infinity] = [not_sign, infinity].map(|literal| self.splat(cast.size, literal));
        let bits = self.append(Expression::As { expr: value, kind: ScalarKind::Uint, convert: None });
        let left = self.append(Expression::Binary { op: BinaryOperator::And, left: bits, right: not_sign });
        let is_nan = self.append(Expression::Binary { op: BinaryOperator::Greater, left, right: infinity });
        let number = self.append(Expression::Select { condition: is_nan, accept: zero, reject: value });
        let fun = MathFunction::Clamp;
        self.append(Expression::Math { fun, arg: number, arg1: Some(least), arg2: Some(largest), arg3: None })
    }

    fn splat(&mut self, size: Option<VectorSize>, value: Handle<Expression>) -> Handle<Expression> {
        size.map_or(value, |size| self.append(Expression::Splat { size, value }))
    }
}
