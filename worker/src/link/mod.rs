//! The edge's end of the line, natively and in a tab.

#[cfg(target_arch = "wasm32")]
pub mod browser;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;

use std::time::Duration;

use wire::device::{DeviceClass, PROTOCOL};
use wire::{FromDevice, Hello, LeaseGrant, Nonce};

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

/// What a device says first.
pub fn hello(engine: &Engine, nonce: Nonce, class: DeviceClass, key: Option<String>) -> FromDevice {
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
        key,
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
    fn waits_between_attempts_grow_to_a_bound() {
        assert!(reconnect_wait(0, 255) < RECONNECT_FIRST);
        assert!(reconnect_wait(50, 255) <= RECONNECT_MAX);
        assert!(reconnect_wait(4, 0) > reconnect_wait(0, 255));
    }
}
