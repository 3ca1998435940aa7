//! Each output along one axis of `[outer, axis, inner]` as a weighted sum of a few inputs along it:
//! resizing by any separable filter, and local response sums. Which inputs, with which weights, comes in
//! two tables of `axis_out · taps`.

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
        pub len: u32,
        pub axis_in: u32,
        pub axis_out: u32,
        pub inner: u32,
        pub taps: u32,
    }
}

impl Params {
    pub fn flops(&self) -> u64 {
        2 * u64::from(self.len) * u64::from(self.taps)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let outer = to_usize(self.len / (self.axis_out * self.inner).max(1));
        let shape = vec![outer, to_usize(self.axis_out), to_usize(self.inner)];
        let x = Access::strided(vec![i64::from(self.axis_in) * i64::from(self.inner), 0, 1])
            .spread(self.axis_in, i64::from(self.inner));
        let table = || Access::all(3, to_usize(self.axis_out * self.taps));
        AccessFootprint { output: Access::contiguous(&shape), shape, inputs: vec![x, table(), table()] }
    }
}

pub(super) fn shader() -> String {
    let interface = Interface {
        inputs: vec![
            Input::words("x", Repr::F32),
            Input::words("places", Repr::U32),
            Input::words("weights", Repr::F32),
        ],
        ..Interface::new(&Params::LAYOUT, Entry::Element, Repr::F32)
    };
    wgsl::shader(&interface, include_str!("resample.wgsl"))
}
