use serde::{Deserialize, Serialize};

use crate::{AccountId, Credits, DeviceId, JobId, Micros};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
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
    /// The account as it stands, with its faucet credits.
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
    /// Names the account.
    pub id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// How it came about.
    pub kind: AccountKind,
    /// An operator knows who this is: its devices may run jobs of privacy class `known`.
    pub verified: bool,
    /// Free to spend.
    pub available: Credits,
    /// Set aside for running jobs.
    pub held: Credits,
    /// Earned, and not yet mature.
    pub pending: Credits,
    /// When it was opened.
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
    /// When it was made.
    pub created_at: Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(not(target_family = "wasm"), serde(deny_unknown_fields))]
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
    /// The key as the account lists it.
    pub key: AccountKey,
    /// For `Authorization: Bearer`.
    pub secret: String,
}

/// One movement of an account's money, summed over ten seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LedgerEntry {
    /// When, to ten seconds.
    pub at: Micros,
    /// `faucet`, `settle`, `mature`, `void`, `claim` or `judge`.
    pub kind: String,
    /// `posted` or `pending`.
    pub purse: String,
    /// What was added to the purse; negative where it was taken.
    pub amount: Credits,
    /// The job that was paid, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The device that earned it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// What one job moved of an account's money: what was paid for it, and what was earned by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobMovement {
    /// Names the job.
    pub job: JobId,
    /// What its owner calls it; empty where the job is somebody else's and not published.
    pub name: String,
    /// The account submitted it.
    pub own: bool,
    /// Anyone can read its page.
    pub published: bool,
    /// When the last of it moved.
    pub at: Micros,
    /// What it added to what is free to spend; negative where more was paid.
    pub available: Credits,
    /// What it added to what is not mature yet.
    pub pending: Credits,
}

/// Links one device to the account that asked for it, once, within fifteen minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceCode {
    /// Eight letters and digits in two groups.
    pub code: String,
    /// It links nothing after this.
    pub expires_at: Micros,
}
