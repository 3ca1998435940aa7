use std::cmp::Ordering;

use super::TopK;
use crate::dtype::Repr;
use crate::kernels::index::to_usize;

/// All lines; `start` and `units` are ignored.
pub fn run(call: &TopK, x: &[u32], out: &mut [u32]) {
    let p = &call.params;
    let (axis, inner, k) = (to_usize(p.axis), to_usize(p.inner), to_usize(p.k));
    let mut places: Vec<u32> = Vec::with_capacity(axis);
    for line in 0..to_usize(p.len) / axis.max(1) {
        let (outer, n) = (line / inner, line % inner);
        let value = |place: u32| x[(outer * axis + to_usize(place)) * inner + n];
        places.clear();
        places.extend(0..p.axis);
        places.sort_unstable_by(|&a, &b| {
            let order = compare(call.repr, value(a), value(b));
            let order = if p.largest == 0 { order } else { order.reverse() };
            // Of equal values the first stays first.
            order.then(a.cmp(&b))
        });
        for (i, &place) in places.iter().take(k).enumerate() {
            out[(outer * k + i) * inner + n] = place;
        }
    }
}

/// NaN counts as the largest, and the two zeros as one.
fn compare(repr: Repr, a: u32, b: u32) -> Ordering {
    match repr {
        Repr::F32 => {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
        Repr::I32 => a.cast_signed().cmp(&b.cast_signed()),
        Repr::U32 => a.cmp(&b),
    }
}
