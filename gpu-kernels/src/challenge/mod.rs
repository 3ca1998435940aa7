//! Challenges: how fast a device multiplies integers, with an answer that whoever asks can check for little.
//!
//! A chain's matrices have `side` rows and columns of 32-bit integers that follow from its seed. Its answer is
//! `Aₖ · … · A₂ · A₁ · X` modulo 2³²: `k` products of whole matrices, in whatever order they are made. Rows of the answer
//! are checked by multiplying one random combination of them with matrix after matrix, which takes a `side`-th of the
//! work (R. Freivalds, "Probabilistic machines can use less running time", 1977). Integers, so that every device has the
//! same answer to the last bit.

mod chain;
#[cfg(all(feature = "cpu", feature = "wgpu"))]
mod cpu;
#[cfg(feature = "wgpu")]
mod gpu;
#[cfg(feature = "wgpu")]
mod prover;

pub use self::chain::Chain;
#[cfg(feature = "wgpu")]
pub use self::prover::{Pace, Prover};
