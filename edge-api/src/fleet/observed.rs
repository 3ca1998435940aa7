//! What an operator sees of leases and jobs: counted, and told as spans.

use rules::scheduling::lease::Lease;
use wire::{JobId, Micros};

use crate::app::App;
use crate::metrics::counted::ReceiptTaken;
use crate::traces::{LeaseOfJob, Span, Stage};

fn of(lease: &Lease) -> LeaseOfJob {
    LeaseOfJob { lease: lease.id, job: lease.job, device: lease.device, tiles: lease.tiles }
}

/// A receipt that is being checked. Its lease is over when this is dropped, whatever came of it.
pub struct Receipt {
    app: App,
    lease: Lease,
    _taken: ReceiptTaken,
}

impl Receipt {
    pub fn taken(app: &App, lease: Lease) -> Self {
        let now = app.clock.now();
        app.traces.lease(Stage::Device, of(&lease), Span { from: lease.granted_at, until: now }, None);
        Self { app: app.clone(), lease, _taken: app.metrics.take_receipt(lease.id) }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let span = Span { from: self.lease.granted_at, until: self.app.clock.now() };
        self.app.traces.lease(Stage::Lease, of(&self.lease), span, None);
    }
}

/// A check came to something.
pub fn checked(app: &App, lease: &Lease, begun_at: Micros, outcome: &'static str) {
    app.metrics.checks.count(outcome);
    let span = Span { from: begun_at, until: app.clock.now() };
    app.traces.lease(Stage::Check, of(lease), span, Some(outcome));
}

/// A lease was paid.
pub fn settled(app: &App, lease: &Lease, begun_at: Micros) {
    app.metrics.settle(lease.id, lease.tiles);
    app.traces.lease(Stage::Settle, of(lease), Span { from: begun_at, until: app.clock.now() }, None);
}

/// A job ended here.
pub fn job_ended(app: &App, job: JobId, how: &'static str) {
    app.metrics.jobs_ended.count(how);
    app.traces.job_ended(job, app.clock.now(), how);
}
