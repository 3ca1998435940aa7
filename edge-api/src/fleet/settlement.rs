//! Leases whose check passed, settled together: tiles, receipts and money of all of them in one transaction.
//!
//! Rows are locked first, in the order that [`crate::retry`] names; then it is decided which of the leases are settled; then
//! each table is written once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use rules::billing::bill::Charge;
use rules::billing::transfer::{Payment, Transfer};
use rules::scheduling::lease::{SettledLease, Settlement};
use rules::verification::standing::{matures_at, verified_kflop};
use store::DbConnection;
use store::devices::{AcceptedWork, LockedDevice};
use store::job_progress::JobBalance;
use store::notices::Notice;
use store::receipts::Acceptance;
use store::standings::WorkClass;
use store::verdicts::Cause;
use wire::device::Earnings;
use wire::{AccountId, Credits, DeviceId, JobEventKind, JobId, LeaseId, Micros, SliceId, ToDevice};

use super::gathered::{Settled, ToSettle};
use super::mature;
use crate::app::App;
use crate::programs;
use crate::retry::retry;

/// Settles a group, tells the devices, and says what became of each lease.
pub async fn settle_group(app: &App, group: &[ToSettle]) -> anyhow::Result<Vec<Settled>> {
    let slices: BTreeSet<SliceId> = group.iter().map(|item| item.lease.slice).collect();
    let turns: Vec<_> = slices.iter().map(|slice| app.scheduler.lock().settling(*slice)).collect();
    let mut held = Vec::new();
    // In the order of their ids, so that two groups never wait for each other.
    for turn in turns {
        held.push(turn.lock_owned().await);
    }
    let Written { settled, slices, paid } = retry(|| write_group(app, group)).await?;
    let mut state = app.scheduler.lock();
    for (settlement, leases) in slices {
        state.drive(|core, link| core.on_settled(link, &settlement, &leases));
    }
    for Paid { device, lease, tiles, earnings } in paid {
        state.answer(device, lease, ToDevice::Settled { lease, tiles, earnings });
    }
    // Devices that had as many leases in check as they may have had asked for more.
    let now = app.clock.now();
    state.drive(|core, link| core.on_tick(link, now));
    Ok(settled)
}

struct Written {
    /// What became of each lease of the group.
    settled: Vec<Settled>,
    slices: Vec<(Settlement, Vec<SettledLease>)>,
    paid: Vec<Paid>,
}

/// What a device is told of a lease that is paid.
struct Paid {
    device: DeviceId,
    lease: LeaseId,
    tiles: u32,
    earnings: Earnings,
}

/// A lease that is being settled.
struct Settling<'a> {
    item: &'a ToSettle,
    /// In its group.
    place: usize,
    device: LockedDevice,
    flops: u64,
    kflop: u64,
    verified_kflop: u64,
    charge: Charge,
    /// Tiles of its job that are left after it.
    remaining: u64,
}

impl Settling<'_> {
    fn class(&self) -> WorkClass {
        let program = self.item.job.task.program_name().to_owned();
        WorkClass { device: self.item.lease.device, program }
    }
}

async fn write_group(app: &App, group: &[ToSettle]) -> anyhow::Result<Written> {
    let now = app.clock.now();
    let mut tx = app.db.begin_write().await?;
    let (mut settled, slices, mut settling) = decide(app, &mut tx, group, now).await?;
    if settling.is_empty() {
        return Ok(Written { settled, slices: Vec::new(), paid: Vec::new() });
    }
    for settlement in &slices {
        let is_written = store::slices::settle_slice(&mut tx, settlement).await?;
        anyhow::ensure!(is_written, "a slice whose row is locked should stay as it is");
    }
    charge_jobs(app, &mut tx, &mut settling, now).await?;
    count_work(app, &mut tx, &settling).await?;
    let transfers = accept(app, &mut tx, &settling, now).await?;
    let covered = store::ledger::post(&mut tx, &transfers).await?;
    anyhow::ensure!(covered, "a running job's hold should cover its tiles");
    let earnings = earnings_of(&mut tx, &settling).await?;
    for job in settling.iter().map(|one| one.item.job.id).collect::<BTreeSet<JobId>>() {
        if app.scheduler.may_tell_progress(job, now) {
            store::notices::notify(&mut tx, &app.replica, Notice::JobChanged(job)).await?;
        }
    }
    tx.commit().await?;

    let mut of_slice: BTreeMap<SliceId, Vec<SettledLease>> = BTreeMap::new();
    for one in &settling {
        let (lease, verified_kflop) = (one.item.lease.id, one.verified_kflop);
        let leases = of_slice.entry(one.item.lease.slice).or_default();
        leases.push(SettledLease { lease, verified_kflop, flops_left: one.item.verified.flops_left });
        settled[one.place] = Settled::Paid { remaining: one.remaining };
    }
    let paid = settling.iter().map(|one| Paid {
        device: one.item.lease.device,
        lease: one.item.lease.id,
        tiles: wire::number::to(one.item.lease.tiles),
        earnings: earnings.get(&one.item.lease.device).copied().unwrap_or_default(),
    });
    let paid = paid.collect();
    let slices = slices.into_iter().map(|slice| {
        let leases = of_slice.remove(&slice.slice).unwrap_or_default();
        (slice, leases)
    });
    Ok(Written { settled, slices: slices.collect(), paid })
}

/// Locks all rows, and says which leases are settled: those, their slices as they should be written, and what becomes of
/// each of the others.
async fn decide<'a>(
    app: &App,
    conn: &mut DbConnection,
    group: &'a [ToSettle],
    now: Micros,
) -> anyhow::Result<(Vec<Settled>, Vec<Settlement>, Vec<Settling<'a>>)> {
    let fences = store::slices::lock_slices(conn, &group.iter().map(|item| item.lease.slice).collect()).await?;
    let running = store::job_progress::lock_jobs(conn, &group.iter().map(|item| item.job.id).collect()).await?;
    let devices = store::devices::lock_devices(conn, &group.iter().map(|item| item.lease.device).collect()).await?;
    let leases = group.iter().map(|item| item.lease.id).collect();
    let pending = store::receipts::lock_pending_receipts(conn, &leases).await?;
    let state = app.scheduler.lock();
    let mut slices: BTreeMap<SliceId, Settlement> = BTreeMap::new();
    let (mut outcomes, mut settling) = (Vec::new(), Vec::new());
    for (place, item) in group.iter().enumerate() {
        let (lease, device) = (&item.lease, devices.get(&item.lease.device));
        if let Entry::Vacant(entry) = slices.entry(lease.slice)
            && let Some(slice) = state.core.settlement(lease.slice)
        {
            entry.insert(slice);
        }
        let held = slices.get_mut(&lease.slice).filter(|_| state.core.lease(lease.id).is_some());
        let outcome = match (held, device) {
            (None, _) => Settled::Taken,
            (Some(slice), _) if fences.get(&lease.slice) != Some(&(slice.fence, slice.version)) => Settled::NotOurs,
            (Some(_), _) if !running.contains(&item.job.id) => Settled::JobEnded,
            (Some(_), Some(device)) if device.suspended_until > now => Settled::Suspended,
            (Some(_), Some(_)) if !pending.contains(&lease.id) => Settled::DecidedBefore,
            (Some(_), None) => anyhow::bail!("a settled device should be on record"),
            (Some(slice), Some(device)) => {
                if slice.add(lease) {
                    settling.push(begin(item, place, *device));
                }
                Settled::Taken
            }
        };
        outcomes.push(outcome);
    }
    drop(state);
    // Of one of which nothing is settled, nothing is written.
    let slices = slices.into_values().filter(|slice| slice.tiles > 0).collect();
    Ok((outcomes, slices, settling))
}

fn begin(item: &ToSettle, place: usize, device: LockedDevice) -> Settling<'_> {
    let flops = item.job.tiles(item.lease.tile_range()).flops().saturating_sub(item.verified.flops_left);
    let kflop = flops.div_ceil(1000);
    let is_own_work = device.account == item.job.customer;
    let verified_kflop = verified_kflop(kflop, item.lease.tiles, item.verified.recomputed, is_own_work);
    Settling { item, place, device, flops, kflop, verified_kflop, charge: Charge::default(), remaining: 0 }
}

/// Takes the tiles off their jobs, and the jobs' bills on.
async fn charge_jobs(
    app: &App,
    conn: &mut DbConnection,
    settling: &mut [Settling<'_>],
    now: Micros,
) -> anyhow::Result<()> {
    let mut sums: BTreeMap<JobId, (u64, u64)> = BTreeMap::new();
    for one in settling.iter() {
        let (tiles, recomputed) = sums.entry(one.item.job.id).or_default();
        *tiles += one.item.lease.tiles;
        *recomputed += one.item.verified.recomputed;
    }
    for (job, (tiles, recomputed)) in sums {
        let balance = store::job_progress::take_tiles(conn, job, tiles, recomputed).await?;
        let JobBalance { remaining, mut bill } = balance.context("a job whose row is locked should go on")?;
        let mut left = remaining + tiles;
        let mut has_begun = false;
        for one in settling.iter_mut().filter(|one| one.item.job.id == job) {
            has_begun |= left == one.item.job.tile_count();
            left -= one.item.lease.tiles;
            one.remaining = left;
            (bill, one.charge) = bill.charge(one.flops, one.item.job.price, app.config.fee_bps, left == 0)?;
        }
        store::job_progress::write_bill(conn, job, bill).await?;
        if has_begun {
            store::job_detail::insert_event(conn, job, JobEventKind::Started, None, now).await?;
        }
    }
    Ok(())
}

/// Adds the leases to what is on record of their devices.
async fn count_work(app: &App, conn: &mut DbConnection, settling: &[Settling<'_>]) -> anyhow::Result<()> {
    let mut works: BTreeMap<DeviceId, AcceptedWork> = BTreeMap::new();
    for one in settling {
        let device = one.item.lease.device;
        let work = works.entry(device).or_insert_with(|| {
            let (worked_flops_per_sec, flops_per_sec) = app.scheduler.lock().core.speeds_of(device);
            AcceptedWork { leases: 0, tiles: 0, kflop: 0, earned: Credits::ZERO, flops_per_sec, worked_flops_per_sec }
        });
        work.leases += 1;
        work.tiles += one.item.lease.tiles;
        work.kflop += one.kflop;
        work.earned = work.earned.checked_add(one.charge.earned()?)?;
    }
    Ok(store::devices::count_passed(conn, &works).await?)
}

/// Accepts the receipts, matures what that lets mature, and says what moves.
async fn accept(
    app: &App,
    conn: &mut DbConnection,
    settling: &[Settling<'_>],
    now: Micros,
) -> anyhow::Result<Vec<Transfer>> {
    let mut verified: BTreeMap<WorkClass, u64> = BTreeMap::new();
    for one in settling {
        *verified.entry(one.class()).or_default() += one.verified_kflop;
    }
    let ever = store::standings::add_verified(conn, &verified).await?;
    // What was verified before each lease, and with it: as if they were settled one after another.
    let mut so_far: BTreeMap<WorkClass, u64> = verified
        .into_iter()
        .map(|(class, added)| (class.clone(), ever.get(&class).map_or(0, |ever| ever - added)))
        .collect();
    let (mut acceptances, mut transfers) = (Vec::new(), Vec::new());
    for one in settling {
        let ToSettle { job, lease, verified, .. } = one.item;
        let before = so_far.entry(one.class()).or_default();
        *before += one.verified_kflop;
        acceptances.push(Acceptance {
            lease: lease.id,
            job: job.id,
            device: lease.device,
            backend: one.item.backend,
            tiles: lease.tiles,
            kflop: one.kflop,
            flops_left: verified.flops_left,
            charge: one.charge,
            recomputed: verified.recomputed,
            checked_by: verified.by,
            rule: programs::rule(job),
            matures_at: matures_at(*before, one.kflop),
            now,
        });
        transfers.push(payment(app, one).settle(now)?);
    }
    let accepted = store::receipts::accept_receipts(conn, &acceptances).await?;
    anyhow::ensure!(accepted, "locked receipts should stay as they are");
    let leases: Vec<LeaseId> = settling.iter().map(|one| one.item.lease.id).collect();
    store::verdicts::pass_verdicts(conn, Cause::Commit, &leases, now).await?;
    let matured = store::receipts::mature_receipts_of_devices(conn, &ever).await?;
    transfers.extend(mature::transfers(app, &matured)?);
    Ok(transfers)
}

fn payment(app: &App, one: &Settling<'_>) -> Payment {
    Payment {
        lease: one.item.lease.id,
        job: one.item.job.id,
        device: one.item.lease.device,
        customer: one.item.job.customer,
        provider: one.device.account,
        fees: app.fees,
        charge: one.charge,
    }
}

/// What each device is told of its account, once the money has moved.
async fn earnings_of(
    conn: &mut DbConnection,
    settling: &[Settling<'_>],
) -> anyhow::Result<BTreeMap<DeviceId, Earnings>> {
    let accounts: BTreeSet<AccountId> = settling.iter().map(|one| one.device.account).collect();
    let balances = store::accounts::list_balances(conn, &accounts).await?;
    let mut earnings: BTreeMap<DeviceId, Earnings> = BTreeMap::new();
    for one in settling {
        let (available, pending) = balances.get(&one.device.account).copied().unwrap_or_default();
        let first = Earnings { available, pending, by_device: one.device.earned };
        let of_device = earnings.entry(one.item.lease.device).or_insert(first);
        of_device.by_device = of_device.by_device.checked_add(one.charge.earned()?)?;
    }
    Ok(earnings)
}
