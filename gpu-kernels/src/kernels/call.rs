//! A kernel call: a plan is a list of them.

use super::access::AccessFootprint;
use super::kernel::Kernel;
use super::{conv, elementwise, gather, matmul, norm, pool, reduce, resample, scan, scatter, softmax, top_k};
use crate::dtype::Repr;

/// One kernel with its parameters.
#[derive(Clone, Debug)]
pub enum Call {
    Elementwise(Box<elementwise::Elementwise>),
    Matmul(matmul::Matmul),
    Conv(Box<conv::Conv>),
    Pool(Box<pool::Pool>),
    Reduce(Box<reduce::Reduce>),
    Softmax(softmax::Params),
    Norm(norm::Params),
    Scan(scan::Scan),
    Resample(resample::Params),
    TopK(top_k::TopK),
    Gather(Box<gather::Params>),
    Scatter(Box<scatter::Scatter>),
}

/// The parameters as the shader reads them: every one begins with `start` and `units`.
macro_rules! params {
    ($call:expr, $bytes:path) => {
        match $call {
            Call::Elementwise(call) => $bytes(&call.params),
            Call::Matmul(call) => $bytes(&call.params),
            Call::Conv(call) => $bytes(&call.params),
            Call::Pool(call) => $bytes(&call.params),
            Call::Reduce(call) => $bytes(&call.params),
            Call::Softmax(call) => $bytes(call),
            Call::Norm(call) => $bytes(call),
            Call::Scan(call) => $bytes(&call.params),
            Call::Resample(call) => $bytes(call),
            Call::TopK(call) => $bytes(&call.params),
            Call::Gather(call) => $bytes(&**call),
            Call::Scatter(call) => $bytes(&call.params),
        }
    };
}

impl Call {
    pub fn kernel(&self) -> Kernel {
        match self {
            Self::Elementwise(call) => Kernel::Elementwise(elementwise::Key::of(call)),
            Self::Matmul(call) => Kernel::Matmul { repr: call.repr, half: false },
            Self::Conv(call) => Kernel::Conv { repr: call.repr, tiled: call.params.is_tiled(), half: false },
            Self::Pool(call) => Kernel::Pool { repr: call.repr, mode: call.mode },
            Self::Reduce(call) => Kernel::Reduce(call.key()),
            Self::Softmax(_) => Kernel::Softmax,
            Self::Norm(_) => Kernel::Norm,
            Self::Scan(call) => Kernel::Scan { repr: call.repr, op: call.op },
            Self::Resample(_) => Kernel::Resample,
            Self::TopK(call) => Kernel::TopK(call.repr),
            Self::Gather(_) => Kernel::Gather,
            Self::Scatter(call) => Kernel::Scatter { repr: call.repr, op: call.op },
        }
    }

    /// Arithmetic operations; a copy has none.
    pub fn flops(&self) -> u64 {
        match self {
            Self::Elementwise(call) => call.flops(),
            Self::Matmul(call) => call.params.flops(),
            Self::Conv(call) => call.params.flops(),
            Self::Pool(call) => call.params.flops(),
            Self::Reduce(call) => call.params.flops(),
            Self::Softmax(p) => p.flops(),
            Self::Norm(p) => p.flops(),
            Self::Scan(call) => call.params.flops(),
            Self::Resample(p) => p.flops(),
            Self::TopK(call) => call.params.flops(),
            Self::Gather(_) => 0,
            Self::Scatter(call) => call.flops(),
        }
    }

    /// Workgroups of the call. They are independent, so a call may be cut into several dispatches.
    pub fn units(&self) -> u32 {
        bytemuck::cast_slice::<u8, u32>(self.bytes())[1]
    }

    /// The parameters as the shader reads them.
    pub fn bytes(&self) -> &[u8] {
        params!(self, bytemuck::bytes_of)
    }

    /// The parameters of a dispatch of `units` workgroups from `start`.
    pub fn part(&self, start: u32, units: u32) -> Vec<u32> {
        let mut words: Vec<u32> = bytemuck::cast_slice(self.bytes()).to_vec();
        words[0] = start;
        words[1] = units;
        words
    }

    /// Which elements the call reads and writes.
    pub fn footprint(&self) -> AccessFootprint {
        match self {
            Self::Elementwise(call) => call.footprint(),
            Self::Matmul(call) => call.params.footprint(),
            Self::Conv(call) => call.params.footprint(),
            Self::Pool(call) => call.params.footprint(),
            Self::Reduce(call) => call.params.footprint(),
            Self::Softmax(p) => p.footprint(),
            Self::Norm(p) => p.footprint(),
            Self::Scan(call) => call.params.footprint(),
            Self::Resample(p) => p.footprint(),
            Self::TopK(call) => call.params.footprint(),
            Self::Gather(p) => p.footprint(),
            Self::Scatter(call) => call.params.footprint(),
        }
    }

    /// How many channels at a time the CPU computes with this call fused with the next one, which alone reads
    /// its result; `None` where the two are not fused.
    pub fn fused_channels(&self, next: &Self) -> Option<usize> {
        match (self, next) {
            (Self::Conv(first), Self::Conv(second)) if [first.repr, second.repr] == [Repr::F32; 2] => {
                conv::cpu::fused_channels(&first.params, &second.params)
            }
            _ => None,
        }
    }

    /// Runs this call fused with the next one on the CPU, `channels` at a time. The next one's first input is
    /// this one's result, which is never stored whole.
    pub fn run_fused(&self, next: &Self, channels: usize, inputs: &[&[u32]], own: &[&[u32]], out: &mut [u32]) {
        if let (Self::Conv(first), Self::Conv(second)) = (self, next) {
            let inputs = [inputs[0], inputs[1], inputs[2]].map(bytemuck::cast_slice);
            let own = [own[0], own[1]].map(bytemuck::cast_slice);
            let params = (&first.params, &second.params);
            conv::cpu::run_fused(params, channels, inputs, own, bytemuck::cast_slice_mut(out));
        }
    }

    /// Runs the whole call on the CPU.
    pub fn run(&self, inputs: &[&[u32]], out: &mut [u32]) {
        let float = |i: usize| bytemuck::cast_slice::<u32, f32>(inputs[i]);
        match self {
            Self::Elementwise(call) => elementwise::reference::run(call, inputs, out),
            Self::Matmul(call) => match call.repr {
                Repr::F32 => {
                    matmul::cpu::run(&call.params, [float(0), float(1), float(2)], bytemuck::cast_slice_mut(out));
                }
                Repr::I32 | Repr::U32 => matmul::reference::run_ints(&call.params, inputs[0], inputs[1], out),
            },
            Self::Conv(call) => match call.repr {
                Repr::F32 => {
                    conv::cpu::run(&call.params, [float(0), float(1), float(2)], bytemuck::cast_slice_mut(out));
                }
                Repr::I32 | Repr::U32 => {
                    conv::reference::run_ints(&call.params, [inputs[0], inputs[1], inputs[2]], out);
                }
            },
            Self::Pool(call) => pool::reference::run(call, inputs[0], out),
            Self::Reduce(call) => reduce::reference::run(call, inputs[0], out),
            Self::Softmax(p) => softmax::reference::run(p, float(0), bytemuck::cast_slice_mut(out)),
            Self::Norm(p) => norm::reference::run(p, float(0), bytemuck::cast_slice_mut(out)),
            Self::Scan(call) => scan::reference::run(call, inputs[0], out),
            Self::Resample(p) => {
                resample::reference::run(p, float(0), inputs[1], float(2), bytemuck::cast_slice_mut(out));
            }
            Self::TopK(call) => top_k::reference::run(call, inputs[0], out),
            Self::Gather(p) => gather::reference::run(p, inputs[0], inputs[1], out),
            Self::Scatter(call) => scatter::reference::run(call, inputs[0], inputs[1], out),
        }
    }
}
