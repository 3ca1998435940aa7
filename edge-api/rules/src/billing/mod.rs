//! Money: what work costs, what the platform takes of a payment, and the legs of each movement.

#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic)]

pub mod bill;
pub mod judge;
pub mod transfer;

use wire::{Credits, CreditsOverflow, PricePerCu};

/// Atto-credits (10⁻¹⁸ credits) in a micro-credit.
const ATTOS_PER_MICRO: i128 = 1_000_000_000_000;
/// A pico-credit for 10¹² operations is 10⁻²⁴ credits for one: a millionth of an atto-credit.
const OPERATION_PRICES_PER_ATTO: i128 = 1_000_000;

/// What so many floating-point operations cost at a price, in atto-credits, rounded down.
pub(crate) fn exact_cost(flops: u128, price: PricePerCu) -> Result<i128, CreditsOverflow> {
    let flops = i128::try_from(flops).map_err(|_too_much| CreditsOverflow)?;
    let product = flops.checked_mul(i128::from(price.0.max(0))).ok_or(CreditsOverflow)?;
    product.checked_div(OPERATION_PRICES_PER_ATTO).ok_or(CreditsOverflow)
}

/// Whole micro-credits of an amount in atto-credits: what is more than them is left over.
fn round_down(attos: i128) -> Result<Credits, CreditsOverflow> {
    let micros = attos.checked_div_euclid(ATTOS_PER_MICRO).ok_or(CreditsOverflow)?;
    i64::try_from(micros).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

/// The most that so many operations can cost: their price, rounded up to a micro-credit, and never nothing.
pub fn most(flops: u128, price: PricePerCu) -> Result<Credits, CreditsOverflow> {
    round_up(exact_cost(flops, price)?.max(1))
}

fn round_up(attos: i128) -> Result<Credits, CreditsOverflow> {
    let most = attos.checked_add(ATTOS_PER_MICRO).and_then(|sum| sum.checked_sub(1)).ok_or(CreditsOverflow)?;
    round_down(most)
}

/// The platform's part of all that was paid for a job, rounded down: devices get the odd micro-credit.
fn fee(paid: Credits, fee_bps: i64) -> Result<Credits, CreditsOverflow> {
    let scaled = i128::from(paid.micros()).checked_mul(i128::from(fee_bps)).ok_or(CreditsOverflow)?;
    let part = scaled.checked_div(10_000).ok_or(CreditsOverflow)?;
    i64::try_from(part).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_costs_its_price_rounded_up_once_to_a_micro_credit() {
        let micros = |flops| most(flops, PricePerCu(20_000_000)).unwrap().micros();

        assert_eq!(
            [micros(0), micros(1), micros(50_000_000_000), micros(50_000_000_001), micros(1_000_000_000_000)],
            [1, 1, 1, 2, 20]
        );
        assert_eq!(most(u128::MAX, PricePerCu(1)), Err(CreditsOverflow));
        assert_eq!(most(u128::from(u64::MAX) << 20, PricePerCu(i64::MAX)), Err(CreditsOverflow));
    }
}
