//! An account with its keys and what moved in it.

use wire::{
    Account, AccountId, AccountKey, AccountKind, Credits, DeviceCode, JobMovement, LedgerEntry, MadeKey, NewAccount,
    NewKey, OpenedAccount, TileHash,
};

use super::example_parts::{NOON, SECOND, bytes, job_id};

pub(super) fn new_account() -> NewAccount {
    NewAccount { name: "Ada".to_owned() }
}

pub(super) fn account() -> Account {
    Account {
        id: AccountId::from_parts(NOON.unsigned_abs() / 1000, bytes(6)),
        name: "Ada".to_owned(),
        kind: AccountKind::Customer,
        verified: false,
        available: Credits::from_micros(99_999_670),
        held: Credits::ZERO,
        pending: Credits::ZERO,
        created_at: NOON,
        development: true,
    }
}

pub(super) fn opened_account() -> OpenedAccount {
    OpenedAccount { account: account(), key: format!("tsk_{}", TileHash(bytes(7))) }
}

pub(super) fn account_key() -> AccountKey {
    AccountKey {
        id: "9f6ac1d04e8b7723".to_owned(),
        name: "Nightly runs".to_owned(),
        hint: "4c1d".to_owned(),
        created_at: NOON,
    }
}

pub(super) fn new_key() -> NewKey {
    NewKey { name: "Nightly runs".to_owned() }
}

pub(super) fn made_key() -> MadeKey {
    MadeKey { key: account_key(), secret: format!("tsk_{}", TileHash(bytes(8))) }
}

pub(super) fn ledger_entry() -> LedgerEntry {
    LedgerEntry {
        at: NOON + 40 * SECOND,
        kind: "settle".to_owned(),
        purse: "posted".to_owned(),
        amount: Credits::from_micros(-330),
        job: Some(job_id()),
        device: None,
    }
}

pub(super) fn job_movement() -> JobMovement {
    JobMovement {
        job: job_id(),
        name: "Photos of November".to_owned(),
        own: true,
        published: true,
        at: NOON + 40 * SECOND,
        available: Credits::from_micros(-330),
        pending: Credits::ZERO,
    }
}

pub(super) fn device_code() -> DeviceCode {
    DeviceCode { code: "A9AJ-FGH9".to_owned(), expires_at: NOON + 900 * SECOND }
}
