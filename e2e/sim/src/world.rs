//! A network in virtual time: its devices, its jobs, and the rules' core.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::core::Core;
use rules::scheduling::lease::Slice;
use rules::scheduling::link::Grant;
use rules::scheduling::recheck_request::RecheckId;
use rules::scheduling::slices;
use rules::verification::party::{Network, Party};
use rules::{Job, Source};
use wire::device::DeviceClass;
use wire::{
    AccountId, BlobHash, Check, CheckedBy, DType, DeviceId, Field, InferTask, JobId, LeaseId, MapTask, Micros,
    PricePerCu, Privacy, SliceId, Task,
};

use crate::books::{Receipt, Record, State};
use crate::case::{Case, CaseId, OpenFault};
use crate::cheat::{Kind, Plan, Run, unit};
use crate::link::Outbox;
use crate::settings::Settings;
use crate::tally::Tally;

pub(crate) const SECOND: Micros = 1_000_000;
/// A tile of the simulated jobs: a fifth of a second of a tab's GPU, too much for the server itself. A job of a million
/// smaller ones would be over before ten thousand devices have each had a lease of it.
pub(crate) const TILE_FLOPS: u64 = 200_000_000_000;
pub(crate) const TILE_KFLOP: u64 = TILE_FLOPS / 1000;
/// Of the ruinous customer's job.
const RANDOM_TILES: u64 = 2_000;
/// One job in so many is that customer's, or a self-dealer's.
const RUINOUS_EACH: u64 = 24;
const DEALT_EACH: u64 = 4;
const MONTH: Micros = 30 * 86_400 * SECOND;
/// What an established device has behind it, in seconds of its own work.
const SECONDS_VERIFIED: f64 = 40_000.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Join(usize),
    Leave {
        gpu: usize,
        session: u32,
    },
    Ready {
        gpu: usize,
        session: u32,
    },
    Done {
        gpu: usize,
        lease: LeaseId,
    },
    Check(LeaseId),
    Advance(CaseId),
    LookAgain(CaseId),
    AdvanceFault(LeaseId),
    FaultTimesOut(LeaseId),
    /// Whoever was asked has not answered in time.
    GiveUp(RecheckId),
    /// What is counted from here on is steady.
    WarmedUp,
    Tick,
}

/// A key, and the GPU or the part of one behind it.
pub(crate) struct Gpu {
    pub kind: Kind,
    pub id: DeviceId,
    pub party: Party,
    pub class: DeviceClass,
    /// In operations a second.
    pub speed: f64,
    pub record: Record,
    pub was_established: bool,
    pub session: u32,
    pub is_online: bool,
    pub online_since: Micros,
    /// What it holds, and whether it works on the first.
    pub queue: VecDeque<LeaseId>,
    pub is_working: bool,
    /// When it began with what it computes.
    pub computing_since: Option<Micros>,
    pub online: Micros,
    pub busy: Micros,
}

pub(crate) struct Held {
    pub gpu: usize,
    pub job: JobId,
    pub grant: Grant,
    pub plan: Plan,
}

/// A job and its slices as the database has them.
pub(crate) struct Running {
    pub job: Arc<Job>,
    pub remaining: u64,
    pub slices: BTreeMap<SliceId, Stored>,
    pub receipts: Vec<LeaseId>,
    /// Final draws that are not decided.
    pub open_finals: u32,
    pub is_closing: bool,
    pub is_random: bool,
    /// Accounts on whose devices tiles were found that cannot be reproduced.
    pub unreproducible: Vec<AccountId>,
    /// It ended before all its tiles were done.
    pub is_over: bool,
    pub began: Micros,
}

pub(crate) struct Stored {
    pub first_tile: u64,
    pub tiles: u64,
    pub fence: i64,
    pub version: i64,
    pub settled: Bitmap,
}

pub(crate) struct World {
    pub settings: Settings,
    pub now: Micros,
    pub events: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    pub sequence: u64,
    pub rng: fastrand::Rng,
    pub core: Core,
    pub link: Outbox,
    pub gpus: Vec<Gpu>,
    pub by_id: HashMap<DeviceId, usize>,
    pub held: HashMap<LeaseId, Held>,
    pub receipts: HashMap<LeaseId, Receipt>,
    pub jobs: BTreeMap<JobId, Running>,
    jobs_made: u64,
    pub cases: BTreeMap<CaseId, Case>,
    pub asked: HashMap<RecheckId, CaseId>,
    pub faults: BTreeMap<LeaseId, OpenFault>,
    pub asked_of_faults: HashMap<RecheckId, LeaseId>,
    pub numbers: u64,
    pub tally: Tally,
    /// As it was once the network had warmed up.
    pub tally_warm: Tally,
    /// Jobs whose books have changed with this event.
    pub touched: Vec<JobId>,
    /// What should not be, and is.
    pub broken: Option<String>,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut world = Self {
            now: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            rng: fastrand::Rng::with_seed(settings.seed),
            core: Core::new(settings.has_checkers, None),
            link: Outbox::new(settings.seed ^ 0x5eed),
            gpus: Vec::new(),
            by_id: HashMap::new(),
            held: HashMap::new(),
            receipts: HashMap::new(),
            jobs: BTreeMap::new(),
            jobs_made: 0,
            cases: BTreeMap::new(),
            asked: HashMap::new(),
            faults: BTreeMap::new(),
            asked_of_faults: HashMap::new(),
            numbers: 0,
            tally: Tally::default(),
            tally_warm: Tally::default(),
            touched: Vec::new(),
            broken: None,
            settings,
        };
        world.make_gpus();
        for _ in 0..world.settings.jobs_at_once {
            world.submit();
        }
        world.after(i64::try_from(world.settings.warm_up).expect("hours should be few") * SECOND, Event::WarmedUp);
        world.after(SECOND, Event::Tick);
        world
    }

    fn make_gpus(&mut self) {
        let gpus = self.settings.gpus;
        let mut kinds = Vec::new();
        for (kind, share) in self.settings.cheats.clone() {
            let count = (f64::from(gpus) * share).ceil();
            kinds.extend(std::iter::repeat_n(kind, whole(count)));
        }
        kinds.resize(whole(f64::from(gpus)), Kind::Honest);
        self.rng.shuffle(&mut kinds);
        for kind in kinds {
            let class = if self.rng.f64() < 0.3 { DeviceClass::Tab } else { DeviceClass::Native };
            // Log-normal around five and one TFLOP/s.
            let spread = (0..4).map(|_| self.rng.f64()).sum::<f64>() - 2.0;
            let speed = (1.2 * spread).exp() * if class == DeviceClass::Tab { 1e12 } else { 5e12 };
            let established = self.rng.f64() < self.settings.established;
            for _ in 0..kind.keys() {
                self.make_key(kind, class, speed / f64::from(kind.keys()), established);
            }
        }
    }

    fn make_key(&mut self, kind: Kind, class: DeviceClass, speed: f64, established: bool) {
        let number = u64::try_from(self.gpus.len()).expect("GPUs should be few");
        let mut bytes = [0; 32];
        self.rng.fill(&mut bytes);
        if kind == Kind::GrindingIds {
            bytes[..8].fill(0);
        }
        let id = DeviceId(bytes);
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + u32::try_from(number).expect("GPUs should be few") * 256);
        let party = Party { account: account(number + 1), network: Network::of(address.into()) };
        let mut record = Record { since: if established { -MONTH } else { 0 }, ..Record::default() };
        if established {
            record.add_verified(self.program(), whole_u64(speed / 1000.0 * SECONDS_VERIFIED * 0.05));
        }
        self.by_id.insert(id, self.gpus.len());
        self.gpus.push(Gpu {
            kind,
            id,
            party,
            class,
            speed,
            record,
            was_established: established,
            session: 0,
            is_online: false,
            online_since: 0,
            queue: VecDeque::new(),
            is_working: false,
            computing_since: None,
            online: 0,
            busy: 0,
        });
        // Nine of ten are here at the start.
        let wait = if self.rng.f64() < 0.9 { 0 } else { self.pause(3600.0) };
        self.after(wait, Event::Join(self.gpus.len() - 1));
    }

    pub(crate) fn program(&self) -> &'static str {
        if self.settings.has_checkers { "infer" } else { "map" }
    }

    /// An exponential time around so many seconds.
    pub(crate) fn pause(&mut self, mean: f64) -> Micros {
        i64::try_from(whole_u64(-self.rng.f64().max(1e-12).ln() * mean * 1e6)).unwrap_or(Micros::MAX)
    }

    pub(crate) fn after(&mut self, wait: Micros, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now + wait, self.sequence, event)));
    }

    /// A customer's next job.
    pub(crate) fn submit(&mut self) {
        self.jobs_made += 1;
        let number = self.jobs_made;
        let is_random = self.settings.has_ruinous_customer && number.is_multiple_of(RUINOUS_EACH);
        let gpus = u64::from(self.settings.gpus);
        let of_gpu = self.settings.job_tiles.clone();
        let mut tiles = if is_random { RANDOM_TILES } else { self.rng.u64(of_gpu.start * gpus..of_gpu.end * gpus) };
        // The first ones are under way, so that they do not all end together.
        if let Some(under_way) = self.settings.jobs_at_once.checked_sub(number) {
            tiles = (tiles * (under_way + 1)).div_ceil(self.settings.jobs_at_once);
        }
        let dealer = self.gpus.iter().filter(|gpu| gpu.kind == Kind::SelfDealing).map(|gpu| gpu.party.account);
        let dealers: Vec<AccountId> = dealer.collect();
        let customer = match dealers.as_slice() {
            [] => account(u64::MAX >> 20),
            dealers if number.is_multiple_of(DEALT_EACH) => dealers[self.rng.usize(0..dealers.len())],
            _ => account(u64::MAX >> 20),
        };
        let job = Arc::new(make_job(self.settings.has_checkers, number, customer, tiles));
        let mut stored = BTreeMap::new();
        for (n, range) in (0..).zip(slices(tiles)) {
            let id = SliceId::from_parts(number << 16 | n, [0; 10]);
            let (first_tile, count) = (range.start, range.end - range.start);
            stored.insert(id, Stored { first_tile, tiles: count, fence: 1, version: 0, settled: Bitmap::new(count) });
        }
        let ids: Vec<SliceId> = stored.keys().copied().collect();
        let running = Running {
            job: Arc::clone(&job),
            remaining: tiles,
            slices: stored,
            receipts: Vec::new(),
            open_finals: 0,
            is_closing: false,
            is_random,
            unreproducible: Vec::new(),
            is_over: false,
            began: self.now,
        };
        self.jobs.insert(job.id, running);
        for id in ids {
            self.claim(job.id, id);
        }
    }

    /// The slice is claimed as it stands in the database.
    pub(crate) fn claim(&mut self, job: JobId, id: SliceId) {
        let Some(running) = self.jobs.get_mut(&job) else { return };
        let Some(stored) = running.slices.get_mut(&id) else { return };
        stored.fence += 1;
        let slice = Slice {
            job,
            first_tile: stored.first_tile,
            tiles: stored.tiles,
            fence: stored.fence,
            version: stored.version,
            settled: stored.settled.clone(),
            taken: stored.settled.clone(),
        };
        let job = Arc::clone(&running.job);
        self.core.on_slice_claimed(&mut self.link, self.now, id, slice, job, Vec::new());
    }

    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        seed
    }

    pub(crate) fn checked_by(&self) -> CheckedBy {
        if self.settings.has_checkers { CheckedBy::Checker } else { CheckedBy::Quorum }
    }

    pub(crate) fn run_of(&self, lease: LeaseId) -> (usize, JobId, u64, Run) {
        let receipt = &self.receipts[&lease];
        (receipt.device, receipt.job, receipt.first_tile, receipt.run)
    }

    pub(crate) fn void(&mut self, lease: LeaseId) {
        if let Some(receipt) = self.receipts.get_mut(&lease) {
            receipt.state = State::Void;
        }
    }

    pub(crate) fn slice_of(&self, lease: LeaseId) -> Option<SliceId> {
        let receipt = &self.receipts[&lease];
        let running = self.jobs.get(&receipt.job)?;
        let holds = |stored: &Stored| {
            stored.first_tile <= receipt.first_tile && receipt.first_tile < stored.first_tile + stored.tiles
        };
        running.slices.iter().find(|(_, stored)| holds(stored)).map(|(id, _)| *id)
    }

    /// A failed check: the device is suspended and its standing gone.
    pub(crate) fn suspend(&mut self, index: usize) {
        let until = self.gpus[index].record.fail(self.now);
        if self.gpus[index].kind == Kind::Honest {
            self.tally.honest_harmed += 1;
        }
        let id = self.gpus[index].id;
        self.core.on_device_suspended(&mut self.link, self.now, id, until);
    }

    /// What a device makes of a tile: 0 is right, and equal numbers agree.
    pub(crate) fn value(&mut self, index: usize, job: JobId, tile: u64, run: Option<Run>) -> u64 {
        if self.jobs.get(&job).is_some_and(|running| running.is_random) {
            return self.rng.u64(1..);
        }
        let gpu = &self.gpus[index];
        match run {
            Some(run) if run.is_wrong(tile) => {
                let liar = if gpu.kind == Kind::Colluding { 0 } else { u64::try_from(index).unwrap_or(0) + 1 };
                1 + whole_u64(unit(liar, tile) * 1e15)
            }
            None if gpu.kind.answers_noise() => self.rng.u64(1..),
            _ => 0,
        }
    }
}

/// Thousands of operations of so many tiles.
pub(crate) fn kflop_of(tiles: usize) -> u64 {
    u64::try_from(tiles).expect("tiles should be few") * TILE_KFLOP
}

fn make_job(has_checkers: bool, number: u64, customer: AccountId, tiles: u64) -> Job {
    let field = |name: &str| Field {
        name: name.to_owned(),
        dtype: DType::Float32,
        shape: vec![16],
        shared: false,
        whole: false,
    };
    let code = BlobHash([0; 32]);
    let task = if has_checkers {
        Task::Infer(InferTask { model: code, inputs: vec![field("x")], outputs: vec![field("y")] })
    } else {
        Task::Map(MapTask { kernel: code, params: None, record_bytes: 64, out_bytes: 64, fuel: 1, words: Vec::new() })
    };
    Job {
        id: JobId::from_parts(number, [0; 10]),
        customer,
        privacy: Privacy::Open,
        task,
        sources: vec![Source { blob: code, offset: 0 }],
        check: Check::Exact,
        rows: tiles,
        tile_rows: 1,
        row_flops: TILE_FLOPS,
        price: PricePerCu(20_000_000),
        device_bytes: 1 << 20,
        peak_bytes: 1 << 20,
        code_bytes: 1 << 20,
    }
}

fn account(number: u64) -> AccountId {
    AccountId::from_parts(number, [0; 10])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive by its making")]
pub(crate) fn whole(value: f64) -> usize {
    value as usize
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive by its making")]
pub(crate) fn whole_u64(value: f64) -> u64 {
    value as u64
}
