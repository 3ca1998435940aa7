//! Movements of money. A transfer's legs always sum to zero.

use wire::{AccountId, Credits, CreditsOverflow, DeviceId, JobId, Micros};

/// Ledger rows are summed over this long.
pub const BUCKET: Micros = 10_000_000;

/// Why money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferKind {
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

impl TransferKind {
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
    pub kind: TransferKind,
    pub job: Option<JobId>,
    pub device: Option<DeviceId>,
    pub bucket: Micros,
    pub legs: Vec<Leg>,
}

impl Transfer {
    fn new(kind: TransferKind, job: Option<JobId>, device: Option<DeviceId>, now: Micros, mut legs: Vec<Leg>) -> Self {
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
        Ok(Transfer::new(TransferKind::Settle, Some(self.job), Some(self.device), now, legs))
    }

    /// The settlement taken back.
    pub fn void(&self, now: Micros) -> Result<Transfer, CreditsOverflow> {
        let mut transfer = self.settle(now)?;
        transfer.kind = TransferKind::Void;
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
        Ok(Transfer::new(TransferKind::Mature, Some(self.job), Some(self.device), now, legs))
    }
}

/// Play money for a new account.
pub fn faucet(from: AccountId, to: AccountId, amount: Credits, now: Micros) -> Result<Transfer, CreditsOverflow> {
    let legs = vec![
        Leg { account: from, purse: Purse::Posted, amount: amount.checked_neg()? },
        Leg { account: to, purse: Purse::Posted, amount },
    ];
    Ok(Transfer::new(TransferKind::Faucet, None, None, now, legs))
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
    Ok(Transfer::new(TransferKind::Claim, None, Some(device), now, legs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::fee;

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
