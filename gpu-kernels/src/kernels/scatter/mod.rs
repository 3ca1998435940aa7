//! Values written where a tensor of indices says, over what the output held. Updates that may hit the
//! same element are done in order by one invocation, so that the last one wins on every backend. An
//! update outside the output is left out.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface, Views};
use super::layout::shader_struct;
use super::view::{MAX_RANK, View};
use super::wgsl;
use crate::dtype::Repr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Set,
    Add,
    Mul,
    Max,
    Min,
}

shader_struct! {
    /// `len` lines of `shape`, each of `serial` updates in order.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub len: u32,
        pub rank: u32,
        pub serial: u32,
        pub depth: u32,
        pub index_stride: i32,
        /// From one update of a line to the next.
        pub update_step: i32,
        pub index_step: i32,
        pub shape: [u32; MAX_RANK],
        pub updates: View,
        pub indices: View,
        pub out: View,
        pub sizes: [u32; MAX_RANK],
        pub steps: [i32; MAX_RANK],
    }
}

#[derive(Clone, Debug)]
pub struct Scatter {
    pub op: Op,
    pub repr: Repr,
    pub params: Params,
}

impl Scatter {
    pub fn flops(&self) -> u64 {
        if self.op == Op::Set { 0 } else { u64::from(self.params.len) * u64::from(self.params.serial) }
    }
}

impl Params {
    pub(super) fn footprint(&self) -> AccessFootprint {
        let rank = to_usize(self.rank);
        let shape: Vec<usize> = self.shape[..rank].iter().map(|&size| to_usize(size)).collect();
        let access = |view: &View| Access::viewed(view, rank);
        let updates = access(&self.updates).spread(self.serial, i64::from(self.update_step));
        let indices = access(&self.indices)
            .spread(self.serial, i64::from(self.index_step))
            .spread(self.depth, i64::from(self.index_stride));
        let mut output = access(&self.out);
        for (&size, &step) in self.sizes.iter().zip(&self.steps).take(to_usize(self.depth)) {
            output = output.spread(size, i64::from(step));
        }
        AccessFootprint { shape, inputs: vec![updates, indices], output }
    }
}

pub(super) fn shader(repr: Repr, op: Op) -> String {
    let combine = match op {
        Op::Set => "b",
        Op::Add => "a + b",
        Op::Mul => "a * b",
        Op::Max => "max(a, b)",
        Op::Min => "min(a, b)",
    };
    let body = format!("fn combine(a: T, b: T) -> T {{ return {combine}; }}\n{}", include_str!("scatter.wgsl"));
    let interface = Interface {
        types: vec![("T", repr)],
        inputs: vec![Input::words("updates", repr), Input::words("indices", Repr::I32)],
        views: Views::named(&["updates", "indices", "out"]),
        ..Interface::new(&Params::LAYOUT, Entry::Element, repr)
    };
    wgsl::shader(&interface, &body)
}
