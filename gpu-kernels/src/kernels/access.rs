//! Which elements of its buffers a call touches. The planner reads off it which rows of a batch stay apart.

use super::view::View;
use crate::number;

/// Elements of one buffer that an iteration touches: `offset + Σ coordinate · stride`, and from there
/// whatever the spreads lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    pub offset: i64,
    pub strides: Vec<i64>,
    /// So many places, so far apart.
    pub spreads: Vec<(u64, i64)>,
}

/// Which elements a call reads and writes, by an iteration over `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessFootprint {
    pub shape: Vec<usize>,
    pub inputs: Vec<Access>,
    pub output: Access,
}

impl Access {
    /// A contiguous tensor of `shape`, walked whole.
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

    /// As a view goes.
    pub(super) fn viewed(view: &View, rank: usize) -> Self {
        let strides = view.strides[..rank].iter().map(|&stride| i64::from(stride)).collect();
        Self { offset: i64::from(view.offset), ..Self::strided(strides) }
    }

    /// Everything in a buffer of `len` values, wherever the iteration is.
    pub(super) fn all(rank: usize, len: usize) -> Self {
        Self { spreads: vec![(number::to(len), 1)], ..Self::strided(vec![0; rank]) }
    }

    /// The same with `count` more places `stride` apart at each.
    pub(super) fn spread(mut self, count: u32, stride: i64) -> Self {
        self.spreads.push((count.into(), stride));
        self
    }
}
