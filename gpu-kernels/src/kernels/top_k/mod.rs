//! The indices of the `k` largest or smallest values along one axis of `[outer, axis, inner]`, in order; of
//! equal values the first comes first. One invocation per element counts the elements that come before it,
//! so that none waits for another: `axis²` comparisons per line.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::wgsl;
use crate::dtype::Repr;

shader_struct! {
    pub struct Params {
        pub start: u32,
        pub units: u32,
        /// `outer · axis · inner`.
        pub len: u32,
        pub axis: u32,
        pub inner: u32,
        pub k: u32,
        /// 1: the largest.
        pub largest: u32,
    }
}

#[derive(Clone, Debug)]
pub struct TopK {
    pub repr: Repr,
    pub params: Params,
}

impl Params {
    pub fn flops(&self) -> u64 {
        u64::from(self.len) * u64::from(self.axis)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let lines = to_usize(self.len / (self.axis * self.inner).max(1));
        let line = |count: u32| {
            Access::strided(vec![i64::from(count) * i64::from(self.inner), 1]).spread(count, i64::from(self.inner))
        };
        AccessFootprint {
            shape: vec![lines, to_usize(self.inner)],
            inputs: vec![line(self.axis)],
            output: line(self.k),
        }
    }
}

pub(super) fn shader(repr: Repr) -> String {
    let nan = if repr == Repr::F32 { "is_nan(v)" } else { "false" };
    let body = format!("fn value_is_nan(v: T) -> bool {{ return {nan}; }}\n{}", include_str!("top_k.wgsl"));
    let interface = Interface {
        types: vec![("T", repr)],
        inputs: vec![Input::words("x", repr)],
        ..Interface::new(&Params::LAYOUT, Entry::Element, Repr::I32)
    };
    wgsl::shader(&interface, &body)
}
