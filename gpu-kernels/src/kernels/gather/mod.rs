//! Values read where a tensor of indices says, along one axis or several: `Gather`, `GatherElements` and
//! `GatherND` alike. Negative indices count from the end; an index outside is clamped to the axis.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface, Views};
use super::layout::shader_struct;
use super::view::{MAX_RANK, View};
use super::wgsl;
use crate::dtype::Repr;

shader_struct! {
    /// `len` outputs of `shape`; each reads `depth` indices, `index_stride` apart.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub len: u32,
        pub rank: u32,
        pub depth: u32,
        pub index_stride: i32,
        pub shape: [u32; MAX_RANK],
        pub data: View,
        pub indices: View,
        /// Size and stride of each axis of the data that is indexed.
        pub sizes: [u32; MAX_RANK],
        pub steps: [i32; MAX_RANK],
    }
}

impl Params {
    pub(super) fn footprint(&self) -> AccessFootprint {
        let rank = to_usize(self.rank);
        let shape: Vec<usize> = self.shape[..rank].iter().map(|&size| to_usize(size)).collect();
        let access = |view: &View| Access::viewed(view, rank);
        let mut data = access(&self.data);
        for (&size, &step) in self.sizes.iter().zip(&self.steps).take(to_usize(self.depth)) {
            data = data.spread(size, i64::from(step));
        }
        let indices = access(&self.indices).spread(self.depth, i64::from(self.index_stride));
        AccessFootprint { output: Access::contiguous(&shape), shape, inputs: vec![data, indices] }
    }
}

/// Values are moved as words, whatever their type.
pub(super) fn shader() -> String {
    let interface = Interface {
        inputs: vec![Input::words("data", Repr::U32), Input::words("indices", Repr::I32)],
        views: Views::named(&["data", "indices"]),
        ..Interface::new(&Params::LAYOUT, Entry::Element, Repr::U32)
    };
    wgsl::shader(&interface, include_str!("gather.wgsl"))
}
