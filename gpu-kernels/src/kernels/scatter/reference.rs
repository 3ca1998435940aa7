use super::{Op, Scatter};
use crate::dtype::Repr;
use crate::kernels::index::{strided_offset, to_index, to_usize};

/// All updates, over what `out` holds; `start` and `units` are ignored.
pub fn run(call: &Scatter, updates: &[u32], indices: &[u32], out: &mut [u32]) {
    let p = &call.params;
    let shape = &p.shape[..to_usize(p.rank)];
    for line in 0..to_usize(p.len) {
        let mut update_at = strided_offset(line, shape, i64::from(p.updates.offset), &p.updates.strides);
        let mut index_at = strided_offset(line, shape, i64::from(p.indices.offset), &p.indices.strides);
        let base = strided_offset(line, shape, i64::from(p.out.offset), &p.out.strides);
        for _ in 0..p.serial {
            let mut target = Some(base);
            for ((&size, &step), d) in p.sizes.iter().zip(&p.steps).take(to_usize(p.depth)).zip(0i64..) {
                let index = i64::from(indices[to_index(index_at + d * i64::from(p.index_stride))].cast_signed());
                let index = if index < 0 { index + i64::from(size) } else { index };
                let inside = (0..i64::from(size)).contains(&index);
                target = target.filter(|_| inside).map(|target| target + index * i64::from(step));
            }
            if let Some(target) = target {
                let target = &mut out[to_index(target)];
                *target = combine(call, *target, updates[to_index(update_at)]);
            }
            update_at += i64::from(p.update_step);
            index_at += i64::from(p.index_step);
        }
    }
}

fn combine(call: &Scatter, a: u32, b: u32) -> u32 {
    match call.repr {
        Repr::F32 => {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            let value = match call.op {
                Op::Set => b,
                Op::Add => a + b,
                Op::Mul => a * b,
                Op::Max => a.max(b),
                Op::Min => a.min(b),
            };
            value.to_bits()
        }
        Repr::I32 => {
            let (a, b) = (a.cast_signed(), b.cast_signed());
            let value = match call.op {
                Op::Set => b,
                Op::Add => a.wrapping_add(b),
                Op::Mul => a.wrapping_mul(b),
                Op::Max => a.max(b),
                Op::Min => a.min(b),
            };
            value.cast_unsigned()
        }
        Repr::U32 => match call.op {
            Op::Set => b,
            Op::Add => a.wrapping_add(b),
            Op::Mul => a.wrapping_mul(b),
            Op::Max => a.max(b),
            Op::Min => a.min(b),
        },
    }
}
