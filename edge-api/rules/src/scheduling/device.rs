//! Devices on this replica's sockets, as far as deciding needs to know them.

use std::collections::BTreeSet;

use wire::device::DeviceClass;
use wire::{AccountId, JobId, Micros, Privacy};

use super::line::Line;
use crate::job::Needs;
use crate::verification::party::{Network, Party};
use crate::verification::standing::Standings;

/// Leases that a device may hold undone: one in hand and one to begin with at once.
pub(super) const LEASES_OUT_MAX: usize = 2;
/// No more than what an honest device works off within a few minutes.
const STRIKES_MAX: u32 = 10;
/// Speed taken for granted until a device has shown its own, in operations a second.
const FIRST_RATE: f64 = 1e8;

/// A connected device.
#[derive(Clone, Debug)]
pub struct Device {
    pub account: AccountId,
    pub class: DeviceClass,
    /// Its account is known to the operator.
    pub verified: bool,
    /// Its account came with its key, and has nothing to lose.
    pub is_guest: bool,
    /// Where it connects from.
    pub network: Option<Network>,
    pub buffer_bytes_max: u64,
    /// It runs customers' kernels.
    pub runs_kernels: bool,
    /// It works for this job of its own account, and for nothing else.
    pub only_job: Option<JobId>,
    /// Jobs whose kernels it cannot compile.
    pub unfit_for: BTreeSet<JobId>,
    pub standings: Standings,
    /// Leases that it sat on or gave back, less those that were settled since: the more, the later and the less it is
    /// lent.
    pub strikes: u32,
    /// Leases that were settled since it connected.
    pub settled_leases: u64,
    pub suspended_until: Micros,
    /// Leases that it would take more.
    pub ready_credits: usize,
    /// Measured speed, in operations a second.
    pub rate: f64,
    /// Likewise with customers' kernels, whose operations are counted by their fuel: a bound.
    pub kernel_rate: f64,
    /// When it last began to work, as far as the edge can tell.
    pub busy_since: Micros,
    pub(super) line: Line,
}

impl Device {
    pub fn new(account: AccountId, class: DeviceClass, verified: bool, buffer_bytes_max: u64) -> Self {
        Self {
            account,
            class,
            verified,
            is_guest: false,
            network: None,
            buffer_bytes_max,
            runs_kernels: false,
            only_job: None,
            unfit_for: BTreeSet::new(),
            standings: Standings::default(),
            strikes: 0,
            settled_leases: 0,
            suspended_until: 0,
            ready_credits: 0,
            rate: FIRST_RATE,
            kernel_rate: FIRST_RATE,
            busy_since: 0,
            line: Line::default(),
        }
    }

    pub fn party(&self) -> Party {
        Party { account: self.account, network: self.network }
    }

    /// It gave a lease back undone, or sat on it.
    pub(super) fn add_strike(&mut self) {
        self.strikes = (self.strikes + 1).min(STRIKES_MAX);
    }

    /// Goes on from the speed that it showed before.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn remember_speed(&mut self, flops_per_sec: u64) {
        if flops_per_sec > 0 {
            self.rate = flops_per_sec as f64;
        }
    }

    /// Measured, in operations a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, far below 2^63")]
    pub fn flops_per_sec(&self) -> u64 {
        self.rate.clamp(0.0, 1e18) as u64
    }

    /// Operations a second of such a job.
    pub(super) fn rate_for(&self, needs: &Needs) -> f64 {
        if needs.kernels { self.kernel_rate } else { self.rate }
    }

    /// The binary logarithm of the speed that it has shown, in sixteenths.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a logarithm, clamped")]
    pub(super) fn magnitude(&self, kernels: bool) -> Option<u64> {
        let rate = if kernels { self.kernel_rate } else { self.rate };
        (rate.to_bits() != FIRST_RATE.to_bits()).then(|| (rate.clamp(1.0, 1e18).log2() * 16.0) as u64)
    }

    /// Takes a measurement in, half and half with what was known.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(super) fn measure(&mut self, needs: &Needs, tiles: u64, took: Micros) {
        let measured = tiles.saturating_mul(needs.tile_flops) as f64 / (took as f64 / 1e6);
        let rate = if needs.kernels { &mut self.kernel_rate } else { &mut self.rate };
        *rate = f64::midpoint(*rate, measured);
    }

    pub(super) fn add_ready_credit(&mut self) {
        self.ready_credits = (self.ready_credits + 1).min(LEASES_OUT_MAX);
    }

    /// Whether it may do the job, which has no `id` as long as it is not submitted.
    pub(super) fn fits(&self, id: Option<JobId>, needs: &Needs) -> bool {
        let is_own = self.account == needs.customer;
        let allowed = match needs.privacy {
            _ if self.only_job.is_some() => is_own && self.only_job == id,
            Privacy::Open => true,
            Privacy::Known => self.verified,
            Privacy::Own => is_own,
        };
        let is_fit = id.is_none_or(|id| !self.unfit_for.contains(&id));
        allowed && is_fit && self.buffer_bytes_max >= needs.device_bytes && (self.runs_kernels || !needs.kernels)
    }

    /// Whether it waits for work and would be given this job's.
    pub(super) fn takes(&self, id: Option<JobId>, needs: &Needs, now: Micros) -> bool {
        self.ready_credits > 0 && self.suspended_until <= now && self.fits(id, needs)
    }
}

/// Connected devices, as far as a quote needs to know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Those that may run the job.
    pub fitting: u64,
    pub connected: u64,
    /// The largest buffer among all, in bytes.
    pub buffer_bytes_max: u64,
    /// Of those that may run the job, in operations a second.
    pub flops_per_sec: u64,
}
