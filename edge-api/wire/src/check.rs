//! When two devices' outputs count as the same.

use serde::{Deserialize, Serialize};

use crate::array::{DType, WordRun};
use crate::number::to;

const RTOL: Tolerance = Tolerance(1e-4);
const ATOL: Tolerance = Tolerance(1e-6);

/// When two devices' outputs are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub enum Check {
    /// Every byte.
    Exact,
    /// |a − b| ≤ `atol` + `rtol`·|b| for floats; integers as `integers` says.
    Tolerance {
        /// How far apart, as a share of the value; left out, 1e-4.
        #[serde(default = "rtol")]
        rtol: Tolerance,
        /// How far apart besides, as an amount; left out, 1e-6.
        #[serde(default = "atol")]
        atol: Tolerance,
        /// How far integers may be apart that follow from floats; left out, they are the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        integers: Option<IntegerTolerance>,
    },
}

/// By which rule a tile is the same as others computed it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CheckRule {
    /// Of a model: floats within 1e-4 of what its references give, relative to it, plus 2e-5 of the tile's largest value;
    /// integers the same, except where the references themselves are uncertain.
    Reference,
    /// Of a kernel: as its customer stated, or said nothing against.
    Stated {
        /// The rule.
        check: Check,
    },
}

fn rtol() -> Tolerance {
    RTOL
}

fn atol() -> Tolerance {
    ATOL
}

/// How far a tile's integers may be apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub struct IntegerTolerance {
    /// The most that any two differ by.
    pub units: u32,
    /// The most of a tile's integers that differ at all, rounded up; left out, all may.
    #[serde(default)]
    pub fraction: Fraction,
    /// Of an integer: 32, or 16 or 8 where a word holds several; left out, 32.
    #[serde(default)]
    pub bits: IntegerBits,
}

impl Check {
    /// For floats, where the customer says nothing.
    pub const FLOATS: Self = Self::Tolerance { rtol: RTOL, atol: ATOL, integers: None };

    /// For integers that follow from floats.
    pub const fn within(integers: IntegerTolerance) -> Self {
        Self::Tolerance { rtol: RTOL, atol: ATOL, integers: Some(integers) }
    }

    /// Whether two outputs of a kernel's tile are the same. `runs` are the types of a record's words, over and over.
    pub fn holds(self, runs: &[WordRun], found: &[u8], expected: &[u8]) -> bool {
        let Self::Tolerance { rtol, atol, integers } = self else { return found == expected };
        // Of words whose types nobody knows every byte counts.
        if runs.iter().all(|run| run.words == 0) || found.len() != expected.len() {
            return found == expected;
        }
        let words = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (found, expected): (Vec<u32>, Vec<u32>) = (words(found), words(expected));
        let types = runs.iter().flat_map(|run| std::iter::repeat_n(run.dtype, to(run.words)));
        let mut count = Integers::default();
        for ((a, b), dtype) in found.iter().zip(&expected).zip(types.cycle()) {
            match (dtype, integers) {
                (DType::Float32, _) if !is_close(f32::from_bits(*a), f32::from_bits(*b), rtol, atol) => return false,
                (DType::Float32, _) => {}
                (_, None) if a != b => return false,
                (_, None) => {}
                (dtype, Some(tolerance)) => count.add(dtype == DType::Int32, tolerance.bits, *a, *b),
            }
        }
        integers.is_none_or(|tolerance| count.holds(tolerance))
    }
}

/// How far the fuel may be apart that two devices used for a tile, where they compute with floats: a fiftieth of it, and
/// some turns of a loop.
const FUEL_SHARE: u64 = 50;
const FUEL_TURNS: u64 = 4096;

impl Check {
    /// Whether two devices used as much of the fuel of a tile of so many records, by what they left of it.
    pub fn fuel_holds(self, records: u64, fuel: u32, found_left: u32, expected_left: u32) -> bool {
        let all = records.saturating_mul(fuel.into());
        if u64::from(found_left) > all {
            return false;
        }
        if self == Self::Exact {
            return found_left == expected_left;
        }
        let used = all.saturating_sub(found_left.min(expected_left).into());
        u64::from(found_left.abs_diff(expected_left)) <= used / FUEL_SHARE + FUEL_TURNS
    }
}

/// NaN is like NaN, and an infinity like one of its sign.
fn is_close(a: f32, b: f32, rtol: Tolerance, atol: Tolerance) -> bool {
    let close = || b.is_finite() && (a - b).abs() <= atol.0 + rtol.0 * b.abs();
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || close()
}

/// What two outputs' integers come to.
#[derive(Default)]
struct Integers {
    all: u64,
    differing: u64,
    /// The farthest that two are apart.
    farthest: u32,
}

impl Integers {
    fn add(&mut self, is_signed: bool, bits: IntegerBits, a: u32, b: u32) {
        let bits = u32::from(bits.0);
        self.all += u64::from(32 / bits);
        if a == b {
            return;
        }
        let integers =
            |word: u32| (0..32 / bits).map(move |place| (word >> (place * bits)) & (u32::MAX >> (32 - bits)));
        for (a, b) in integers(a).zip(integers(b)) {
            let is_whole = is_signed && bits == 32;
            let apart = if is_whole { a.cast_signed().abs_diff(b.cast_signed()) } else { a.abs_diff(b) };
            self.differing += u64::from(apart > 0);
            self.farthest = self.farthest.max(apart);
        }
    }

    fn holds(&self, tolerance: IntegerTolerance) -> bool {
        self.farthest <= tolerance.units && self.differing <= tolerance.fraction.of(self.all)
    }
}

/// A finite number that is not negative.
///
/// ```
/// use wire::Tolerance;
///
/// assert!(Tolerance::try_from(1e-4).is_ok());
/// assert!(Tolerance::try_from(f32::NAN).is_err());
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 0.0001))]
#[serde(try_from = "f32", into = "f32")]
pub struct Tolerance(f32);

impl Tolerance {
    pub fn get(self) -> f32 {
        self.0
    }
}

impl TryFrom<f32> for Tolerance {
    type Error = &'static str;

    fn try_from(value: f32) -> Result<Self, Self::Error> {
        if value.is_finite() && value >= 0.0 { Ok(Self(value)) } else { Err("a tolerance is finite and not negative") }
    }
}

impl From<Tolerance> for f32 {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.0
    }
}

impl PartialEq for Tolerance {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Tolerance {}

/// From 0 to 1.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 0.01))]
#[serde(try_from = "f32", into = "f32")]
pub struct Fraction(f32);

impl Fraction {
    pub fn get(self) -> f32 {
        self.0
    }

    /// So much of `all`, rounded up.
    #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a share of a tile's integers")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no more than all of them")]
    fn of(self, all: u64) -> u64 {
        (f64::from(self.0) * all as f64).ceil() as u64
    }
}

impl Default for Fraction {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f32> for Fraction {
    type Error = &'static str;

    fn try_from(value: f32) -> Result<Self, Self::Error> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err("a fraction is from 0 to 1") }
    }
}

impl From<Fraction> for f32 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Fraction {}

/// 8, 16 or 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 8))]
#[serde(try_from = "u8", into = "u8")]
pub struct IntegerBits(u8);

impl Default for IntegerBits {
    fn default() -> Self {
        Self(32)
    }
}

impl TryFrom<u8> for IntegerBits {
    type Error = &'static str;

    fn try_from(bits: u8) -> Result<Self, Self::Error> {
        if [8, 16, 32].contains(&bits) { Ok(Self(bits)) } else { Err("an integer has 8, 16 or 32 bits") }
    }
}

impl From<IntegerBits> for u8 {
    fn from(bits: IntegerBits) -> Self {
        bits.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOAT: WordRun = WordRun { dtype: DType::Float32, words: 1 };
    const UNSIGNED: WordRun = WordRun { dtype: DType::Uint32, words: 1 };
    const SIGNED: WordRun = WordRun { dtype: DType::Int32, words: 1 };

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn integers(units: u32, fraction: f32, bits: u8) -> Check {
        let (fraction, bits) = (Fraction::try_from(fraction).unwrap(), IntegerBits::try_from(bits).unwrap());
        let integers = Some(IntegerTolerance { units, fraction, bits });
        Check::Tolerance { rtol: RTOL, atol: ATOL, integers }
    }

    #[test]
    fn fuel_is_the_same_where_integers_are_computed_and_about_the_same_where_floats_are() {
        // A thousand records with 100 each; a tenth was used.
        let holds = |check: Check, found, expected| check.fuel_holds(1_000, 100, found, expected);

        assert!(holds(Check::Exact, 90_000, 90_000));
        assert!(!holds(Check::Exact, 90_000, 90_001));
        assert!(holds(Check::FLOATS, 90_000, 94_000), "some turns of a loop");
        assert!(!holds(Check::FLOATS, 90_000, 95_000));
        let holds = |found, expected| Check::FLOATS.fuel_holds(1_000_000, 100, found, expected);
        assert!(holds(50_000_000, 50_900_000), "a fiftieth of what was used");
        assert!(!holds(50_000_000, 52_000_000));
        assert!(!Check::FLOATS.fuel_holds(10, 100, 1_001, 1_000), "no more is left than there was");
    }

    #[test]
    fn a_tolerance_is_for_floats_and_for_nothing_beside_them() {
        let check = Check::Tolerance { rtol: Tolerance(1e-3), atol: Tolerance(0.0), integers: None };
        let same = |check: Check, found: (u32, f32), expected: (u32, f32)| {
            let [found, expected] = [found, expected].map(|(word, float)| bytes(&[word, float.to_bits()]));
            check.holds(&[UNSIGNED, FLOAT], &found, &expected)
        };

        assert!(same(check, (7, 1.0005), (7, 1.0)));
        assert!(!same(check, (7, 1.005), (7, 1.0)));
        assert!(!same(check, (8, 1.0), (7, 1.0)));
        assert!(!same(check, (7, f32::NAN), (7, 1.0)));
        assert!(!same(Check::Exact, (7, 1.0005), (7, 1.0)));
        assert!(!check.holds(&[FLOAT], &bytes(&[0, 0]), &bytes(&[0])), "not of the same length");
        assert!(!check.holds(&[], &bytes(&[0]), &bytes(&[1])), "of no type");
    }

    #[test]
    fn integers_may_be_so_far_apart_and_so_many_of_them() {
        let same =
            |check: Check, found: &[u32], expected: &[u32]| check.holds(&[UNSIGNED], &bytes(found), &bytes(expected));

        assert!(same(integers(1, 1.0, 32), &[1, 2, 3, 4], &[2, 1, 4, 3]));
        assert!(!same(integers(1, 1.0, 32), &[1, 2, 3, 4], &[1, 2, 3, 6]));
        assert!(same(integers(9, 0.25, 32), &[1, 2, 3, 4], &[1, 2, 3, 9]));
        assert!(!same(integers(9, 0.25, 32), &[1, 2, 3, 4], &[1, 2, 4, 9]));
        assert!(!same(integers(9, 0.0, 32), &[1, 2, 3, 4], &[1, 2, 3, 5]));
    }

    #[test]
    fn bytes_in_a_word_are_held_apart_and_minus_one_is_near_one() {
        let same = |check: Check, run: WordRun, found: u32, expected: u32| {
            check.holds(&[run], &bytes(&[found]), &bytes(&[expected]))
        };

        assert!(same(integers(1, 1.0, 8), UNSIGNED, 0x10_ff_00_07, 0x0f_fe_01_08));
        assert!(!same(integers(1, 1.0, 8), UNSIGNED, 0x00_00_00_ff, 0x00_00_01_00));
        assert!(same(integers(1, 1.0, 16), UNSIGNED, 0x0001_00ff, 0x0000_0100));
        assert!(same(integers(2, 1.0, 32), SIGNED, u32::MAX, 1));
        assert!(!same(integers(2, 1.0, 32), UNSIGNED, u32::MAX, 1));
    }

    #[test]
    fn a_fraction_and_a_width_are_what_they_can_be() {
        assert!([-0.1, 1.1, f32::NAN].into_iter().all(|value| Fraction::try_from(value).is_err()));
        assert!([0, 7, 64].into_iter().all(|bits| IntegerBits::try_from(bits).is_err()));
        let short = r#"{"kind":"tolerance","integers":{"units":1}}"#;
        assert_eq!(serde_json::from_str::<Check>(short).unwrap(), integers(1, 1.0, 32));
    }
}
