//! Operators on single values.

use gpu_kernels::dtype::{DType, Repr};
use gpu_kernels::kernels::elementwise::{Binary, Program, Reg, Unary};

use crate::error::ModelError;
use crate::ir::ValueId;
use crate::lower::context::NodeContext;
use crate::lower::prims::cast::convert;
use crate::proto;

pub(crate) fn unary(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x);
    let whole = matches!(cx.node.op.as_str(), "Abs" | "Neg" | "Sign" | "BitwiseNot" | "Relu" | "Not");
    if !whole && !dtype.is_float() {
        return Err(cx.type_error(dtype));
    }
    let to = if matches!(cx.node.op.as_str(), "Not" | "IsInf" | "IsNaN") { DType::Bool } else { dtype };
    let write = program(cx)?;
    Ok(vec![cx.elementwise(&[x], to, |p, r| write(p, r[0]))?])
}

type Expression = Box<dyn Fn(&mut Program, Reg) -> Reg>;

fn simple(op: Unary) -> Expression {
    Box::new(move |p, x| p.un(op, x))
}

fn program(cx: &NodeContext<'_, '_>) -> Result<Expression, ModelError> {
    Ok(match cx.node.op.as_str() {
        "Abs" => simple(Unary::Abs),
        "Acos" => simple(Unary::Acos),
        "Acosh" => simple(Unary::Acosh),
        "Asin" => simple(Unary::Asin),
        "Asinh" => simple(Unary::Asinh),
        "Atan" => simple(Unary::Atan),
        "Atanh" => simple(Unary::Atanh),
        "BitwiseNot" => simple(Unary::Not),
        "Ceil" => simple(Unary::Ceil),
        "Cos" => simple(Unary::Cos),
        "Cosh" => simple(Unary::Cosh),
        "Erf" => simple(Unary::Erf),
        "Exp" => simple(Unary::Exp),
        "Floor" => simple(Unary::Floor),
        "IsNaN" => simple(Unary::IsNan),
        "Log" => simple(Unary::Log),
        "Neg" => simple(Unary::Neg),
        "Round" => simple(Unary::Round),
        "Sigmoid" => simple(Unary::Sigmoid),
        "Sign" => simple(Unary::Sign),
        "Sin" => simple(Unary::Sin),
        "Sinh" => simple(Unary::Sinh),
        "Softplus" => simple(Unary::Softplus),
        "Sqrt" => simple(Unary::Sqrt),
        "Tan" => simple(Unary::Tan),
        "Tanh" => simple(Unary::Tanh),
        "Not" => Box::new(Program::is_zero),
        "Relu" => Box::new(|p, x| {
            let zero = p.number(0, p.repr(x));
            p.bin(Binary::Max, x, zero)
        }),
        "Reciprocal" => Box::new(|p, x| {
            let one = p.f(1.0);
            p.bin(Binary::Div, one, x)
        }),
        _ => activation(cx)?,
    })
}

fn activation(cx: &NodeContext<'_, '_>) -> Result<Expression, ModelError> {
    let alpha = |default| cx.float("alpha", default);
    Ok(match cx.node.op.as_str() {
        "Celu" => celu(alpha(1.0)),
        "Elu" => elu(alpha(1.0), 1.0),
        "Selu" => elu(alpha(1.673_263_2), cx.float("gamma", 1.050_701)),
        "LeakyRelu" => leaky_relu(alpha(0.01)),
        "HardSigmoid" => hard_sigmoid(alpha(0.2), cx.float("beta", 0.5)),
        "HardSwish" => {
            let gate = hard_sigmoid(1.0 / 6.0, 0.5);
            Box::new(move |p, x| {
                let gate = gate(p, x);
                p.bin(Binary::Mul, x, gate)
            })
        }
        "Swish" => {
            let alpha = alpha(1.0);
            Box::new(move |p, x| {
                let slope = p.f(alpha);
                let scaled = p.bin(Binary::Mul, x, slope);
                let gate = p.un(Unary::Sigmoid, scaled);
                p.bin(Binary::Mul, x, gate)
            })
        }
        "Mish" => Box::new(|p, x| {
            let soft = p.un(Unary::Softplus, x);
            let gate = p.un(Unary::Tanh, soft);
            p.bin(Binary::Mul, x, gate)
        }),
        "Softsign" => Box::new(|p, x| {
            let size = p.un(Unary::Abs, x);
            let one = p.f(1.0);
            let below = p.bin(Binary::Add, one, size);
            p.bin(Binary::Div, x, below)
        }),
        "ThresholdedRelu" => {
            let alpha = alpha(1.0);
            Box::new(move |p, x| {
                let (bound, zero) = (p.f(alpha), p.f(0.0));
                let low = p.bin(Binary::Le, x, bound);
                p.select(low, zero, x)
            })
        }
        "Shrink" => shrink(cx.float("lambd", 0.5), cx.float("bias", 0.0)),
        "IsInf" => is_infinite(cx.int("detect_negative", 1) != 0, cx.int("detect_positive", 1) != 0),
        // Gelu is all that is left.
        _ => match cx.text("approximate", "none") {
            "tanh" => Box::new(gelu_tanh),
            "none" => Box::new(gelu),
            _ => return Err(cx.unsupported_attribute("approximate", "it must be none or tanh")),
        },
    })
}

fn leaky_relu(alpha: f32) -> Expression {
    Box::new(move |p, x| {
        let (zero, slope) = (p.f(0.0), p.f(alpha));
        let negative = p.bin(Binary::Lt, x, zero);
        let scaled = p.bin(Binary::Mul, x, slope);
        p.select(negative, scaled, x)
    })
}

/// gamma · (x, or alpha · (eˣ − 1) below zero)
fn elu(alpha: f32, gamma: f32) -> Expression {
    Box::new(move |p, x| {
        let (zero, one, scale, gain) = (p.f(0.0), p.f(1.0), p.f(alpha), p.f(gamma));
        let negative = p.bin(Binary::Lt, x, zero);
        let e = p.un(Unary::Exp, x);
        let bent = p.bin(Binary::Sub, e, one);
        let bent = p.bin(Binary::Mul, bent, scale);
        let value = p.select(negative, bent, x);
        p.bin(Binary::Mul, value, gain)
    })
}

fn celu(alpha: f32) -> Expression {
    Box::new(move |p, x| {
        let (zero, one, scale) = (p.f(0.0), p.f(1.0), p.f(alpha));
        let ratio = p.bin(Binary::Div, x, scale);
        let e = p.un(Unary::Exp, ratio);
        let bent = p.bin(Binary::Sub, e, one);
        let bent = p.bin(Binary::Mul, bent, scale);
        let negative = p.bin(Binary::Lt, x, zero);
        p.select(negative, bent, x)
    })
}

fn hard_sigmoid(alpha: f32, beta: f32) -> Expression {
    Box::new(move |p, x| {
        let (slope, shift, zero, one) = (p.f(alpha), p.f(beta), p.f(0.0), p.f(1.0));
        let line = p.bin(Binary::Mul, x, slope);
        let line = p.bin(Binary::Add, line, shift);
        let line = p.bin(Binary::Max, line, zero);
        p.bin(Binary::Min, line, one)
    })
}

fn shrink(lambd: f32, bias: f32) -> Expression {
    Box::new(move |p, x| {
        let (low, high, shift, zero) = (p.f(-lambd), p.f(lambd), p.f(bias), p.f(0.0));
        let above = p.bin(Binary::Lt, high, x);
        let less = p.bin(Binary::Sub, x, shift);
        let value = p.select(above, less, zero);
        let below = p.bin(Binary::Lt, x, low);
        let more = p.bin(Binary::Add, x, shift);
        p.select(below, more, value)
    })
}

fn is_infinite(negative: bool, positive: bool) -> Expression {
    Box::new(move |p, x| {
        let mut found = p.u(0);
        for (wanted, sign) in [(negative, f32::NEG_INFINITY), (positive, f32::INFINITY)] {
            if wanted {
                let sign = p.f(sign);
                let equal = p.bin(Binary::Eq, x, sign);
                found = p.bin(Binary::Or, found, equal);
            }
        }
        found
    })
}

fn gelu(p: &mut Program, x: Reg) -> Reg {
    let (root, one, half) = (p.f(std::f32::consts::FRAC_1_SQRT_2), p.f(1.0), p.f(0.5));
    let scaled = p.bin(Binary::Mul, x, root);
    let erf = p.un(Unary::Erf, scaled);
    let gate = p.bin(Binary::Add, erf, one);
    let half = p.bin(Binary::Mul, x, half);
    p.bin(Binary::Mul, half, gate)
}

fn gelu_tanh(p: &mut Program, x: Reg) -> Reg {
    let (cubic, root, one, half) = (p.f(0.044_715), p.f(0.797_884_6), p.f(1.0), p.f(0.5));
    let square = p.bin(Binary::Mul, x, x);
    let bend = p.bin(Binary::Mul, square, cubic);
    let bend = p.bin(Binary::Add, bend, one);
    let inner = p.bin(Binary::Mul, x, bend);
    let inner = p.bin(Binary::Mul, inner, root);
    let gate = p.un(Unary::Tanh, inner);
    let gate = p.bin(Binary::Add, gate, one);
    let half = p.bin(Binary::Mul, x, half);
    p.bin(Binary::Mul, half, gate)
}

/// Two inputs and a result of one type.
pub(crate) fn arithmetic(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let dtype = cx.dtype(a);
    let operator = cx.node.op.as_str();
    if cx.dtype(b) != dtype {
        return Err(cx.type_error(cx.dtype(b)));
    }
    let op = match operator {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "And" | "BitwiseAnd" => Binary::And,
        "Or" | "BitwiseOr" => Binary::Or,
        "Xor" | "BitwiseXor" => Binary::Xor,
        "Mod" if cx.flag("fmod") => Binary::Rem,
        "Mod" => Binary::Mod,
        "BitShift" => match cx.text("direction", "") {
            "LEFT" => Binary::Shl,
            "RIGHT" => Binary::Shr,
            _ => return Err(cx.unsupported_attribute("direction", "it must be LEFT or RIGHT")),
        },
        // PRelu
        _ => {
            let shape = cx.shape(a);
            let result = cx.elementwise_to(&[a, b], &shape, dtype, |p, r| {
                let zero = p.number(0, p.repr(r[0]));
                let negative = p.bin(Binary::Lt, r[0], zero);
                let scaled = p.bin(Binary::Mul, r[0], r[1]);
                p.select(negative, scaled, r[0])
            })?;
            return Ok(vec![result]);
        }
    };
    let bits = matches!(op, Binary::And | Binary::Or | Binary::Xor | Binary::Shl | Binary::Shr);
    if bits && dtype.is_float() {
        return Err(cx.type_error(dtype));
    }
    Ok(vec![cx.elementwise(&[a, b], dtype, |p, r| p.bin(op, r[0], r[1]))?])
}

pub(crate) fn compare(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    if cx.dtype(a) != cx.dtype(b) {
        return Err(cx.type_error(cx.dtype(b)));
    }
    let (op, swapped) = match cx.node.op.as_str() {
        "Equal" => (Binary::Eq, false),
        "Less" => (Binary::Lt, false),
        "LessOrEqual" => (Binary::Le, false),
        "Greater" => (Binary::Lt, true),
        _ => (Binary::Le, true),
    };
    Ok(vec![cx.elementwise(&[a, b], DType::Bool, |p, r| {
        let (a, b) = if swapped { (r[1], r[0]) } else { (r[0], r[1]) };
        p.bin(op, a, b)
    })?])
}

/// The exponent may be of another type.
pub(crate) fn power(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (a, b) = (cx.input(0)?, cx.input(1)?);
    let (base, exponent) = (cx.dtype(a), cx.dtype(b));
    let result = cx.elementwise(&[a, b], base, |p, r| {
        let floats = base.is_float() || exponent.is_float();
        let common = if floats { DType::F32 } else { base };
        let x = convert(p, r[0], base, common);
        let y = convert(p, r[1], exponent, common);
        let value = p.bin(Binary::Pow, x, y);
        convert(p, value, common, base)
    })?;
    Ok(vec![result])
}

/// Any number of inputs, taken two by two.
pub(crate) fn variadic(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let inputs = cx.inputs()?;
    let dtype = cx.dtype(inputs[0]);
    let op = match cx.node.op.as_str() {
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    };
    let mut total = inputs[0];
    for &next in &inputs[1..] {
        if cx.dtype(next) != dtype {
            return Err(cx.type_error(cx.dtype(next)));
        }
        total = cx.elementwise(&[total, next], dtype, |p, r| p.bin(op, r[0], r[1]))?;
    }
    if cx.node.op == "Mean" {
        let count = f32::from(u16::try_from(inputs.len()).unwrap_or(u16::MAX));
        total = cx.elementwise(&[total], dtype, |p, r| {
            let count = p.f(count);
            p.bin(Binary::Div, r[0], count)
        })?;
    }
    Ok(vec![total])
}

pub(crate) fn clip(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let dtype = cx.dtype(x);
    let mut ids = vec![x];
    let mut ops = Vec::new();
    // Known bounds are constants of the program, which fusing can then join with the step before.
    let mut known = Vec::new();
    for (i, (name, op)) in [("min", Binary::Max), ("max", Binary::Min)].into_iter().enumerate() {
        let bound = match cx.attribute(name) {
            Some(bound) => Some(cx.constant_floats(vec![], &[bound.f])?),
            None => cx.optional_input(i + 1)?,
        };
        let Some(bound) = bound else { continue };
        match cx.builder.known_floats(bound).as_deref() {
            Some(&[value]) if dtype == DType::F32 => known.push((op, value)),
            _ => {
                ids.push(bound);
                ops.push(op);
            }
        }
    }
    let shape = cx.shape(x);
    let result = cx.elementwise_to(&ids, &shape, dtype, |p, r| {
        // A copy, if there is no bound at all.
        let value = known.iter().fold(r[0], |value, &(op, bound)| {
            let bound = p.f(bound);
            p.bin(op, value, bound)
        });
        ops.iter().zip(&r[1..]).fold(value, |value, (&op, &bound)| p.bin(op, value, bound))
    })?;
    Ok(vec![result])
}

pub(crate) fn choose(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let (condition, yes, no) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let dtype = cx.dtype(yes);
    if cx.dtype(no) != dtype || cx.repr(condition) != Repr::U32 {
        return Err(cx.type_error(cx.dtype(no)));
    }
    Ok(vec![cx.elementwise(&[condition, yes, no], dtype, |p, r| p.select(r[0], r[1], r[2]))?])
}

/// The same bits as another type's.
pub(crate) fn bit_cast(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    let x = cx.input(0)?;
    let to = i32::try_from(cx.int("to", 0)).unwrap_or(0);
    let from = cx.dtype(x);
    // A device holds the value of a type narrower than a word, not its bits.
    let whole = |dtype: DType| matches!(dtype, DType::F32 | DType::I32 | DType::U32);
    let narrow = |dtype: DType| matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16);
    match DType::from_onnx(to) {
        Some(dtype) if to != proto::DOUBLE && whole(from) && whole(dtype) => {
            let place = cx.builder.buffer_view(x);
            let shape = cx.shape(x);
            Ok(vec![cx.builder.view(dtype, shape, place)?])
        }
        Some(dtype) if narrow(from) && narrow(dtype) && from.bytes() == dtype.bytes() => Ok(vec![cx.cast(x, dtype)?]),
        _ => Err(cx.unsupported_attribute("to", "both types must be of 32 bits, or whole numbers of one width")),
    }
}

pub(crate) fn cast(cx: &mut NodeContext<'_, '_>) -> Result<Vec<ValueId>, ModelError> {
    cx.ignore(&["saturate", "round_mode"]);
    let x = cx.input(0)?;
    let dtype = if cx.node.op == "CastLike" {
        let like = cx.input(1)?;
        cx.dtype(like)
    } else {
        let to = i32::try_from(cx.int("to", 0)).unwrap_or(0);
        let unknown = || cx.unsupported_attribute("to", "the type is none that devices here compute with");
        DType::from_onnx(to).ok_or_else(unknown)?
    };
    let x = cx.builder.rounded_if_cast(x)?;
    let result = cx.cast(x, dtype)?;
    if result != x {
        cx.builder.note_cast(result);
    }
    Ok(vec![result])
}
