//! One output value from one value of each input, by a small straight-line program: every elementwise
//! operator, and, with a program that only loads, every copy. Inputs and output are read and
//! written through strides, so a transposed, sliced or broadcast operand needs no copy of its own.
//!
//! The shader is written from the program; constants come with the parameters, so programs that
//! differ in them share a pipeline. Arithmetic on integers wraps. Add, subtract and multiply are
//! bit-exact on normal floats unless a backend fuses them; `DivExact` always is.

pub mod program;
pub mod reference;

use std::fmt::Write;
use std::sync::Arc;

use super::access::{Access, AccessFootprint};
use super::index::to_usize;
use super::interface::{Entry, Input, Interface, Views};
use super::layout::shader_struct;
use super::view::{MAX_RANK, View};
use super::wgsl;
use super::workgroup::units_for;
use crate::dtype::Repr;
use crate::number;
pub use program::{Binary, Inst, Program, Reg, Unary};

/// Most inputs: WebGPU grants a shader eight buffers, and two are the parameters and the output.
pub const INPUTS_MAX: usize = 6;
/// Most constants of a program.
pub const CONSTS_MAX: usize = 16;

shader_struct! {
    /// `len` elements of `shape`.
    pub struct Params {
        pub start: u32,
        pub units: u32,
        pub len: u32,
        pub rank: u32,
        pub shape: [u32; MAX_RANK],
        pub consts: [u32; CONSTS_MAX],
        pub out: View,
        pub inputs: [View; INPUTS_MAX],
    }
}

/// A program over views.
#[derive(Clone, Debug)]
pub struct Elementwise {
    pub program: Arc<Program>,
    pub params: Params,
}

/// What tells one shader of this kernel from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub insts: Vec<Inst>,
    pub rank: u32,
}

impl Elementwise {
    /// `views` are the inputs' and, last, the output's, over `shape`. Axes that all views walk
    /// alike are merged.
    pub fn new(program: Program, shape: &[usize], views: &[(i64, Vec<i64>)]) -> Option<Self> {
        let (shape, views) = merge(shape, views);
        if shape.len() > MAX_RANK || program.consts.len() > CONSTS_MAX || views.len() > INPUTS_MAX + 1 {
            return None;
        }
        let len = u32::try_from(shape.iter().product::<usize>()).ok()?;
        let view = |(offset, strides): &(i64, Vec<i64>)| {
            let mut view = View { offset: i32::try_from(*offset).ok()?, ..View::default() };
            for (slot, stride) in view.strides.iter_mut().zip(strides) {
                *slot = i32::try_from(*stride).ok()?;
            }
            Some(view)
        };
        let (out, inputs) = views.split_last()?;
        let mut params = Params {
            start: 0,
            units: units_for(len),
            len,
            rank: u32::try_from(shape.len()).ok()?,
            shape: [1; MAX_RANK],
            consts: [0; CONSTS_MAX],
            out: view(out)?,
            inputs: [View::default(); INPUTS_MAX],
        };
        for (slot, size) in params.shape.iter_mut().zip(&shape) {
            *slot = u32::try_from(*size).ok()?;
        }
        for (slot, given) in params.inputs.iter_mut().zip(inputs) {
            *slot = view(given)?;
        }
        params.consts[..program.consts.len()].copy_from_slice(&program.consts);
        Some(Self { program: Arc::new(program), params })
    }

    pub fn flops(&self) -> u64 {
        u64::from(self.params.len) * self.program.operations()
    }

    pub(super) fn footprint(&self) -> AccessFootprint {
        let p = &self.params;
        let rank = to_usize(p.rank);
        let access = |view: &View| Access::viewed(view, rank);
        AccessFootprint {
            shape: p.shape[..rank].iter().map(|&size| to_usize(size)).collect(),
            inputs: p.inputs[..self.program.loads()].iter().map(access).collect(),
            output: access(&p.out),
        }
    }
}

impl Key {
    pub fn of(call: &Elementwise) -> Self {
        Self { insts: call.program.insts.clone(), rank: call.params.rank }
    }
}

/// Merges neighbouring axes that every view walks like a single one, and drops axes of size 1.
pub fn merge(shape: &[usize], views: &[(i64, Vec<i64>)]) -> (Vec<usize>, Vec<(i64, Vec<i64>)>) {
    let mut merged: Vec<usize> = Vec::new();
    let mut result: Vec<(i64, Vec<i64>)> = views.iter().map(|(offset, _)| (*offset, Vec::new())).collect();
    for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
        let long = number::to::<i64, _>(size);
        let joins = !merged.is_empty()
            && result.iter().zip(views).all(|((_, walked), (_, strides))| {
                walked.last().is_some_and(|&last| last == strides[axis].saturating_mul(long))
            });
        if joins {
            if let Some(last) = merged.last_mut() {
                *last *= size;
            }
        } else {
            merged.push(size);
        }
        for ((_, walked), (_, strides)) in result.iter_mut().zip(views) {
            match walked.last_mut() {
                Some(last) if joins => *last = strides[axis],
                _ => walked.push(strides[axis]),
            }
        }
    }
    if merged.is_empty() {
        merged.push(shape.iter().product());
        result.iter_mut().for_each(|(_, strides)| strides.push(0));
    }
    (merged, result)
}

/// The shader of one program over views of one rank.
pub(super) fn shader(key: &Key) -> String {
    let reprs = program::reprs(&key.insts);
    let loads = key
        .insts
        .iter()
        .filter_map(|inst| if let Inst::Load(input, repr) = inst { Some((*input, *repr)) } else { None });
    let inputs: Vec<Input> = loads.map(|(input, repr)| Input::words(&format!("in{input}"), repr)).collect();
    let views = (0..inputs.len()).map(|input| (format!("in{input}"), format!("inputs[{input}]")));
    let views = views.chain([("out".to_owned(), "out".to_owned())]).collect();
    let mut body = String::from(include_str!("elementwise.wgsl"));
    body.push_str("fn run_element(i: u32) {\n  if (i >= p.len) { return; }\n  let at = offsets(i);\n");
    for (index, (inst, repr)) in key.insts.iter().zip(&reprs).enumerate() {
        let _infallible = writeln!(body, "  let r{index}: {} = {};", repr.wgsl(), inst.wgsl(&reprs));
    }
    let _infallible = writeln!(body, "  out[at.out] = r{};\n}}", key.insts.len().saturating_sub(1));
    let interface = Interface {
        inputs,
        views: Views { of: views, rank: Some(key.rank) },
        ..Interface::new(&Params::LAYOUT, Entry::Element, reprs.last().copied().unwrap_or(Repr::U32))
    };
    wgsl::shader(&interface, &body)
}
