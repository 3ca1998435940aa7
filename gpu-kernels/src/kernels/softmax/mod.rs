//! Softmax and its logarithm along one axis of `[outer, axis, inner]`, one workgroup per line, shifted
//! by the line's maximum so that nothing overflows. A NaN makes its line NaN. Not bit-exact across
//! backends: the exponential and the order of the sum differ.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface};
use super::layout::shader_struct;
use super::wgsl;
use crate::dtype::Repr;

shader_struct! {
    /// `units` is `outer · inner`: one workgroup per line.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub axis: u32,
        pub inner: u32,
        /// 1 for the logarithm.
        pub log: u32,
    }
}

impl Params {
    pub fn flops(&self) -> u64 {
        5 * u64::from(self.units) * u64::from(self.axis)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let shape = vec![to_usize(self.units / self.inner.max(1)), to_usize(self.inner)];
        let line = || {
            Access::strided(vec![i64::from(self.axis) * i64::from(self.inner), 1])
                .spread(self.axis, i64::from(self.inner))
        };
        AccessFootprint { shape, inputs: vec![line()], output: line() }
    }
}

pub(super) fn shader() -> String {
    let interface = Interface {
        inputs: vec![Input::words("x", Repr::F32)],
        ..Interface::new(&Params::LAYOUT, Entry::Workgroup, Repr::F32)
    };
    wgsl::shader(&interface, include_str!("softmax.wgsl"))
}
