//! Tiles that this server's processor cannot redo, put to devices: to the operator's checkers where
//! there are any, else to a device of another account. Questions wait for a device, unpaid, and go
//! to the next one when a device is lost, or gives one back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tokio::sync::oneshot;
use wire::{AccountId, BlobHash, DeviceId, JobFault, LeaseId, Micros, ToDevice};

use crate::app::App;
use crate::random;
use crate::scheduling::core::Job;
use crate::scheduling::{JobFacts, State};

/// Time for a question, in microseconds; then somebody else is asked.
const PATIENCE: Micros = 120_000_000;
/// Before a checker is asked again what it gave back, in microseconds.
const PAUSE: Micros = 30_000_000;
/// Tiles, operations, and bytes in and out of one question, unless one tile has more.
const TILES_MAX: u64 = 64;
const FLOPS_MAX: u64 = 2_000_000_000_000;
const BYTES_MAX: u64 = 32 << 20;
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
    /// The tiles' outputs, stored.
    Output(BlobHash),
    Fault(JobFault),
}

/// No checker that is connected can do it: it is too large for them, or they gave it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no connected checker could recompute the tiles")]
pub struct Nobody;

struct Question {
    facts: Arc<JobFacts>,
    /// Counted over the job.
    tiles: Range<u64>,
    /// Whose devices may not answer: they are party to it.
    not: BTreeSet<AccountId>,
    tries: u32,
    /// Checkers that could not do it, and when they may be asked again.
    returned_by: HashMap<DeviceId, Micros>,
    /// Whoever asks can do it as well: no use in waiting for another checker.
    is_urgent: bool,
    answer: oneshot::Sender<Result<Answered, Nobody>>,
}

struct Asked {
    device: DeviceId,
    account: AccountId,
    until: Micros,
    question: Question,
}

struct Checker {
    buffer_bytes_max: u64,
    /// Questions that it would take.
    wants: usize,
}

#[derive(Default)]
struct Pool {
    /// Those connected.
    checkers: HashMap<DeviceId, Checker>,
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

    pub fn joined(&self, device: DeviceId, buffer_bytes_max: u64) {
        let mut pool = self.lock();
        pool.checkers.insert(device, Checker { buffer_bytes_max, wants: 0 });
        // It may have been started anew, with another backend.
        pool.waiting.iter_mut().for_each(|question| {
            question.returned_by.remove(&device);
        });
    }

    /// Whether some connected checker has buffers of so many bytes; `None` while none is connected.
    pub fn fit(&self, buffer_bytes: u64) -> Option<bool> {
        let pool = self.lock();
        let mut connected = pool.checkers.values().peekable();
        connected.peek()?;
        Some(connected.any(|checker| checker.buffer_bytes_max >= buffer_bytes))
    }

    pub fn is_checker(&self, device: DeviceId) -> bool {
        self.lock().checkers.contains_key(&device)
    }

    pub fn ready(&self, device: DeviceId) {
        if let Some(checker) = self.lock().checkers.get_mut(&device) {
            checker.wants = (checker.wants + 1).min(2);
        }
    }

    pub fn rests(&self, device: DeviceId) {
        if let Some(checker) = self.lock().checkers.get_mut(&device) {
            checker.wants = 0;
        }
    }

    /// The device is gone: its questions go to others.
    pub fn left(&self, device: DeviceId, now: Micros) {
        let mut pool = self.lock();
        pool.checkers.remove(&device);
        pool.give_back(|asked| asked.device == device, now);
    }

    /// Whether the lease is a question put to this device.
    pub fn knows(&self, device: DeviceId, lease: LeaseId) -> bool {
        self.lock().asked.get(&lease).is_some_and(|asked| asked.device == device)
    }

    pub fn given_back(&self, lease: LeaseId, now: Micros) {
        self.lock().give_back_one(lease, now);
    }

    /// What the tiles of a question should come to, in bytes.
    pub fn expected_bytes(&self, lease: LeaseId) -> Option<u64> {
        let pool = self.lock();
        let question = &pool.asked.get(&lease)?.question;
        let tiles = &question.tiles;
        let rows = question.facts.rows_of(tiles.start, tiles.end - tiles.start);
        Some((rows.end - rows.start) * question.facts.task.out_bytes())
    }

    pub fn answered(&self, lease: LeaseId, answer: Answer) {
        let asked = self.lock().asked.remove(&lease);
        if let Some(asked) = asked {
            // Whoever asked may have stopped waiting: the job ended.
            asked.question.answer.send(Ok(Answered { account: asked.account, answer })).unwrap_or_default();
        }
    }

    /// Takes questions back from devices that sit on them.
    pub fn expire(&self, now: Micros) {
        let mut pool = self.lock();
        pool.give_back(|asked| asked.until <= now, now);
        let gone = |question: &Question| question.answer.is_closed();
        pool.waiting.retain(|question| !gone(question));
    }
}

impl Pool {
    fn give_back(&mut self, which: impl Fn(&Asked) -> bool, now: Micros) {
        let leases: Vec<LeaseId> = self.asked.iter().filter(|(_, asked)| which(asked)).map(|(id, _)| *id).collect();
        leases.into_iter().for_each(|lease| self.give_back_one(lease, now));
    }

    fn give_back_one(&mut self, lease: LeaseId, now: Micros) {
        let Some(Asked { device, mut question, .. }) = self.asked.remove(&lease) else { return };
        if self.checkers.contains_key(&device) {
            tracing::warn!(job = %question.facts.id, %device, "a checker could not recompute a tile");
            question.returned_by.insert(device, now + PAUSE);
            self.waiting.push_front(question);
            return;
        }
        question.tries += 1;
        if question.tries < TRIES_MAX {
            self.waiting.push_front(question);
        }
    }

    /// A checker that takes this question now.
    fn take_checker(&mut self, question: &Question, now: Micros) -> Option<DeviceId> {
        let may = |(id, checker): &(&DeviceId, &mut Checker)| {
            let again = question.returned_by.get(*id).is_none_or(|again| *again <= now);
            checker.wants > 0 && again && question.fits(checker)
        };
        let (id, checker) = self.checkers.iter_mut().find(may)?;
        checker.wants -= 1;
        Some(*id)
    }

    /// Whether no connected checker can take this question, though some are connected.
    fn is_hopeless(&self, question: &Question) -> bool {
        let can =
            |(id, checker): (&DeviceId, &Checker)| question.fits(checker) && !question.returned_by.contains_key(id);
        !self.checkers.is_empty() && !self.checkers.iter().any(can)
    }
}

impl Question {
    fn fits(&self, checker: &Checker) -> bool {
        checker.buffer_bytes_max >= self.facts.device_bytes
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
            if question.is_urgent && pool.is_hopeless(&question) {
                question.answer.send(Err(Nobody)).unwrap_or_default();
                continue;
            }
            // Nobody's in particular: the operator's.
            pool.take_checker(&question, now).map(|device| (device, AccountId::platform(0)))
        };
        let Some((device, account)) = chosen else {
            still.push_back(question);
            continue;
        };
        let (lease, until) = (LeaseId(random::bytes()), now + PATIENCE);
        let grant = question.facts.grant_tiles(&app.secret, lease, question.tiles.clone(), now, until);
        state.send(device, ToDevice::Lease(grant));
        pool.asked.insert(lease, Asked { device, account, until, question });
    }
    pool.waiting = still;
}

/// Tiles as questions: those side by side go together, as far as one question may hold them.
pub fn questions(job: &Job, tiles: &[u32]) -> Vec<Range<u32>> {
    let most = TILES_MAX.min(FLOPS_MAX / job.tile_flops.max(1)).min(BYTES_MAX / job.tile_bytes.max(1)).max(1);
    let mut questions: Vec<Range<u32>> = Vec::new();
    for &tile in tiles {
        match questions.last_mut() {
            Some(last) if last.end == tile && u64::from(last.end - last.start) < most => last.end += 1,
            _ => questions.push(tile..tile + 1),
        }
    }
    questions
}

/// Has tiles recomputed by somebody whose account is not among `not`; waits for as long as it takes.
pub async fn ask(
    app: &App,
    facts: &Arc<JobFacts>,
    tiles: Range<u64>,
    not: BTreeSet<AccountId>,
) -> anyhow::Result<Answered> {
    Ok(put(app, facts, tiles, not, false).await??)
}

/// Has tiles recomputed by a checker, or hears that none of those connected can.
pub async fn ask_checkers(
    app: &App,
    facts: &Arc<JobFacts>,
    tiles: Range<u64>,
) -> anyhow::Result<Result<Answered, Nobody>> {
    put(app, facts, tiles, BTreeSet::new(), true).await
}

async fn put(
    app: &App,
    facts: &Arc<JobFacts>,
    tiles: Range<u64>,
    not: BTreeSet<AccountId>,
    is_urgent: bool,
) -> anyhow::Result<Result<Answered, Nobody>> {
    let (answer, answered) = oneshot::channel();
    let (facts, returned_by) = (Arc::clone(facts), HashMap::new());
    app.checkers.lock().waiting.push_back(Question { facts, tiles, not, tries: 0, returned_by, is_urgent, answer });
    hand_out(app, &mut app.scheduler.lock(), app.clock.now());
    tokio::select! {
        () = app.stop.cancelled() => anyhow::bail!("the server is stopping"),
        answered = answered => answered.context("no device could recompute the tiles"),
    }
}

#[cfg(test)]
mod tests {
    use wire::Privacy;

    use super::*;

    #[test]
    fn tiles_side_by_side_are_one_question_as_far_as_it_holds_them() {
        let job = |tile_flops, tile_bytes| Job {
            account: AccountId::platform(0),
            privacy: Privacy::Open,
            device_bytes: 0,
            tile_flops,
            needs_kernels: true,
            tile_bytes,
        };
        let all: Vec<u32> = (0..70).collect();

        assert_eq!(questions(&job(1, 1), &[0, 1, 2, 5, 7, 8]), [0..3, 5..6, 7..9]);
        assert_eq!(questions(&job(1, 1), &all), [0..64, 64..70]);
        assert_eq!(questions(&job(FLOPS_MAX / 40, 1), &all), [0..40, 40..70]);
        assert_eq!(questions(&job(1, BYTES_MAX / 40), &all), [0..40, 40..70]);
        assert_eq!(
            questions(&job(FLOPS_MAX * 2, BYTES_MAX * 2), &[3, 4]),
            [3..4, 4..5],
            "one tile goes whatever it has"
        );
        assert_eq!(questions(&job(0, 0), &[]), []);
    }
}
