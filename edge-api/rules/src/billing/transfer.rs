//! Movements of money. A transfer's legs always sum to zero, and its reference says what it is about, so that the
//! ledger can hold it once only.

use wire::{AccountId, Credits, CreditsOverflow, DeviceId, JobId, LeaseId, Micros};

use super::bill::Charge;

/// Lists of the ledger sum its entries over this long.
pub const BUCKET: Micros = 10_000_000;

/// What is moved. Play money and credits that were paid for are never mixed on one server.
pub const ASSET: &str = "credit";

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
    /// From the platform to whoever computed again what another did.
    Judge,
}

impl TransferKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Faucet => "faucet",
            Self::Settle => "settle",
            Self::Mature => "mature",
            Self::Void => "void",
            Self::Claim => "claim",
            Self::Judge => "judge",
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

/// What a transfer does to the hold of its job, in the same statement as to its account's purses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldDraw {
    pub customer: AccountId,
    /// Taken out of the hold; below zero, put back into it.
    pub amount: Credits,
}

/// Money that moves at once. `legs` sum to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub kind: TransferKind,
    /// What it is about: a lease, an account, a device. Of one kind and reference there is one transfer.
    pub reference: String,
    pub job: Option<JobId>,
    pub device: Option<DeviceId>,
    pub at: Micros,
    pub legs: Vec<Leg>,
    pub hold: Option<HoldDraw>,
}

impl Transfer {
    fn new(kind: TransferKind, reference: String, at: Micros, mut legs: Vec<Leg>) -> Self {
        legs.retain(|leg| leg.amount != Credits::ZERO);
        Self { kind, reference, job: None, device: None, at, legs, hold: None }
    }
}

/// Who is paid for a lease, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    pub lease: LeaseId,
    pub job: JobId,
    pub device: DeviceId,
    pub customer: AccountId,
    pub provider: AccountId,
    pub fees: AccountId,
    pub charge: Charge,
}

impl Payment {
    fn transfer(&self, kind: TransferKind, at: Micros, legs: Vec<Leg>) -> Transfer {
        let transfer = Transfer::new(kind, self.lease.to_string(), at, legs);
        Transfer { job: Some(self.job), device: Some(self.device), ..transfer }
    }

    /// From the customer's account, out of the job's hold, to pending purses.
    pub fn settle(&self, at: Micros) -> Result<Transfer, CreditsOverflow> {
        let Charge { cost, fee } = self.charge;
        let legs = vec![
            Leg { account: self.customer, purse: Purse::Posted, amount: cost.checked_neg()? },
            Leg { account: self.provider, purse: Purse::Pending, amount: self.charge.earned()? },
            Leg { account: self.fees, purse: Purse::Pending, amount: fee },
        ];
        let hold = Some(HoldDraw { customer: self.customer, amount: cost });
        Ok(Transfer { hold, ..self.transfer(TransferKind::Settle, at, legs) })
    }

    /// The settlement taken back, and put back into the hold.
    pub fn void(&self, at: Micros) -> Result<Transfer, CreditsOverflow> {
        let mut transfer = self.settle(at)?;
        transfer.kind = TransferKind::Void;
        for leg in &mut transfer.legs {
            leg.amount = leg.amount.checked_neg()?;
        }
        if let Some(hold) = &mut transfer.hold {
            hold.amount = hold.amount.checked_neg()?;
        }
        Ok(transfer)
    }

    /// From pending purses to the accounts' own.
    pub fn mature(&self, at: Micros) -> Result<Transfer, CreditsOverflow> {
        let mut legs = Vec::new();
        for (account, amount) in [(self.provider, self.charge.earned()?), (self.fees, self.charge.fee)] {
            legs.push(Leg { account, purse: Purse::Pending, amount: amount.checked_neg()? });
            legs.push(Leg { account, purse: Purse::Posted, amount });
        }
        Ok(self.transfer(TransferKind::Mature, at, legs))
    }
}

/// Play money for a new account, once.
pub fn faucet(from: AccountId, to: AccountId, amount: Credits, at: Micros) -> Result<Transfer, CreditsOverflow> {
    let legs = vec![
        Leg { account: from, purse: Purse::Posted, amount: amount.checked_neg()? },
        Leg { account: to, purse: Purse::Posted, amount },
    ];
    Ok(Transfer::new(TransferKind::Faucet, to.to_string(), at, legs))
}

/// All that a guest's device has earned, to the account that it was linked to.
pub fn claim(
    guest: AccountId,
    to: AccountId,
    device: DeviceId,
    posted: Credits,
    pending: Credits,
    at: Micros,
) -> Result<Transfer, CreditsOverflow> {
    let mut legs = Vec::new();
    for (purse, amount) in [(Purse::Posted, posted), (Purse::Pending, pending)] {
        legs.push(Leg { account: guest, purse, amount: amount.checked_neg()? });
        legs.push(Leg { account: to, purse, amount });
    }
    let transfer = Transfer::new(TransferKind::Claim, format!("{guest} {at}"), at, legs);
    Ok(Transfer { device: Some(device), ..transfer })
}

/// From the platform's fees to the account of a device that was asked to judge, for work that is verified by then.
pub fn judge(
    fees: AccountId,
    to: AccountId,
    (job, device): (JobId, DeviceId),
    amount: Credits,
    reference: String,
    at: Micros,
) -> Result<Transfer, CreditsOverflow> {
    let legs = vec![
        Leg { account: fees, purse: Purse::Posted, amount: amount.checked_neg()? },
        Leg { account: to, purse: Purse::Posted, amount },
    ];
    let transfer = Transfer::new(TransferKind::Judge, reference, at, legs);
    Ok(Transfer { job: Some(job), device: Some(device), ..transfer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transfer_sums_to_zero() {
        let account = |n| AccountId::from_parts(n, [0; 10]);
        let charge = Charge { cost: Credits::from_micros(1001), fee: Credits::from_micros(100) };
        let payment = Payment {
            lease: LeaseId([1; 16]),
            job: JobId::from_parts(1, [0; 10]),
            device: DeviceId([1; 32]),
            customer: account(1),
            provider: account(2),
            fees: account(3),
            charge,
        };

        for transfer in [
            payment.settle(0),
            payment.void(0),
            payment.mature(0),
            faucet(account(4), account(1), charge.cost, 0),
            claim(account(5), account(1), payment.device, charge.cost, charge.fee, 0),
            judge(account(3), account(6), (payment.job, payment.device), charge.fee, String::new(), 0),
        ] {
            let transfer = transfer.unwrap();
            assert_eq!(transfer.legs.iter().map(|leg| leg.amount.micros()).sum::<i64>(), 0, "{transfer:?}");
        }
        assert_eq!(
            payment.void(0).unwrap().hold,
            Some(HoldDraw { customer: account(1), amount: Credits::from_micros(-1001) })
        );
    }
}
