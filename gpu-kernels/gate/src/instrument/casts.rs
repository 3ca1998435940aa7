//! Floats that become integers, so that every device makes the same of one that is beyond their range.

use naga::{BinaryOperator, Expression, Handle, Literal, MathFunction, Scalar, ScalarKind, TypeInner, VectorSize};

/// All of a float's bits but its sign, and those of infinity.
const NOT_SIGN: u32 = 0x7fff_ffff;
const INFINITY: u32 = 0x7f80_0000;

/// A float that becomes an integer; each of a vector's, where there is a size.
#[derive(Clone, Copy)]
pub(super) struct Cast {
    is_signed: bool,
    size: Option<VectorSize>,
}

impl Cast {
    /// `operand` is the type of what is cast.
    pub(super) fn of(expression: &Expression, operand: &TypeInner) -> Option<Self> {
        let Expression::As { kind, convert: Some(4), .. } = *expression else { return None };
        let (size, scalar) = match *operand {
            TypeInner::Scalar(scalar) => (None, scalar),
            TypeInner::Vector { size, scalar } => (Some(size), scalar),
            _ => return None,
        };
        let to_integer = matches!(kind, ScalarKind::Sint | ScalarKind::Uint);
        (to_integer && scalar == Scalar::F32).then_some(Self { is_signed: kind == ScalarKind::Sint, size })
    }

    /// What [`Cast::in_range`] computes with: 0, the least and the largest float that the integer can be, and bits.
    pub(super) fn literals(self) -> [Literal; 5] {
        let [least, largest] =
            if self.is_signed { [-2_147_483_648.0, 2_147_483_520.0] } else { [0.0, 4_294_967_040.0] };
        let [zero, least, largest] = [0.0, least, largest].map(Literal::F32);
        [zero, least, largest, Literal::U32(NOT_SIGN), Literal::U32(INFINITY)]
    }

    /// What lies beyond the integer's range is the nearest in it, and NaN is 0. WGSL leaves NaN open, and compilers differ
    /// in what they make of the largest. `literals` are placed by now.
    pub(super) fn in_range(
        self,
        value: Handle<Expression>,
        literals: [Handle<Expression>; 5],
        mut append: impl FnMut(Expression) -> Handle<Expression>,
    ) -> Handle<Expression> {
        let [zero, least, largest, not_sign, infinity] = literals.map(|literal| match self.size {
            Some(size) => append(Expression::Splat { size, value: literal }),
            None => literal,
        });
        let bits = append(Expression::As { expr: value, kind: ScalarKind::Uint, convert: None });
        let left = append(Expression::Binary { op: BinaryOperator::And, left: bits, right: not_sign });
        let is_nan = append(Expression::Binary { op: BinaryOperator::Greater, left, right: infinity });
        let number = append(Expression::Select { condition: is_nan, accept: zero, reject: value });
        let fun = MathFunction::Clamp;
        append(Expression::Math { fun, arg: number, arg1: Some(least), arg2: Some(largest), arg3: None })
    }
}
