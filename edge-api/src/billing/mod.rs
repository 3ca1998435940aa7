//! Money: what a job may cost, who gets what of a payment, and the legs of each movement.
//!
//! Pure: the statements are in `store`, and a transfer's legs always sum to zero.

#![deny(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::float_arithmetic)]

pub mod store;

use wire::{AccountId, Credits, CreditsOverflow, DeviceId, JobId, Micros, PricePerCu};

/// Floating-point operations in one CU.
const FLOPS_PER_CU: u128 = 1_000_000_000_000;
/// Ledger rows are summed over this long.
const BUCKET: Micros = 10_000_000;

/// Price of `flops`, rounded up to a whole micro-credit: at least one for any work at all.
pub fn cost(flops: u64, price: PricePerCu) -> Result<Credits, CreditsOverflow> {
    let price = u128::try_from(price.0).map_err(|_negative| CreditsOverflow)?;
    let micros = u128::from(flops.max(1)).checked_mul(price).ok_or(CreditsOverflow)?.div_ceil(FLOPS_PER_CU);
    i64::try_from(micros.max(1)).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

/// Price of `tiles` tiles from `first`, each rounded up by itself, so that a job costs the same
/// however its tiles are lent out. Only a job's last tile may hold fewer rows.
pub fn cost_of_tiles(work: &TileWork, first: u64, tiles: u64) -> Result<Credits, CreditsOverflow> {
    let end = first.checked_add(tiles).ok_or(CreditsOverflow)?;
    let last_rows =
        work.rows.checked_sub(work.tiles.saturating_sub(1).saturating_mul(work.tile_rows)).ok_or(CreditsOverflow)?;
    let whole = |rows: u64| cost(work.row_flops.saturating_mul(rows), work.price);
    let holds_last = end >= work.tiles && tiles > 0;
    let full = if holds_last { tiles.saturating_sub(1) } else { tiles };
    let full_cost = whole(work.tile_rows)?.checked_mul(i64::try_from(full).map_err(|_too_many| CreditsOverflow)?)?;
    if holds_last { full_cost.checked_add(whole(last_rows)?) } else { Ok(full_cost) }
}

/// What the cost model needs of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileWork {
    pub rows: u64,
    pub tile_rows: u64,
    pub tiles: u64,
    pub row_flops: u64,
    pub price: PricePerCu,
}

/// The platform's part of a payment, rounded down: the device gets the odd micro-credit.
pub fn fee(amount: Credits, fee_bps: i64) -> Result<Credits, CreditsOverflow> {
    let scaled = i128::from(amount.micros()).checked_mul(i128::from(fee_bps)).ok_or(CreditsOverflow)?;
    let part = scaled.checked_div(10_000).ok_or(CreditsOverflow)?;
    i64::try_from(part).map(Credits::from_micros).map_err(|_too_large| CreditsOverflow)
}

/// Why money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the faucet to a new account, in development mode.
    Faucet,
    /// From the customer to the device's and the platform's pending purses.
    Settle,
    /// From a pending purse to its account's own.
    Mature,
    /// A settlement taken back, since a later check failed.
    Void,
    /// From a guest's purses to the account that its device was linked to.
    Claim,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Faucet => "faucet",
            Self::Settle => "settle",
            Self::Mature => "mature",
            Self::Void => "void",
            Self::Claim => "claim",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purse {
    Posted,
    Pending,
}

impl Purse {
    pub fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
        }
    }
}

/// One account's side of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    pub account: AccountId,
    pub purse: Purse,
    pub amount: Credits,
}

/// Money that moves at once. `legs` sum to zero and are in account order, which is also the order
/// in which rows are locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub kind: Kind,
    pub job: Option<JobId>,
    pub device: Option<DeviceId>,
    pub bucket: Micros,
    pub legs: Vec<Leg>,
}

impl Transfer {
    fn new(kind: Kind, job: Option<JobId>, device: Option<DeviceId>, now: Micros, mut legs: Vec<Leg>) -> Self {
        legs.retain(|leg| leg.amount != Credits::ZERO);
        legs.sort_by_key(|leg| (leg.account, leg.purse));
        Self { kind, job, device, bucket: now.checked_div_euclid(BUCKET).unwrap_or(0), legs }
    }
}

/// Who is paid for a lease, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    pub job: JobId,
    pub device: DeviceId,
    pub customer: AccountId,
    pub provider: AccountId,
    pub fees: AccountId,
    pub cost: Credits,
    pub fee: Credits,
}

impl Payment {
    /// From the customer's account to pending purses.
    pub fn settle(&self, now: Micros) -> Result<Transfer, CreditsOverflow> {
        let legs = vec![
            Leg { account: self.customer, purse: Purse::Posted, amount: self.cost.checked_neg()? },
            Leg { account: self.provider, purse: Purse::Pending, amount: self.cost.checked_sub(self.fee)? },
            Leg { account: self.fees, purse: Purse::Pending, amount: self.fee },
        ];
        Ok(Transfer::new(Kind::Settle, Some(self.job), Some(self.device), now, legs))
    }

    /// The settlement taken back.
    pub fn void(&self, now: Micros) -> Result<Transfer, CreditsOverflow> {
        let mut transfer = self.settle(now)?;
        transfer.kind = Kind::Void;
        for leg in &mut transfer.legs {
            leg.amount = leg.amount.checked_neg()?;
        }
        Ok(transfer)
    }

    /// From pending purses to the accounts' own.
    pub fn mature(&self, now: Micros) -> Result<Transfer, CreditsOverflow> {
        let earned = self.cost.checked_sub(self.fee)?;
        let mut legs = Vec::new();
        for (account, amount) in [(self.provider, earned), (self.fees, self.fee)] {
            legs.push(Leg { account, purse: Purse::Pending, amount: amount.checked_neg()? });
            legs.push(Leg { account, purse: Purse::Posted, amount });
        }
        Ok(Transfer::new(Kind::Mature, Some(self.job), Some(self.device), now, legs))
    }
}

/// Play money for a new account.
pub fn faucet(from: AccountId, to: AccountId, amount: Credits, now: Micros) -> Result<Transfer, CreditsOverflow> {
    let legs = vec![
        Leg { account: from, purse: Purse::Posted, amount: amount.checked_neg()? },
        Leg { account: to, purse: Purse::Posted, amount },
    ];
    Ok(Transfer::new(Kind::Faucet, None, None, now, legs))
}

/// All that a guest's device has earned, to the account that it was linked to.
pub fn claim(
    guest: AccountId,
    to: AccountId,
    device: DeviceId,
    posted: Credits,
    pending: Credits,
    now: Micros,
) -> Result<Transfer, CreditsOverflow> {
    let mut legs = Vec::new();
    for (purse, amount) in [(Purse::Posted, posted), (Purse::Pending, pending)] {
        legs.push(Leg { account: guest, purse, amount: amount.checked_neg()? });
        legs.push(Leg { account: to, purse, amount });
    }
    Ok(Transfer::new(Kind::Claim, None, Some(device), now, legs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: PricePerCu = PricePerCu(20);

    fn work(rows: u64, tile_rows: u64, row_flops: u64) -> TileWork {
        TileWork { rows, tile_rows, tiles: rows.div_ceil(tile_rows), row_flops, price: PRICE }
    }

    #[test]
    fn work_costs_its_price_rounded_up_to_a_micro_credit() {
        let micros = |flops| cost(flops, PRICE).unwrap().micros();

        assert_eq!(
            [micros(0), micros(1), micros(50_000_000_000), micros(50_000_000_001), micros(1_000_000_000_000)],
            [1, 1, 1, 2, 20]
        );
        assert_eq!(cost(u64::MAX, PricePerCu(i64::MAX)), Err(CreditsOverflow));
    }

    #[test]
    fn a_job_costs_the_same_however_its_tiles_are_lent() {
        for (rows, tile_rows, flops) in [(1, 1, 5), (100, 7, 123_456_789_012), (64, 8, 1), (10, 100, 1 << 50)] {
            let work = work(rows, tile_rows, flops);
            let whole = cost_of_tiles(&work, 0, work.tiles).unwrap();

            let apart = (0..work.tiles).map(|tile| cost_of_tiles(&work, tile, 1).unwrap().micros()).sum::<i64>();

            assert_eq!(whole.micros(), apart, "{work:?}");
        }
    }

    #[test]
    fn every_transfer_sums_to_zero() {
        let account = |n| AccountId::from_parts(n, [0; 10]);
        let payment = Payment {
            job: JobId::from_parts(1, [0; 10]),
            device: DeviceId([1; 32]),
            customer: account(1),
            provider: account(2),
            fees: account(3),
            cost: Credits::from_micros(1001),
            fee: fee(Credits::from_micros(1001), 1000).unwrap(),
        };

        for transfer in [
            payment.settle(0),
            payment.void(0),
            payment.mature(0),
            faucet(account(4), account(1), payment.cost, 0),
            claim(account(5), account(1), payment.device, payment.cost, payment.fee, 0),
        ] {
            let transfer = transfer.unwrap();
            assert_eq!(transfer.legs.iter().map(|leg| leg.amount.micros()).sum::<i64>(), 0, "{transfer:?}");
        }
        assert_eq!(payment.fee.micros(), 100);
    }
}
