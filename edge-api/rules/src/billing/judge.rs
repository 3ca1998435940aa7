//! What a device is paid for computing again what another did, whichever of the two turns out to be right. It comes out
//! of the platform's fee, so that nobody gains by ordering, computing and judging all alone.

use wire::{Credits, CreditsOverflow, PricePerCu};

use super::{ATTOS_PER_MICRO, exact_cost, round_down};

/// A judge gets at most one in so many parts of the price of what it computes: it has no input to wait for and no check.
const PRICE_PART: i128 = 2;
/// And for a lease's check at most one in so many parts of that lease's fee: the final draw may ask once more.
const FEE_PART: i128 = 2;

/// What a judge computed, by what it really took, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Some of the tiles that are drawn of a lease.
    Check {
        flops: u64,
        /// How many tiles these are, of how many that are drawn, of how many that the lease has.
        tiles: u64,
        drawn: u64,
        lease_tiles: u64,
    },
    /// A tile on which two runs disagree, or that is said to run out of fuel.
    Dispute { flops: u64 },
}

impl Question {
    /// What it is worth at the job's price, in atto-credits, after `paid` was paid to judges of the same lease.
    pub fn worth(self, price: PricePerCu, fee_bps: i64, paid: i64) -> Result<i64, CreditsOverflow> {
        let part = |whole: i128, part: i128| whole.checked_div(part).ok_or(CreditsOverflow);
        let worth = match self {
            Self::Dispute { flops } => part(exact_cost(flops.into(), price)?, PRICE_PART)?,
            Self::Check { flops, tiles, drawn, lease_tiles } => {
                let cost = exact_cost(flops.into(), price)?;
                // All tiles of the lease taken to be like these.
                let all = part(cost.checked_mul(lease_tiles.into()).ok_or(CreditsOverflow)?, tiles.max(1).into())?;
                let fee = part(all.checked_mul(fee_bps.into()).ok_or(CreditsOverflow)?, 10_000)?;
                let share = part(fee, FEE_PART)?.checked_mul(tiles.into()).ok_or(CreditsOverflow)?;
                let left = fee.checked_sub(paid.into()).ok_or(CreditsOverflow)?;
                part(cost, PRICE_PART)?.min(part(share, drawn.max(1).into())?).min(left).max(0)
            }
        };
        i64::try_from(worth).map_err(|_too_large| CreditsOverflow)
    }
}

/// Of what is owed in atto-credits, what can be paid, and what is still owed then.
pub fn payable(owed: i64) -> Result<(Credits, i64), CreditsOverflow> {
    let whole = round_down(owed.into())?;
    let paid = i128::from(whole.micros()).checked_mul(ATTOS_PER_MICRO).ok_or(CreditsOverflow)?;
    let rest = i128::from(owed).checked_sub(paid).ok_or(CreditsOverflow)?;
    Ok((whole, i64::try_from(rest).map_err(|_too_large| CreditsOverflow)?))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test whose sum overflows should stop")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A micro-credit for a million operations.
    const PRICE: PricePerCu = PricePerCu(1_000_000_000_000);

    /// In thousandths of a micro-credit, of tiles of a million operations.
    fn check(tiles: u64, drawn: u64, lease_tiles: u64, paid: i64) -> i64 {
        let question = Question::Check { flops: 1_000_000 * tiles, tiles, drawn, lease_tiles };
        question.worth(PRICE, 1000, paid).unwrap() / 1_000_000_000
    }

    #[test]
    fn a_judge_gets_half_the_price_of_what_it_computes_within_half_the_fee_of_the_lease() {
        assert_eq!(check(1, 1, 64, 0), 500, "half the price");
        assert_eq!(check(4, 4, 4, 0), 200, "half of a tenth of four micro-credits");
        assert_eq!(check(1, 4, 4, 0), 50, "a quarter of that");
        assert_eq!(Question::Dispute { flops: 1_000_000 }.worth(PRICE, 0, 0).unwrap(), 500_000_000_000);
        let without_fee = Question::Check { flops: 1, tiles: 1, drawn: 1, lease_tiles: 9 };
        assert_eq!(without_fee.worth(PRICE, 0, 0), Ok(0));
        assert!(Question::Dispute { flops: u64::MAX }.worth(PricePerCu(i64::MAX), 0, 0).is_err());
    }

    #[test]
    fn however_often_a_lease_is_checked_its_judges_get_no_more_than_its_fee() {
        assert_eq!(check(4, 4, 4, 300_000_000_000), 100, "of four tenths three are paid");
        assert_eq!(check(4, 4, 4, 400_000_000_000), 0);
        assert_eq!(check(4, 4, 4, 900_000_000_000), 0);
    }

    #[test]
    fn whole_micro_credits_are_paid_and_the_rest_is_owed() {
        assert_eq!(payable(2_500_000_000_000), Ok((Credits::from_micros(2), 500_000_000_000)));
        assert_eq!(payable(999_999_999_999), Ok((Credits::ZERO, 999_999_999_999)));
    }

    proptest! {
        #[test]
        fn judges_of_one_check_never_get_more_than_half_the_fee_of_the_lease(
            groups in proptest::collection::vec(1..64_u64, 1..20),
            rest in 0..1_000_u64,
            tile_flops in 1..1_000_000_000_u64,
            price in 1..40_000_000_000_i64,
            fee_bps in 0..=10_000_i64,
        ) {
            let (drawn, price): (u64, _) = (groups.iter().sum(), PricePerCu(price));
            let lease_tiles = drawn + rest;
            let mut paid = 0;
            for tiles in groups {
                let question = Question::Check { flops: tile_flops * tiles, tiles, drawn, lease_tiles };
                paid += question.worth(price, fee_bps, paid).unwrap();
            }
            let cost = exact_cost(u128::from(tile_flops) * u128::from(lease_tiles), price).unwrap();
            prop_assert!(i128::from(paid) <= cost * i128::from(fee_bps) / 10_000 / 2, "{paid} of {cost}");
        }
    }
}
