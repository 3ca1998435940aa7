//! The kernels, a folder each: `<name>.wgsl`, `reference.rs` (the truth), and `mod.rs` with the
//! parameters that both read. A [`Call`] is one kernel with its parameters; it knows its work and
//! how it may be cut, and never which tensors it runs on.

pub mod batch_norm;
pub mod binary;
pub mod concat;
pub mod conv2d;
pub mod matmul;
pub mod pool;
pub mod softmax;
pub mod transpose;
pub mod unary;

/// Most axes of a tensor that a shader walks.
pub const MAX_RANK: usize = 8;
/// Invocations of a workgroup in the kernels that compute an output an invocation.
pub const GROUP: u32 = 64;

/// One kernel with its parameters.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    Matmul(matmul::Params),
    Conv2d(conv2d::Params),
    Pool(pool::Params),
    BatchNorm(batch_norm::Params),
    Binary(binary::Params),
    Unary(unary::Params),
    Softmax(softmax::Params),
    Transpose(transpose::Params),
    Concat(concat::Params),
}

/// A kernel without parameters: what a compiled pipeline is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    Matmul,
    Conv2d,
    Pool,
    BatchNorm,
    Binary,
    Unary,
    Softmax,
    Transpose,
    Concat,
}

impl Kernel {
    pub const ALL: [Self; 9] = [
        Self::Matmul,
        Self::Conv2d,
        Self::Pool,
        Self::BatchNorm,
        Self::Binary,
        Self::Unary,
        Self::Softmax,
        Self::Transpose,
        Self::Concat,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Matmul => "matmul",
            Self::Conv2d => "conv2d",
            Self::Pool => "pool",
            Self::BatchNorm => "batch_norm",
            Self::Binary => "binary",
            Self::Unary => "unary",
            Self::Softmax => "softmax",
            Self::Transpose => "transpose",
            Self::Concat => "concat",
        }
    }

    /// The whole WGSL text, with the values it shares with Rust written in.
    pub fn shader(self) -> String {
        let body = match self {
            Self::Matmul => matmul::shader(),
            Self::Conv2d => conv2d::shader(),
            Self::Pool => pool::shader(),
            Self::BatchNorm => batch_norm::shader(),
            Self::Binary => binary::shader(),
            Self::Unary => unary::shader(),
            Self::Softmax => softmax::shader(),
            Self::Transpose => transpose::shader(),
            Self::Concat => concat::shader(),
        };
        format!("{}\n{body}", include_str!("prelude.wgsl"))
    }
}

/// Runs `$body` with `$p` bound to the parameters, whichever kernel it is.
macro_rules! with_params {
    ($call:expr, $p:ident => $body:expr) => {
        match $call {
            Call::Matmul($p) => $body,
            Call::Conv2d($p) => $body,
            Call::Pool($p) => $body,
            Call::BatchNorm($p) => $body,
            Call::Binary($p) => $body,
            Call::Unary($p) => $body,
            Call::Softmax($p) => $body,
            Call::Transpose($p) => $body,
            Call::Concat($p) => $body,
        }
    };
}

impl Call {
    pub fn kernel(&self) -> Kernel {
        match self {
            Self::Matmul(_) => Kernel::Matmul,
            Self::Conv2d(_) => Kernel::Conv2d,
            Self::Pool(_) => Kernel::Pool,
            Self::BatchNorm(_) => Kernel::BatchNorm,
            Self::Binary(_) => Kernel::Binary,
            Self::Unary(_) => Kernel::Unary,
            Self::Softmax(_) => Kernel::Softmax,
            Self::Transpose(_) => Kernel::Transpose,
            Self::Concat(_) => Kernel::Concat,
        }
    }

    /// Floating-point operations. Copies count none.
    pub fn flops(&self) -> u64 {
        match self {
            Self::Matmul(p) => p.flops(),
            Self::Conv2d(p) => p.flops(),
            Self::Pool(p) => p.flops(),
            Self::BatchNorm(p) => p.flops(),
            Self::Binary(p) => p.flops(),
            Self::Unary(p) => p.flops(),
            Self::Softmax(p) => p.flops(),
            Self::Transpose(_) | Self::Concat(_) => 0,
        }
    }

    /// Workgroups of the call; each may run in a dispatch of its own.
    pub fn units(&self) -> u32 {
        with_params!(self, p => p.units)
    }

    /// The same call cut to `units` workgroups from `start`.
    pub fn part(mut self, start: u32, units: u32) -> Self {
        with_params!(&mut self, p => {
            p.start = start;
            p.units = units;
        });
        self
    }

    /// The parameters as the shader reads them.
    pub fn bytes(&self) -> &[u8] {
        with_params!(self, p => bytemuck::bytes_of(p))
    }

    /// Runs the whole call in plain Rust.
    pub fn run_reference(&self, inputs: &[&[f32]], out: &mut [f32]) {
        match self {
            Self::Matmul(p) => matmul::reference::run(p, inputs[0], inputs[1], inputs[2], out),
            Self::Conv2d(p) => conv2d::reference::run(p, inputs[0], inputs[1], inputs[2], out),
            Self::Pool(p) => pool::reference::run(p, inputs[0], out),
            Self::BatchNorm(p) => {
                let stats = [inputs[1], inputs[2], inputs[3], inputs[4]];
                batch_norm::reference::run(p, inputs[0], stats, out);
            }
            Self::Binary(p) => binary::reference::run(p, inputs[0], inputs[1], out),
            Self::Unary(p) => unary::reference::run(p, inputs[0], out),
            Self::Softmax(p) => softmax::reference::run(p, inputs[0], out),
            Self::Transpose(p) => transpose::reference::run(p, inputs[0], out),
            Self::Concat(p) => concat::reference::run(p, inputs[0], out),
        }
    }
}

/// Workgroups for `len` outputs, one an invocation.
pub fn units_for(len: u32) -> u32 {
    len.div_ceil(GROUP)
}

fn elementwise_shader(body: &str) -> String {
    format!("const GROUP: u32 = {GROUP}u;\nconst MAX_RANK: u32 = {MAX_RANK}u;\n{body}")
}

/// An index as the host counts it.
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits wherever this runs")]
fn at(index: u32) -> usize {
    index as usize
}

/// Where element `i` of a contiguous tensor of `shape` lies in one with `strides`.
fn strided(mut i: usize, shape: &[u32], strides: &[u32; MAX_RANK]) -> usize {
    let mut place = 0;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        place += i % at(size) * at(stride);
        i /= at(size);
    }
    place
}
