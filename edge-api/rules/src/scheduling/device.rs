//! Devices on this replica's sockets, as far as deciding needs to know them.

use std::collections::BTreeSet;

use wire::device::DeviceClass;
use wire::{AccountId, DeviceId, JobId, Micros, Privacy};

use super::challenge::{Challenged, PROOF_LASTS, Purpose, Size};
use super::line::{Line, LineSpeed};
use super::speed::{Proof, Speed};
use crate::job::Needs;
use crate::verification::party::{Network, Party};
use crate::verification::standing::Standings;

/// Leases that a device may hold undone: one in hand and one to begin with at once.
pub(super) const LEASES_OUT_MAX: usize = 2;
/// No more than what an honest device works off within a few minutes.
const STRIKES_MAX: u32 = 10;

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
    /// Jobs whose kernels it cannot compile, or runs otherwise than others.
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
    /// With models.
    pub(super) speed: Speed,
    /// With customers' kernels, whose operations are counted by their fuel: a bound.
    pub(super) kernel_speed: Speed,
    /// How often it was asked to compute again what another did since it last did a lease.
    pub(super) questions: u64,
    /// By the last challenge; `None` until it was put to one.
    pub(super) proof: Option<Proof>,
    /// Benchmarks that it was asked for since it connected.
    pub(super) benchmarks: u32,
    /// When it last began to work, as far as the edge can tell.
    pub busy_since: Micros,
    /// How long it worked on what it has committed, since that was last asked.
    pub(super) busy: Micros,
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
            speed: Speed::default(),
            kernel_speed: Speed::default(),
            questions: 0,
            proof: None,
            benchmarks: 0,
            busy_since: 0,
            busy: 0,
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
    pub fn remember_speed(&mut self, flops_per_sec: u64) {
        self.speed = Speed::remembered(flops_per_sec);
    }

    /// Goes on from what it proved when it was challenged last.
    pub fn remember_proof(&mut self, proof: Proof) {
        self.proof = Some(proof);
        if self.speed.measured().is_none() && proof.ops_per_sec > 0 {
            self.speed.on_proved(proof.ops_per_sec);
        }
    }

    /// Goes on from what its line was measured to be.
    pub fn remember_line(&mut self, speed: LineSpeed) {
        self.line = Line::remembered(speed);
    }

    /// By its verified work for others alone, in operations a second; 0 until there was some of a size that tells.
    pub fn worked_flops_per_sec(&self) -> u64 {
        self.speed.shown()
    }

    /// In operations a second: by verified work for others, as far as challenges bear it out; 0 until it has shown any.
    pub fn flops_per_sec(&self) -> u64 {
        self.speed.shown_with(self.proof)
    }

    /// What it is asked for when it is challenged.
    pub(super) fn challenge_size(&self, purpose: Purpose) -> Size {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let proved = self.proof.map(|proof| proof.ops_per_sec as f64).filter(|proved| *proved > 0.0);
        Size::for_rate(proved.unwrap_or_else(|| Speed::default().estimate()), self.challenged(purpose))
    }

    pub(super) fn challenged(&self, purpose: Purpose) -> Challenged {
        let proved_ops_per_sec = self.proof.map_or(0, |proof| proof.ops_per_sec);
        Challenged { purpose, proved_ops_per_sec, buffer_bytes_max: self.buffer_bytes_max }
    }

    /// Whether nothing is known of its speed with models or with kernels, and nobody has asked.
    pub(super) fn wants_benchmark(&self, now: Micros) -> bool {
        let is_unknown = self.speed.measured().is_none() || self.kernel_speed.measured().is_none();
        let is_unproved = self.proof.is_none_or(|proof| proof.at + PROOF_LASTS < now);
        is_unknown && is_unproved && self.benchmarks == 0 && self.only_job.is_none()
    }

    /// Operations a second of such a job, as far as can be told.
    pub(super) fn rate_for(&self, needs: &Needs) -> f64 {
        if needs.kernels { self.kernel_speed.estimate() } else { self.speed.estimate() }
    }

    /// Operations a second of such a job that leases of it are cut by.
    pub(super) fn reliable_rate_for(&self, needs: &Needs) -> f64 {
        if needs.kernels { self.kernel_speed.reliable() } else { self.speed.reliable() }
    }

    /// The binary logarithm of the speed that it has shown, in sixteenths.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a logarithm, clamped")]
    pub(super) fn magnitude(&self, kernels: bool) -> Option<u64> {
        let speed = if kernels { self.kernel_speed } else { self.speed };
        speed.measured().map(|rate| (rate.clamp(1.0, 1e18).log2() * 16.0) as u64)
    }

    /// What it has shown with kernels or with models, in operations a second; 0 where that is nothing.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, far below 2^63")]
    pub(super) fn measured(&self, kernels: bool) -> u64 {
        let speed = if kernels { self.kernel_speed } else { self.speed };
        speed.measured().map_or(0, |rate| rate.clamp(0.0, 1e18) as u64)
    }

    /// With customers' kernels, or with models.
    pub(super) fn speed_of(&mut self, needs: &Needs) -> &mut Speed {
        if needs.kernels { &mut self.kernel_speed } else { &mut self.speed }
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
    /// Of those that may run the job and have shown how fast they are, in operations a second; 0 where none has.
    pub flops_per_sec: u64,
}

/// What a connected device offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    pub device: DeviceId,
    /// It takes work.
    pub is_awake: bool,
    /// The speed that it is shown with, in operations a second, while it takes work; else 0.
    pub flops_per_sec: u64,
}
