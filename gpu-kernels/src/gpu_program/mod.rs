//! A model as a device runs it: shaders as text, buffers by number, and the order in which shaders run over
//! buffers. Whoever runs a GPU program needs no kernels and no planner: a native worker makes one from its
//! own plan, and a tab gets one from the server.

#[cfg(feature = "wgpu")]
pub mod run;
#[cfg(feature = "wgpu")]
pub mod session;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::number;

/// Constants of so many words or fewer are sent within the program.
const INLINE_WORDS: usize = 256;

/// Shaders, buffers and the order in which shaders run over buffers; everything is named by its index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProgram {
    pub shaders: Vec<Shader>,
    pub buffers: Vec<Buffer>,
    /// Buffers that are fed, in order.
    pub inputs: Vec<u32>,
    /// What is read back, in order.
    pub outputs: Vec<Output>,
    pub steps: Vec<GpuStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shader {
    pub label: String,
    pub wgsl: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Buffer {
    /// Memory for so many words, which a step or the caller fills.
    Allocated(u64),
    /// A constant, by its number.
    Constant(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub buffer: u32,
    pub words: u64,
}

/// One kernel call. Its parameters begin with the first workgroup and their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuStep {
    pub shader: u32,
    pub params: Vec<u32>,
    /// Arithmetic operations, or bytes moved where there are none.
    pub work: u64,
    pub inputs: Vec<u32>,
    pub output: u32,
}

/// A program as the server sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub program: GpuProgram,
    pub constants: Vec<Packed>,
    /// Memory that a run takes, in bytes.
    pub bytes: u64,
    /// Its largest buffer, in bytes.
    pub buffer_bytes: u64,
}

/// A constant as the server sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packed {
    Words(Vec<u32>),
    /// Fetched separately, by the hash of its bytes.
    Stored {
        hash: [u8; 32],
        words: u64,
    },
}

impl Package {
    /// Packs a program; `hash` is over little-endian bytes.
    pub fn new(
        program: GpuProgram,
        constants: &[Arc<[u32]>],
        sizes: [u64; 2],
        hash: impl Fn(&[u8]) -> [u8; 32],
    ) -> Self {
        let pack = |words: &Arc<[u32]>| {
            if words.len() <= INLINE_WORDS {
                return Packed::Words(words.to_vec());
            }
            Packed::Stored { hash: hash(bytemuck::cast_slice(words)), words: number::to(words.len()) }
        };
        let [bytes, buffer_bytes] = sizes;
        Self { program, constants: constants.iter().map(pack).collect(), bytes, buffer_bytes }
    }

    /// Whether a constant of so many words is fetched separately.
    pub fn is_stored(words: usize) -> bool {
        words > INLINE_WORDS
    }
}

/// Why a program that came from elsewhere is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the program names a buffer, shader or constant that it does not have")]
pub struct DanglingReference;

impl GpuProgram {
    /// Refuses a program one of whose numbers names nothing.
    pub fn check(&self, constants: usize) -> Result<(), DanglingReference> {
        let has = |number: u32, len: usize| usize::try_from(number).is_ok_and(|number| number < len);
        let buffer = |number: &u32| has(*number, self.buffers.len());
        let steps = self.steps.iter().all(|step| {
            has(step.shader, self.shaders.len())
                && step.params.len() >= 2
                && step.inputs.iter().all(buffer)
                && buffer(&step.output)
        });
        let ends = self.inputs.iter().all(buffer) && self.outputs.iter().all(|output| buffer(&output.buffer));
        let known = self.buffers.iter().all(|buffer| match buffer {
            Buffer::Allocated(_) => true,
            Buffer::Constant(number) => has(*number, constants),
        });
        if steps && ends && known { Ok(()) } else { Err(DanglingReference) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_names_what_it_lacks_is_not_run() {
        let step = GpuStep { shader: 0, params: vec![0, 1], work: 1, inputs: vec![0], output: 1 };
        let shader = Shader { label: "elementwise".to_owned(), wgsl: String::new() };
        let good = GpuProgram {
            shaders: vec![shader],
            buffers: vec![Buffer::Constant(0), Buffer::Allocated(4)],
            inputs: vec![1],
            outputs: vec![Output { buffer: 1, words: 4 }],
            steps: vec![step],
        };

        assert_eq!(good.check(1), Ok(()));
        assert_eq!(good.check(0), Err(DanglingReference));
        let change = |change: fn(&mut GpuProgram)| {
            let mut program = good.clone();
            change(&mut program);
            program.check(1)
        };
        assert_eq!(change(|program| program.steps[0].shader = 1), Err(DanglingReference));
        assert_eq!(change(|program| program.steps[0].output = 2), Err(DanglingReference));
        assert_eq!(change(|program| program.steps[0].params.clear()), Err(DanglingReference));
        assert_eq!(change(|program| program.inputs.push(9)), Err(DanglingReference));
    }
}
