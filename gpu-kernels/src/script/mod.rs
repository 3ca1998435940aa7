//! A plan for a device that knows no kernels: shaders as text, buffers by number, and which shader
//! runs over which buffers. A native worker makes one from its own plan; a tab gets one from the
//! server, and is spared the planner and every kernel that its job does not use.

#[cfg(feature = "wgpu")]
pub mod run;
#[cfg(feature = "wgpu")]
pub mod session;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Constants of so many words or fewer travel within the script.
const INLINE_WORDS: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub shaders: Vec<Shader>,
    pub buffers: Vec<Buffer>,
    /// Buffers that are fed, in order.
    pub inputs: Vec<u32>,
    /// What is read back, in order.
    pub outputs: Vec<Output>,
    pub steps: Vec<ScriptStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shader {
    pub label: String,
    pub wgsl: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Buffer {
    /// Room for so many words.
    Room(u64),
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
pub struct ScriptStep {
    pub shader: u32,
    pub params: Vec<u32>,
    /// Operations, or bytes moved where there are none.
    pub work: u64,
    pub inputs: Vec<u32>,
    pub output: u32,
}

/// A script as it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub script: Script,
    pub constants: Vec<Packed>,
    /// What a device needs at once, in bytes.
    pub bytes: u64,
    /// Its largest buffer, in bytes.
    pub buffer_bytes: u64,
}

/// A constant as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packed {
    Words(Vec<u32>),
    /// Kept beside, under the hash of its bytes.
    Stored {
        hash: [u8; 32],
        words: u64,
    },
}

impl Package {
    /// Packs a script; `hash` is over little-endian bytes.
    pub fn new(script: Script, constants: &[Arc<[u32]>], sizes: [u64; 2], hash: impl Fn(&[u8]) -> [u8; 32]) -> Self {
        let pack = |words: &Arc<[u32]>| {
            if words.len() <= INLINE_WORDS {
                return Packed::Words(words.to_vec());
            }
            let count = u64::try_from(words.len()).unwrap_or(u64::MAX);
            Packed::Stored { hash: hash(bytemuck::cast_slice(words)), words: count }
        };
        let [bytes, buffer_bytes] = sizes;
        Self { script, constants: constants.iter().map(pack).collect(), bytes, buffer_bytes }
    }

    /// Whether a constant of so many words travels beside the script.
    pub fn is_stored(words: usize) -> bool {
        words > INLINE_WORDS
    }
}

/// Why a script that came from elsewhere is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script names a buffer, shader or constant that it does not have")]
pub struct Dangling;

impl Script {
    /// Whether every number in the script is of something that is there.
    pub fn check(&self, constants: usize) -> Result<(), Dangling> {
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
            Buffer::Room(_) => true,
            Buffer::Constant(number) => has(*number, constants),
        });
        if steps && ends && known { Ok(()) } else { Err(Dangling) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_names_what_it_lacks_is_not_run() {
        let step = ScriptStep { shader: 0, params: vec![0, 1], work: 1, inputs: vec![0], output: 1 };
        let shader = Shader { label: "elementwise".to_owned(), wgsl: String::new() };
        let good = Script {
            shaders: vec![shader],
            buffers: vec![Buffer::Constant(0), Buffer::Room(4)],
            inputs: vec![1],
            outputs: vec![Output { buffer: 1, words: 4 }],
            steps: vec![step],
        };

        assert_eq!(good.check(1), Ok(()));
        assert_eq!(good.check(0), Err(Dangling));
        let change = |change: fn(&mut Script)| {
            let mut script = good.clone();
            change(&mut script);
            script.check(1)
        };
        assert_eq!(change(|script| script.steps[0].shader = 1), Err(Dangling));
        assert_eq!(change(|script| script.steps[0].output = 2), Err(Dangling));
        assert_eq!(change(|script| script.steps[0].params.clear()), Err(Dangling));
        assert_eq!(change(|script| script.inputs.push(9)), Err(Dangling));
    }
}
