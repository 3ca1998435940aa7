//! Sines, cosines, tangents and their inverses, the same on every device.
//!
//! WGSL lets a sine be off by 2⁻¹¹ and an arc tangent by 4096 units in its last place; some are, and others are exact. Written out
//! as polynomials they are right to some units on all. Coefficients and reduction by π/2 in three parts are those of the Cephes
//! library (Moshier, `sinf.c`, `atanf.c`, `asinf.c`).

use naga::{
    BinaryOperator, Expression, Handle, Literal, MathFunction, Scalar, ScalarKind, TypeInner, UnaryOperator, VectorSize,
};

use std::f32::consts::{FRAC_2_PI, FRAC_PI_2, FRAC_PI_4, PI};

/// A call of one of these; of each of a vector's values, where there is a size.
#[derive(Clone, Copy)]
pub(super) struct Trigonometry {
    fun: MathFunction,
    size: Option<VectorSize>,
}

const ZERO: usize = 0;
const QUARTER: usize = 1;
const HALF: usize = 2;
const ONE: usize = 3;
const TWO: usize = 4;
const FOUR: usize = 5;
const QUARTER_TURN: usize = 6;
const EIGHTH_TURN: usize = 7;
const HALF_TURN: usize = 8;
const QUARTERS: usize = 9;
/// π/2 in three parts, so short that their products with whole numbers are exact.
const PARTS: [usize; 3] = [10, 11, 12];
const SINE: [usize; 3] = [13, 14, 15];
const COSINE: [usize; 3] = [16, 17, 18];
const ARC_TANGENT: [usize; 4] = [19, 20, 21, 22];
const ARC_SINE: [usize; 5] = [23, 24, 25, 26, 27];
/// Tangents of an eighth of a half turn, and of three.
const TANGENTS: [usize; 2] = [28, 29];
/// All bits but the last, behind the numbers.
const ALL_BUT_LAST: usize = NUMBERS.len();

#[expect(clippy::excessive_precision, reason = "as their source has them")]
const NUMBERS: [f32; 30] = [
    0.0,
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
    FRAC_PI_2,
    FRAC_PI_4,
    PI,
    FRAC_2_PI,
    1.570_312_5,
    4.837_512_969_970_703_125e-4,
    7.549_789_954_891_882e-8,
    -1.951_529_589_1e-4,
    8.332_160_873_6e-3,
    -1.666_665_461_1e-1,
    2.443_315_711_809_948e-5,
    -1.388_731_625_493_765e-3,
    4.166_664_568_298_827e-2,
    8.053_744_495_38e-2,
    -1.387_768_560_32e-1,
    1.997_771_064_78e-1,
    -3.333_294_915_39e-1,
    4.216_319_904_8e-2,
    2.418_131_104_9e-2,
    4.547_002_599_8e-2,
    7.495_300_268_6e-2,
    1.666_675_242_2e-1,
    0.414_213_562_373_095_0,
    2.414_213_562_373_095,
];

impl Trigonometry {
    /// `operand` is the type of the first argument.
    pub(super) fn of(expression: &Expression, operand: impl Fn(Handle<Expression>) -> TypeInner) -> Option<Self> {
        use MathFunction as Math;
        let Expression::Math { fun, arg, .. } = *expression else { return None };
        if !matches!(fun, Math::Sin | Math::Cos | Math::Tan | Math::Asin | Math::Acos | Math::Atan | Math::Atan2) {
            return None;
        }
        let (size, scalar) = match operand(arg) {
            TypeInner::Scalar(scalar) => (None, scalar),
            TypeInner::Vector { size, scalar } => (Some(size), scalar),
            _ => return None,
        };
        (scalar == Scalar::F32).then_some(Self { fun, size })
    }

    /// What [`Trigonometry::write`] computes with.
    pub(super) fn literals() -> impl Iterator<Item = Literal> {
        NUMBERS.into_iter().map(Literal::F32).chain([Literal::U32(!1)])
    }

    /// `numbers` are the literals, placed by now.
    pub(super) fn write(
        self,
        (arg, arg1): (Handle<Expression>, Option<Handle<Expression>>),
        numbers: &[Handle<Expression>],
        append: &mut dyn FnMut(Expression) -> Handle<Expression>,
    ) -> Handle<Expression> {
        let mut written = Written { size: self.size, numbers, append };
        match (self.fun, arg1) {
            (MathFunction::Sin, _) => written.sine(arg, ZERO),
            (MathFunction::Cos, _) => written.sine(arg, ONE),
            (MathFunction::Tan, _) => written.tangent(arg),
            (MathFunction::Asin, _) => written.arc_sine(arg),
            (MathFunction::Acos, _) => written.arc_cosine(arg),
            (MathFunction::Atan2, Some(x)) => written.angle(arg, x),
            _ => written.arc_tangent(arg),
        }
    }
}

type Value = Handle<Expression>;

struct Written<'a> {
    size: Option<VectorSize>,
    numbers: &'a [Value],
    append: &'a mut dyn FnMut(Expression) -> Value,
}

impl Written<'_> {
    fn number(&mut self, which: usize) -> Value {
        let value = self.numbers[which];
        match self.size {
            Some(size) => (self.append)(Expression::Splat { size, value }),
            None => value,
        }
    }

    fn binary(&mut self, op: BinaryOperator, left: Value, right: Value) -> Value {
        (self.append)(Expression::Binary { op, left, right })
    }

    fn add(&mut self, left: Value, right: Value) -> Value {
        self.binary(BinaryOperator::Add, left, right)
    }

    fn less(&mut self, left: Value, right: Value) -> Value {
        self.binary(BinaryOperator::Subtract, left, right)
    }

    fn times(&mut self, left: Value, right: Value) -> Value {
        self.binary(BinaryOperator::Multiply, left, right)
    }

    fn over(&mut self, left: Value, right: Value) -> Value {
        self.binary(BinaryOperator::Divide, left, right)
    }

    fn is_above(&mut self, left: Value, right: Value) -> Value {
        self.binary(BinaryOperator::Greater, left, right)
    }

    fn either(&mut self, condition: Value, accept: Value, reject: Value) -> Value {
        (self.append)(Expression::Select { condition, accept, reject })
    }

    fn negative(&mut self, expr: Value) -> Value {
        (self.append)(Expression::Unary { op: UnaryOperator::Negate, expr })
    }

    /// Without its last bit: a compiler that thinks sums to be like those of real numbers would make one subtraction of the
    /// three, by a part of π/2 that is not short.
    fn settled(&mut self, value: Value) -> Value {
        let bits = (self.append)(Expression::As { expr: value, kind: ScalarKind::Uint, convert: None });
        let all_but_last = self.number(ALL_BUT_LAST);
        let even = self.binary(BinaryOperator::And, bits, all_but_last);
        (self.append)(Expression::As { expr: even, kind: ScalarKind::Float, convert: None })
    }

    fn math(&mut self, fun: MathFunction, arg: Value, arg1: Option<Value>) -> Value {
        (self.append)(Expression::Math { fun, arg, arg1, arg2: None, arg3: None })
    }

    /// `-value` where `of` is negative.
    fn with_sign(&mut self, value: Value, of: Value) -> Value {
        let (zero, negative) = (self.number(ZERO), self.negative(value));
        let is_negative = self.binary(BinaryOperator::Less, of, zero);
        self.either(is_negative, negative, value)
    }

    /// Horner's scheme, from the highest power on.
    fn polynomial(&mut self, at: Value, coefficients: &[usize]) -> Value {
        let (first, rest) = coefficients.split_first().expect("a polynomial should have a coefficient");
        let mut sum = self.number(*first);
        for coefficient in rest {
            let product = self.times(sum, at);
            let number = self.number(*coefficient);
            sum = self.add(product, number);
        }
        sum
    }

    /// The nearest quarter turn as a whole number, and sine and cosine of what is left of the angle.
    fn reduced(&mut self, angle: Value) -> (Value, Value, Value) {
        let quarters = self.number(QUARTERS);
        let turned = self.times(angle, quarters);
        let whole = self.math(MathFunction::Round, turned, None);
        let mut rest = angle;
        for part in PARTS {
            let part = self.number(part);
            let product = self.times(whole, part);
            let less = self.less(rest, product);
            rest = self.settled(less);
        }
        let square = self.times(rest, rest);
        let sine = self.polynomial(square, &SINE);
        let sine = self.times(sine, square);
        let sine = self.times(sine, rest);
        let sine = self.add(sine, rest);
        let cosine = self.polynomial(square, &COSINE);
        let cosine = self.times(cosine, square);
        let cosine = self.times(cosine, square);
        let (half, one) = (self.number(HALF), self.number(ONE));
        let halved = self.times(square, half);
        let nearly = self.less(one, halved);
        (whole, sine, self.add(nearly, cosine))
    }

    /// The sine of an angle so many quarter turns on.
    fn sine(&mut self, angle: Value, quarters: usize) -> Value {
        let (whole, sine, cosine) = self.reduced(angle);
        let on = self.number(quarters);
        let whole = self.add(whole, on);
        let quarter = self.remainder(whole, QUARTER, FOUR);
        let odd = self.is_odd(quarter);
        let value = self.either(odd, cosine, sine);
        let (two, negative) = (self.number(TWO), self.negative(value));
        let is_behind = self.binary(BinaryOperator::GreaterEqual, quarter, two);
        self.either(is_behind, negative, value)
    }

    fn tangent(&mut self, angle: Value) -> Value {
        let (whole, sine, cosine) = self.reduced(angle);
        let odd = self.is_odd(whole);
        let negative = self.negative(cosine);
        let (above, below) = (self.either(odd, negative, sine), self.either(odd, sine, cosine));
        self.over(above, below)
    }

    /// `whole - n·floor(whole / n)`
    fn remainder(&mut self, whole: Value, reciprocal: usize, n: usize) -> Value {
        let (reciprocal, n) = (self.number(reciprocal), self.number(n));
        let share = self.times(whole, reciprocal);
        let times = self.math(MathFunction::Floor, share, None);
        let multiple = self.times(n, times);
        self.less(whole, multiple)
    }

    fn is_odd(&mut self, whole: Value) -> Value {
        let rest = self.remainder(whole, HALF, TWO);
        let half = self.number(HALF);
        self.is_above(rest, half)
    }

    /// The arc tangent of what is not negative and at most the tangent of three eighths of a half turn.
    fn arc_tangent_near_zero(&mut self, tangent: Value) -> Value {
        let square = self.times(tangent, tangent);
        let sum = self.polynomial(square, &ARC_TANGENT);
        let sum = self.times(sum, square);
        let sum = self.times(sum, tangent);
        self.add(sum, tangent)
    }

    /// Of what is not negative.
    fn arc_tangent_of_size(&mut self, size: Value) -> Value {
        let [small, large] = TANGENTS.map(|tangent| self.number(tangent));
        let [zero, one] = [ZERO, ONE].map(|number| self.number(number));
        let [quarter, eighth] = [QUARTER_TURN, EIGHTH_TURN].map(|turn| self.number(turn));
        let (is_middle, is_large) = (self.is_above(size, small), self.is_above(size, large));
        let (below, above) = (self.less(size, one), self.add(size, one));
        let middle = self.over(below, above);
        let inverse = self.over(one, size);
        let inverse = self.negative(inverse);
        let near = self.either(is_middle, middle, size);
        let near = self.either(is_large, inverse, near);
        let start = self.either(is_middle, eighth, zero);
        let start = self.either(is_large, quarter, start);
        let rest = self.arc_tangent_near_zero(near);
        self.add(start, rest)
    }

    fn arc_tangent(&mut self, tangent: Value) -> Value {
        let size = self.math(MathFunction::Abs, tangent, None);
        let angle = self.arc_tangent_of_size(size);
        self.with_sign(angle, tangent)
    }

    /// `atan2(y, x)`
    fn angle(&mut self, y: Value, x: Value) -> Value {
        let [width, height] = [x, y].map(|side| self.math(MathFunction::Abs, side, None));
        let longer = self.math(MathFunction::Max, width, Some(height));
        let shorter = self.math(MathFunction::Min, width, Some(height));
        let [zero, quarter, half] = [ZERO, QUARTER_TURN, HALF_TURN].map(|turn| self.number(turn));
        let ratio = self.over(shorter, longer);
        let is_long = self.is_above(longer, zero);
        let ratio = self.either(is_long, ratio, zero);
        let angle = self.arc_tangent_of_size(ratio);
        let rest = self.less(quarter, angle);
        let is_steep = self.is_above(height, width);
        let angle = self.either(is_steep, rest, angle);
        let rest = self.less(half, angle);
        let is_left = self.binary(BinaryOperator::Less, x, zero);
        let angle = self.either(is_left, rest, angle);
        self.with_sign(angle, y)
    }

    /// Whether a size is above a half, and the arc sine of it, or else of the root of half of what it lacks to one.
    fn arc_sine_of_size(&mut self, size: Value) -> (Value, Value) {
        let (half, one) = (self.number(HALF), self.number(ONE));
        let is_large = self.is_above(size, half);
        let lacks = self.less(one, size);
        let halved = self.times(half, lacks);
        let root = self.math(MathFunction::Sqrt, halved, None);
        let own = self.times(size, size);
        let (square, base) = (self.either(is_large, halved, own), self.either(is_large, root, size));
        let sum = self.polynomial(square, &ARC_SINE);
        let sum = self.times(sum, square);
        let sum = self.times(sum, base);
        (is_large, self.add(sum, base))
    }

    fn arc_sine(&mut self, sine: Value) -> Value {
        let size = self.math(MathFunction::Abs, sine, None);
        let (is_large, angle) = self.arc_sine_of_size(size);
        let quarter = self.number(QUARTER_TURN);
        let twice = self.add(angle, angle);
        let rest = self.less(quarter, twice);
        let angle = self.either(is_large, rest, angle);
        self.with_sign(angle, sine)
    }

    fn arc_cosine(&mut self, cosine: Value) -> Value {
        let size = self.math(MathFunction::Abs, cosine, None);
        let (is_large, angle) = self.arc_sine_of_size(size);
        let [zero, quarter, half] = [ZERO, QUARTER_TURN, HALF_TURN].map(|turn| self.number(turn));
        let twice = self.add(angle, angle);
        let rest = self.less(half, twice);
        let is_behind = self.binary(BinaryOperator::Less, cosine, zero);
        let far = self.either(is_behind, rest, twice);
        let signed = self.with_sign(angle, cosine);
        let near = self.less(quarter, signed);
        self.either(is_large, far, near)
    }
}
