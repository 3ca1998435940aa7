//! The instructions of an elementwise program: typed by what they read, written as WGSL here and run
//! in Rust in `reference`.

use crate::dtype::{DType, Repr};
use crate::number;

/// An instruction's number.
pub type Reg = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inst {
    /// The value of an input.
    Load(usize, Repr),
    /// A constant of the parameters.
    Const(usize, Repr),
    Unary(Unary, Reg),
    Binary(Binary, Reg, Reg),
    /// The second register where the first is not zero, else the third.
    Select(Reg, Reg, Reg),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Not,
    Ceil,
    Floor,
    /// To the nearest whole number, halves to the even one.
    Round,
    Trunc,
    Sqrt,
    Exp,
    Log,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Sigmoid,
    Softplus,
    IsNan,
    ToF32,
    /// Floats are truncated and saturate.
    ToI32,
    ToU32,
    /// Cut to the values of a narrower type of the same representation.
    Wrap(DType),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Whole numbers are divided toward zero; by zero gives zero.
    Div,
    /// A float division rounded as IEEE 754 says, on every backend.
    DivExact,
    Pow,
    /// The sign follows the divisor.
    Mod,
    /// The sign follows the dividend.
    Rem,
    Max,
    Min,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Lt,
    Le,
}

impl Binary {
    fn compares(self) -> bool {
        matches!(self, Self::Eq | Self::Lt | Self::Le)
    }
}

/// A straight line of instructions; the last one's value is the output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    pub insts: Vec<Inst>,
    pub consts: Vec<u32>,
}

impl Program {
    fn push(&mut self, inst: Inst) -> Reg {
        self.insts.push(inst);
        self.insts.len() - 1
    }

    /// The next input.
    pub fn load(&mut self, repr: Repr) -> Reg {
        let input = self.loads();
        self.push(Inst::Load(input, repr))
    }

    pub fn loads(&self) -> usize {
        self.insts.iter().filter(|inst| matches!(inst, Inst::Load(..))).count()
    }

    fn constant(&mut self, bits: u32, repr: Repr) -> Reg {
        let slot = self.consts.iter().position(|&kept| kept == bits).unwrap_or_else(|| {
            self.consts.push(bits);
            self.consts.len() - 1
        });
        self.push(Inst::Const(slot, repr))
    }

    pub fn f(&mut self, value: f32) -> Reg {
        self.constant(value.to_bits(), Repr::F32)
    }

    pub fn i(&mut self, value: i32) -> Reg {
        self.constant(value.cast_unsigned(), Repr::I32)
    }

    pub fn u(&mut self, value: u32) -> Reg {
        self.constant(value, Repr::U32)
    }

    /// A small whole number in any representation.
    pub fn number(&mut self, value: i16, repr: Repr) -> Reg {
        match repr {
            Repr::F32 => self.f(f32::from(value)),
            Repr::I32 => self.i(i32::from(value)),
            Repr::U32 => self.u(i32::from(value).cast_unsigned()),
        }
    }

    pub fn un(&mut self, op: Unary, a: Reg) -> Reg {
        self.push(Inst::Unary(op, a))
    }

    pub fn bin(&mut self, op: Binary, a: Reg, b: Reg) -> Reg {
        self.push(Inst::Binary(op, a, b))
    }

    pub fn select(&mut self, condition: Reg, yes: Reg, no: Reg) -> Reg {
        self.push(Inst::Select(condition, yes, no))
    }

    /// 1 where the value is 0, else 0.
    pub fn is_zero(&mut self, a: Reg) -> Reg {
        let repr = self.repr(a);
        let zero = self.number(0, repr);
        self.bin(Binary::Eq, a, zero)
    }

    pub fn repr(&self, reg: Reg) -> Repr {
        reprs(&self.insts)[reg]
    }

    /// Operations per element, as the cost model counts them.
    pub(super) fn operations(&self) -> u64 {
        let counted = self.insts.iter().filter(|inst| match inst {
            Inst::Load(..) | Inst::Const(..) | Inst::Unary(Unary::Wrap(_), _) => false,
            Inst::Unary(..) | Inst::Binary(..) | Inst::Select(..) => true,
        });
        number::to(counted.count())
    }
}

/// The representation of each instruction's value.
pub fn reprs(insts: &[Inst]) -> Vec<Repr> {
    let mut reprs: Vec<Repr> = Vec::with_capacity(insts.len());
    for inst in insts {
        reprs.push(match *inst {
            Inst::Load(_, repr) | Inst::Const(_, repr) => repr,
            Inst::Unary(Unary::ToF32, _) => Repr::F32,
            Inst::Unary(Unary::ToI32, _) => Repr::I32,
            Inst::Unary(Unary::ToU32 | Unary::IsNan, _) => Repr::U32,
            Inst::Unary(_, a) => reprs[a],
            Inst::Binary(op, a, _) => {
                if op.compares() {
                    Repr::U32
                } else {
                    reprs[a]
                }
            }
            Inst::Select(_, yes, _) => reprs[yes],
        });
    }
    reprs
}

impl Inst {
    /// The value of this instruction as a WGSL expression over `r0`, `r1`, …
    pub(super) fn wgsl(&self, reprs: &[Repr]) -> String {
        match *self {
            Self::Load(input, _) => format!("in{input}[at.in{input}]"),
            Self::Const(slot, repr) => format!("bitcast<{}>(p.consts[{slot}])", repr.wgsl()),
            Self::Unary(op, a) => unary(op, a, reprs[a]),
            Self::Binary(op, a, b) => binary(op, a, b, reprs[a]),
            Self::Select(condition, yes, no) => format!("select(r{no}, r{yes}, r{condition} != 0u)"),
        }
    }
}

fn unary(op: Unary, a: Reg, repr: Repr) -> String {
    let function = match (op, repr) {
        (Unary::Neg, _) => return format!("-r{a}"),
        (Unary::Not, _) => return format!("~r{a}"),
        (Unary::ToF32, Repr::F32) | (Unary::ToI32, Repr::I32) | (Unary::ToU32, Repr::U32) => return format!("r{a}"),
        (Unary::ToI32, Repr::U32) => return format!("bitcast<i32>(r{a})"),
        (Unary::ToU32, Repr::I32) => return format!("bitcast<u32>(r{a})"),
        (Unary::IsNan, _) => return format!("u32(is_nan(r{a}))"),
        (Unary::ToF32, _) => "f32",
        (Unary::ToI32, Repr::F32) => "to_i32",
        (Unary::ToU32, Repr::F32) => "to_u32",
        (Unary::Wrap(dtype), _) => {
            return match dtype {
                DType::I8 => format!("extractBits(r{a}, 0u, 8u)"),
                DType::I16 => format!("extractBits(r{a}, 0u, 16u)"),
                DType::U8 => format!("(r{a} & 0xffu)"),
                DType::U16 => format!("(r{a} & 0xffffu)"),
                DType::F16 => format!("to_half(r{a})"),
                DType::BF16 => format!("to_bfloat(r{a})"),
                DType::F32 | DType::I64 | DType::I32 | DType::U32 | DType::Bool => format!("r{a}"),
            };
        }
        (Unary::Sign, Repr::F32) => "sign_f",
        (Unary::Sign, Repr::U32) => return format!("min(r{a}, 1u)"),
        (Unary::Sign, Repr::I32) => "sign",
        (Unary::Abs, _) => "abs",
        (Unary::Ceil, _) => "ceil",
        (Unary::Floor, _) => "floor",
        (Unary::Round, _) => "round",
        (Unary::Trunc, _) => "trunc",
        (Unary::Sqrt, _) => "sqrt_f",
        (Unary::Exp, _) => "exp_f",
        (Unary::Log, _) => "log_f",
        (Unary::Sin, _) => "sin_f",
        (Unary::Cos, _) => "cos_f",
        (Unary::Tan, _) => "tan_f",
        (Unary::Asin, _) => "asin_f",
        (Unary::Acos, _) => "acos_f",
        (Unary::Atan, _) => "atan_f",
        (Unary::Sinh, _) => "sinh_f",
        (Unary::Cosh, _) => "cosh_f",
        (Unary::Tanh, _) => "tanh_f",
        (Unary::Asinh, _) => "asinh_f",
        (Unary::Acosh, _) => "acosh_f",
        (Unary::Atanh, _) => "atanh_f",
        (Unary::Erf, _) => "erf_f",
        (Unary::Sigmoid, _) => "sigmoid_f",
        (Unary::Softplus, _) => "softplus_f",
    };
    format!("{function}(r{a})")
}

fn binary(op: Binary, a: Reg, b: Reg, repr: Repr) -> String {
    let float = repr == Repr::F32;
    let infix = |sign: &str| format!("(r{a} {sign} r{b})");
    let call = |function: &str| format!("{function}(r{a}, r{b})");
    match op {
        Binary::Add => infix("+"),
        Binary::Sub => infix("-"),
        Binary::Mul => infix("*"),
        Binary::Div if float => infix("/"),
        Binary::DivExact => call("div_exact"),
        Binary::Div | Binary::Pow | Binary::Mod | Binary::Rem | Binary::Max | Binary::Min => {
            let name = match op {
                Binary::Div => "div",
                Binary::Pow => "pow",
                Binary::Mod => "mod",
                Binary::Rem => "rem",
                Binary::Max => "max",
                _ => "min",
            };
            let suffix = match repr {
                Repr::F32 => "f",
                Repr::I32 => "i",
                Repr::U32 => "u",
            };
            call(&format!("{name}_{suffix}"))
        }
        Binary::And => infix("&"),
        Binary::Or => infix("|"),
        Binary::Xor => infix("^"),
        Binary::Shl => format!("shl_{}(r{a}, bitcast<u32>(r{b}))", if repr == Repr::I32 { "i" } else { "u" }),
        Binary::Shr => format!("shr_{}(r{a}, bitcast<u32>(r{b}))", if repr == Repr::I32 { "i" } else { "u" }),
        Binary::Eq if float => format!("u32(eq_f(r{a}, r{b}))"),
        Binary::Lt if float => format!("u32(lt_f(r{a}, r{b}))"),
        Binary::Le if float => format!("u32(le_f(r{a}, r{b}))"),
        Binary::Eq => format!("u32(r{a} == r{b})"),
        Binary::Lt => format!("u32(r{a} < r{b})"),
        Binary::Le => format!("u32(r{a} <= r{b})"),
    }
}
