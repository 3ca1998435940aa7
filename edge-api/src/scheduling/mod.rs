//! Slices claimed from the database, leases lent to devices, receipts checked and settled.
//!
//! `core` decides, `link` speaks with devices, `claim` owns slices, `settle` ends a lease.

pub mod bitmap;
pub mod claim;
pub mod core;
pub mod fault;
pub mod leases;
pub mod link;
pub mod plans;
pub mod settle;
pub mod store;
pub mod verify;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast, mpsc};
use wire::{BlobHash, Check, DeviceId, JobId, LeaseGrant, LeaseId, Micros, Privacy, SliceId, Task, ToDevice};

use self::core::{Core, Lease, LeaseState, Link};
use crate::jobs::inputs::Source;
use crate::random;
use crate::receipts::store::StoredReceipt;

/// Frames that wait for one device's socket.
const FRAMES_WAITING_MAX: usize = 64;
/// Job changes that wait for a slow watcher before it has to look for itself.
const CHANGES_WAITING_MAX: usize = 1024;

/// The running state of one replica.
pub struct Scheduler {
    state: Mutex<State>,
    /// Claim slices now.
    pub wake: Notify,
    pub changes: broadcast::Sender<JobId>,
}

#[derive(Default)]
pub struct State {
    pub core: Core,
    /// Up to when each connected device's time online is written down.
    pub accounted: HashMap<DeviceId, Micros>,
    sockets: Sockets,
    /// What leases of each running job look like.
    pub jobs: HashMap<JobId, Arc<JobFacts>>,
    /// Slices whose state here is not to be trusted: let go, and claimed anew from the database.
    pub orphans: BTreeSet<SliceId>,
    settling: HashMap<SliceId, Arc<tokio::sync::Mutex<()>>>,
    /// Jobs whose end is under way here.
    pub closing: BTreeSet<JobId>,
}

/// What leases and checks need of a job; it never changes while the job runs.
#[derive(Clone, Debug)]
pub struct JobFacts {
    pub id: JobId,
    pub customer: wire::AccountId,
    pub privacy: Privacy,
    pub task: Task,
    /// Where each input's values begin, in the task's order.
    pub sources: Vec<Source>,
    pub check: Check,
    pub work: crate::billing::TileWork,
    /// Of the largest buffer that a device needs.
    pub device_bytes: u64,
}

impl JobFacts {
    pub fn rows_of(&self, first_tile: u64, tiles: u64) -> Range<u64> {
        first_tile * self.work.tile_rows..((first_tile + tiles) * self.work.tile_rows).min(self.work.rows)
    }

    /// Where a range of tiles lies in the input blobs: the rows of each input, then what all share.
    pub fn input_parts(&self, first_tile: u64, tiles: u64) -> Vec<(BlobHash, Range<u64>)> {
        let rows = self.rows_of(first_tile, tiles);
        let fields = self.task.inputs();
        let fields: Vec<_> = fields.iter().zip(&self.sources).collect();
        let of_rows = fields.iter().filter(|(field, _)| !field.shared).map(|(field, source)| {
            let at = |row: u64| source.offset + row * field.bytes();
            (source.blob, at(rows.start)..at(rows.end))
        });
        let shared = fields.iter().filter(|(field, _)| field.shared);
        of_rows
            .chain(shared.map(|(field, source)| (source.blob, source.offset..source.offset + field.bytes())))
            .collect()
    }

    /// What the core asks of devices.
    pub fn needs(&self) -> core::Job {
        let row_bytes = self.task.row_bytes().saturating_add(self.task.out_bytes());
        core::Job {
            account: self.customer,
            privacy: self.privacy,
            device_bytes: self.device_bytes,
            needs_kernels: matches!(self.task, Task::Map(_)),
            tile_flops: self.work.row_flops.saturating_mul(self.work.tile_rows),
            tile_bytes: row_bytes.saturating_mul(self.work.tile_rows),
        }
    }

    /// Tiles for a device that only checks.
    pub fn grant_tiles(
        &self,
        secret: &[u8; 32],
        id: LeaseId,
        tiles: Range<u64>,
        now: Micros,
        until: Micros,
    ) -> LeaseGrant {
        let lease = Lease {
            id,
            device: DeviceId([0; 32]),
            job: self.id,
            slice: SliceId::from_parts(0, [0; 10]),
            first_tile: tiles.start,
            tiles: tiles.end - tiles.start,
            granted_at: now,
            deadline: until,
            state: LeaseState::Out,
        };
        self.grant(secret, &lease, now)
    }

    fn grant(&self, secret: &[u8; 32], lease: &Lease, now: Micros) -> LeaseGrant {
        let rows = self.rows_of(lease.first_tile, lease.tiles);
        LeaseGrant {
            lease: lease.id,
            job: self.id,
            first_tile: lease.first_tile,
            tiles: u32::try_from(lease.tiles).unwrap_or(u32::MAX),
            rows: rows.end - rows.start,
            tile_rows: self.work.tile_rows,
            task: self.task.clone(),
            flops: self.work.row_flops.saturating_mul(rows.end - rows.start),
            deadline_millis: u64::try_from((lease.deadline - now) / 1000).unwrap_or(0),
            token: leases::LeaseToken::new(self, lease).seal(secret),
        }
    }
}

impl Lease {
    /// A lease as its stored receipt remembers it.
    fn committed(stored: &StoredReceipt, now: Micros) -> Self {
        Self {
            id: stored.receipt.lease,
            device: stored.device,
            job: stored.receipt.job,
            slice: stored.slice,
            first_tile: stored.receipt.first_tile,
            tiles: u64::from(stored.receipt.tiles),
            granted_at: now,
            deadline: now,
            state: LeaseState::Committed,
        }
    }
}

#[derive(Default)]
struct Sockets {
    secret: [u8; 32],
    senders: HashMap<DeviceId, (u64, mpsc::Sender<ToDevice>)>,
}

/// The core's view of the sockets.
struct Wires<'a> {
    sockets: &'a Sockets,
    jobs: &'a HashMap<JobId, Arc<JobFacts>>,
}

impl Link for Wires<'_> {
    fn lease_id(&mut self) -> LeaseId {
        LeaseId(random::bytes())
    }

    fn grant(&mut self, lease: &Lease, now: Micros) {
        if let Some(job) = self.jobs.get(&lease.job) {
            self.sockets.send(lease.device, ToDevice::Lease(job.grant(&self.sockets.secret, lease, now)));
        }
    }

    fn revoke(&mut self, device: DeviceId, lease: LeaseId) {
        self.sockets.send(device, ToDevice::Revoke { lease });
    }
}

impl Sockets {
    /// A device that does not read its frames loses them; its leases end by deadline.
    fn send(&self, device: DeviceId, frame: ToDevice) {
        if let Some((_, sender)) = self.senders.get(&device)
            && let Err(error) = sender.try_send(frame)
        {
            tracing::debug!(%device, %error, "a frame was not delivered");
        }
    }
}

impl Scheduler {
    /// `secret` seals the tokens of leases; all replicas share it.
    pub fn new(secret: [u8; 32]) -> Self {
        let state = State { sockets: Sockets { secret, ..Sockets::default() }, ..State::default() };
        Self { state: Mutex::new(state), wake: Notify::new(), changes: broadcast::Sender::new(CHANGES_WAITING_MAX) }
    }

    /// Short, and never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job ended outside the scheduler: its leases are revoked.
    pub fn end_job(&self, now: Micros, job: JobId) {
        let mut state = self.lock();
        state.drive(|core, link| core.on_job_ended(link, now, job));
        state.jobs.remove(&job);
    }

    pub fn job_changed(&self, job: JobId) {
        // Nobody watching is no error.
        self.changes.send(job).unwrap_or_default();
    }
}

impl State {
    /// Sends a frame to a device's socket, if it has one here.
    pub fn send(&self, device: DeviceId, frame: ToDevice) {
        self.sockets.send(device, frame);
    }

    /// Runs one event of the core with the sockets as its link.
    fn drive<T>(&mut self, event: impl FnOnce(&mut Core, &mut Wires<'_>) -> T) -> T {
        let mut wires = Wires { sockets: &self.sockets, jobs: &self.jobs };
        event(&mut self.core, &mut wires)
    }

    /// One settlement of a slice at a time: each must see the version that the last one left.
    fn settling(&mut self, slice: SliceId) -> Arc<tokio::sync::Mutex<()>> {
        let core = &self.core;
        self.settling.retain(|id, _| core.owns(*id));
        Arc::clone(self.settling.entry(slice).or_default())
    }
}
