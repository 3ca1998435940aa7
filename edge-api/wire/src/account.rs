use serde::{Deserialize, Serialize};

use crate::{AccountId, Credits, DeviceId, JobId, Micros};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewAccount {
    /// What to call it; 64 characters at most.
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    #[serde(default)]
    pub name: String,
}

/// A fresh account with its key, which is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpenedAccount {
    pub account: Account,
    /// The secret, for `Authorization: Bearer`.
    pub key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Opened with a key.
    Customer,
    /// Bound to a device key: it earns, and must be claimed before a payout.
    Guest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// A key of an account, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountKey {
    /// Names the key when it is to be revoked.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Its last four characters.
    pub hint: String,
    pub created_at: Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewKey {
    /// What to call it; 64 characters at most.
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    #[serde(default)]
    pub name: String,
}

/// A fresh key, which is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MadeKey {
    pub key: AccountKey,
    /// For `Authorization: Bearer`.
    pub secret: String,
}

/// One movement of an account's money, summed over ten seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerEntry {
    pub at: Micros,
    /// `faucet`, `settle`, `mature`, `void` or `claim`.
    pub kind: String,
    /// `posted` or `pending`.
    pub purse: String,
    pub amount: Credits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// Links one device to the account that asked for it, once, within fifteen minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceCode {
    /// Eight letters and digits in two groups.
    pub code: String,
    pub expires_at: Micros,
}
