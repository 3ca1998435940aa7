//! What the kernels' CPU versions are written with: matrix products, loops compiled for wider vectors,
//! threads, and functions of floats that a compiler turns into vector code.

pub(crate) mod functions;
pub(crate) mod gemm;
pub(crate) mod simd;
pub(crate) mod threads;
