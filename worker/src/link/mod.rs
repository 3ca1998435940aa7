//! The edge's end of the line, natively and in a tab.

#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;

use std::time::Duration;

use wire::device::{DeviceClass, PROTOCOL};
use wire::{FromDevice, Hello, JobId, LeaseGrant, Nonce};

use crate::core::Link;
use crate::run::Engine;

/// First wait before connecting anew; doubled each time.
const RECONNECT_FIRST: Duration = Duration::from_millis(500);
const RECONNECT_MAX: Duration = Duration::from_secs(30);

/// What the core wants done, until the socket's loop does it.
#[derive(Default)]
struct Out {
    frames: Vec<FromDevice>,
    grants: Vec<LeaseGrant>,
}

impl Link for Out {
    fn send(&mut self, frame: FromDevice) {
        self.frames.push(frame);
    }

    fn compute(&mut self, grant: LeaseGrant) {
        self.grants.push(grant);
    }
}

/// The share of time that a device was busy, over its last few leases.
#[derive(Debug, Default)]
pub struct BusyShare {
    begun: Option<web_time::Instant>,
    busy: Duration,
    percent: u8,
}

/// Long enough that a lease or two lie in it.
const DUTY_WINDOW: Duration = Duration::from_secs(3);

impl BusyShare {
    /// Work begins.
    pub fn begin(&mut self) {
        self.begun.get_or_insert_with(web_time::Instant::now);
    }

    /// A lease is done that kept the device busy for so long.
    pub fn add(&mut self, busy: Duration) {
        self.busy += busy;
        let Some(begun) = self.begun else { return };
        let window = begun.elapsed();
        if window >= DUTY_WINDOW {
            self.percent = share(self.busy, window);
            (self.begun, self.busy) = (Some(web_time::Instant::now()), Duration::ZERO);
        } else if self.percent == 0 {
            self.percent = share(self.busy, window);
        }
    }

    pub fn percent(&self) -> u8 {
        self.percent
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
fn share(busy: Duration, window: Duration) -> u8 {
    (busy.as_secs_f64() / window.as_secs_f64().max(1e-6) * 100.0).clamp(0.0, 100.0) as u8
}

/// Whom a device earns for. With neither it is a guest, or whoever it was linked to before.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// An account's key.
    pub key: Option<String>,
    /// A device code; it works once.
    pub code: Option<String>,
    /// It earns for nobody: it recomputes for the operator.
    pub checker: bool,
    /// A job of the account, where the device works for nothing else.
    pub only_job: Option<JobId>,
}

/// What a device says first.
pub fn hello(engine: &Engine, nonce: Nonce, class: DeviceClass, account: Credentials) -> FromDevice {
    let info = &engine.info;
    FromDevice::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        device: engine.identity.device(),
        signature: engine.identity.sign_hello(nonce),
        class,
        name: info.name.chars().take(128).collect(),
        backend: info.backend.to_owned(),
        software: info.software,
        buffer_bytes_max: info.buffer_bytes_max,
        runs_kernels: info.kernels.is_some(),
        checker: account.checker,
        only_job: account.only_job,
        key: account.key,
        code: account.code,
    }))
}

/// Wait before attempt number `attempt`, spread by `random` so that devices do not come back at once.
pub fn reconnect_wait(attempt: u32, random: u8) -> Duration {
    let doubled = RECONNECT_FIRST.saturating_mul(1 << attempt.min(10)).min(RECONNECT_MAX);
    doubled.mul_f64(0.5 + f64::from(random) / 512.0)
}

/// Rest after `busy`, so that the device is busy for at most `duty_percent` of the time.
pub fn rest_after(busy: Duration, duty_percent: u8) -> Duration {
    let duty = f64::from(duty_percent.clamp(5, 100)) / 100.0;
    busy.mul_f64((1.0 - duty) / duty)
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
    fn the_duty_cycle_is_busy_time_over_all_time() {
        assert_eq!(share(Duration::from_millis(500), Duration::from_secs(1)), 50);
        assert_eq!(share(Duration::from_secs(2), Duration::from_secs(1)), 100);
        assert_eq!(share(Duration::ZERO, Duration::ZERO), 0);
    }

    #[test]
    fn waits_between_attempts_grow_to_a_bound() {
        assert!(reconnect_wait(0, 255) < RECONNECT_FIRST);
        assert!(reconnect_wait(50, 255) <= RECONNECT_MAX);
        assert!(reconnect_wait(4, 0) > reconnect_wait(0, 255));
    }
}
