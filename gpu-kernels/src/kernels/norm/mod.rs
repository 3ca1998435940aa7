//! Lines of `axis` values scaled to mean 0 and variance 1, or, without the mean, to mean square 1:
//! what layer, instance, group and RMS normalization do before their scale. One workgroup per line. The
//! variance is computed around the mean in a second pass, so that large values do not cancel.

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
        pub axis: u32,
        /// 1: the mean is subtracted.
        pub centred: u32,
        pub epsilon: f32,
    }
}

impl Params {
    pub fn flops(&self) -> u64 {
        6 * u64::from(self.units) * u64::from(self.axis)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let line = || Access::strided(vec![i64::from(self.axis)]).spread(self.axis, 1);
        AccessFootprint { shape: vec![to_usize(self.units)], inputs: vec![line()], output: line() }
    }
}

pub(super) fn shader() -> String {
    let interface = Interface {
        inputs: vec![Input::words("x", Repr::F32)],
        ..Interface::new(&Params::LAYOUT, Entry::Workgroup, Repr::F32)
    };
    wgsl::shader(&interface, include_str!("norm.wgsl"))
}
