//! Devices: they come and go, take leases, compute what they feel like, and commit.

use rules::scheduling::device::Device;
use rules::scheduling::link::Grant;
use wire::device::DeviceClass;
use wire::{DeviceId, JobId, LeaseId, Micros};

use crate::books::{Receipt, State};
use crate::cheat::{Plan, Run, Situation};
use crate::world::{Event, Gpu, Held, TILE_FLOPS, TILE_KFLOP, World, whole_u64};

/// Of a message there and back, with the upload.
const ROUND_TRIP: Micros = 150_000;
/// From a commit to its check's answer.
const CHECK_TAKES: Micros = 2_000_000;
/// A tenth of a CU, in thousands of operations.
const NEEDED_KFLOP: f64 = 1e8;

impl Gpu {
    /// It computes no more what it began with.
    fn stop(&mut self, now: Micros) {
        self.is_working = false;
        if let Some(since) = self.computing_since.take() {
            self.busy += now - since;
        }
    }

    /// Adds the time until now to what it was online and at work.
    pub(crate) fn count_time(&mut self, now: Micros) {
        self.online += now - std::mem::replace(&mut self.online_since, now);
        if let Some(since) = &mut self.computing_since {
            self.busy += now - std::mem::replace(since, now);
        }
    }
}

impl World {
    pub(crate) fn join(&mut self, index: usize) {
        let standings = self.gpus[index].record.standings();
        let gpu = &mut self.gpus[index];
        (gpu.is_online, gpu.online_since, gpu.is_working) = (true, self.now, false);
        gpu.queue.clear();
        gpu.session += 1;
        let mut device = Device::new(gpu.party.account, gpu.class, false, 1 << 30);
        device.runs_kernels = true;
        device.network = gpu.party.network;
        device.standings = standings;
        device.suspended_until = gpu.record.suspended_until;
        if gpu.was_established {
            device.remember_speed(whole_u64(gpu.speed));
        }
        let (id, session, mean) = (gpu.id, gpu.session, if gpu.class == DeviceClass::Tab { 2.0 } else { 10.0 });
        self.core.on_device_joined(id, device);
        for _ in 0..2 {
            self.ready(index);
        }
        let stay = self.pause(mean * 3600.0);
        self.after(stay, Event::Leave { gpu: index, session });
    }

    pub(crate) fn leave(&mut self, index: usize, session: u32) {
        let gpu = &mut self.gpus[index];
        if gpu.session != session {
            return;
        }
        gpu.is_online = false;
        gpu.count_time(self.now);
        gpu.computing_since = None;
        for lease in std::mem::take(&mut gpu.queue) {
            self.held.remove(&lease);
        }
        let id = gpu.id;
        self.core.on_device_left(&mut self.link, self.now, id);
        let away = self.pause(1800.0);
        self.after(away, Event::Join(index));
    }

    pub(crate) fn on_granted(&mut self, device: DeviceId, job: JobId, grant: Grant) {
        let index = self.by_id[&device];
        if grant.slice.is_none() {
            return self.queue(index, job, grant, Plan::Recheck);
        }
        self.tally.leases += 1;
        self.require_allowed(index, &grant);
        let gpu = &self.gpus[index];
        let verified = gpu.record.standings().of(self.program(), self.now).verified_kflop;
        let customer = self.jobs[&job].job.customer;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let standing_over_needed = verified as f64 / NEEDED_KFLOP;
        let is_own_work = customer == gpu.party.account;
        let situation = Situation { standing_over_needed, is_own_work, seed: self.rng.u64(..) };
        let plan = gpu.kind.plan(situation);
        self.queue(index, job, grant, plan);
    }

    fn queue(&mut self, index: usize, job: JobId, grant: Grant, plan: Plan) {
        let lease = grant.lease;
        self.held.insert(lease, Held { gpu: index, job, grant, plan });
        self.gpus[index].queue.push_back(lease);
        self.start(index);
    }

    /// Begins with the next lease, if the GPU is free.
    fn start(&mut self, index: usize) {
        while !self.gpus[index].is_working {
            let Some(&lease) = self.gpus[index].queue.front() else { return };
            let Some(held) = self.held.get(&lease) else {
                self.gpus[index].queue.pop_front();
                continue;
            };
            let tiles = held.grant.tiles.end - held.grant.tiles.start;
            let share = match held.plan {
                Plan::Compute(run) => run.work_share,
                Plan::Recheck => 1.0,
                Plan::Fault => 0.0,
                Plan::SitOnIt => {
                    // Until its deadline passes.
                    self.gpus[index].is_working = true;
                    return;
                }
            };
            let took = self.time(index, tiles, share);
            let gpu = &mut self.gpus[index];
            (gpu.is_working, gpu.computing_since) = (true, Some(self.now));
            self.after(took, Event::Done { gpu: index, lease });
        }
    }

    /// The GPU says that it would take a lease more.
    fn ready(&mut self, index: usize) {
        let session = self.gpus[index].session;
        self.after(ROUND_TRIP, Event::Ready { gpu: index, session });
    }

    pub(crate) fn on_ready(&mut self, index: usize, session: u32) {
        let gpu = &self.gpus[index];
        if gpu.is_online && gpu.session == session {
            self.core.on_device_ready(&mut self.link, self.now, gpu.id);
        }
    }

    /// Of so many tiles. One lease in fifty takes three times as long.
    fn time(&mut self, index: usize, tiles: u64, share: f64) -> Micros {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let secs = (tiles * TILE_FLOPS) as f64 * share / self.gpus[index].speed;
        let slowed = if self.rng.f64() < 0.02 { 3.0 } else { 1.0 };
        i64::try_from(whole_u64(secs * slowed * 1e6)).unwrap_or(Micros::MAX) + 20_000
    }

    pub(crate) fn on_revoked(&mut self, lease: LeaseId) {
        let Some(held) = self.held.remove(&lease) else { return };
        let gpu = &mut self.gpus[held.gpu];
        if gpu.queue.front() == Some(&lease) {
            gpu.stop(self.now);
        }
        gpu.queue.retain(|queued| *queued != lease);
        self.ready(held.gpu);
        self.start(held.gpu);
    }

    pub(crate) fn on_done(&mut self, index: usize, lease: LeaseId) {
        if self.gpus[index].queue.front() != Some(&lease) {
            return;
        }
        let gpu = &mut self.gpus[index];
        gpu.queue.pop_front();
        gpu.stop(self.now);
        if let Some(held) = self.held.remove(&lease) {
            match held.plan {
                Plan::Compute(run) => self.commit(index, &held, run),
                Plan::Fault => self.report_fault(index, (held.job, held.grant.tiles.start), lease),
                Plan::Recheck => self.on_rechecked(index, lease),
                Plan::SitOnIt => {}
            }
        }
        self.ready(index);
        self.start(index);
    }

    fn commit(&mut self, index: usize, held: &Held, run: Run) {
        let (id, lease) = (self.gpus[index].id, held.grant.lease);
        if self.core.on_commit(self.now, id, lease).is_err() {
            return;
        }
        let tiles = held.grant.tiles.end - held.grant.tiles.start;
        let receipt = Receipt {
            device: index,
            job: held.job,
            first_tile: held.grant.tiles.start,
            tiles: u32::try_from(tiles).expect("a lease should be small"),
            kflop: tiles * TILE_KFLOP,
            run,
            state: State::Pending,
            recomputed: 0,
            matures_at: 0,
            is_redrawn: false,
            is_final: false,
        };
        self.receipts.insert(lease, receipt);
        if let Some(running) = self.jobs.get_mut(&held.job) {
            running.receipts.push(lease);
        }
        self.after(CHECK_TAKES, Event::Check(lease));
    }
}
