//! What a device is paid for computing again what another did, whichever of the two turns out to be right. It comes out
//! of the platform's fee, so that nobody gains by ordering, computing and judging all alone.

use wire::{Credits, CreditsOverflow, PricePerCu};

use super::{ATTOS_PER_MICRO, exact_cost, round_down};

/// A judge gets at most one in so many parts of the price of what it computes: it has no input to wait for and no check.
const PRICE_PART: i128 = 2;
/// And for a lease's check at most one in so many parts of that lease's fee: the final draw may ask once more.
const FEE_PART: i128 = 2;

/// The operations that a judge was asked for, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Some of the tiles that are drawn of a lease.
    Check {
        flops: u64,
        /// Of all tiles drawn of the lease.
        drawn_flops: u64,
        lease_flops: u64,
    },
    /// A tile on which two runs disagree, or that is said to run out of fuel.
    Dispute { flops: u64 },
}

impl Question {
    /// What it is worth at the job's price, in atto-credits.
    pub fn worth(self, price: PricePerCu, fee_bps: i64) -> Result<i64, CreditsOverflow> {
        let part = |whole: i128, part: i128| whole.checked_div(part).ok_or(CreditsOverflow);
        let worth = match self {
            Self::Dispute { flops } => part(exact_cost(flops.into(), price)?, PRICE_PART)?,
            Self::Check { flops, drawn_flops, lease_flops } => {
                let by_price = part(exact_cost(flops.into(), price)?, PRICE_PART)?;
                let fee = exact_cost(lease_flops.into(), price)?.checked_mul(fee_bps.into()).ok_or(CreditsOverflow)?;
                let pot = part(part(fee, 10_000)?, FEE_PART)?;
                let share = pot.checked_mul(flops.into()).ok_or(CreditsOverflow)?;
                by_price.min(part(share, i128::from(drawn_flops.max(1)))?)
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

    fn check(flops: u64, drawn_flops: u64, lease_flops: u64) -> i64 {
        Question::Check { flops, drawn_flops, lease_flops }.worth(PRICE, 1000).unwrap() / 1_000_000_000
    }

    #[test]
    fn a_judge_gets_half_the_price_of_what_it_computes_within_half_the_fee_of_the_lease() {
        assert_eq!(check(1_000_000, 1_000_000, 64_000_000), 500, "thousandths of a micro-credit: half the price");
        assert_eq!(check(4_000_000, 4_000_000, 4_000_000), 200, "half of a tenth of four micro-credits");
        assert_eq!(check(1_000_000, 4_000_000, 4_000_000), 50, "a quarter of that");
        assert_eq!(Question::Dispute { flops: 1_000_000 }.worth(PRICE, 0).unwrap(), 500_000_000_000);
        assert_eq!(
            Question::Check { flops: 1, drawn_flops: 1, lease_flops: 9 }.worth(PRICE, 0),
            Ok(0),
            "without a fee"
        );
        assert!(Question::Dispute { flops: u64::MAX }.worth(PricePerCu(i64::MAX), 0).is_err());
    }

    #[test]
    fn whole_micro_credits_are_paid_and_the_rest_is_owed() {
        assert_eq!(payable(2_500_000_000_000), Ok((Credits::from_micros(2), 500_000_000_000)));
        assert_eq!(payable(999_999_999_999), Ok((Credits::ZERO, 999_999_999_999)));
    }

    proptest! {
        #[test]
        fn judges_of_one_lease_never_get_more_than_half_its_fee(
            parts in proptest::collection::vec(1..1_000_000_000_u64, 1..20),
            rest in 0..1_000_000_000_000_u64,
            price in 1..40_000_000_000_i64,
            fee_bps in 0..=10_000_i64,
        ) {
            let (drawn_flops, price): (u64, _) = (parts.iter().sum(), PricePerCu(price));
            let lease_flops = drawn_flops + rest;
            let worth = |&flops: &u64| Question::Check { flops, drawn_flops, lease_flops }.worth(price, fee_bps).unwrap();
            let paid: i128 = parts.iter().map(|flops| i128::from(worth(flops))).sum();
            let fee = exact_cost(lease_flops.into(), price).unwrap() * i128::from(fee_bps) / 10_000;
            prop_assert!(paid <= fee / 2, "{paid} of {fee}");
        }
    }
}
