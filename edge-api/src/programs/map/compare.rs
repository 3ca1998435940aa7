//! Whether two outputs of a kernel's tile agree, by their job's rule.

use gpu_kernels::tolerance::within;
use wire::Check;

/// Whether two outputs of a kernel's tile are the same by its job's rule. `float_words` tells which
/// words of a record are floats.
pub(super) fn same_records(check: Check, float_words: &[bool], found: &[u8], expected: &[u8]) -> bool {
    let Check::Tolerance { rtol, atol } = check else { return found == expected };
    let floats = |bytes: &[u8]| -> (Vec<f32>, Vec<u32>) {
        let words = bytes.as_chunks::<4>().0.iter().map(|chunk| u32::from_le_bytes(*chunk));
        let (floats, others): (Vec<_>, Vec<_>) =
            words.zip(float_words.iter().cycle()).partition(|(_, is_float)| **is_float);
        (
            floats.into_iter().map(|(word, _)| f32::from_bits(word)).collect(),
            others.into_iter().map(|(w, _)| w).collect(),
        )
    };
    let ((found_floats, found_others), (floats, others)) = (floats(found), floats(expected));
    found.len() == expected.len() && found_others == others && within(&found_floats, &floats, rtol.get(), atol.get())
}

#[cfg(test)]
mod tests {
    use wire::Tolerance;

    use super::*;

    #[test]
    fn a_tolerance_is_for_floats_and_for_nothing_beside_them() {
        let tolerance = |value: f32| Tolerance::try_from(value).unwrap();
        let check = Check::Tolerance { rtol: tolerance(1e-3), atol: tolerance(0.0) };
        let record = |word: u32, value: f32| [word.to_le_bytes(), value.to_le_bytes()].concat();
        let floats = [false, true];

        assert!(same_records(check, &floats, &record(7, 1.0005), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(7, 1.005), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(8, 1.0), &record(7, 1.0)));
        assert!(!same_records(check, &floats, &record(7, f32::NAN), &record(7, 1.0)));
        assert!(!same_records(Check::Exact, &floats, &record(7, 1.0005), &record(7, 1.0)));
    }
}
