//! Whose a device is, and where.

use anyhow::Context;
use rules::verification::party::Party;
use wire::{AccountId, DeviceId};

use crate::app::App;

pub async fn party_of(app: &App, device: DeviceId) -> anyhow::Result<Party> {
    let record = store::devices::find_device(&mut *app.db.read().await?, device).await?;
    let record = record.context("a device with a lease should be on record")?;
    Ok(Party { account: record.account, network: record.network })
}

pub async fn account_of(app: &App, device: DeviceId) -> anyhow::Result<AccountId> {
    Ok(party_of(app, device).await?.account)
}
