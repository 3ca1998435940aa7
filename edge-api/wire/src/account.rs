use serde::{Deserialize, Serialize};

use crate::{AccountId, Credits, Micros};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// What to call it; 64 characters at most.
    #[serde(default)]
    pub name: String,
}

/// A fresh account with its key, which is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedAccount {
    pub account: Account,
    pub key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Opened with a key.
    Customer,
    /// Bound to a device key: it earns, and must be claimed before a payout.
    Guest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub kind: AccountKind,
    /// An operator knows who this is: its devices may run jobs of privacy class `known`.
    pub verified: bool,
    /// Free to spend.
    pub available: Credits,
    /// Set aside for running jobs.
    pub held: Credits,
    /// Earned, and not yet mature.
    pub pending: Credits,
    pub created_at: Micros,
    /// The server hands out faucet credits that are worth nothing.
    pub development: bool,
}
