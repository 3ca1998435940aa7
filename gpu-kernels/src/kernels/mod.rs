//! The kernels, a folder each: `<name>.wgsl`, `reference.rs` (the truth), and `mod.rs` with the
//! parameters that both read. A [`Call`] is one kernel with its parameters; it knows its work, how
//! it may be cut and which elements it touches, and never which tensors it runs on.
//!
//! All data are words of 32 bits; see [`crate::dtype`].

pub mod conv;
pub mod elementwise;
pub mod gather;
pub mod matmul;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod resample;
pub mod scan;
pub mod scatter;
pub mod softmax;
pub mod top_k;

use crate::dtype::Repr;

/// Most axes of a tensor that a shader walks, after neighbours that go together were merged.
pub const MAX_RANK: usize = 8;
/// Invocations of a workgroup.
pub const GROUP: u32 = 64;

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

/// A kernel as far as its shader's text goes: what a compiled pipeline is kept under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Elementwise(elementwise::Key),
    /// `half`: B is kept as half floats, two a word.
    Matmul {
        repr: Repr,
        half: bool,
    },
    /// `half`: the weights are.
    Conv {
        repr: Repr,
        tiled: bool,
        half: bool,
    },
    Pool {
        repr: Repr,
        mode: pool::Mode,
    },
    Reduce(reduce::Key),
    Softmax,
    Norm,
    Scan {
        repr: Repr,
        op: scan::Op,
    },
    Resample,
    TopK(Repr),
    Gather,
    Scatter {
        repr: Repr,
        op: scatter::Op,
    },
}

/// Elements of one buffer that an iteration touches: `offset + Σ coordinate · stride`, and from there
/// whatever the spreads lead to.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    pub offset: i64,
    pub strides: Vec<i64>,
    /// So many places, so far apart.
    pub spreads: Vec<(u64, i64)>,
}

/// Which elements a call reads and writes, by an iteration over `shape`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessFootprint {
    pub shape: Vec<usize>,
    pub inputs: Vec<Access>,
    pub output: Access,
}

impl Access {
    /// A contiguous tensor of `shape`, walked whole.
    fn contiguous(shape: &[usize]) -> Self {
        let mut strides = vec![1i64; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * i64::try_from(shape[axis]).unwrap_or(i64::MAX);
        }
        Self::strided(strides)
    }

    fn strided(strides: Vec<i64>) -> Self {
        Self { offset: 0, strides, spreads: Vec::new() }
    }

    /// As a view goes.
    fn viewed(view: &elementwise::View, rank: usize) -> Self {
        let strides = view.strides[..rank].iter().map(|&stride| i64::from(stride)).collect();
        Self { offset: i64::from(view.offset), ..Self::strided(strides) }
    }

    /// Everything in a buffer of `len` values, wherever the iteration is.
    fn all(rank: usize, len: usize) -> Self {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        Self { spreads: vec![(len, 1)], ..Self::strided(vec![0; rank]) }
    }

    /// The same with `count` more places `stride` apart at each.
    fn spread(mut self, count: u32, stride: i64) -> Self {
        self.spreads.push((count.into(), stride));
        self
    }
}

impl Kernel {
    pub fn label(&self) -> &'static str {
        match self {
            Self::Elementwise(_) => "elementwise",
            Self::Matmul { .. } => "matmul",
            Self::Conv { .. } => "conv",
            Self::Pool { .. } => "pool",
            Self::Reduce(_) => "reduce",
            Self::Softmax => "softmax",
            Self::Norm => "norm",
            Self::Scan { .. } => "scan",
            Self::Resample => "resample",
            Self::TopK(_) => "top_k",
            Self::Gather => "gather",
            Self::Scatter { .. } => "scatter",
        }
    }

    /// The same with its weights as half floats; others have none.
    pub(crate) fn with_half_weights(mut self) -> Self {
        if let Self::Matmul { half, .. } | Self::Conv { half, .. } = &mut self {
            *half = true;
        }
        self
    }

    /// The whole WGSL text, with the values it shares with Rust written in.
    pub fn shader(&self) -> String {
        let body = match self {
            Self::Elementwise(key) => elementwise::shader(key),
            Self::Matmul { repr, half } => matmul::shader(*repr, *half),
            Self::Conv { repr, tiled, half } => conv::shader(*repr, *tiled, *half),
            Self::Pool { repr, mode } => pool::shader(*repr, *mode),
            Self::Reduce(key) => reduce::shader(*key),
            Self::Softmax => include_str!("softmax/softmax.wgsl").to_owned(),
            Self::Norm => include_str!("norm/norm.wgsl").to_owned(),
            Self::Scan { repr, op } => scan::shader(*repr, *op),
            Self::Resample => include_str!("resample/resample.wgsl").to_owned(),
            Self::TopK(repr) => top_k::shader(*repr),
            Self::Gather => include_str!("gather/gather.wgsl").to_owned(),
            Self::Scatter { repr, op } => scatter::shader(*repr, *op),
        };
        whole(&body)
    }
}

/// A kernel's text with what all of them share.
fn whole(body: &str) -> String {
    format!("{}\n{body}", include_str!("prelude.wgsl"))
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

    /// Operations on values. Copies count none.
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

    /// Workgroups of the call; each may run in a dispatch of its own.
    pub fn units(&self) -> u32 {
        bytemuck::cast_slice::<u8, u32>(self.bytes())[1]
    }

    /// The parameters as the shader reads them.
    pub fn bytes(&self) -> &[u8] {
        params!(self, bytemuck::bytes_of)
    }

    /// The parameters of the same call cut to `units` workgroups from `start`.
    pub fn part(&self, start: u32, units: u32) -> Vec<u32> {
        let mut words: Vec<u32> = bytemuck::cast_slice(self.bytes()).to_vec();
        words[0] = start;
        words[1] = units;
        words
    }

    /// Which elements it touches.
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

    /// How many channels at a time the CPU takes this call and the next one together, which alone reads
    /// what it writes; `None` where they run one after the other.
    pub fn together(&self, next: &Self) -> Option<usize> {
        match (self, next) {
            (Self::Conv(first), Self::Conv(second)) if [first.repr, second.repr] == [Repr::F32; 2] => {
                conv::cpu::together(&first.params, &second.params)
            }
            _ => None,
        }
    }

    /// Runs this call and the next one whole on the CPU, `taken` channels at a time. The next one's first
    /// input is what this one would write.
    pub fn run_together(&self, next: &Self, taken: usize, inputs: &[&[u32]], own: &[&[u32]], out: &mut [u32]) {
        if let (Self::Conv(first), Self::Conv(second)) = (self, next) {
            let inputs = [inputs[0], inputs[1], inputs[2]].map(bytemuck::cast_slice);
            let own = [own[0], own[1]].map(bytemuck::cast_slice);
            let params = (&first.params, &second.params);
            conv::cpu::run_together(params, taken, inputs, own, bytemuck::cast_slice_mut(out));
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
                resample::reference::run(p, float(0), inputs[1], float(2), bytemuck::cast_slice_mut(out))
            }
            Self::TopK(call) => top_k::reference::run(call, inputs[0], out),
            Self::Gather(p) => gather::reference::run(p, inputs[0], inputs[1], out),
            Self::Scatter(call) => scatter::reference::run(call, inputs[0], inputs[1], out),
        }
    }
}

/// Workgroups for `len` outputs, one an invocation.
pub fn units_for(len: u32) -> u32 {
    len.div_ceil(GROUP)
}

/// An index as the host counts it.
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits wherever this runs")]
fn at(index: u32) -> usize {
    index as usize
}

/// A shader over values of one representation, called `T` in it.
fn typed(repr: Repr, body: &str) -> String {
    format!("alias T = {};\n{body}", repr.wgsl())
}

/// The binding of weights called `name`, and `{name}_at`, which reads one of them.
fn weights(binding: u32, name: &str, half: bool) -> String {
    if half {
        format!(
            "@group(0) @binding({binding}) var<storage, read> {name}: array<u32>;\nfn {name}_at(i: u32) -> f32 {{\n  \
             let pair = unpack2x16float({name}[i >> 1u]);\n  return select(pair.x, pair.y, (i & 1u) == 1u);\n}}"
        )
    } else {
        format!(
            "@group(0) @binding({binding}) var<storage, read> {name}: array<T>;\nfn {name}_at(i: u32) -> T {{ return {name}[i]; }}"
        )
    }
}

/// A length as strides count it.
fn long(len: u32) -> i64 {
    i64::from(len)
}

/// Coordinates of element `i` of `shape` into `place`, by strides.
fn walk(mut i: usize, shape: &[u32], offset: i64, strides: &[i32]) -> i64 {
    let mut place = offset;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        place += i64::try_from(i % at(size)).unwrap_or(i64::MAX) * i64::from(stride);
        i /= at(size);
    }
    place
}

/// A place that strides lead to, which the parameters keep inside the buffer.
fn place(index: i64) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
