//! Weights that half floats hold exactly: a GPU keeps them as such, which halves its memory and a tab's
//! download. Products unpack them as they read, which needs no extension of the device.

use std::collections::HashMap;
use std::sync::Arc;

use gpu_kernels::dtype::Repr;
use gpu_kernels::kernels::Call;
use half::f16;

use super::plan::{Plan, Step};
use super::{Source, Tensor, ValueId};

/// Below so many values it is not worth a shader of its own.
const LEAST: usize = 1024;
/// The smallest half float that no device flushes to zero.
const NORMAL: f32 = 6.103_515_6e-5;

/// Constants by the address of their words.
#[derive(Debug, Default)]
pub(super) struct Halves(HashMap<usize, Half>);

#[derive(Debug)]
struct Half {
    /// Kept alive, so that the address stays theirs.
    _words: Arc<[u32]>,
    packed: Arc<[u32]>,
}

fn address(words: &Arc<[u32]>) -> usize {
    words.as_ptr().addr()
}

impl Halves {
    pub(super) fn find<'a>(constants: impl Iterator<Item = &'a Tensor>) -> Self {
        let large = constants.filter(|tensor| tensor.dtype.is_float() && tensor.words.len() >= LEAST);
        let packed = large.filter_map(|tensor| {
            let words = &tensor.words;
            Some((address(words), Half { _words: Arc::clone(words), packed: pack(words)? }))
        });
        Self(packed.collect())
    }

    fn get(&self, words: &Arc<[u32]>) -> Option<&Arc<[u32]>> {
        self.0.get(&address(words)).map(|half| &half.packed)
    }
}

/// Two values a word, the first in the low half; `None` where one of them is no half float.
fn pack(words: &[u32]) -> Option<Arc<[u32]>> {
    let half = |word: &u32| {
        let value = f32::from_bits(*word);
        let half = f16::from_f32(value);
        let exact = half.to_f32().to_bits() == *word && half.is_finite() && (value == 0.0 || value.abs() >= NORMAL);
        exact.then(|| u32::from(half.to_bits()))
    };
    // Most weights are none, and their first values tell.
    let pair = |pair: &[u32]| Some(half(&pair[0])? | pair.get(1).map_or(Some(0), half)? << 16);
    words.chunks(2).map(pair).collect()
}

/// Whether a step reads its input number `place` at all, and as weights that it can unpack.
fn reads(step: &Step, place: usize) -> Option<bool> {
    match &step.call {
        // Without a C or a bias some other buffer is bound in its place.
        Call::Matmul(call) if place == 2 && call.params.has_c == 0 => None,
        Call::Conv(call) if place == 2 && call.params.has_bias == 0 => None,
        Call::Matmul(call) => Some(place == 1 && call.repr == Repr::F32),
        Call::Conv(call) => Some(place == 1 && call.repr == Repr::F32),
        _ => Some(false),
    }
}

impl Plan {
    /// The constants that a GPU keeps as half floats: those that are read as weights and as nothing else.
    pub(super) fn halved(&self) -> HashMap<ValueId, Arc<[u32]>> {
        let mut found = HashMap::new();
        for step in &self.steps {
            for &id in &step.inputs {
                if let Source::Constant(words) = &self.values[id].source
                    && let Some(packed) = self.halves.get(words)
                {
                    found.insert(id, Arc::clone(packed));
                }
            }
        }
        for step in &self.steps {
            for (place, id) in step.inputs.iter().enumerate() {
                if reads(step, place) == Some(false) {
                    found.remove(id);
                }
            }
        }
        for &id in &self.outputs {
            found.remove(&self.root(id));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[f32]) -> Option<Vec<u32>> {
        let words: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        pack(&words).map(|packed| packed.to_vec())
    }

    #[test]
    fn only_what_a_half_float_holds_to_the_bit_is_packed() {
        assert_eq!(packed(&[1.0, -2.0, 0.5]), Some(vec![0xc000_3c00, 0x3800]));
        assert_eq!(packed(&[0.0, -0.0]), Some(vec![0x8000_0000]));
        for value in [0.1, 65520.0, 1e-5, f32::INFINITY, f32::NAN] {
            assert_eq!(packed(&[1.0, value]), None, "{value}");
        }
    }
}
