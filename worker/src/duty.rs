//! How hard a device works: the share of time that its person allows, and the share that it was busy.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures::future::AbortHandle;
use web_time::Instant;

use crate::device;

/// The share of time that the device may be busy. It may change while a lease is computed.
#[derive(Clone, Debug)]
pub struct DutyCycle(Arc<AtomicU8>);

impl DutyCycle {
    /// `percent` is taken as 5 to 100.
    pub fn new(percent: u8) -> Self {
        Self(Arc::new(AtomicU8::new(percent)))
    }

    pub fn set(&self, percent: u8) {
        self.0.store(percent, Ordering::Relaxed);
    }

    pub(crate) fn rest_after(&self, busy: Duration) -> Duration {
        rest_after(busy, self.0.load(Ordering::Relaxed))
    }
}

/// Rest after `busy`, so that the device is busy for at most `duty_percent` of the time.
fn rest_after(busy: Duration, duty_percent: u8) -> Duration {
    let duty = f64::from(duty_percent.clamp(5, 100)) / 100.0;
    busy.mul_f64((1.0 - duty) / duty)
}

/// Paces one run: rests between its submissions, and ends it once its lease is another's.
#[derive(Clone, Debug)]
pub(crate) struct Pacing {
    duty: DutyCycle,
    lease: Option<AbortHandle>,
}

impl Pacing {
    pub(crate) fn of_lease(duty: DutyCycle, lease: AbortHandle) -> Self {
        Self { duty, lease: Some(lease) }
    }

    /// Without rests or an end: a person is waiting at this device for the outcome.
    pub(crate) fn unlimited() -> Self {
        Self { duty: DutyCycle::new(100), lease: None }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lease.as_ref().is_some_and(AbortHandle::is_aborted)
    }

    /// Called after each submission, which kept the device busy for so long.
    pub(crate) async fn rest(&self, busy: Duration) -> ControlFlow<()> {
        if !self.is_over() {
            device::sleep(self.duty.rest_after(busy)).await;
        }
        if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Long enough that a lease or two lie in it.
const WINDOW: Duration = Duration::from_secs(3);

/// The share of time that a device was busy, over its last few leases.
#[derive(Debug, Default)]
pub(crate) struct BusyShare {
    begun: Option<Instant>,
    busy: Duration,
    percent: u8,
}

impl BusyShare {
    /// Work begins.
    pub(crate) fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// A lease is done that kept the device busy for so long.
    pub(crate) fn add(&mut self, busy: Duration) {
        self.busy += busy;
        let Some(begun) = self.begun else { return };
        let window = begun.elapsed();
        if window >= WINDOW {
            self.percent = share(self.busy, window);
            (self.begun, self.busy) = (Some(Instant::now()), Duration::ZERO);
        } else if self.percent == 0 {
            self.percent = share(self.busy, window);
        }
    }

    pub(crate) fn percent(&self) -> u8 {
        self.percent
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
fn share(busy: Duration, window: Duration) -> u8 {
    (busy.as_secs_f64() / window.as_secs_f64().max(1e-6) * 100.0).clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_at_half_duty_rests_as_long_as_it_works() {
        assert_eq!(rest_after(Duration::from_millis(40), 50), Duration::from_millis(40));
        assert_eq!(rest_after(Duration::from_millis(40), 100), Duration::ZERO);
    }

    #[test]
    fn the_busy_share_is_busy_time_over_all_time() {
        assert_eq!(share(Duration::from_millis(500), Duration::from_secs(1)), 50);
        assert_eq!(share(Duration::from_secs(2), Duration::from_secs(1)), 100);
        assert_eq!(share(Duration::ZERO, Duration::ZERO), 0);
    }
}
