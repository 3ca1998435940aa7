//! Money: what work costs, what the platform takes of a payment, and the legs of each movement.

#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic)]

pub mod transfer;

use wire::{Credits, CreditsOverflow, PricePerCu};

/// Floating-point operations in one CU.
const FLOPS_PER_CU: u128 = 1_000_000_000_000;
/// A device's receipts mature this many accepted leases later.
pub const MATURE_AFTER_LEASES: i64 = 8;

/// Price of `flops`, rounded up to a whole micro-credit: at least one for any work at all.
pub fn cost(flops: u64, price: PricePerCu) -> Result<Credits, CreditsOverflow> {
    let price = u128::try_from(price.0).map_err(|_negative| CreditsOverflow)?;
    let micros = u128::from(flops.max(1)).checked_mul(price).ok_or(CreditsOverflow)?.div_ceil(FLOPS_PER_CU);
    i64::try_from(micros.max(1)).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

/// The platform's part of a payment, rounded down: the device gets the odd micro-credit.
pub fn fee(amount: Credits, fee_bps: i64) -> Result<Credits, CreditsOverflow> {
    let scaled = i128::from(amount.micros()).checked_mul(i128::from(fee_bps)).ok_or(CreditsOverflow)?;
    let part = scaled.checked_div(10_000).ok_or(CreditsOverflow)?;
    i64::try_from(part).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: PricePerCu = PricePerCu(20);

    #[test]
    fn work_costs_its_price_rounded_up_to_a_micro_credit() {
        let micros = |flops| cost(flops, PRICE).unwrap().micros();

        assert_eq!(
            [micros(0), micros(1), micros(50_000_000_000), micros(50_000_000_001), micros(1_000_000_000_000)],
            [1, 1, 1, 2, 20]
        );
        assert_eq!(cost(u64::MAX, PricePerCu(i64::MAX)), Err(CreditsOverflow));
    }
}
