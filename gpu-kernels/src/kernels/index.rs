//! Index arithmetic on the host, as the shaders do it.

use crate::number;

/// A size or an index of the parameters.
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits wherever this runs")]
#[inline(always)]
pub(super) fn to_usize(index: u32) -> usize {
    index as usize
}

/// The index of an element that strides were followed to. The parameters keep it inside the buffer.
#[inline(always)]
pub(super) fn to_index(offset: i64) -> usize {
    number::to(offset)
}

/// Where element `i` of `shape` lies in a buffer.
pub(super) fn strided_offset(mut i: usize, shape: &[u32], offset: i64, strides: &[i32]) -> i64 {
    let mut found = offset;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        found += number::to::<i64, _>(i % to_usize(size)) * i64::from(stride);
        i /= to_usize(size);
    }
    found
}
