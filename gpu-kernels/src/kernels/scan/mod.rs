//! Running sums and products along one axis of `[outer, axis, inner]`, one invocation per line.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::wgsl;
use crate::dtype::Repr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Sum,
    Prod,
}

shader_struct! {
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub lines: u32,
        pub axis: u32,
        pub inner: u32,
        /// 1: a result leaves out the element at its own position.
        pub exclusive: u32,
        /// 1: starts at the end of the axis.
        pub reverse: u32,
    }
}

#[derive(Clone, Debug)]
pub struct Scan {
    pub op: Op,
    pub repr: Repr,
    pub params: Params,
}

impl Params {
    pub fn flops(&self) -> u64 {
        u64::from(self.lines) * u64::from(self.axis)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let shape = vec![to_usize(self.lines / self.inner.max(1)), to_usize(self.inner)];
        let line = || {
            Access::strided(vec![i64::from(self.axis) * i64::from(self.inner), 1])
                .spread(self.axis, i64::from(self.inner))
        };
        AccessFootprint { shape, inputs: vec![line()], output: line() }
    }
}

pub(super) fn shader(repr: Repr, op: Op) -> String {
    let (first, sign) = match op {
        Op::Sum => (0, "+"),
        Op::Prod => (1, "*"),
    };
    let body = format!(
        "const FIRST: T = T({first});\nfn combine(a: T, b: T) -> T {{ return a {sign} b; }}\n{}",
        include_str!("scan.wgsl")
    );
    let interface = Interface {
        types: vec![("T", repr)],
        inputs: vec![Input::words("x", repr)],
        ..Interface::new(&Params::LAYOUT, Entry::Element, repr)
    };
    wgsl::shader(&interface, &body)
}
