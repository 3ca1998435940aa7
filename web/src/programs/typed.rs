//! Numbers as they are typed into a form: what a field cannot take is marked as long as it stands there.

use wire::{Fraction, IntegerBits, Tolerance};

use crate::text::Text;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Whole,
    /// Empty for what holds where nothing is said.
    WholeOrNothing,
    Tolerance,
    Share,
    /// Of an integer.
    Bits,
}

impl Takes {
    /// Whether the field can take what is typed.
    pub fn holds(self, typed: &str) -> bool {
        match self {
            Self::Whole => whole(typed).is_some(),
            Self::WholeOrNothing => typed.trim().is_empty() || whole(typed).is_some(),
            Self::Tolerance => tolerance(typed).is_some(),
            Self::Share => share(typed).is_some(),
            Self::Bits => bits(typed).is_some(),
        }
    }

    /// What it takes, in words.
    pub fn said(self, t: &'static Text) -> &'static str {
        match self {
            Self::Whole | Self::WholeOrNothing => t.jobs.takes_whole,
            Self::Tolerance => t.jobs.takes_tolerance,
            Self::Share => t.jobs.takes_share,
            Self::Bits => t.jobs.takes_bits,
        }
    }
}

pub fn whole(typed: &str) -> Option<u32> {
    typed.trim().parse().ok()
}

pub fn tolerance(typed: &str) -> Option<Tolerance> {
    Tolerance::try_from(float(typed)?).ok()
}

pub fn share(typed: &str) -> Option<Fraction> {
    Fraction::try_from(float(typed)?).ok()
}

pub fn bits(typed: &str) -> Option<IntegerBits> {
    IntegerBits::try_from(u8::try_from(whole(typed)?).ok()?).ok()
}

/// Parsed as f64, like the calculator's numbers: a second decimal parser would add kilobytes to the bundle.
fn float(typed: &str) -> Option<f32> {
    Some(to_f32(typed.trim().parse::<f64>().ok()?))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what float32 does not hold becomes infinite, and is refused as that"
)]
pub fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_what_its_number_can_be_and_nothing_else() {
        let wrong = ["abc", "-1", "1.5", "99999999999999999999999"];
        assert!(wrong.iter().all(|typed| !Takes::Whole.holds(typed) && !Takes::WholeOrNothing.holds(typed)));
        assert!(Takes::Whole.holds(" 64 ") && !Takes::Whole.holds("") && Takes::WholeOrNothing.holds(" "));
        assert!(["0", "1e-4", "0.5"].iter().all(|typed| Takes::Tolerance.holds(typed)));
        assert!(["", "-1e-4", "NaN", "1e99"].iter().all(|typed| !Takes::Tolerance.holds(typed)));
        assert!(Takes::Share.holds("0.01") && !Takes::Share.holds("1.01"));
        assert!(Takes::Bits.holds("8") && !Takes::Bits.holds("12") && !Takes::Bits.holds("264"));
    }
}
