//! A chain's products on the processor.

use super::chain::{Chain, MatrixKey};
use crate::cpu::simd::{self, Vector};
use crate::cpu::threads;
use crate::number;

/// Rows and columns of the block that is summed in registers.
const ROWS: usize = 4;
const COLUMNS: usize = 16;
/// Rows that one thread makes at a time.
const ROWS_AT_ONCE: usize = 16;

/// `X`.
pub(super) fn first(chain: Chain) -> Vec<u32> {
    let key = chain.key(0);
    (0..chain.side * chain.side).map(|at| key.entry(at)).collect()
}

/// `Aₛ · right`.
pub(super) fn multiply(chain: Chain, step: u32, right: &[u32]) -> Vec<u32> {
    let (side, key) = (chain.side_len(), chain.key(step));
    let mut out = vec![0u32; side * side];
    threads::chunks(&mut out, ROWS_AT_ONCE * side, |first, out| {
        simd::dispatch(Rows { key, first, right, side, out });
    });
    out
}

/// Some rows of a product.
struct Rows<'a> {
    key: MatrixKey,
    /// Where they begin in the product, in entries.
    first: usize,
    right: &'a [u32],
    side: usize,
    out: &'a mut [u32],
}

impl Vector for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { key, first, right, side, out } = self;
        let first: u32 = number::to(first);
        let left: Vec<u32> = (first..).take(out.len()).map(|at| key.entry(at)).collect();
        for (left, out) in left.chunks_exact(ROWS * side).zip(out.chunks_exact_mut(ROWS * side)) {
            for column in (0..side).step_by(COLUMNS) {
                let mut sums = [[0u32; COLUMNS]; ROWS];
                for (k, right) in right.chunks_exact(side).enumerate() {
                    let right: &[u32; COLUMNS] = right[column..].first_chunk().expect("a side is a multiple of 32");
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let factor = left[row * side + k];
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = sum.wrapping_add(factor.wrapping_mul(*right));
                        }
                    }
                }
                for (row, sums) in sums.iter().enumerate() {
                    out[row * side + column..][..COLUMNS].copy_from_slice(sums);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::chain::tests::{CHAIN, answer};

    #[test]
    fn the_processor_multiplies_as_the_definition_says() {
        let mut matrix = first(CHAIN);
        for step in 1..=3 {
            matrix = multiply(CHAIN, step, &matrix);
        }

        assert_eq!(matrix, answer(CHAIN, 3));
    }
}
