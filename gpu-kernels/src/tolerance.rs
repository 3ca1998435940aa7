//! When the results of two backends count as the same.

use crate::dtype::DType;

/// How far a device's float may be from the reference, beside [`ATOL_OF_TOP`].
///
/// Measured over the operators' cases: Vulkan, WebGPU and the references agree within 1e-5; a
/// 16-bit run is 5e-4 off and fails.
const RTOL: f32 = 1e-4;
/// Absolute part, of the largest value in the same tile.
const ATOL_OF_TOP: f32 = 2e-5;

/// Relative part for float16, which has eleven significant bits.
const RTOL_HALF: f32 = 2e-3;
/// Integers that follow from floats (the index of the largest, a rounded value) may differ between two devices: one in so
/// many.
const DIFFERING_INTEGERS: usize = 100;

/// Whether every value is close enough to the reference's. NaN matches NaN, and an infinity one of its sign.
pub fn agrees(found: &[f32], expected: &[f32]) -> bool {
    let top = expected.iter().filter(|value| value.is_finite()).fold(0.0f32, |top, value| top.max(value.abs()));
    within(found, expected, RTOL, ATOL_OF_TOP * top)
}

/// Whether |a − b| ≤ `atol` + `rtol`·|b| everywhere. NaN matches NaN, and an infinity one of its sign.
pub fn within(found: &[f32], expected: &[f32], rtol: f32, atol: f32) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| is_close(*a, *b, rtol, atol))
}

fn is_close(a: f32, b: f32, rtol: f32, atol: f32) -> bool {
    let close = || b.is_finite() && (a - b).abs() <= atol + rtol * b.abs();
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || close()
}

/// Whether the words of one output agree with another device's, where no reference tells which integers lie near a tie.
pub fn agrees_as(dtype: DType, found: &[u32], expected: &[u32]) -> bool {
    let differing = differing(dtype, found, expected);
    let most = if dtype.is_float() { 0 } else { found.len() / DIFFERING_INTEGERS };
    differing.len() <= most
}

/// When a word of an output counts as the same as the expected one.
#[derive(Clone, Copy, Debug)]
pub struct Closeness {
    dtype: DType,
    /// The largest of what is expected.
    top: f32,
}

impl Closeness {
    pub fn of(dtype: DType, expected: &[u32]) -> Self {
        let floats = expected.iter().map(|&word| f32::from_bits(word)).filter(|value| value.is_finite());
        let top = if dtype.is_float() { floats.fold(0.0f32, |top, value| top.max(value.abs())) } else { 0.0 };
        Self { dtype, top }
    }

    pub fn holds(self, found: u32, expected: u32) -> bool {
        let (a, b) = (f32::from_bits(found), f32::from_bits(expected));
        match self.dtype {
            DType::F32 => is_close(a, b, RTOL, ATOL_OF_TOP * self.top),
            dtype if dtype.is_float() => is_close(a, b, RTOL_HALF, RTOL_HALF * self.top),
            _ => found == expected,
        }
    }
}

/// The places where two outputs' words do not agree; all of them where one is longer.
pub fn differing(dtype: DType, found: &[u32], expected: &[u32]) -> Vec<usize> {
    if found.len() != expected.len() {
        return (0..found.len().max(expected.len())).collect();
    }
    let closeness = Closeness::of(dtype, expected);
    let pairs = found.iter().zip(expected).enumerate();
    pairs.filter(|(_, (a, b))| !closeness.holds(**a, **b)).map(|(place, _)| place).collect()
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
