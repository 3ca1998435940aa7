//! The program run block by block: each instruction over a few hundred elements at once, in a loop that a
//! compiler turns into vector code.

use half::{bf16, f16};

use super::{Binary, Elementwise, Inst, Unary, program};
use crate::cpu::functions;
use crate::cpu::simd::{self, Vector};
use crate::cpu::threads;
use crate::dtype::{DType, Repr};
use crate::kernels::index::{to_index, to_usize};
use crate::kernels::view::View;
use crate::number;

/// Elements that an instruction handles at once.
const BLOCK: usize = 512;
/// Elements that one thread takes at once.
const SHARE: usize = 1 << 15;

type Block = [u32; BLOCK];

/// The whole call; `start` and `units` are ignored.
pub fn run(call: &Elementwise, inputs: &[&[u32]], out: &mut [u32]) {
    let p = &call.params;
    let shape: Vec<usize> = p.shape[..to_usize(p.rank)].iter().map(|&size| to_usize(size)).collect();
    let reprs = program::reprs(&call.program.insts);
    let work = Work { call, shape: &shape, reprs: &reprs, inputs };
    let contiguous = p.out.offset == 0 && is_contiguous(&shape, &p.out);
    if contiguous {
        let out = &mut out[..to_usize(p.len)];
        threads::chunks(out, SHARE, |first, chunk| {
            let mut registers = vec![[0; BLOCK]; call.program.insts.len()];
            for (index, block) in chunk.chunks_mut(BLOCK).enumerate() {
                work.block(&mut registers, first + index * BLOCK, block.len());
                if let Some(result) = registers.last() {
                    block.copy_from_slice(&result[..block.len()]);
                }
            }
        });
        return;
    }
    let mut registers = vec![[0; BLOCK]; call.program.insts.len()];
    for first in (0..to_usize(p.len)).step_by(BLOCK) {
        let count = BLOCK.min(to_usize(p.len) - first);
        work.block(&mut registers, first, count);
        let Some(result) = registers.last() else { return };
        runs(&shape, &p.out, first, count, |done, run, place, stride| {
            if stride == 1 {
                out[place..place + run].copy_from_slice(&result[done..done + run]);
            } else {
                for (i, value) in result[done..done + run].iter().enumerate() {
                    out[step(place, i, stride)] = *value;
                }
            }
        });
    }
}

fn is_contiguous(shape: &[usize], view: &View) -> bool {
    let mut expected = 1;
    shape.iter().zip(&view.strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || i64::from(stride) == expected;
        expected *= number::to::<i64, _>(size);
        fits
    })
}

fn step(place: usize, count: usize, stride: i32) -> usize {
    to_index(number::to::<i64, _>(place) + number::to::<i64, _>(count) * i64::from(stride))
}

/// Calls `each(done, run, first, stride)` for the stretches of the innermost axis that `count`
/// elements from `first` cover.
fn runs(shape: &[usize], view: &View, first: usize, count: usize, mut each: impl FnMut(usize, usize, usize, i32)) {
    let inner = shape.last().copied().unwrap_or(1);
    let stride = view.strides[shape.len().saturating_sub(1)];
    let mut done = 0;
    while done < count {
        let index = first + done;
        let (mut rest, along) = (index / inner, index % inner);
        let mut place = i64::from(view.offset) + number::to::<i64, _>(along) * i64::from(stride);
        for (&size, &stride) in shape.iter().zip(&view.strides).rev().skip(1) {
            place += number::to::<i64, _>(rest % size) * i64::from(stride);
            rest /= size;
        }
        let run = (inner - along).min(count - done);
        each(done, run, to_index(place), stride);
        done += run;
    }
}

struct Work<'a> {
    call: &'a Elementwise,
    shape: &'a [usize],
    reprs: &'a [Repr],
    inputs: &'a [&'a [u32]],
}

impl Work<'_> {
    /// Runs every instruction over `count` elements from `first`.
    fn block(&self, registers: &mut [Block], first: usize, count: usize) {
        for (index, inst) in self.call.program.insts.iter().enumerate() {
            let (before, rest) = registers.split_at_mut(index);
            let out = &mut rest[0][..count];
            match *inst {
                Inst::Load(input, _) => self.load(input, out, first),
                Inst::Const(slot, _) => out.fill(self.call.params.consts[slot]),
                Inst::Unary(op, a) => unary(op, self.reprs[a], &before[a][..count], out),
                Inst::Binary(op, a, b) => {
                    binary(op, self.reprs[a], &before[a][..count], &before[b][..count], out);
                }
                Inst::Select(condition, yes, no) => {
                    let sides = before[yes][..count].iter().zip(&before[no][..count]);
                    for ((out, condition), (yes, no)) in out.iter_mut().zip(&before[condition]).zip(sides) {
                        *out = if *condition == 0 { *no } else { *yes };
                    }
                }
            }
        }
    }

    fn load(&self, input: usize, out: &mut [u32], first: usize) {
        let data = self.inputs[input];
        runs(self.shape, &self.call.params.inputs[input], first, out.len(), |done, run, place, stride| {
            let out = &mut out[done..done + run];
            match stride {
                0 => out.fill(data[place]),
                1 => out.copy_from_slice(&data[place..place + run]),
                _ => out.iter_mut().enumerate().for_each(|(i, out)| *out = data[step(place, i, stride)]),
            }
        });
    }
}

struct Each<'a, F> {
    a: &'a [u32],
    out: &'a mut [u32],
    f: F,
}

impl<F: Fn(u32) -> u32> Vector for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (out, a) in self.out.iter_mut().zip(self.a) {
            *out = (self.f)(*a);
        }
    }
}

fn each(a: &[u32], out: &mut [u32], f: impl Fn(u32) -> u32) {
    simd::dispatch(Each { a, out, f });
}

fn each_float(a: &[u32], out: &mut [u32], f: impl Fn(f32) -> f32) {
    each(a, out, |a| f(f32::from_bits(a)).to_bits());
}

fn each_int(a: &[u32], out: &mut [u32], f: impl Fn(i32) -> i32) {
    each(a, out, |a| f(a.cast_signed()).cast_unsigned());
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate, as the shader's do")]
#[expect(clippy::cast_precision_loss, reason = "that is the operation")]
#[expect(clippy::as_conversions, reason = "the conversions under test")]
fn unary(op: Unary, repr: Repr, a: &[u32], out: &mut [u32]) {
    match (op, repr) {
        (Unary::Neg, Repr::F32) => each_float(a, out, |v| -v),
        (Unary::Neg, _) => each_int(a, out, i32::wrapping_neg),
        (Unary::Abs, Repr::F32) => each_float(a, out, f32::abs),
        (Unary::Abs, Repr::I32) => each_int(a, out, i32::wrapping_abs),
        (Unary::Sign, Repr::F32) => each_float(a, out, |v| if v == 0.0 || v.is_nan() { v } else { v.signum() }),
        (Unary::Sign, Repr::I32) => each_int(a, out, i32::signum),
        (Unary::Sign, Repr::U32) => each(a, out, |v| v.min(1)),
        (Unary::Not, _) => each(a, out, |v| !v),
        (Unary::IsNan, _) => each(a, out, |v| u32::from(f32::from_bits(v).is_nan())),
        (Unary::ToF32, Repr::I32) => each(a, out, |v| (v.cast_signed() as f32).to_bits()),
        (Unary::ToF32, Repr::U32) => each(a, out, |v| (v as f32).to_bits()),
        (Unary::ToI32, Repr::F32) => each(a, out, |v| (f32::from_bits(v) as i32).cast_unsigned()),
        (Unary::ToU32, Repr::F32) => each(a, out, |v| {
            let v = f32::from_bits(v);
            if v.is_nan() || v <= 0.0 { (v as i32).cast_unsigned() } else { v as u32 }
        }),
        (Unary::Abs | Unary::ToF32 | Unary::ToI32 | Unary::ToU32, _) => out.copy_from_slice(a),
        (Unary::Wrap(dtype), _) => wrap(dtype, a, out),
        (_, _) => function(op, a, out),
    }
}

fn wrap(dtype: DType, a: &[u32], out: &mut [u32]) {
    match dtype {
        DType::I8 => each_int(a, out, |v| v << 24 >> 24),
        DType::I16 => each_int(a, out, |v| v << 16 >> 16),
        DType::U8 => each(a, out, |v| v & 0xff),
        DType::U16 => each(a, out, |v| v & 0xffff),
        DType::F16 => each_float(a, out, |v| f16::from_f32(v).to_f32()),
        DType::BF16 => each_float(a, out, |v| bf16::from_f32(v).to_f32()),
        DType::F32 | DType::I64 | DType::I32 | DType::U32 | DType::Bool => out.copy_from_slice(a),
    }
}

/// The operations that only floats have.
fn function(op: Unary, a: &[u32], out: &mut [u32]) {
    match op {
        Unary::Ceil => each_float(a, out, f32::ceil),
        Unary::Floor => each_float(a, out, f32::floor),
        Unary::Round => each_float(a, out, f32::round_ties_even),
        Unary::Trunc => each_float(a, out, f32::trunc),
        Unary::Sqrt => each_float(a, out, f32::sqrt),
        Unary::Exp => each_float(a, out, functions::exp),
        Unary::Log => each_float(a, out, f32::ln),
        Unary::Sin => each_float(a, out, f32::sin),
        Unary::Cos => each_float(a, out, f32::cos),
        Unary::Tan => each_float(a, out, f32::tan),
        Unary::Asin => each_float(a, out, f32::asin),
        Unary::Acos => each_float(a, out, f32::acos),
        Unary::Atan => each_float(a, out, f32::atan),
        Unary::Sinh => each_float(a, out, f32::sinh),
        Unary::Cosh => each_float(a, out, f32::cosh),
        Unary::Tanh => each_float(a, out, functions::tanh),
        Unary::Asinh => each_float(a, out, f32::asinh),
        Unary::Acosh => each_float(a, out, f32::acosh),
        Unary::Atanh => each_float(a, out, f32::atanh),
        Unary::Erf => each_float(a, out, functions::erf),
        Unary::Sigmoid => each_float(a, out, functions::sigmoid),
        Unary::Softplus => each_float(a, out, functions::softplus),
        Unary::Neg
        | Unary::Abs
        | Unary::Sign
        | Unary::Not
        | Unary::IsNan
        | Unary::ToF32
        | Unary::ToI32
        | Unary::ToU32
        | Unary::Wrap(_) => unreachable!("handled by representation"),
    }
}

struct Pairs<'a, F> {
    a: &'a [u32],
    b: &'a [u32],
    out: &'a mut [u32],
    f: F,
}

impl<F: Fn(u32, u32) -> u32> Vector for Pairs<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, a), b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *out = (self.f)(*a, *b);
        }
    }
}

fn pairs(a: &[u32], b: &[u32], out: &mut [u32], f: impl Fn(u32, u32) -> u32) {
    simd::dispatch(Pairs { a, b, out, f });
}

fn binary(op: Binary, repr: Repr, a: &[u32], b: &[u32], out: &mut [u32]) {
    match repr {
        Repr::F32 => binary_float(op, a, b, out),
        Repr::I32 => binary_int(op, a, b, out),
        Repr::U32 => binary_unsigned(op, a, b, out),
    }
}

fn binary_float(op: Binary, a: &[u32], b: &[u32], out: &mut [u32]) {
    let floats = |out: &mut [u32], f: fn(f32, f32) -> f32| {
        pairs(a, b, out, |a, b| f(f32::from_bits(a), f32::from_bits(b)).to_bits());
    };
    let tests = |out: &mut [u32], f: fn(&f32, &f32) -> bool| {
        pairs(a, b, out, |a, b| u32::from(f(&f32::from_bits(a), &f32::from_bits(b))));
    };
    match op {
        Binary::Add => pairs(a, b, out, |a, b| (f32::from_bits(a) + f32::from_bits(b)).to_bits()),
        Binary::Sub => pairs(a, b, out, |a, b| (f32::from_bits(a) - f32::from_bits(b)).to_bits()),
        Binary::Mul => pairs(a, b, out, |a, b| (f32::from_bits(a) * f32::from_bits(b)).to_bits()),
        Binary::Div | Binary::DivExact => pairs(a, b, out, |a, b| (f32::from_bits(a) / f32::from_bits(b)).to_bits()),
        Binary::Pow => floats(out, f32::powf),
        Binary::Mod => floats(out, |a, b| {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }),
        Binary::Rem => floats(out, |a, b| a % b),
        Binary::Max => pairs(a, b, out, |a, b| {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            (if a.is_nan() || a > b { a } else { b }).to_bits()
        }),
        Binary::Min => pairs(a, b, out, |a, b| {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            (if a.is_nan() || a < b { a } else { b }).to_bits()
        }),
        Binary::Eq => tests(out, f32::eq),
        Binary::Lt => tests(out, f32::lt),
        Binary::Le => tests(out, f32::le),
        Binary::And | Binary::Or | Binary::Xor | Binary::Shl | Binary::Shr => {
            unreachable!("bits of floats are not operated on")
        }
    }
}

fn binary_int(op: Binary, a: &[u32], b: &[u32], out: &mut [u32]) {
    let ints = |out: &mut [u32], f: fn(i32, i32) -> i32| {
        pairs(a, b, out, |a, b| f(a.cast_signed(), b.cast_signed()).cast_unsigned());
    };
    match op {
        Binary::Div | Binary::DivExact => ints(out, |a, b| if b == 0 { 0 } else { a.wrapping_div(b) }),
        Binary::Pow => ints(out, power),
        Binary::Mod => ints(out, |a, b| {
            let rest = if b == 0 { 0 } else { a.wrapping_rem(b) };
            if rest != 0 && (rest < 0) != (b < 0) { rest.wrapping_add(b) } else { rest }
        }),
        Binary::Rem => ints(out, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        Binary::Max => ints(out, i32::max),
        Binary::Min => ints(out, i32::min),
        Binary::Shr => ints(out, |a, b| a >> b.cast_unsigned().min(31)),
        Binary::Lt => pairs(a, b, out, |a, b| u32::from(a.cast_signed() < b.cast_signed())),
        Binary::Le => pairs(a, b, out, |a, b| u32::from(a.cast_signed() <= b.cast_signed())),
        Binary::Add | Binary::Sub | Binary::Mul | Binary::And | Binary::Or | Binary::Xor | Binary::Shl | Binary::Eq => {
            binary_unsigned(op, a, b, out);
        }
    }
}

fn power(a: i32, b: i32) -> i32 {
    match (u32::try_from(b), a) {
        (Ok(b), _) => a.wrapping_pow(b),
        (Err(_), 1) => 1,
        (Err(_), -1) => {
            if b % 2 == 0 {
                1
            } else {
                -1
            }
        }
        (Err(_), _) => 0,
    }
}

fn binary_unsigned(op: Binary, a: &[u32], b: &[u32], out: &mut [u32]) {
    match op {
        Binary::Add => pairs(a, b, out, u32::wrapping_add),
        Binary::Sub => pairs(a, b, out, u32::wrapping_sub),
        Binary::Mul => pairs(a, b, out, u32::wrapping_mul),
        Binary::Div | Binary::DivExact => pairs(a, b, out, |a, b| a.checked_div(b).unwrap_or(0)),
        Binary::Pow => pairs(a, b, out, u32::wrapping_pow),
        Binary::Mod | Binary::Rem => pairs(a, b, out, |a, b| a.checked_rem(b).unwrap_or(0)),
        Binary::Max => pairs(a, b, out, u32::max),
        Binary::Min => pairs(a, b, out, u32::min),
        Binary::And => pairs(a, b, out, |a, b| a & b),
        Binary::Or => pairs(a, b, out, |a, b| a | b),
        Binary::Xor => pairs(a, b, out, |a, b| a ^ b),
        Binary::Shl => pairs(a, b, out, |a, b| a.checked_shl(b).unwrap_or(0)),
        Binary::Shr => pairs(a, b, out, |a, b| a.checked_shr(b).unwrap_or(0)),
        Binary::Eq => pairs(a, b, out, |a, b| u32::from(a == b)),
        Binary::Lt => pairs(a, b, out, |a, b| u32::from(a < b)),
        Binary::Le => pairs(a, b, out, |a, b| u32::from(a <= b)),
    }
}
