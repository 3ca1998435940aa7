//! The rules' core with what it needs of this process: sockets, secrets, and who waits for an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rules::Job;
use rules::scheduling::core::Core;
use rules::scheduling::link::{Grant, Link};
use rules::scheduling::recheck_request::{Answered, RecheckError, RecheckId, RecheckRequest};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use wire::device::Earnings;
use wire::frame::SMALL_BYTES_MAX;
use wire::{DeviceId, JobId, LeaseGrant, LeaseId, Micros, SliceId, ToDevice};

use super::closing::{Closing, goodbye};
use super::open_challenges::Challenges;
use super::token::LeaseToken;
use crate::blobs::Parts;
use crate::random;

/// Frames that wait for one device's socket.
const FRAMES_WAITING_MAX: usize = 64;
/// Between two notices of a job's progress. Watchers look after a second without one.
const PROGRESS_EVERY: Micros = 200_000;
/// Job changes that wait for a slow watcher before it has to look for itself.
const CHANGES_WAITING_MAX: usize = 1024;
/// Slices whose turns to settle are kept whether or not they are this replica's still.
const SETTLING_MIN: usize = 64;

/// The running state of one replica.
pub struct Scheduler {
    state: Mutex<State>,
    /// Claim slices now if devices wait.
    pub wake: Notify,
    /// Claim slices now: there may be jobs of which nothing is here.
    pub work: Notify,
    /// Tiles were reported that come back time and again.
    pub undone: Arc<Notify>,
    pub changes: broadcast::Sender<JobId>,
}

pub struct State {
    pub core: Core,
    /// Up to when each connected device's time online is written down.
    pub accounted: HashMap<DeviceId, Micros>,
    outbox: Outbox,
    /// Slices whose state here is not to be trusted: let go, and claimed anew from the database.
    pub orphans: BTreeSet<SliceId>,
    settling: HashMap<SliceId, Arc<tokio::sync::Mutex<()>>>,
    /// When other replicas were last told that a job goes on.
    progress_told: HashMap<JobId, Micros>,
    /// Jobs whose end is under way here.
    pub closing: BTreeSet<JobId>,
    /// Settled receipts that are drawn from once more here.
    pub redrawing: BTreeSet<LeaseId>,
    /// Tiles that are being tried here, since devices give them back.
    pub looking: BTreeSet<(JobId, u64)>,
    /// Jobs of which a checker here is asked whether their kernel compiles.
    pub compiling: BTreeSet<JobId>,
    /// Committed over a socket here and not yet answered, by the device that waits.
    pub unanswered: BTreeMap<LeaseId, DeviceId>,
    pub challenges: Challenges,
    rechecks_asked: u64,
}

type RecheckOutcome = Result<Answered, RecheckError>;

/// What leaves the core: frames to sockets, outcomes to those who wait for them.
pub struct Outbox {
    secret: [u8; 32],
    sockets: HashMap<DeviceId, Socket>,
    rechecks: HashMap<RecheckId, oneshot::Sender<RecheckOutcome>>,
    undone: Vec<(JobId, u64)>,
    undone_reported: Arc<Notify>,
}

/// A device's socket; its number tells it from an older one of the same device.
struct Socket {
    number: u64,
    /// Boxed, since a channel has room for thirty-two of them as soon as it is made, and most devices wait for their first.
    frames: mpsc::Sender<Box<Outgoing>>,
    closing: mpsc::Sender<Closing>,
}

/// A frame on its way to a device, and where the input lies that goes along with it.
#[derive(Debug)]
pub struct Outgoing {
    pub frame: ToDevice,
    pub input: Parts,
}

/// What a socket is to do.
pub struct SocketOrders {
    /// To be sent to its device.
    pub frames: mpsc::Receiver<Box<Outgoing>>,
    /// To be closed, and why.
    pub closing: mpsc::Receiver<Closing>,
}

/// What a device is told of tiles that it may compute.
pub fn lease_grant(secret: &[u8; 32], device: Option<DeviceId>, job: &Job, grant: &Grant, now: Micros) -> LeaseGrant {
    let tiles = job.tiles(grant.tiles.clone());
    LeaseGrant {
        lease: grant.lease,
        job: job.id,
        first_tile: grant.tiles.start,
        tiles: wire::number::to(tiles.count()),
        rows: tiles.rows(),
        tile_rows: job.tile_rows,
        task: job.task.clone(),
        flops: tiles.flops(),
        nudge: grant.nudge,
        deadline_millis: u64::try_from((grant.deadline - now) / 1000).unwrap_or(0),
        token: LeaseToken::new(device, job, grant).seal(secret),
        input: None,
    }
}

/// Where the input of these tiles lies, if it is small.
fn small_input(job: &Job, grant: &Grant) -> Parts {
    let parts = job.tiles(grant.tiles.clone()).input_parts();
    let bytes: u64 = parts.iter().map(|(_, range)| range.end - range.start).sum();
    if bytes <= SMALL_BYTES_MAX { parts } else { Parts::new() }
}

impl Link for Outbox {
    fn lease_id(&mut self) -> LeaseId {
        LeaseId(random::bytes())
    }

    fn draw_below(&mut self, bound: u64) -> u64 {
        random::below(bound)
    }

    fn grant(&mut self, device: DeviceId, job: &Job, grant: Grant, now: Micros) {
        let frame = ToDevice::Lease(lease_grant(&self.secret, Some(device), job, &grant, now));
        self.post(device, Outgoing { frame, input: small_input(job, &grant) });
    }

    fn revoke(&mut self, device: DeviceId, lease: LeaseId) {
        self.send(device, ToDevice::Revoke { lease });
    }

    fn end_recheck(&mut self, id: RecheckId, outcome: RecheckOutcome) {
        if let Some(asker) = self.rechecks.remove(&id) {
            // Whoever asked may be stopping with the server.
            asker.send(outcome).unwrap_or_default();
        }
    }

    fn report_undone(&mut self, job: JobId, tile: u64) {
        self.undone.push((job, tile));
        self.undone_reported.notify_one();
    }

    fn report_checker_failure(&mut self, checker: DeviceId, job: JobId) {
        tracing::warn!(%job, device = %checker, "a checker could not recompute a tile");
    }
}

impl Outbox {
    fn send(&self, device: DeviceId, frame: ToDevice) {
        self.post(device, Outgoing { frame, input: Parts::new() });
    }

    /// A device that does not read its frames loses them; its leases end by deadline.
    fn post(&self, device: DeviceId, out: Outgoing) {
        if let Some(socket) = self.sockets.get(&device)
            && let Err(error) = socket.frames.try_send(Box::new(out))
        {
            tracing::debug!(%device, %error, "a frame was not delivered");
        }
    }
}

impl Scheduler {
    /// `secret` seals the tokens of leases; all replicas share it.
    pub fn new(secret: [u8; 32], core: Core) -> Self {
        let undone = Arc::new(Notify::new());
        let state = State {
            core,
            accounted: HashMap::new(),
            outbox: Outbox {
                secret,
                sockets: HashMap::new(),
                rechecks: HashMap::new(),
                undone: Vec::new(),
                undone_reported: Arc::clone(&undone),
            },
            orphans: BTreeSet::new(),
            settling: HashMap::new(),
            progress_told: HashMap::new(),
            closing: BTreeSet::new(),
            redrawing: BTreeSet::new(),
            looking: BTreeSet::new(),
            compiling: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            challenges: Challenges::default(),
            rechecks_asked: 0,
        };
        let (wake, work, changes) = (Notify::new(), Notify::new(), broadcast::Sender::new(CHANGES_WAITING_MAX));
        Self { state: Mutex::new(state), wake, work, undone, changes }
    }

    /// Short, and never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job ended outside the scheduler: its leases are revoked.
    pub fn end_job(&self, now: Micros, job: JobId) {
        self.lock().drive(|core, link| core.on_job_ended(link, now, job));
    }

    /// What the database says of this slice is not known: it is claimed anew, with its pending receipts.
    pub fn forget_slice(&self, slice: SliceId) {
        let mut state = self.lock();
        state.drive(|core, link| core.on_slices_lost(link, &BTreeSet::from([slice])));
        state.orphans.insert(slice);
    }

    pub fn job_changed(&self, job: JobId) {
        // Nobody watching is no error.
        self.changes.send(job).unwrap_or_default();
    }

    /// Whether other replicas are told now that the job goes on: of a job that settles all the time, a few times a second.
    pub fn may_tell_progress(&self, job: JobId, now: Micros) -> bool {
        let mut state = self.lock();
        let State { core, progress_told, .. } = &mut *state;
        progress_told.retain(|told, _| core.job(*told).is_some());
        let is_due = progress_told.get(&job).is_none_or(|told| now - told >= PROGRESS_EVERY);
        if is_due {
            progress_told.insert(job, now);
        }
        is_due
    }

    /// Has tiles recomputed. The outcome comes by the receiver; dropping the guard withdraws the request.
    pub fn request_recheck(
        &self,
        now: Micros,
        request: RecheckRequest,
    ) -> (PendingRecheck<'_>, oneshot::Receiver<RecheckOutcome>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.rechecks_asked += 1;
        let id = RecheckId(state.rechecks_asked);
        state.outbox.rechecks.insert(id, sender);
        state.drive(|core, link| core.on_recheck_requested(link, now, id, request));
        drop(state);
        (PendingRecheck { scheduler: self, id }, receiver)
    }
}

/// Withdraws its request when it is dropped.
pub struct PendingRecheck<'a> {
    scheduler: &'a Scheduler,
    id: RecheckId,
}

impl Drop for PendingRecheck<'_> {
    fn drop(&mut self) {
        let mut state = self.scheduler.lock();
        if state.outbox.rechecks.remove(&self.id).is_some() {
            state.core.on_recheck_cancelled(self.id);
        }
    }
}

impl State {
    /// Sends a frame to a device's socket, if it has one here.
    pub fn send(&self, device: DeviceId, frame: ToDevice) {
        self.outbox.send(device, frame);
    }

    /// Tells a device what became of its commit, once.
    pub fn answer(&mut self, device: DeviceId, lease: LeaseId, frame: ToDevice) {
        self.unanswered.remove(&lease);
        self.send(device, frame);
    }

    /// Tiles that were reported since the last time.
    pub fn take_undone(&mut self) -> Vec<(JobId, u64)> {
        std::mem::take(&mut self.outbox.undone)
    }

    /// The device's socket is this one from now on; an older one ends.
    pub fn open_socket(&mut self, device: DeviceId, number: u64, welcome: Earnings) -> SocketOrders {
        let ((sender, frames), (closing, closed)) = (mpsc::channel(FRAMES_WAITING_MAX), mpsc::channel(1));
        self.outbox.sockets.insert(device, Socket { number, frames: sender, closing });
        self.send(device, ToDevice::Welcome(welcome));
        SocketOrders { frames, closing: closed }
    }

    /// Has a device's socket closed, if it has one here.
    pub fn disconnect(&mut self, device: DeviceId, reason: Closing) {
        if let Some(socket) = self.outbox.sockets.get(&device) {
            // One that is closing already wants no second reason.
            drop(socket.closing.try_send(reason));
        }
    }

    /// No device here is lent anything more, unless it asks again.
    pub fn rest_all(&mut self) {
        self.outbox.sockets.keys().for_each(|device| self.core.on_device_rest(*device));
    }

    /// Sends those away that have nothing to hand in and wait for no answer; how many are left.
    pub fn send_idle_devices_away(&mut self) -> usize {
        let unanswered: BTreeSet<DeviceId> = self.unanswered.values().copied().collect();
        let is_busy = |device: &DeviceId| self.core.holds_leases(*device) || unanswered.contains(device);
        let (busy, idle): (Vec<DeviceId>, Vec<DeviceId>) = self.outbox.sockets.keys().copied().partition(is_busy);
        idle.into_iter().for_each(|device| self.disconnect(device, goodbye()));
        busy.len()
    }

    /// `false` when a newer socket of the device has taken this one's place.
    pub fn close_socket(&mut self, device: DeviceId, number: u64) -> bool {
        let is_current = self.outbox.sockets.get(&device).is_some_and(|socket| socket.number == number);
        if is_current {
            self.outbox.sockets.remove(&device);
        }
        is_current
    }

    /// Runs one event of the core with this process as its link.
    pub fn drive<T>(&mut self, event: impl FnOnce(&mut Core, &mut Outbox) -> T) -> T {
        event(&mut self.core, &mut self.outbox)
    }

    /// One settlement of a slice at a time: each must see the version that the last one left.
    pub fn settling(&mut self, slice: SliceId) -> Arc<tokio::sync::Mutex<()>> {
        let core = &self.core;
        // Now and then, since it looks at all of them.
        if self.settling.len() > 2 * core.counts().slices + SETTLING_MIN {
            self.settling.retain(|id, _| core.owns(*id));
        }
        Arc::clone(self.settling.entry(slice).or_default())
    }
}
