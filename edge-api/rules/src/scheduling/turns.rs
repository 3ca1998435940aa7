//! Whose tiles are lent next: accounts share what is lent to them by its operations, and an account's jobs take turns. Jobs are
//! kept by kind, as devices ask for them, so that those which no device may do cost nothing.
//!
//! Start-time fair queueing: an account's `lent` goes up by what each lease takes, and who has the least is next. Whoever had
//! nothing to lend, or nobody who could do it, begins again about where the others are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use wire::{AccountId, JobId, Privacy};

use super::device::Device;
use super::steps::step;
use crate::job::Needs;

/// How many leases an account may be behind others and still catch up with them: its jobs need devices that few others do, or
/// that are not here.
const LEASES_BEHIND: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Audience {
    Anybody,
    Known,
    Own(AccountId),
}

/// What jobs ask of devices, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    audience: Audience,
    kernels: bool,
    /// The binary logarithm of the buffer that it needs, rounded up.
    size: u32,
}

impl Kind {
    fn of(needs: &Needs) -> Self {
        let audience = match needs.privacy {
            Privacy::Open => Audience::Anybody,
            Privacy::Known => Audience::Known,
            Privacy::Own => Audience::Own(needs.customer),
        };
        Self { audience, kernels: needs.kernels, size: size(needs.device_bytes) }
    }
}

fn size(bytes: u64) -> u32 {
    u64::BITS - bytes.saturating_sub(1).leading_zeros()
}

/// An account's turn among others. Who came last is first among equals.
type AccountTurn = (u128, Reverse<u64>, AccountId);

/// An account that has tiles to lend.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// Operations that were lent of its jobs, counted from where it began.
    lent: u128,
    /// Counts up with each account that comes.
    came: u64,
    /// Its jobs by kind, each with its turn.
    jobs: BTreeMap<Kind, BTreeSet<(u64, JobId)>>,
    count: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    lines: BTreeMap<AccountId, Line>,
    /// Accounts with jobs of each kind.
    kinds: BTreeMap<Kind, BTreeSet<AccountTurn>>,
    /// Of accounts that have nothing to lend any more and were lent more than others: kept until those have as much.
    ahead: BTreeMap<AccountId, u128>,
    ahead_in_order: BTreeSet<(u128, AccountId)>,
    /// Where accounts are that are served in turn.
    reached: u128,
    came: u64,
    jobs: u64,
    leases: u64,
}

impl Turns {
    /// Jobs that have tiles to lend.
    pub(super) fn jobs(&self) -> u64 {
        self.jobs
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeSet<JobId> {
        self.lines.values().flat_map(|line| line.jobs.values().flatten()).map(|(_, id)| *id).collect()
    }

    /// Leases of other jobs that are lent until it is a job's turn again, and its own; at least 1.
    pub(super) fn leases_a_round(&self, account: AccountId) -> u64 {
        let of_account = self.lines.get(&account).map_or(1, |line| line.count);
        of_account.saturating_mul(wire::number::to(self.lines.len())).max(1)
    }

    /// The job has tiles to lend, and this turn among its account's.
    pub(super) fn insert(&mut self, id: JobId, needs: &Needs, turn: u64) {
        let (account, kind) = (needs.customer, Kind::of(needs));
        if !self.lines.contains_key(&account) {
            let first = self.kinds.get(&kind).and_then(|accounts| accounts.first());
            let begins = first.map_or(self.reached, |(lent, ..)| self.reached.min(*lent));
            let lent = begins.max(self.take_ahead(account));
            self.came += 1;
            let line = Line { lent, came: self.came, jobs: BTreeMap::new(), count: 0 };
            self.lines.insert(account, line);
        }
        let Some(line) = self.lines.get_mut(&account) else { return };
        self.kinds.entry(kind).or_default().insert((line.lent, Reverse(line.came), account));
        line.jobs.entry(kind).or_default().insert((turn, id));
        line.count += 1;
        self.jobs += 1;
    }

    /// The job has no tiles to lend any more.
    pub(super) fn remove(&mut self, id: JobId, needs: &Needs, turn: u64) {
        let (account, kind) = (needs.customer, Kind::of(needs));
        let Some(line) = self.lines.get_mut(&account) else { return };
        let Some(jobs) = line.jobs.get_mut(&kind) else { return };
        if !jobs.remove(&(turn, id)) {
            return;
        }
        line.count -= 1;
        self.jobs -= 1;
        if !jobs.is_empty() {
            return;
        }
        line.jobs.remove(&kind);
        let place = (line.lent, Reverse(line.came), account);
        self.leave_kind(kind, &place);
        if let Some(line) = self.lines.get(&account)
            && line.count == 0
        {
            let lent = line.lent;
            self.lines.remove(&account);
            if lent > self.reached {
                self.ahead.insert(account, lent);
                self.ahead_in_order.insert((lent, account));
            }
        }
    }

    /// A lease of the job, which takes so many operations, is lent. Returns the job's next turn.
    pub(super) fn lend(&mut self, id: JobId, needs: &Needs, turn: u64, flops: u64) -> u64 {
        self.charge(needs.customer, flops);
        self.leases += 1;
        let jobs = self.lines.get_mut(&needs.customer).and_then(|line| line.jobs.get_mut(&Kind::of(needs)));
        if let Some(jobs) = jobs
            && jobs.remove(&(turn, id))
        {
            jobs.insert((self.leases, id));
        }
        self.leases
    }

    fn charge(&mut self, account: AccountId, flops: u64) {
        step();
        let Some(line) = self.lines.get_mut(&account) else { return };
        let before = (line.lent, Reverse(line.came), account);
        let behind_most = u128::from(flops.saturating_mul(LEASES_BEHIND));
        let starts = line.lent.max(self.reached.saturating_sub(behind_most));
        line.lent = starts + u128::from(flops);
        let after = (line.lent, Reverse(line.came), account);
        for kind in line.jobs.keys() {
            step();
            if let Some(accounts) = self.kinds.get_mut(kind) {
                accounts.remove(&before);
                accounts.insert(after);
            }
        }
        self.reached = self.reached.max(starts);
        while let Some(&(lent, account)) = self.ahead_in_order.first()
            && lent <= self.reached
        {
            step();
            self.ahead_in_order.pop_first();
            self.ahead.remove(&account);
        }
    }

    /// The job whose turn it is among those that the device may do.
    pub(super) fn next(&self, device: &Device, fits: impl Fn(JobId) -> bool) -> Option<JobId> {
        let audiences = [Some(Audience::Anybody), device.verified.then_some(Audience::Known)];
        let audiences = audiences.into_iter().flatten().chain([Audience::Own(device.account)]);
        let largest = size(device.buffer_bytes_max);
        let kinds = audiences.flat_map(|audience| {
            let of = |kernels, size| Kind { audience, kernels, size };
            [false, true].map(|kernels| of(kernels, 0)..=of(kernels, largest))
        });
        let kinds = kinds.filter(|kinds| device.runs_kernels || !kinds.start().kernels);
        let heads = kinds.flat_map(|kinds| self.kinds.range(kinds)).filter_map(|(kind, accounts)| {
            step();
            accounts.iter().find_map(|turn| Some((turn, self.first_job(turn.2, *kind, &fits)?)))
        });
        heads.min().map(|(_, (_, job))| job)
    }

    fn first_job(&self, account: AccountId, kind: Kind, fits: impl Fn(JobId) -> bool) -> Option<(u64, JobId)> {
        let mut jobs = self.lines.get(&account)?.jobs.get(&kind)?.iter();
        jobs.find(|(_, job)| {
            step();
            fits(*job)
        })
        .copied()
    }

    fn take_ahead(&mut self, account: AccountId) -> u128 {
        let Some(lent) = self.ahead.remove(&account) else { return 0 };
        self.ahead_in_order.remove(&(lent, account));
        lent
    }

    fn leave_kind(&mut self, kind: Kind, turn: &AccountTurn) {
        if let Some(accounts) = self.kinds.get_mut(&kind) {
            accounts.remove(turn);
            if accounts.is_empty() {
                self.kinds.remove(&kind);
            }
        }
    }
}
