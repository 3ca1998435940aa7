//! Constants that half floats hold exactly, packed two a word.

use std::collections::HashMap;
use std::sync::Arc;

use half::f16;

use crate::tensor::Tensor;

/// Smaller constants are not worth a shader of their own.
const VALUES_MIN: usize = 1024;

/// The smallest half float that no device flushes to zero.
const NORMAL_MIN: f32 = 6.103_515_6e-5;

/// Constants by the address of their words.
#[derive(Debug, Default)]
pub(crate) struct F16Constants(HashMap<usize, Packed>);

#[derive(Debug)]
struct Packed {
    /// Kept alive, so that the address stays theirs.
    _words: Arc<[u32]>,
    packed: Arc<[u32]>,
}

fn address(words: &Arc<[u32]>) -> usize {
    words.as_ptr().addr()
}

impl F16Constants {
    pub(crate) fn find<'a>(constants: impl Iterator<Item = &'a Tensor>) -> Self {
        let large = constants.filter(|tensor| tensor.dtype.is_float() && tensor.words.len() >= VALUES_MIN);
        let packed = large.filter_map(|tensor| {
            let words = &tensor.words;
            Some((address(words), Packed { _words: Arc::clone(words), packed: pack(words)? }))
        });
        Self(packed.collect())
    }

    pub(crate) fn get(&self, words: &Arc<[u32]>) -> Option<&Arc<[u32]>> {
        self.0.get(&address(words)).map(|found| &found.packed)
    }
}

/// Two values a word, the first in the low half; `None` where a value is not exactly a half float.
fn pack(words: &[u32]) -> Option<Arc<[u32]>> {
    let half = |word: &u32| {
        let value = f32::from_bits(*word);
        let half = f16::from_f32(value);
        let exact = half.to_f32().to_bits() == *word && half.is_finite() && (value == 0.0 || value.abs() >= NORMAL_MIN);
        exact.then(|| u32::from(half.to_bits()))
    };
    // Most weights do not fit, which mostly shows in their first values: the search ends there.
    let pair = |pair: &[u32]| Some(half(&pair[0])? | pair.get(1).map_or(Some(0), half)? << 16);
    words.chunks(2).map(pair).collect()
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
