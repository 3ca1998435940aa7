//! Money in whole micro-credits. A credit is pegged to a dollar.

use std::fmt;

use serde::{Deserialize, Serialize};

pub const MICROS_PER_CREDIT: i64 = 1_000_000;

/// An amount, in micro-credits.
///
/// ```
/// use wire::Credits;
///
/// let tiles = Credits::from_micros(20).checked_mul(3)?;
///
/// assert_eq!(tiles.to_string(), "0.000060");
/// assert!(Credits::from_micros(i64::MAX).checked_add(tiles).is_err());
/// # Ok::<(), wire::CreditsOverflow>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 330))]
#[serde(transparent)]
pub struct Credits(i64);

/// A sum that 64 bits cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large")]
pub struct CreditsOverflow;

impl Credits {
    pub const ZERO: Self = Self(0);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, CreditsOverflow> {
        self.0.checked_add(other.0).map(Self).ok_or(CreditsOverflow)
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, CreditsOverflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(CreditsOverflow)
    }

    pub fn checked_mul(self, times: i64) -> Result<Self, CreditsOverflow> {
        self.0.checked_mul(times).map(Self).ok_or(CreditsOverflow)
    }

    pub fn checked_neg(self) -> Result<Self, CreditsOverflow> {
        self.0.checked_neg().map(Self).ok_or(CreditsOverflow)
    }
}

/// Credits with six decimals: `12.000345`.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let scale = MICROS_PER_CREDIT.unsigned_abs();
        write!(f, "{sign}{}.{:06}", micros / scale, micros % scale)
    }
}

/// Price of one CU (10¹² operations), in pico-credits (10⁻¹² credits).
///
/// So fine that small work has its price too: what a job costs is rounded once, not a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = 55_000_000))]
#[serde(transparent)]
pub struct PricePerCu(pub i64);

/// Credits with twelve decimals: `0.000055000000`.
impl fmt::Display for PricePerCu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PICOS_PER_CREDIT: u64 = 1_000_000_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let picos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:012}", picos / PICOS_PER_CREDIT, picos % PICOS_PER_CREDIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_shown_with_six_decimals() {
        let shown = [0, 57, -57, 1_000_000, -12_345_678].map(|micros| Credits::from_micros(micros).to_string());

        assert_eq!(shown, ["0.000000", "0.000057", "-0.000057", "1.000000", "-12.345678"]);
    }

    #[test]
    fn a_price_is_shown_with_twelve_decimals() {
        assert_eq!(PricePerCu(20_000_000).to_string(), "0.000020000000");
        assert_eq!(PricePerCu(-1_500_000_000_001).to_string(), "-1.500000000001");
    }

    #[test]
    fn a_sum_beyond_64_bits_is_an_error() {
        let most = Credits::from_micros(i64::MAX);

        assert_eq!(most.checked_add(Credits::from_micros(1)), Err(CreditsOverflow));
        assert_eq!(Credits::from_micros(i64::MIN).checked_neg(), Err(CreditsOverflow));
    }
}
