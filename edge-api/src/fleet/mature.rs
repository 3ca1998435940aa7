//! What receipts earned, once nothing can take it back.

use std::collections::BTreeMap;

use rules::billing::transfer::Payment;
use store::DbConnection;
use store::receipts::StoredReceipt;
use wire::{AccountId, Credits, DeviceId, JobId};

use crate::app::App;

/// Moves what matured receipts earned, summed by job, device and account.
pub async fn pay_matured(conn: &mut DbConnection, app: &App, matured: Vec<StoredReceipt>) -> anyhow::Result<()> {
    let mut sums: BTreeMap<(AccountId, DeviceId, JobId), (Credits, Credits)> = BTreeMap::new();
    for stored in matured {
        let sum = sums.entry((stored.provider, stored.device, stored.receipt.job)).or_default();
        *sum = (sum.0.checked_add(stored.cost)?, sum.1.checked_add(stored.fee)?);
    }
    for ((provider, device, job), (cost, fee)) in sums {
        // Whoever paid has paid already: maturing moves nothing of the customer's.
        let payment = Payment { job, device, customer: provider, provider, fees: app.fees, cost, fee };
        store::ledger::post(conn, &payment.mature(app.clock.now())?).await?;
    }
    Ok(())
}
