//! What receipts earned, once nothing can take it back.

use rules::billing::transfer::{Payment, Transfer};
use store::receipts::StoredReceipt;

use crate::app::App;

/// The payment that a receipt is about.
pub fn payment(app: &App, stored: &StoredReceipt) -> Payment {
    Payment {
        lease: stored.receipt.lease,
        job: stored.receipt.job,
        device: stored.device,
        customer: stored.customer,
        provider: stored.provider,
        fees: app.fees,
        charge: stored.charge,
    }
}

/// What matured receipts move.
pub fn transfers(app: &App, matured: &[StoredReceipt]) -> anyhow::Result<Vec<Transfer>> {
    let now = app.clock.now();
    matured.iter().map(|stored| Ok(payment(app, stored).mature(now)?)).collect()
}
