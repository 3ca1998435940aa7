use std::collections::BTreeSet;
use std::sync::Arc;

use wire::device::DeviceClass;
use wire::{
    AccountId, BlobHash, Check, DType, DeviceId, Field, InferTask, JobId, LeaseId, MapTask, Micros, PricePerCu,
    Privacy, SliceId, Task,
};

use super::bitmap::Bitmap;
use super::core::Core;
use super::device::Device;
use super::lease::{CommitError, Lease, LeaseState, SettledLease, Slice};
use super::link::{Grant, Link};
use super::peers::Candidates;
use super::recheck::{Found, Look};
use super::recheck_queue::Returned;
use super::recheck_request::{Answered, RecheckError, RecheckId, RecheckRequest, Whom};
use crate::job::Job;
use crate::verification::party::{Parties, Party};
use crate::verification::standing::Standings;

/// Writes down what the core says.
#[derive(Default)]
pub(super) struct Record {
    next: u32,
    pub(super) granted: Vec<(DeviceId, Grant)>,
    pub(super) revoked: Vec<LeaseId>,
    /// What is drawn next, last first; then 0.
    pub(super) drawn: Vec<u64>,
    pub(super) rechecked: Vec<(RecheckId, Result<Answered, RecheckError>)>,
    pub(super) failures: Vec<DeviceId>,
    pub(super) undone: Vec<(JobId, u64)>,
}

impl Link for Record {
    fn lease_id(&mut self) -> LeaseId {
        self.next += 1;
        LeaseId(u128::from(self.next).to_be_bytes())
    }

    fn draw_below(&mut self, bound: u64) -> u64 {
        self.drawn.pop().unwrap_or(0) % bound
    }

    fn grant(&mut self, device: DeviceId, _job: &Job, grant: Grant, _now: Micros) {
        self.granted.push((device, grant));
    }

    fn revoke(&mut self, _device: DeviceId, lease: LeaseId) {
        self.revoked.push(lease);
    }

    fn end_recheck(&mut self, id: RecheckId, outcome: Result<Answered, RecheckError>) {
        self.rechecked.push((id, outcome));
    }

    fn report_undone(&mut self, job: JobId, tile: u64) {
        self.undone.push((job, tile));
    }

    fn report_checker_failure(&mut self, checker: DeviceId, _job: JobId) {
        self.failures.push(checker);
    }
}

/// What a device has behind it that has computed for long.
pub(super) fn established() -> Standings {
    let mut standings = Standings { since: -MONTH, ..Standings::default() };
    for program in ["infer", "map"] {
        standings.add(program, 1_000_000_000);
    }
    standings
}

const MONTH: Micros = 30 * 24 * 3_600_000_000;

pub(super) fn account(n: u64) -> AccountId {
    AccountId::from_parts(n, [0; 10])
}

pub(super) fn party(n: u64) -> Party {
    Party { account: account(n), network: None }
}

pub(super) const ADA: DeviceId = DeviceId([1; 32]);
pub(super) const BOB: DeviceId = DeviceId([2; 32]);

pub(super) fn slice_id(n: u64) -> SliceId {
    SliceId::from_parts(n, [0; 10])
}

pub(super) fn job_id(n: u64) -> JobId {
    JobId::from_parts(n, [0; 10])
}

pub(super) struct World {
    pub(super) core: Core,
    pub(super) link: Record,
    pub(super) now: Micros,
}

impl Core {
    #[track_caller]
    pub(super) fn sanity_check(&self) {
        assert_eq!(self.find_broken_invariant(), None);
    }
}

impl World {
    /// A job of `tiles` tiles that take `tile_flops` each, in one slice.
    pub(super) fn new(tiles: u64, tile_flops: u64) -> Self {
        let mut world = Self { core: Core::default(), link: Record::default(), now: 1_000_000 };
        world.claim(1, tiles, Job { row_flops: tile_flops, ..open_job() });
        world
    }

    pub(super) fn claim(&mut self, n: u64, tiles: u64, job: Job) {
        let slice = Slice {
            job: job_id(n),
            first_tile: 0,
            tiles,
            fence: 1,
            version: 0,
            settled: Bitmap::new(tiles),
            taken: Bitmap::new(tiles),
        };
        self.core.on_slice_claimed(&mut self.link, self.now, slice_id(n), slice, Arc::new(job), Vec::new());
        self.core.sanity_check();
    }

    pub(super) fn join(&mut self, id: DeviceId, n: u64) {
        self.core.on_device_joined(id, Device::new(account(n), DeviceClass::Native, false, 1 << 20));
    }

    pub(super) fn ready(&mut self, id: DeviceId) -> Option<Lease> {
        let before = self.link.granted.len();
        self.core.on_device_ready(&mut self.link, self.now, id);
        self.core.sanity_check();
        let (_, grant) = self.link.granted.get(before)?;
        self.core.lease(grant.lease).copied()
    }

    pub(super) fn settle(&mut self, lease: Lease) {
        self.settle_with(lease, 0);
    }

    /// Of the most that it may take, it left so many operations.
    pub(super) fn settle_with(&mut self, lease: Lease, flops_left: u64) {
        self.core.on_commit(self.now, lease.device, lease.id).unwrap();
        let mut settlement = self.core.settlement(lease.slice).unwrap();
        assert!(settlement.add(&lease));
        let settled = SettledLease { lease: lease.id, verified_kflop: 0, flops_left };
        self.core.on_settled(&mut self.link, &settlement, &[settled]);
        self.core.sanity_check();
    }
}

/// A job of one row a tile, which anybody may do.
pub(crate) fn open_job() -> Job {
    let field = |name: &str| Field {
        name: name.to_owned(),
        dtype: DType::Uint8,
        shape: vec![512],
        shared: false,
        whole: false,
    };
    let task = InferTask { model: BlobHash([0; 32]), inputs: vec![field("x")], outputs: vec![field("y")] };
    Job {
        id: job_id(1),
        customer: account(9),
        privacy: Privacy::Open,
        task: Task::Infer(task),
        sources: Vec::new(),
        check: Check::Exact,
        rows: 1,
        tile_rows: 1,
        row_flops: 1_000_000,
        price: PricePerCu(20_000_000),
        device_bytes: 1 << 10,
        peak_bytes: 1 << 10,
        code_bytes: 0,
    }
}

pub(super) fn kernel() -> Task {
    Task::Map(MapTask {
        kernel: BlobHash([0; 32]),
        record_bytes: 512,
        out_bytes: 512,
        fuel: 1,
        params: None,
        words: Vec::new(),
    })
}

#[test]
fn a_device_that_cannot_compile_a_kernel_gets_no_more_of_that_job() {
    let mut world = World::new(10, 1_000_000);
    world.claim(2, 10, Job { id: job_id(2), task: kernel(), ..open_job() });
    for (id, n) in [(ADA, 1), (BOB, 2)] {
        let mut device = Device::new(account(n), DeviceClass::Native, false, 1 << 20);
        device.runs_kernels = true;
        world.core.on_device_joined(id, device);
    }
    let (model, kernel) = (world.ready(ADA).unwrap(), world.ready(ADA).unwrap());
    assert_eq!((model.job, kernel.job), (job_id(1), job_id(2)));

    let of_model = world.core.on_cannot_compile(&mut world.link, world.now, ADA, model.id);
    let of_another = world.core.on_cannot_compile(&mut world.link, world.now, BOB, kernel.id);
    let said = world.core.on_cannot_compile(&mut world.link, world.now, ADA, kernel.id);

    assert!(of_model.is_none() && of_another.is_none(), "not a kernel, and not its lease");
    assert_eq!(said.map(|(job, tile)| (job.id, tile)), Some((job_id(2), 0)));
    assert_eq!(world.ready(ADA).unwrap().job, job_id(1));
    let of_bob = [world.ready(BOB).unwrap(), world.ready(BOB).unwrap()];
    assert!(of_bob.iter().any(|lease| lease.job == job_id(2)), "its tiles are free for others: {of_bob:?}");
}

#[test]
fn every_tile_is_lent_once_until_the_job_is_settled() {
    let mut world = World::new(225, 1_000_000);
    world.join(ADA, 1);
    world.join(BOB, 2);

    let mut tiles = 0;
    let mut leases = 0;
    while let Some(lease) = world.ready(if leases % 2 == 0 { ADA } else { BOB }) {
        tiles += lease.tiles;
        leases += 1;
        world.settle(lease);
    }

    assert_eq!(tiles, 225);
    assert!(leases >= 50, "newcomers take small leases: {leases}");
    assert!(world.core.slices.is_empty() && world.core.jobs.is_empty());
}

#[test]
fn a_lost_device_gives_its_lease_back_to_another() {
    let mut world = World::new(4, 1_000_000);
    world.join(ADA, 1);
    world.join(BOB, 2);
    let first = world.ready(ADA).unwrap();

    world.core.on_device_left(&mut world.link, world.now, ADA);
    world.core.sanity_check();
    let second = world.ready(BOB).unwrap();

    assert_eq!((first.first_tile, second.first_tile), (0, 0));
    assert_eq!(world.core.on_commit(world.now, ADA, first.id), Err(CommitError::Unknown));
}

#[test]
fn a_lease_past_its_deadline_is_revoked_and_lent_anew() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    let lease = world.ready(ADA).unwrap();

    world.now = lease.deadline;
    world.core.on_tick(&mut world.link, world.now);
    world.core.sanity_check();

    assert_eq!(world.link.revoked, [lease.id]);
    assert_eq!(world.core.on_commit(world.now, ADA, lease.id), Err(CommitError::Unknown));
    assert_eq!(world.ready(ADA).unwrap().first_tile, 0);
}

#[test]
fn a_committed_lease_has_no_deadline_and_outlives_its_device() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    let lease = world.ready(ADA).unwrap();
    world.core.on_commit(world.now, ADA, lease.id).unwrap();

    world.now = lease.deadline + 1;
    world.core.on_tick(&mut world.link, world.now);
    world.core.on_device_left(&mut world.link, world.now, ADA);

    assert!(world.core.settlement(lease.slice).unwrap().add(&lease));
    assert!(world.link.revoked.is_empty());
}

#[test]
fn a_second_commit_of_one_lease_is_refused() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    let lease = world.ready(ADA).unwrap();

    assert!(world.core.on_commit(world.now, ADA, lease.id).is_ok());
    assert_eq!(world.core.on_commit(world.now, ADA, lease.id), Err(CommitError::Twice));
    assert_eq!(world.core.on_commit(world.now, BOB, lease.id), Err(CommitError::Unknown));
}

#[test]
fn a_refused_lease_is_done_again_by_another() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    let lease = world.ready(ADA).unwrap();
    world.core.on_commit(world.now, ADA, lease.id).unwrap();

    world.core.on_refused(&mut world.link, world.now, lease.id);
    world.core.on_device_suspended(&mut world.link, world.now, ADA, world.now + 60_000_000);
    world.core.sanity_check();

    assert_eq!(world.ready(ADA), None, "a suspended device gets nothing");
    world.join(BOB, 2);
    assert_eq!(world.ready(BOB).unwrap().first_tile, 0);
}

#[test]
fn a_private_job_goes_only_to_devices_that_may_see_it() {
    let mut world = World::new(1, 1_000_000);
    world.core.on_job_ended(&mut world.link, world.now, job_id(1));
    world.join(ADA, 1);
    world.claim(2, 1, Job { privacy: Privacy::Own, ..open_job() });
    world.claim(3, 1, Job { privacy: Privacy::Known, ..open_job() });
    world.claim(4, 1, Job { device_bytes: 1 << 30, ..open_job() });

    assert_eq!(world.ready(ADA), None);
    world.join(BOB, 9);
    assert_eq!(world.ready(BOB).unwrap().job, job_id(2));
}

#[test]
fn jobs_take_turns() {
    let mut world = World::new(100, 100_000_000);
    world.claim(2, 100, Job { row_flops: 100_000_000, ..open_job() });
    world.join(ADA, 1);

    let jobs: Vec<JobId> = (0..4)
        .map(|_| {
            let lease = world.ready(ADA).unwrap();
            world.settle(lease);
            lease.job
        })
        .collect();

    assert_eq!(jobs, [job_id(1), job_id(2), job_id(1), job_id(2)]);
}

#[test]
fn a_settlement_is_stale_once_the_slice_is_lost() {
    let mut world = World::new(8, 1_000_000);
    world.join(ADA, 1);
    let lease = world.ready(ADA).unwrap();
    world.core.on_commit(world.now, ADA, lease.id).unwrap();

    world.core.on_slices_lost(&mut world.link, &BTreeSet::from([slice_id(1)]));
    world.core.sanity_check();

    assert_eq!(world.core.settlement(lease.slice), None);
}

#[test]
fn a_device_of_one_job_does_nothing_else_and_no_strangers_job() {
    let mut world = World::new(100, 1_000_000);
    let own = Job { customer: account(1), privacy: Privacy::Own, ..open_job() };
    world.claim(2, 100, own.clone());
    let only = |job| {
        let mut device = Device::new(account(1), DeviceClass::Tab, false, 1 << 20);
        device.only_job = Some(job);
        device
    };

    world.core.on_device_joined(ADA, only(job_id(2)));
    world.core.on_device_joined(BOB, only(job_id(1)));

    let leases: Vec<_> = (0..3).filter_map(|_| world.ready(ADA)).collect();
    assert!(!leases.is_empty() && leases.iter().all(|lease| lease.job == job_id(2)), "{leases:?}");
    assert_eq!(world.ready(BOB), None, "the job is another account's");
    // Neither counts for an order to come, nor is asked for its word on what others computed.
    assert_eq!(world.core.census(&own.needs()).fitting, 0);
    let request = RecheckRequest { job: Arc::new(own.clone()), ..request(&[], false) };
    let Core { devices, judges, questions, changed, .. } = &mut world.core;
    let mut candidates = Candidates { devices, judges, questions, changed, asked: BTreeSet::new() };
    let look = Look { is_tried: false, is_late: true };
    let found = candidates.find(&mut world.link, (&own.needs(), &request), &Returned::default(), look, world.now);
    assert!(matches!(found, Found::NotNow));
}

#[test]
fn who_commits_to_a_lease_that_it_gave_back_takes_nothing_from_whom_the_tiles_went_to() {
    let mut world = World::new(4, 1_000);
    world.join(ADA, 1);
    world.join(BOB, 2);
    let given_back = world.ready(ADA).unwrap();
    world.core.on_device_rest(ADA);
    world.core.on_lease_returned(&mut world.link, world.now, ADA, given_back.id);
    let found = Lease { state: LeaseState::Committed, ..given_back };
    let lent = world.ready(BOB).unwrap();

    assert!(!world.core.on_receipt_found(&mut world.link, world.now, found));
    assert!(world.link.revoked.is_empty() && world.core.lease(lent.id).is_some());
    world.core.on_device_rest(BOB);
    world.core.on_lease_returned(&mut world.link, world.now, BOB, lent.id);
    assert!(world.core.on_receipt_found(&mut world.link, world.now, found), "nobody else has them");
    world.core.sanity_check();
}

#[test]
fn slices_that_no_device_here_can_do_are_let_go_for_other_replicas() {
    let mut world = World::new(100, 1_000_000);
    world.claim(2, 100, Job { task: kernel(), ..open_job() });
    let idle = |world: &World| world.core.idle_slices();
    assert_eq!(idle(&world), [slice_id(1), slice_id(2)].into(), "nobody is here");

    world.join(ADA, 1);
    assert_eq!(idle(&world), [slice_id(1), slice_id(2)].into(), "a device that rests does nothing");
    let lease = world.ready(ADA).unwrap();
    assert_eq!(idle(&world), [slice_id(2)].into(), "a kernel is nothing for this one");
    world.settle(lease);
    world.core.note_ready(ADA);
    assert_eq!(idle(&world), [slice_id(2)].into());

    world.core.on_device_suspended(&mut world.link, world.now, ADA, world.now + 1);
    assert_eq!(idle(&world), [slice_id(1), slice_id(2)].into());
    assert!(!world.core.is_wanted(job_id(1), &open_job().needs(), world.now));
    assert!(world.core.is_wanted(job_id(1), &open_job().needs(), world.now + 1));
}

pub(super) fn request(excluded: &[u64], has_fallback: bool) -> RecheckRequest {
    RecheckRequest {
        job: Arc::new(open_job()),
        tiles: 0..1,
        whom: Whom::Checkers,
        parties: excluded.iter().fold(Parties::default(), |parties, n| parties.with(party(*n))),
        has_fallback,
        nudge: None,
    }
}

pub(super) const CHECKER: DeviceId = DeviceId([3; 32]);

impl World {
    /// No tiles to lend: what is granted are requests to recompute.
    pub(super) fn of_rechecks(has_checkers: bool) -> Self {
        Self { core: Core::new(has_checkers, None), link: Record::default(), now: 1_000_000 }
    }

    /// A device whose word counts.
    pub(super) fn judge(&mut self, id: DeviceId, n: u64) {
        self.join(id, n);
        self.core.change_device(id, |device| device.standings = established());
    }

    pub(super) fn ask(&mut self, id: u64, excluded: &[u64], has_fallback: bool) {
        self.core.on_recheck_requested(&mut self.link, self.now, RecheckId(id), request(excluded, has_fallback));
    }

    pub(super) fn checker(&mut self, id: DeviceId, buffer_bytes_max: u64) {
        self.core.on_checker_joined(&mut self.link, self.now, id, buffer_bytes_max);
    }

    /// Whom requests were put to so far.
    pub(super) fn asked(&self) -> Vec<DeviceId> {
        self.link.granted.iter().map(|(device, _)| *device).collect()
    }

    pub(super) fn last_lease(&self) -> LeaseId {
        self.link.granted.last().unwrap().1.lease
    }
}

#[test]
fn whoever_gives_leases_back_is_lent_less_and_after_others() {
    let mut world = World::new(1000, 1_000_000);
    world.join(ADA, 1);
    world.join(BOB, 2);
    let fresh = world.ready(ADA).unwrap();
    world.core.on_lease_returned(&mut world.link, world.now, ADA, fresh.id);
    let after_one = world.ready(ADA).unwrap();
    world.core.on_lease_returned(&mut world.link, world.now, ADA, after_one.id);
    let again = world.ready(ADA).unwrap();

    assert!(again.tiles < fresh.tiles, "{} of {}", again.tiles, fresh.tiles);
    world.settle(again);
    let worked_off = world.ready(ADA).unwrap();
    world.settle(worked_off);
    assert_eq!(world.core.devices[&ADA].strikes, 0);

    let mut idle = World::of_rechecks(false);
    for (id, n) in [(ADA, 1), (BOB, 2)] {
        idle.join(id, n);
        idle.ready(id);
    }
    idle.core.change_device(ADA, |device| device.strikes = 1);
    idle.claim(1, 2, open_job());
    assert_eq!(idle.asked(), [BOB, ADA], "though it has waited for longer");
}

#[test]
fn whoever_is_gone_with_a_lease_has_given_it_back_also_when_it_comes_again() {
    let mut world = World::new(1, 1_000_000);
    for times in 1..=8 {
        world.join(ADA, 1);
        world.ready(ADA).unwrap();
        world.core.on_device_left(&mut world.link, world.now, ADA);
        assert_eq!(world.link.undone.len(), times / 8, "a tile that breaks whoever has it is looked into");
    }
    world.join(ADA, 1);
    let strikes = world.core.devices[&ADA].strikes;
    assert!(strikes > 1, "{strikes}");

    world.core.on_device_left(&mut world.link, world.now, ADA);
    world.join(ADA, 1);
    assert_eq!(world.core.devices[&ADA].strikes, strikes, "it left with nothing in hand");
}

#[test]
fn a_device_whose_fault_others_do_not_see_gets_no_more_of_that_job() {
    let mut world = World::new(8, 1_000_000);
    world.join(ADA, 1);
    world.join(BOB, 2);
    let lease = world.ready(ADA).unwrap();
    world.core.on_commit(world.now, ADA, lease.id).unwrap();

    world.core.on_fault_of_backend(&mut world.link, world.now, lease.id);

    assert!(world.ready(ADA).is_none());
    assert_eq!(world.ready(BOB).unwrap().first_tile, lease.first_tile);
}

#[test]
fn a_fault_that_nobody_can_judge_is_a_lease_given_back() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    for times in 1..=8 {
        let lease = world.ready(ADA).unwrap();
        world.core.on_commit(world.now, ADA, lease.id).unwrap();
        world.core.on_fault_unclear(&mut world.link, world.now, lease.id);
        assert_eq!(world.link.undone.len(), times / 8);
    }
    assert!(world.core.devices[&ADA].strikes > 1);
}

#[test]
fn a_slice_that_is_claimed_again_has_no_leases_of_before() {
    let mut world = World::new(8, 1_000_000);
    world.join(ADA, 1);
    let before = world.ready(ADA).unwrap();

    world.claim(1, 8, open_job());

    assert!(world.core.lease(before.id).is_none());
    assert!(world.core.on_commit(world.now, ADA, before.id).is_err());
}

#[test]
fn tiles_that_come_back_time_and_again_are_looked_into() {
    let mut world = World::new(1, 1_000_000);
    world.join(ADA, 1);
    for times in 1..=16 {
        let lease = world.ready(ADA).unwrap();
        world.core.on_lease_returned(&mut world.link, world.now, ADA, lease.id);
        // Nobody waits for work, so the replica lets its slices go, and claims them again.
        world.core.on_slices_lost(&mut world.link, &[slice_id(1)].into());
        world.claim(1, 1, open_job());
        assert_eq!(world.link.undone.len(), times / 8);
    }
    assert_eq!(world.link.undone[0], (job_id(1), 0));
}

#[test]
fn a_device_that_answers_faster_than_anybody_can_look_is_not_lent_more_meanwhile() {
    let mut world = World::new(1000, 1_000_000);
    world.join(ADA, 1);
    let mut committed = Vec::new();
    while let Some(lease) = world.ready(ADA) {
        world.core.on_commit(world.now, ADA, lease.id).unwrap();
        world.core.sanity_check();
        committed.push(lease);
    }
    assert_eq!(committed.len(), 16);

    world.core.on_refused(&mut world.link, world.now, committed[0].id);

    assert_eq!(world.core.leases.len(), 16, "one less to look at, and one more is lent");
}

#[test]
fn towards_a_jobs_end_devices_are_lent_what_takes_them_the_same_time() {
    let mut world = World::new(100, 1_000_000_000);
    for (id, n, speed) in [(ADA, 1, 1_000_000_000), (BOB, 2, 4_000_000_000)] {
        let mut device = Device::new(account(n), DeviceClass::Native, false, 1 << 20);
        device.remember_speed(speed);
        device.standings = established();
        world.core.on_device_joined(id, device);
    }

    let (slow, fast) = (world.ready(ADA).unwrap(), world.ready(BOB).unwrap());

    assert_eq!((slow.tiles, fast.tiles), (8, 32), "of a third, less what the other has taken");
}
