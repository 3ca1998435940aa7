//! Tiles that this server's processor cannot redo, put to devices: to the operator's checkers where
//! there are any, else to a device of another account. Questions wait for a device, unpaid, and go
//! to the next one when a device is lost.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::sync::oneshot;
use wire::{AccountId, BlobHash, DeviceId, JobFault, LeaseId, Micros, ToDevice};

use crate::app::App;
use crate::random;
use crate::scheduling::{JobFacts, State};

/// Time for one tile, in microseconds; then somebody else is asked.
const PATIENCE: Micros = 120_000_000;
/// Devices that may give a question back before it is given up.
const TRIES_MAX: u32 = 8;

/// Who answered, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub account: AccountId,
    pub answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The tile's records, stored.
    Output(BlobHash),
    Fault(JobFault),
}

struct Question {
    facts: Arc<JobFacts>,
    tile: u64,
    /// Whose devices may not answer: they are party to it.
    not: BTreeSet<AccountId>,
    tries: u32,
    answer: oneshot::Sender<Answered>,
}

struct Asked {
    device: DeviceId,
    account: AccountId,
    until: Micros,
    question: Question,
}

#[derive(Default)]
struct Pool {
    /// Connected checkers, with the tiles that each would take.
    checkers: HashMap<DeviceId, usize>,
    waiting: VecDeque<Question>,
    asked: HashMap<LeaseId, Asked>,
}

#[derive(Default)]
pub struct Checkers(Mutex<Pool>);

impl Checkers {
    /// Short, never held across an await, and taken after the scheduler's lock.
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn joined(&self, device: DeviceId) {
        self.lock().checkers.insert(device, 0);
    }

    pub fn is_checker(&self, device: DeviceId) -> bool {
        self.lock().checkers.contains_key(&device)
    }

    pub fn ready(&self, device: DeviceId) {
        if let Some(wants) = self.lock().checkers.get_mut(&device) {
            *wants = (*wants + 1).min(2);
        }
    }

    pub fn rests(&self, device: DeviceId) {
        if let Some(wants) = self.lock().checkers.get_mut(&device) {
            *wants = 0;
        }
    }

    /// The device is gone: its questions go to others.
    pub fn left(&self, device: DeviceId) {
        let mut pool = self.lock();
        pool.checkers.remove(&device);
        pool.give_back(|asked| asked.device == device);
    }

    /// Whether the lease is a question put to this device.
    pub fn knows(&self, device: DeviceId, lease: LeaseId) -> bool {
        self.lock().asked.get(&lease).is_some_and(|asked| asked.device == device)
    }

    pub fn given_back(&self, lease: LeaseId) {
        self.lock().give_back_one(lease);
    }

    /// What the tile of a question should come to, in bytes.
    pub fn expected_bytes(&self, lease: LeaseId) -> Option<u64> {
        let pool = self.lock();
        let question = &pool.asked.get(&lease)?.question;
        let rows = question.facts.rows_of(question.tile, 1);
        Some((rows.end - rows.start) * question.facts.task.out_bytes())
    }

    pub fn answered(&self, lease: LeaseId, answer: Answer) {
        let asked = self.lock().asked.remove(&lease);
        if let Some(asked) = asked {
            // Whoever asked may have stopped waiting: the job ended.
            asked.question.answer.send(Answered { account: asked.account, answer }).unwrap_or_default();
        }
    }

    /// Takes questions back from devices that sit on them.
    pub fn expire(&self, now: Micros) {
        let mut pool = self.lock();
        pool.give_back(|asked| asked.until <= now);
        let gone = |question: &Question| question.answer.is_closed();
        pool.waiting.retain(|question| !gone(question));
    }
}

impl Pool {
    fn give_back(&mut self, which: impl Fn(&Asked) -> bool) {
        let leases: Vec<LeaseId> = self.asked.iter().filter(|(_, asked)| which(asked)).map(|(id, _)| *id).collect();
        leases.into_iter().for_each(|lease| self.give_back_one(lease));
    }

    fn give_back_one(&mut self, lease: LeaseId) {
        let Some(Asked { mut question, .. }) = self.asked.remove(&lease) else { return };
        question.tries += 1;
        if question.tries < TRIES_MAX {
            self.waiting.push_front(question);
        }
    }
}

/// Puts waiting questions to devices that would take one. Call with what may have freed a device.
pub fn hand_out(app: &App, state: &mut State, now: Micros) {
    let mut pool = app.checkers.lock();
    let mut still = VecDeque::new();
    while let Some(question) = pool.waiting.pop_front() {
        if question.answer.is_closed() {
            continue;
        }
        let chosen = if app.config.checkers.is_empty() {
            state.core.take_peer(&question.facts.needs(), &question.not, now)
        } else {
            let free = pool.checkers.iter_mut().find(|(_, wants)| **wants > 0);
            free.map(|(device, wants)| {
                *wants -= 1;
                // Nobody's in particular: the operator's.
                (*device, AccountId::platform(0))
            })
        };
        let Some((device, account)) = chosen else {
            still.push_back(question);
            continue;
        };
        let (lease, until) = (LeaseId(random::bytes()), now + PATIENCE);
        let grant = question.facts.grant_tile(&app.secret, lease, question.tile, now, until);
        state.send(device, ToDevice::Lease(grant));
        pool.asked.insert(lease, Asked { device, account, until, question });
    }
    pool.waiting = still;
}

/// Has a tile recomputed by somebody whose account is not among `not`; waits for as long as it takes.
pub async fn ask(app: &App, facts: &Arc<JobFacts>, tile: u64, not: BTreeSet<AccountId>) -> anyhow::Result<Answered> {
    let (answer, answered) = oneshot::channel();
    app.checkers.lock().waiting.push_back(Question { facts: Arc::clone(facts), tile, not, tries: 0, answer });
    hand_out(app, &mut app.scheduler.lock(), app.clock.now());
    tokio::select! {
        () = app.stop.cancelled() => anyhow::bail!("the server is stopping"),
        answered = answered => answered.context("no device could recompute the tile"),
    }
}
