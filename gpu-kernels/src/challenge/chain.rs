//! What is multiplied, and how rows of the answer are checked.

use crate::cpu::simd::{self, Vector};
use crate::number;

/// What all matrices of a challenge follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    pub seed: [u32; 4],
    /// Rows and columns of each matrix; a multiple of 32.
    pub side: u32,
}

/// What the entries of one matrix follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MatrixKey(pub(super) [u32; 2]);

impl Chain {
    /// Multiplications and additions of so many products.
    pub fn ops(&self, steps: u32) -> u64 {
        let side = u64::from(self.side);
        2 * side * side * side * u64::from(steps)
    }

    /// Of matrix `Aₛ`, or of `X` for step 0.
    pub(super) fn key(&self, step: u32) -> MatrixKey {
        let [a, b, c, d] = self.seed;
        MatrixKey([mix(mix(a ^ step).wrapping_add(b)), mix(mix(c ^ step).wrapping_add(d))])
    }

    pub(super) fn side_len(&self) -> usize {
        number::to(self.side)
    }

    /// Whether `rows` are those of the chain's answer after so many steps, each with its number and its entries. A wrong
    /// row passes with a probability of one in 2³² or, where it is wrong in its upper bits alone, one in two to the
    /// number of those bits. `coefficients` are random, one for each row, and unknown to whoever computed the rows until
    /// it was bound to them.
    pub fn holds(&self, steps: u32, rows: &[(u32, Vec<u32>)], coefficients: &[u32]) -> bool {
        let side = self.side_len();
        if rows.iter().any(|(row, entries)| *row >= self.side || entries.len() != side) {
            return false;
        }
        let (mut left, mut expected) = (vec![0u32; side], vec![0u32; side]);
        for ((row, entries), coefficient) in rows.iter().zip(coefficients) {
            let at = &mut left[number::to::<usize, _>(*row)];
            *at = at.wrapping_add(*coefficient);
            for (sum, entry) in expected.iter_mut().zip(entries) {
                *sum = sum.wrapping_add(coefficient.wrapping_mul(*entry));
            }
        }
        for step in (0..=steps).rev() {
            left = simd::dispatch(FromLeft { left: &left, key: self.key(step) });
        }
        left == expected
    }
}

/// C. Wellons, "Prospecting for hash functions", 2018 (`lowbias32`): no product or sum of two of its values is a third.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

impl MatrixKey {
    /// The entry at row · side + column.
    #[inline(always)]
    pub(super) fn entry(self, at: u32) -> u32 {
        mix(mix(at ^ self.0[0]).wrapping_add(self.0[1]))
    }
}

/// A row times a matrix.
struct FromLeft<'a> {
    left: &'a [u32],
    key: MatrixKey,
}

impl Vector for FromLeft<'_> {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run(self) -> Vec<u32> {
        let side = self.left.len();
        let mut sums = vec![0u32; side];
        let mut at = 0u32;
        for factor in self.left {
            for (column, sum) in (at..).zip(&mut sums) {
                *sum = sum.wrapping_add(factor.wrapping_mul(self.key.entry(column)));
            }
            at = at.wrapping_add(number::to(side));
        }
        sums
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const CHAIN: Chain = Chain { seed: [1, 2, 3, 4], side: 64 };
    const COEFFICIENTS: [u32; 3] = [0x9e37_79b9, 0x0bad_cafe, 77];

    /// By the definition, one sum of products after another.
    pub(in super::super) fn answer(chain: Chain, steps: u32) -> Vec<u32> {
        let matrix =
            |step: u32| -> Vec<u32> { (0..chain.side * chain.side).map(|at| chain.key(step).entry(at)).collect() };
        let side = chain.side_len();
        (1..=steps).fold(matrix(0), |right, step| {
            let left = matrix(step);
            (0..side * side)
                .map(|at| {
                    let (row, column) = (at / side, at % side);
                    let terms = (0..side).map(|k| left[row * side + k].wrapping_mul(right[k * side + column]));
                    terms.fold(0, u32::wrapping_add)
                })
                .collect()
        })
    }

    fn rows(answer: &[u32], numbers: [u32; 3]) -> Vec<(u32, Vec<u32>)> {
        let row = |number: u32| answer.chunks(CHAIN.side_len()).nth(number::to(number)).unwrap().to_vec();
        numbers.map(|number| (number, row(number))).to_vec()
    }

    #[test]
    fn rows_of_the_answer_hold_and_any_other_rows_do_not() {
        let answer = answer(CHAIN, 3);
        let good = rows(&answer, [0, 17, 63]);

        assert!(CHAIN.holds(3, &good, &COEFFICIENTS));
        assert!(!CHAIN.holds(2, &good, &COEFFICIENTS), "after another step");
        assert!(!Chain { seed: [1, 2, 3, 5], ..CHAIN }.holds(3, &good, &COEFFICIENTS), "of another seed");
        let mut swapped = good.clone();
        (swapped[0].0, swapped[1].0) = (17, 0);
        assert!(!CHAIN.holds(3, &swapped, &COEFFICIENTS), "in another order");
        let mut wrong = good.clone();
        wrong[2].1[5] ^= 1;
        assert!(!CHAIN.holds(3, &wrong, &COEFFICIENTS), "with one bit changed");
        wrong[2].1.pop();
        assert!(!CHAIN.holds(3, &wrong, &COEFFICIENTS), "cut short");
        assert!(!CHAIN.holds(3, &[(64, good[0].1.clone())], &COEFFICIENTS), "beyond the last");
    }
}
