//! Whose a device is.

use anyhow::Context;
use wire::{AccountId, DeviceId};

use crate::app::App;

pub async fn account_of(app: &App, device: DeviceId) -> anyhow::Result<AccountId> {
    let record = store::devices::find_device(&mut *app.db.read().await?, device).await?;
    Ok(record.context("a device with a lease should be on record")?.account)
}
