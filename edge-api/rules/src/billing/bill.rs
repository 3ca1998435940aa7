//! What a job has cost so far. A lease of small tiles may be worth a fraction of a micro-credit, so money is rounded
//! once for the whole job: what one settlement leaves over, a later one pays.

use wire::{Credits, CreditsOverflow, PricePerCu};

use super::{ATTOS_PER_MICRO, exact_cost, fee, round_down, round_up};

/// The running account of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Paid by the customer.
    pub cost: Credits,
    /// Of it, the platform's part.
    pub fee: Credits,
    /// What the verified work is worth beyond `cost`, in atto-credits (10⁻¹⁸ credits). Below zero once the
    /// last tile was rounded up, or while more was taken back than had been paid.
    pub rest: i64,
}

/// What one lease moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    pub cost: Credits,
    /// Of `cost`, the platform's part.
    pub fee: Credits,
}

impl Charge {
    /// What the device gets.
    pub fn earned(self) -> Result<Credits, CreditsOverflow> {
        self.cost.checked_sub(self.fee)
    }
}

impl Bill {
    /// Verified work is added. `is_last`: nothing of the job remains, so what is left over is rounded up.
    pub fn charge(
        self,
        flops: u64,
        price: PricePerCu,
        fee_bps: i64,
        is_last: bool,
    ) -> Result<(Self, Charge), CreditsOverflow> {
        let worth = exact_cost(flops.into(), price)?.checked_add(self.rest.into()).ok_or(CreditsOverflow)?;
        let due =
            if is_last { round_up(worth.max(i128::from(self.cost == Credits::ZERO)))? } else { round_down(worth)? };
        let cost = due.max(Credits::ZERO);
        let paid = self.cost.checked_add(cost)?;
        let fee = fee(paid, fee_bps)?.checked_sub(self.fee)?.clamp(Credits::ZERO, cost);
        let bill = Self { cost: paid, fee: self.fee.checked_add(fee)?, rest: rest(worth, cost)? };
        Ok((bill, Charge { cost, fee }))
    }

    /// Verified work is taken off again, and what it had moved.
    pub fn take_back(self, flops: u64, price: PricePerCu, charge: Charge) -> Result<Self, CreditsOverflow> {
        let worth = i128::from(self.rest).checked_sub(exact_cost(flops.into(), price)?).ok_or(CreditsOverflow)?;
        Ok(Self {
            cost: self.cost.checked_sub(charge.cost)?,
            fee: self.fee.checked_sub(charge.fee)?,
            rest: rest(worth, charge.cost.checked_neg()?)?,
        })
    }
}

fn rest(worth: i128, paid: Credits) -> Result<i64, CreditsOverflow> {
    let paid = i128::from(paid.micros()).checked_mul(ATTOS_PER_MICRO).ok_or(CreditsOverflow)?;
    let rest = worth.checked_sub(paid).ok_or(CreditsOverflow)?;
    i64::try_from(rest).map_err(|_too_large| CreditsOverflow)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test whose sum overflows should stop")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::billing::most;

    const PRICE: PricePerCu = PricePerCu(20_000_000);

    /// A bill of leases of so many operations each, the last of which ends the job.
    fn settle_all(leases: &[u64], price: PricePerCu, fee_bps: i64) -> (Bill, Vec<Charge>) {
        let (mut bill, mut charges) = (Bill::default(), Vec::new());
        for (index, &flops) in leases.iter().enumerate() {
            let (after, charge) = bill.charge(flops, price, fee_bps, index + 1 == leases.len()).unwrap();
            bill = after;
            charges.push(charge);
        }
        (bill, charges)
    }

    #[test]
    fn a_small_tile_costs_its_published_price() {
        // 20 MFLOP at 20 micro-credits a CU: a 2,500th of a micro-credit.
        let (bill, _) = settle_all(&vec![20_000_000; 5000], PRICE, 1000);
        assert_eq!(bill.cost.micros(), 2);

        let (bill, _) = settle_all(&vec![20_000_000_000; 5000], PRICE, 1000);
        assert_eq!(bill.cost.micros(), 2000);
    }

    #[test]
    fn small_leases_pay_the_fee_too() {
        // A micro-credit each, of which a tenth is less than anything that can be moved.
        let (bill, charges) = settle_all(&vec![50_000_000_000; 1000], PRICE, 1000);

        assert_eq!((bill.cost.micros(), bill.fee.micros()), (1000, 100));
        assert!(charges.iter().all(|charge| charge.fee <= charge.cost));
    }

    #[test]
    fn a_job_of_next_to_no_work_costs_a_micro_credit() {
        assert_eq!(settle_all(&[1], PRICE, 1000).0.cost.micros(), 1);
        assert_eq!(settle_all(&[1, 1, 1], PRICE, 1000).0.cost.micros(), 1);
    }

    proptest! {
        #[test]
        fn the_published_price_times_the_work_is_the_charge_within_a_micro_credit(
            leases in proptest::collection::vec(1..4_000_000_000_000_u64, 1..60),
            price in 1..40_000_000_000_i64,
            fee_bps in 0..=10_000_i64,
        ) {
            let price = PricePerCu(price);
            let (bill, charges) = settle_all(&leases, price, fee_bps);

            let work: u128 = leases.iter().map(|&flops| u128::from(flops)).sum();
            let exact = exact_cost(work, price).unwrap();
            let charged = i128::from(bill.cost.micros()) * ATTOS_PER_MICRO;
            // Each lease's work is rounded down to an atto-credit.
            prop_assert!((charged - exact).abs() <= ATTOS_PER_MICRO, "{charged} for {exact}");
            prop_assert!(bill.cost <= most(work, price).unwrap(), "a hold covers it");
            prop_assert_eq!(bill.cost.micros(), charges.iter().map(|charge| charge.cost.micros()).sum::<i64>());
            prop_assert_eq!(bill.fee.micros(), charges.iter().map(|charge| charge.fee.micros()).sum::<i64>());
            prop_assert_eq!(bill.fee, fee(bill.cost, fee_bps).unwrap());
        }

        #[test]
        fn what_receipts_publish_at_the_published_price_is_the_charge_within_a_micro_credit(
            leases in proptest::collection::vec(1..4_000_000_000_000_u64, 1..60),
            price in 1..40_000_000_000_i64,
        ) {
            let price = PricePerCu(price);
            let (bill, _) = settle_all(&leases, price, 1000);
            let charged = i128::from(bill.cost.micros()) * ATTOS_PER_MICRO;

            // A reader of the explorer has thousands of operations alone, rounded up once a receipt.
            let published: u128 = leases.iter().map(|flops| u128::from(flops.div_ceil(1000)) * 1000).sum();
            let published = exact_cost(published, price).unwrap();
            let rounding = exact_cost(999 * u128::try_from(leases.len()).unwrap(), price).unwrap();

            prop_assert!(charged <= published + ATTOS_PER_MICRO, "{charged} for {published}");
            // A lease's work at the price is rounded down to an atto-credit besides.
            let least = published - rounding - 1 - i128::try_from(leases.len()).unwrap();
            prop_assert!(charged >= least, "{charged} for {published}, of which {rounding} is rounding");
        }

        #[test]
        fn what_is_taken_back_and_done_again_costs_no_more(
            leases in proptest::collection::vec((1..4_000_000_000_000_u64, any::<bool>()), 1..60),
            price in 1..40_000_000_000_i64,
        ) {
            let price = PricePerCu(price);
            let (mut bill, mut open) = (Bill::default(), Vec::new());
            let mut settled = Vec::new();
            for &(flops, falls) in &leases {
                let (after, charge) = bill.charge(flops, price, 1000, false).unwrap();
                bill = after;
                if falls { open.push((flops, charge)) } else { settled.push(charge) }
            }
            for &(flops, charge) in &open {
                bill = bill.take_back(flops, price, charge).unwrap();
            }
            for (index, &(flops, _)) in open.iter().enumerate() {
                let (after, charge) = bill.charge(flops, price, 1000, index + 1 == open.len()).unwrap();
                bill = after;
                settled.push(charge);
            }

            let work: u128 = leases.iter().map(|&(flops, _)| u128::from(flops)).sum();
            prop_assert!(bill.cost <= most(work, price).unwrap());
            prop_assert_eq!(bill.cost.micros(), settled.iter().map(|charge| charge.cost.micros()).sum::<i64>());
            prop_assert!(settled.iter().all(|charge| charge.cost >= Credits::ZERO && charge.fee >= Credits::ZERO));
        }
    }
}
