//! When two backends say the same.

/// How far a device's float may be from the reference, beside [`ATOL_OF_TOP`].
///
/// Measured over the operators' cases: Vulkan, WebGPU and the references agree within 1e-5; a
/// 16-bit run is 5e-4 off and fails.
const RTOL: f32 = 1e-4;
/// Absolute part, of the largest value in the same tile.
const ATOL_OF_TOP: f32 = 2e-5;

/// Whether every value is close enough to the reference's. NaN matches NaN, infinity its like.
pub fn agrees(found: &[f32], expected: &[f32]) -> bool {
    let top = expected.iter().filter(|value| value.is_finite()).fold(0.0f32, |top, value| top.max(value.abs()));
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| {
            let close = || b.is_finite() && (a - b).abs() <= ATOL_OF_TOP * top + RTOL * b.abs();
            a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || close()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_precision_run_does_not_agree_with_a_single_one() {
        let expected: Vec<f32> = (1u16..200).map(|i| f32::from(i) / 7.0).collect();
        // Eleven significant bits, as a 16-bit float has.
        let half: Vec<f32> = expected.iter().map(|v| f32::from_bits((v.to_bits() + 0x1000) & !0x1fff)).collect();
        let single: Vec<f32> = expected.iter().map(|v| v * (1.0 + 1e-6)).collect();

        assert!(!agrees(&half, &expected));
        assert!(agrees(&single, &expected));
    }

    #[test]
    fn one_wrong_value_is_enough_and_nan_matches_only_nan() {
        let expected = [1.0, f32::NAN, f32::INFINITY, 0.0];

        assert!(agrees(&expected, &expected));
        assert!(!agrees(&[1.01, f32::NAN, f32::INFINITY, 0.0], &expected));
        assert!(!agrees(&[1.0, 0.0, f32::INFINITY, 0.0], &expected));
        assert!(!agrees(&[1.0, f32::NAN, f32::NEG_INFINITY, 0.0], &expected));
        assert!(!agrees(&[1.0, f32::NAN, 1e30, 0.0], &expected));
        assert!(!agrees(&[1.0, f32::NAN, f32::INFINITY, f32::NAN], &expected));
        assert!(!agrees(&expected[..3], &expected));
    }
}
