use super::{Op, Reduce};
use crate::cpu::threads;
use crate::dtype::Repr;
use crate::kernels::index::{strided_offset, to_index, to_usize};

/// Results that one thread takes at once, at least.
const SHARE: usize = 256;

/// All results; `start` and `units` are ignored.
pub fn run(call: &Reduce, x: &[u32], out: &mut [u32]) {
    let p = &call.params;
    let share = SHARE.max((1 << 15) / to_usize(p.red_len).max(1));
    threads::chunks(&mut out[..to_usize(p.len)], share, |first, chunk| {
        for (index, out) in chunk.iter_mut().enumerate() {
            let base =
                strided_offset(first + index, &p.shape[..to_usize(p.rank)], i64::from(p.view.offset), &p.view.strides);
            *out = one(call, x, base);
        }
    });
}

fn one(call: &Reduce, x: &[u32], base: i64) -> u32 {
    let values = Values { call, x, base };
    match call.repr {
        Repr::F32 => float(call.op, &values),
        Repr::I32 => int(call.op, &values),
        Repr::U32 => unsigned(call.op, &values),
    }
}

/// The values of one result.
struct Values<'a> {
    call: &'a Reduce,
    x: &'a [u32],
    base: i64,
}

impl Values<'_> {
    fn each(&self, mut f: impl FnMut(u32)) {
        let p = &self.call.params;
        let rank = to_usize(p.red_rank);
        let inner = p.red_shape[rank - 1];
        let stride = p.red_strides[rank - 1];
        for line in 0..to_usize(p.red_len / inner.max(1)) {
            let first = strided_offset(line, &p.red_shape[..rank - 1], self.base, &p.red_strides);
            if stride == 1 {
                let first = to_index(first);
                self.x[first..first + to_usize(inner)].iter().for_each(|&value| f(value));
            } else {
                for i in 0..inner {
                    f(self.x[to_index(first + i64::from(i) * i64::from(stride))]);
                }
            }
        }
    }

    /// Eight partial sums, added up in the end: faster than one sum, and with less rounding error.
    fn sum(&self, lift: impl Fn(f32) -> f32) -> f32 {
        let mut sums = [0.0f32; 8];
        let mut block = [0.0f32; 8];
        let mut count = 0usize;
        self.each(|value| {
            block[count % 8] += lift(f32::from_bits(value));
            count += 1;
            if count.is_multiple_of(1024) {
                sums.iter_mut().zip(&mut block).for_each(|(sum, part)| *sum += std::mem::take(part));
            }
        });
        sums.iter().zip(&block).map(|(sum, part)| sum + part).sum()
    }

    fn fold<T: Copy>(&self, read: impl Fn(u32) -> T, first: T, f: impl Fn(T, T) -> T) -> T {
        let mut result = first;
        self.each(|value| result = f(result, read(value)));
        result
    }

    /// The index of the value that `beats` all others; `last` takes the last of equal ones.
    fn index_of_best<T: Copy>(&self, read: impl Fn(u32) -> T, beats: impl Fn(T, T) -> bool, last: bool) -> u32 {
        let mut best: Option<(u32, T)> = None;
        let mut index = 0u32;
        self.each(|value| {
            let value = read(value);
            let taken = best.is_none_or(|(_, kept)| beats(value, kept) || (last && !beats(kept, value)));
            if taken {
                best = Some((index, value));
            }
            index += 1;
        });
        best.map_or(0, |(index, _)| index)
    }
}

fn float(op: Op, values: &Values<'_>) -> u32 {
    let read = f32::from_bits;
    let above = |a: f32, b: f32| (a.is_nan() && !b.is_nan()) || a > b;
    let below = |a: f32, b: f32| (a.is_nan() && !b.is_nan()) || a < b;
    let value = match op {
        Op::Sum => values.sum(|v| v),
        Op::SumSquare => values.sum(|v| v * v),
        Op::SumAbs => values.sum(f32::abs),
        Op::Prod => values.fold(read, 1.0, |a, b| a * b),
        Op::Max => values.fold(read, f32::NEG_INFINITY, |a, b| if above(b, a) { b } else { a }),
        Op::Min => values.fold(read, f32::INFINITY, |a, b| if below(b, a) { b } else { a }),
        Op::ArgMax | Op::ArgMaxLast => return values.index_of_best(read, above, op == Op::ArgMaxLast),
        Op::ArgMin | Op::ArgMinLast => return values.index_of_best(read, below, op == Op::ArgMinLast),
    };
    value.to_bits()
}

fn int(op: Op, values: &Values<'_>) -> u32 {
    let read = u32::cast_signed;
    let value = match op {
        Op::Sum => values.fold(read, 0, i32::wrapping_add),
        Op::SumSquare => values.fold(|v| v.cast_signed().wrapping_mul(v.cast_signed()), 0, i32::wrapping_add),
        Op::SumAbs => values.fold(|v| v.cast_signed().wrapping_abs(), 0, i32::wrapping_add),
        Op::Prod => values.fold(read, 1, i32::wrapping_mul),
        Op::Max => values.fold(read, i32::MIN, i32::max),
        Op::Min => values.fold(read, i32::MAX, i32::min),
        Op::ArgMax | Op::ArgMaxLast => return values.index_of_best(read, |a, b| a > b, op == Op::ArgMaxLast),
        Op::ArgMin | Op::ArgMinLast => return values.index_of_best(read, |a, b| a < b, op == Op::ArgMinLast),
    };
    value.cast_unsigned()
}

fn unsigned(op: Op, values: &Values<'_>) -> u32 {
    let read = |v: u32| v;
    match op {
        Op::Sum | Op::SumAbs => values.fold(read, 0, u32::wrapping_add),
        Op::SumSquare => values.fold(|v: u32| v.wrapping_mul(v), 0, u32::wrapping_add),
        Op::Prod => values.fold(read, 1, u32::wrapping_mul),
        Op::Max => values.fold(read, 0, u32::max),
        Op::Min => values.fold(read, u32::MAX, u32::min),
        Op::ArgMax | Op::ArgMaxLast => values.index_of_best(read, |a, b| a > b, op == Op::ArgMaxLast),
        Op::ArgMin | Op::ArgMinLast => values.index_of_best(read, |a, b| a < b, op == Op::ArgMinLast),
    }
}
