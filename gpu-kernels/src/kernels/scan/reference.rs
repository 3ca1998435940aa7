use super::{Op, Scan};
use crate::dtype::Repr;
use crate::kernels::index::to_usize;

/// All lines; `start` and `units` are ignored.
pub fn run(call: &Scan, x: &[u32], out: &mut [u32]) {
    let p = &call.params;
    for line in 0..to_usize(p.lines) {
        let base = line / to_usize(p.inner) * to_usize(p.axis * p.inner) + line % to_usize(p.inner);
        let mut total = match (call.op, call.repr) {
            (Op::Sum, _) => 0,
            (Op::Prod, Repr::F32) => 1.0f32.to_bits(),
            (Op::Prod, Repr::I32 | Repr::U32) => 1,
        };
        for i in 0..to_usize(p.axis) {
            let place = base + if p.reverse == 0 { i } else { to_usize(p.axis) - 1 - i } * to_usize(p.inner);
            let before = total;
            total = combine(call, total, x[place]);
            out[place] = if p.exclusive == 0 { total } else { before };
        }
    }
}

fn combine(call: &Scan, a: u32, b: u32) -> u32 {
    match (call.op, call.repr) {
        (Op::Sum, Repr::F32) => (f32::from_bits(a) + f32::from_bits(b)).to_bits(),
        (Op::Prod, Repr::F32) => (f32::from_bits(a) * f32::from_bits(b)).to_bits(),
        (Op::Sum, Repr::I32 | Repr::U32) => a.wrapping_add(b),
        (Op::Prod, Repr::I32 | Repr::U32) => a.wrapping_mul(b),
    }
}
