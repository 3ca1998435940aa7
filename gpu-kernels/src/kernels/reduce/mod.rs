//! Sums, products, extremes and their indices over any axes, read through strides. A long reduction takes
//! one workgroup per result and does not sum in order; a short one takes one invocation. Extremes and
//! indices are bit-exact on every backend and pass NaN on; float sums are not bit-exact.

pub mod reference;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface, Views};
use super::layout::shader_struct;
use super::view::{MAX_RANK, View};
use super::wgsl;
use super::workgroup::units_for;
use crate::dtype::Repr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Sum,
    Prod,
    Max,
    Min,
    SumSquare,
    SumAbs,
    /// The index of the largest value, the first of equal ones.
    ArgMax,
    ArgMin,
    ArgMaxLast,
    ArgMinLast,
}

impl Op {
    pub fn is_index(self) -> bool {
        matches!(self, Self::ArgMax | Self::ArgMin | Self::ArgMaxLast | Self::ArgMinLast)
    }
}

/// From this length on one workgroup computes one result.
const WIDE: u32 = 64;

shader_struct! {
    /// `len` results of `red_len` values each.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub len: u32,
        pub rank: u32,
        pub red_rank: u32,
        pub red_len: u32,
        pub shape: [u32; MAX_RANK],
        pub red_shape: [u32; MAX_RANK],
        /// The first value of each result.
        pub view: View,
        pub red_strides: [i32; MAX_RANK],
    }
}

#[derive(Clone, Debug)]
pub struct Reduce {
    pub op: Op,
    pub repr: Repr,
    pub params: Params,
}

/// What tells one shader of this kernel from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub op: Op,
    pub repr: Repr,
    pub wide: bool,
}

impl Reduce {
    pub(super) fn key(&self) -> Key {
        Key { op: self.op, repr: self.repr, wide: self.params.is_wide() }
    }
}

impl Params {
    pub fn is_wide(&self) -> bool {
        self.red_len >= WIDE
    }

    pub fn whole(mut self) -> Self {
        self.units = if self.is_wide() { self.len } else { units_for(self.len) };
        self
    }

    pub fn flops(&self) -> u64 {
        u64::from(self.len) * u64::from(self.red_len)
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let rank = to_usize(self.rank);
        let shape: Vec<usize> = self.shape[..rank].iter().map(|&size| to_usize(size)).collect();
        let mut input = Access::viewed(&self.view, rank);
        for (&size, &stride) in self.red_shape.iter().zip(&self.red_strides).take(to_usize(self.red_rank)) {
            input = input.spread(size, i64::from(stride));
        }
        AccessFootprint { output: Access::contiguous(&shape), shape, inputs: vec![input] }
    }
}

pub(super) fn shader(key: Key) -> String {
    let nan = |name: &str| if key.repr == Repr::F32 { format!("is_nan({name})") } else { "false".to_owned() };
    let better = |sign: &str| format!("(!{} && ({} || b {sign} a))", nan("a"), nan("b"));
    let (lift, combine) = match key.op {
        Op::Sum => ("v", "a + b".to_owned()),
        Op::Prod => ("v", "a * b".to_owned()),
        Op::SumSquare => ("v * v", "a + b".to_owned()),
        Op::SumAbs if key.repr == Repr::U32 => ("v", "a + b".to_owned()),
        Op::SumAbs => ("abs(v)", "a + b".to_owned()),
        Op::Max | Op::ArgMax | Op::ArgMaxLast => ("v", format!("select(a, b, {})", better(">"))),
        Op::Min | Op::ArgMin | Op::ArgMinLast => ("v", format!("select(a, b, {})", better("<"))),
    };
    let wins = match key.op {
        Op::ArgMin | Op::ArgMinLast => better("<"),
        _ => better(">"),
    };
    let last = matches!(key.op, Op::ArgMaxLast | Op::ArgMinLast);
    let ties = format!(
        "((a == b || ({} && {})) && (second.index {} first.index))",
        nan("a"),
        nan("b"),
        if last { ">" } else { "<" }
    );
    let merge = if key.op.is_index() {
        format!("let a = first.value; let b = second.value; if ({wins} || {ties}) {{ return second; }} return first;")
    } else {
        format!("let a = first.value; let b = second.value; return Found({combine}, 0u);")
    };
    let (output, result) = if key.op.is_index() { (Repr::I32, "i32(found.index)") } else { (key.repr, "found.value") };
    let body = format!(
        "fn lift(v: T) -> T {{ return {lift}; }}\n\
         fn merge(first: Found, second: Found) -> Found {{ {merge} }}\n\
         fn result(found: Found) -> Result {{ return {result}; }}\n{}{}",
        include_str!("reduce.wgsl"),
        if key.wide { include_str!("wide.wgsl") } else { include_str!("narrow.wgsl") },
    );
    let interface = Interface {
        types: vec![("T", key.repr), ("Result", output)],
        inputs: vec![Input::words("x", key.repr)],
        views: Views::named(&["view"]),
        ..Interface::new(&Params::LAYOUT, if key.wide { Entry::Workgroup } else { Entry::Element }, output)
    };
    wgsl::shader(&interface, &body)
}
