//! A lease's output against its receipt, and drawn tiles of it against what others compute.

use std::sync::Arc;

use rules::Job;
use rules::scheduling::lease::Lease;
use rules::verification::Mismatch;
use wire::Receipt;

use super::lease_output::LeaseOutput;
use crate::app::App;
use crate::programs;

/// `tiles` were drawn after the device had signed; they count from the lease's first.
pub async fn check_lease(
    app: &App,
    job: &Arc<Job>,
    lease: &Lease,
    receipt: &Receipt,
    tiles: &[u32],
) -> anyhow::Result<Result<(), Mismatch>> {
    let bytes = app.blobs.read(receipt.output).await?;
    let output = LeaseOutput { job: Arc::clone(job), lease: *lease, bytes };
    let (hashed, root) = (output.clone(), receipt.root);
    if let Err(mismatch) = tokio::task::spawn_blocking(move || hashed.check_root(root)).await? {
        return Ok(Err(mismatch));
    }
    programs::check(app, &output, tiles).await
}
