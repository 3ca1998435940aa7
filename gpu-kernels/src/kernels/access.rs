//! Which elements of its buffers a call reads and writes. From this the planner tells which rows of a batch
//! are computed independently.

use super::view::View;
use crate::number;

/// Elements of one buffer that each step of an iteration touches: the one at `offset + Σ coordinate · stride`,
/// and those that the spreads reach from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    pub offset: i64,
    pub strides: Vec<i64>,
    /// Each a number of elements, and the stride from one to the next.
    pub spreads: Vec<(u64, i64)>,
}

/// Which elements a call reads and writes at each step of an iteration over `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessFootprint {
    pub shape: Vec<usize>,
    pub inputs: Vec<Access>,
    pub output: Access,
}

impl Access {
    /// Each element of a contiguous tensor of `shape` once.
    pub(super) fn contiguous(shape: &[usize]) -> Self {
        let mut strides = vec![1i64; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * number::to::<i64, _>(shape[axis]);
        }
        Self::strided(strides)
    }

    pub(super) fn strided(strides: Vec<i64>) -> Self {
        Self { offset: 0, strides, spreads: Vec::new() }
    }

    /// The elements of a view.
    pub(super) fn viewed(view: &View, rank: usize) -> Self {
        let strides = view.strides[..rank].iter().map(|&stride| i64::from(stride)).collect();
        Self { offset: i64::from(view.offset), ..Self::strided(strides) }
    }

    /// All `len` values of a buffer at every step.
    pub(super) fn all(rank: usize, len: usize) -> Self {
        Self { spreads: vec![(number::to(len), 1)], ..Self::strided(vec![0; rank]) }
    }

    /// The same with `count` elements, `stride` apart, in place of each.
    pub(super) fn spread(mut self, count: u32, stride: i64) -> Self {
        self.spreads.push((count.into(), stride));
        self
    }
}
