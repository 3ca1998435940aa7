//! When two devices' outputs count as the same.

use serde::{Deserialize, Serialize};

/// When two devices' outputs are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
pub enum Check {
    /// Every byte.
    Exact,
    /// |a − b| ≤ `atol` + `rtol`·|b| for floats, and every other byte.
    Tolerance {
        /// How far apart, as a share of the value.
        rtol: Tolerance,
        /// How far apart besides, as an amount.
        atol: Tolerance,
    },
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
