use super::Params;
use crate::cpu::threads;
use crate::kernels::index::{strided_offset, to_index, to_usize};

const SHARE: usize = 1 << 14;

/// All outputs; `start` and `units` are ignored.
pub fn run(p: &Params, data: &[u32], indices: &[u32], out: &mut [u32]) {
    let shape = &p.shape[..to_usize(p.rank)];
    let (outer, inner) = shape.split_at(shape.len() - 1);
    let inner_size = to_usize(inner[0]);
    let last = outer.len();
    // Indices that do not change along the innermost axis are read once per line.
    let lines = p.indices.strides[last] == 0 && inner_size > 1;
    threads::chunks(&mut out[..to_usize(p.len)], SHARE.next_multiple_of(inner_size.max(1)), |first, chunk| {
        if lines {
            for (line, out) in chunk.chunks_mut(inner_size).enumerate() {
                let line = first / inner_size + line;
                let index_at = strided_offset(line, outer, i64::from(p.indices.offset), &p.indices.strides);
                let from = strided_offset(line, outer, i64::from(p.data.offset), &p.data.strides)
                    + indexed_offset(p, indices, index_at);
                let stride = i64::from(p.data.strides[last]);
                if stride == 1 {
                    out.copy_from_slice(&data[to_index(from)..][..out.len()]);
                } else {
                    let mut at = from;
                    for out in out {
                        *out = data[to_index(at)];
                        at += stride;
                    }
                }
            }
        } else {
            for (i, out) in chunk.iter_mut().enumerate() {
                let index_at = strided_offset(first + i, shape, i64::from(p.indices.offset), &p.indices.strides);
                let from = strided_offset(first + i, shape, i64::from(p.data.offset), &p.data.strides);
                *out = data[to_index(from + indexed_offset(p, indices, index_at))];
            }
        }
    });
}

/// The offset into the data that the indices at `index_at` stand for.
fn indexed_offset(p: &Params, indices: &[u32], index_at: i64) -> i64 {
    let axes = p.sizes.iter().zip(&p.steps).take(to_usize(p.depth));
    let mut moved = 0;
    for ((&size, &step), d) in axes.zip(0i64..) {
        let index = i64::from(indices[to_index(index_at + d * i64::from(p.index_stride))].cast_signed());
        let index = if index < 0 { index + i64::from(size) } else { index };
        moved += index.clamp(0, i64::from(size) - 1) * i64::from(step);
    }
    moved
}
