//! Random movements of money beside a small model of what they should come to, with a crash between any two statements:
//! after each of them, the books agree with one another and with the model.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rules::billing::bill::{Bill, Charge};
use rules::billing::judge::payable;
use rules::billing::transfer::{self, Payment, claim};
use rules::scheduling::bitmap::Bitmap;
use rules::scheduling::lease::Settlement;
use store::audit::{Audit, audit};
use store::codec::uncount;
use store::devices::{AcceptedWork, add_owed, count_passed, insert_judge_answer, set_owed, sum_judged, upsert_device};
use store::job_progress::{JobBalance, cancel_job, lock_jobs, return_tiles, take_tiles, write_bill};
use store::ledger::{hold, post, release_and_post};
use store::receipts::{
    Acceptance, StoredReceipt, accept_receipts, end_accepted_receipt, list_accepted_receipts, mature_receipts_of_job,
    reassign_receipts,
};
use store::slices::{insert_slice, seize_slice, settle_slice, write_seized_slice};
use store::{Db, DbConnection};
use wire::CheckedBy;
use wire::device::Backend;
use wire::explorer::ReceiptState;

use crate::fixture::{self, NOW, RULE, account_id, credits, job_id, lease, slice_id};
use crate::ledger::{FEES, fund, purses};

/// Work of a tile, in operations, and its price: a tile is worth 2.25 micro-credits.
const TILE_FLOPS: u64 = 2_250_000_000_000;
const PRICE: wire::PricePerCu = wire::PricePerCu(1_000_000);
const FEE_BPS: i64 = 1_500;
/// Ada buys, Bob earns, and so does a guest whose device Bob may claim. Bob buys too.
pub(crate) const ADA: u64 = 1;
pub(crate) const BOB: u64 = 2;
const GUEST: u64 = 3;
const ATTOS_PER_MICRO: i64 = 1_000_000_000_000;
pub(crate) const TILES: u64 = 4;
const JOBS: u64 = 3;

#[derive(Clone, Debug)]
pub(crate) enum Movement {
    Submit { job: u64, customer: u64, hold: i64 },
    Settle { job: u64, tile: u64, provider: u64 },
    Void { job: u64 },
    Mature { job: u64 },
    Cancel { job: u64 },
    Claim,
    Judge { lease: u8, tile: u64, judge: u64, attos: i64 },
}

pub(crate) fn movement(jobs: u64) -> impl Strategy<Value = Movement> {
    let job = move || 1..=jobs;
    prop_oneof![
        2 => (job(), prop_oneof![Just(ADA), Just(BOB)], 0..12_i64)
            .prop_map(|(job, customer, hold)| Movement::Submit { job, customer, hold }),
        6 => (job(), 0..TILES, prop_oneof![Just(BOB), Just(GUEST)])
            .prop_map(|(job, tile, provider)| Movement::Settle { job, tile, provider }),
        2 => job().prop_map(|job| Movement::Void { job }),
        1 => job().prop_map(|job| Movement::Mature { job }),
        1 => job().prop_map(|job| Movement::Cancel { job }),
        1 => Just(Movement::Claim),
        // Of a few leases and tiles, so that some are answered twice; of up to three micro-credits.
        2 => (1..3_u8, 0..2_u64, prop_oneof![Just(BOB), Just(GUEST)], 1..3_000_000_000_000_i64)
            .prop_map(|(lease, tile, judge, attos)| Movement::Judge { lease, tile, judge, attos }),
    ]
}

fn movements() -> impl Strategy<Value = Vec<(Movement, Option<usize>)>> {
    let crash = prop_oneof![3 => Just(None), 1 => (1..40_usize).prop_map(Some)];
    proptest::collection::vec((movement(JOBS), crash), 1..25)
}

/// What each account has: posted, held, pending. And what the jobs say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    accounts: BTreeMap<u64, [i64; 3]>,
    jobs: BTreeMap<u64, ModelJob>,
    fees: [i64; 2],
    leases: u8,
    /// What each tile of a lease was worth to each judge, once, and what is owed to them of that.
    answers: BTreeMap<(u8, u64, u64), i64>,
    owed: BTreeMap<u64, i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ModelJob {
    customer: u64,
    hold: i64,
    bill: Bill,
    is_running: bool,
    accepted: BTreeMap<u64, (u64, Charge)>,
    settled: Vec<bool>,
}

impl Model {
    fn change(&mut self, account: u64, by: [i64; 3]) {
        let purses = self.accounts.entry(account).or_default();
        purses.iter_mut().zip(by).for_each(|(purse, by)| *purse += by);
    }

    /// `false`: nothing moves.
    fn apply(&mut self, movement: &Movement) -> bool {
        match *movement {
            Movement::Submit { job, customer, hold } => {
                let [posted, held, _] = self.accounts[&customer];
                if self.jobs.contains_key(&job) || posted - held < hold {
                    return false;
                }
                self.change(customer, [0, hold, 0]);
                let settled = vec![false; usize::try_from(TILES).unwrap()];
                let (bill, accepted) = (Bill::default(), BTreeMap::new());
                self.jobs.insert(job, ModelJob { customer, hold, bill, is_running: true, accepted, settled });
            }
            Movement::Settle { job, tile, provider } => {
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let at = usize::try_from(tile).unwrap();
                let is_last = found.settled.iter().filter(|settled| !**settled).count() == 1;
                let (bill, charge) = found.bill.charge(TILE_FLOPS, PRICE, FEE_BPS, is_last).unwrap();
                if !found.is_running || found.settled[at] || found.hold < bill.cost.micros() {
                    return false;
                }
                (found.bill, found.settled[at]) = (bill, true);
                found.accepted.insert(tile, (provider, charge));
                let (customer, cost, fee) = (found.customer, charge.cost.micros(), charge.fee.micros());
                self.leases += 1;
                self.change(customer, [-cost, -cost, 0]);
                self.change(provider, [0, 0, cost - fee]);
                self.fees[1] += fee;
            }
            Movement::Void { job } => {
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let accepted = std::mem::take(&mut found.accepted);
                let (customer, is_running) = (found.customer, found.is_running);
                for (tile, (_, charge)) in &accepted {
                    found.bill = found.bill.take_back(TILE_FLOPS, PRICE, *charge).unwrap();
                    found.settled[usize::try_from(*tile).unwrap()] = false;
                }
                for (provider, charge) in accepted.into_values() {
                    let (cost, fee) = (charge.cost.micros(), charge.fee.micros());
                    self.change(customer, [cost, if is_running { cost } else { 0 }, 0]);
                    self.change(provider, [0, 0, fee - cost]);
                    self.fees[1] -= fee;
                }
            }
            Movement::Mature { job } | Movement::Cancel { job } => {
                let Some(found) = self.jobs.get_mut(&job) else { return false };
                let ends = matches!(movement, Movement::Cancel { .. }) && found.is_running;
                let rest = if ends { found.hold - found.bill.cost.micros() } else { 0 };
                found.is_running &= !ends;
                let (customer, accepted) = (found.customer, std::mem::take(&mut found.accepted));
                self.change(customer, [0, -rest, 0]);
                for (provider, charge) in accepted.into_values() {
                    let (cost, fee) = (charge.cost.micros(), charge.fee.micros());
                    self.change(provider, [cost - fee, 0, fee - cost]);
                    self.fees = [self.fees[0] + fee, self.fees[1] - fee];
                }
            }
            Movement::Claim => {
                let [posted, held, pending] = self.accounts[&GUEST];
                self.change(GUEST, [-posted, 0, -pending]);
                self.change(BOB, [posted, held, pending]);
                let accepted = self.jobs.values_mut().flat_map(|job| job.accepted.values_mut());
                accepted.filter(|(provider, _)| *provider == GUEST).for_each(|(provider, _)| *provider = BOB);
            }
            Movement::Judge { lease, tile, judge, attos } => return self.answer((lease, tile, judge), attos),
        }
        true
    }

    /// A judge computed a tile of a lease: whole micro-credits are paid.
    fn answer(&mut self, answered: (u8, u64, u64), attos: i64) -> bool {
        if self.answers.contains_key(&answered) {
            return false;
        }
        self.answers.insert(answered, attos);
        let (_, _, judge) = answered;
        let owed = self.owed.entry(judge).or_default();
        *owed += attos;
        let paid = *owed / ATTOS_PER_MICRO;
        *owed -= paid * ATTOS_PER_MICRO;
        self.change(judge, [paid, 0, 0]);
        self.fees[0] -= paid;
        true
    }
}

fn payment(stored: &StoredReceipt) -> Payment {
    Payment {
        lease: stored.receipt.lease,
        job: stored.receipt.job,
        device: stored.device,
        customer: stored.customer,
        provider: stored.provider,
        fees: FEES,
        charge: stored.charge,
    }
}

/// The movement as the edge makes it. `false`: nothing is to be committed.
pub(crate) async fn make(conn: &mut DbConnection, movement: &Movement, n: u8, at: i64) -> store::db::Result<bool> {
    match *movement {
        Movement::Submit { job, customer, hold: amount } => {
            if store::jobs::load_job(conn, job_id(job)).await?.is_some() {
                return Ok(false);
            }
            submit(conn, job, customer, amount).await
        }
        Movement::Settle { job, tile, provider } => settle(conn, job, tile, provider, n, at).await,
        Movement::Void { job } => void(conn, job, at).await,
        Movement::Mature { job } => {
            let matured = mature_receipts_of_job(conn, job_id(job)).await?;
            let transfers: Vec<_> = matured.iter().map(|stored| payment(stored).mature(at).unwrap()).collect();
            post(conn, &transfers).await
        }
        Movement::Cancel { job } => {
            let ended = cancel_job(conn, job_id(job), at).await?;
            let matured = mature_receipts_of_job(conn, job_id(job)).await?;
            let transfers: Vec<_> = matured.iter().map(|stored| payment(stored).mature(at).unwrap()).collect();
            if ended { release_and_post(conn, job_id(job), &transfers).await } else { post(conn, &transfers).await }
        }
        Movement::Claim => {
            let (device, bob) = (wire::DeviceId([3; 32]), account_id(BOB));
            // The device's row is locked first, so that no settlement comes in between.
            upsert_device(conn, &fixture::hello(3), account_id(GUEST), None, at).await?;
            reassign_receipts(conn, device, bob).await?;
            let [posted, _, pending] = purses(conn, account_id(GUEST)).await;
            let transfer = claim(account_id(GUEST), bob, device, credits(posted), credits(pending), at).unwrap();
            post(conn, &[transfer]).await
        }
        Movement::Judge { lease, tile, judge, attos } => pay_judge(conn, (lease, tile), judge, attos, (n, at)).await,
    }
}

pub(crate) async fn submit(conn: &mut DbConnection, job: u64, customer: u64, amount: i64) -> store::db::Result<bool> {
    fixture::job_with_hold(conn, job, account_id(customer), credits(amount), TILES).await;
    insert_slice(conn, slice_id(job), job_id(job), 0, TILES).await?;
    hold(conn, job_id(job), account_id(customer), credits(amount)).await
}

async fn settle(
    conn: &mut DbConnection,
    job: u64,
    tile: u64,
    provider: u64,
    n: u8,
    at: i64,
) -> store::db::Result<bool> {
    let Some(admitted) = store::jobs::load_job(conn, job_id(job)).await? else { return Ok(false) };
    let slice = seize_slice(conn, slice_id(job)).await?;
    let mut settled = Bitmap::from_bytes(TILES, &slice.settled).unwrap();
    if !settled.is_clear(tile, 1) {
        return Ok(false);
    }
    settled.set(tile, 1);
    let (fence, version) = (slice.fence, slice.version);
    let settlement = Settlement { slice: slice.slice, first_tile: 0, fence, version, settled, tiles: 1 };
    assert!(settle_slice(conn, &settlement).await?);
    let Some(JobBalance { remaining, bill }) = take_tiles(conn, admitted.id, 1, 1).await? else { return Ok(false) };
    let (bill, charge) = bill.charge(TILE_FLOPS, PRICE, FEE_BPS, remaining == 0).unwrap();
    write_bill(conn, admitted.id, bill).await?;
    let device = wire::DeviceId([u8::try_from(provider).unwrap(); 32]);
    fixture::commit_receipt(conn, &admitted, slice_id(job), device, n, tile).await;
    let work = AcceptedWork {
        leases: 1,
        tiles: 1,
        kflop: 1,
        earned: charge.earned().unwrap(),
        flops_per_sec: 1,
        worked_flops_per_sec: 1,
    };
    count_passed(conn, &[(device, work)].into()).await?;
    let acceptance = Acceptance {
        lease: lease(n),
        job: admitted.id,
        device,
        backend: Backend::Vulkan,
        tiles: 1,
        kflop: 1,
        flops_left: 0,
        charge,
        recomputed: 1,
        checked_by: CheckedBy::Checker,
        rule: RULE,
        matures_at: 1,
        now: at,
    };
    assert!(accept_receipts(conn, &[acceptance]).await?);
    let mut accepted = list_accepted_receipts(conn, admitted.id).await?;
    accepted.retain(|stored| stored.receipt.lease == lease(n));
    post(conn, &[payment(&accepted[0]).settle(at).unwrap()]).await
}

async fn void(conn: &mut DbConnection, job: u64, at: i64) -> store::db::Result<bool> {
    let accepted = list_accepted_receipts(conn, job_id(job)).await?;
    if accepted.is_empty() {
        return Ok(false);
    }
    let slice = seize_slice(conn, slice_id(job)).await?;
    lock_jobs(conn, &[job_id(job)].into()).await?;
    let mut voided = Vec::new();
    for stored in &accepted {
        voided.extend(end_accepted_receipt(conn, stored.receipt.lease, ReceiptState::Rejected).await?);
    }
    let mut settled = Bitmap::from_bytes(TILES, &slice.settled).unwrap();
    let mut transfers = Vec::new();
    for stored in &voided {
        settled.clear(stored.receipt.first_tile, 1);
        let JobBalance { bill, .. } = return_tiles(conn, job_id(job), 1).await?;
        write_bill(conn, job_id(job), bill.take_back(TILE_FLOPS, PRICE, stored.charge).unwrap()).await?;
        transfers.push(payment(stored).void(at).unwrap());
    }
    let tiles_back = uncount(i64::try_from(voided.len()).unwrap());
    write_seized_slice(conn, slice_id(job), settled.to_bytes(), tiles_back).await?;
    post(conn, &transfers).await
}

async fn pay_judge(
    conn: &mut DbConnection,
    (of, tile): (u8, u64),
    judge: u64,
    attos: i64,
    (n, at): (u8, i64),
) -> store::db::Result<bool> {
    let device = wire::DeviceId([u8::try_from(judge).unwrap(); 32]);
    if !insert_judge_answer(conn, (lease(of), tile), device, attos, at).await? {
        return Ok(false);
    }
    let (account, owed) = add_owed(conn, device, attos).await?.unwrap();
    let (paid, rest) = payable(owed).unwrap();
    if paid == credits(0) {
        return Ok(true);
    }
    set_owed(conn, device, rest).await?;
    let transfer = transfer::judge(FEES, account, (job_id(1), device), paid, format!("answer {n}"), at).unwrap();
    post(conn, &[transfer]).await
}

/// Runs a future until it has been woken so often, and then drops it, as a process that is killed there would.
async fn kill_after<T>(polls: Option<usize>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls.unwrap_or(usize::MAX);
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Accounts with money, and their devices.
pub(crate) async fn open_accounts(db: &Db) {
    let mut tx = db.begin_write().await.unwrap();
    for n in [ADA, BOB] {
        fixture::account(&mut tx, n).await;
        fund(&mut tx, account_id(n), 20).await;
        fixture::device(&mut tx, u8::try_from(n).unwrap(), account_id(n)).await;
    }
    store::accounts::insert_account(&mut tx, account_id(GUEST), wire::AccountKind::Guest, "Guest", NOW).await.unwrap();
    fixture::device(&mut tx, 3, account_id(GUEST)).await;
    tx.commit().await.unwrap();
}

async fn start(db: &Db) -> Model {
    open_accounts(db).await;
    let accounts = [(ADA, [20, 0, 0]), (BOB, [20, 0, 0]), (GUEST, [0; 3])].into();
    Model { accounts, ..Model::default() }
}

/// What the database says, in the model's terms.
async fn read_back(db: &Db) -> (BTreeMap<u64, [i64; 3]>, [i64; 2]) {
    let mut conn = db.read().await.unwrap();
    let mut accounts = BTreeMap::new();
    for n in [ADA, BOB, GUEST] {
        let [available, held, pending] = purses(&mut conn, account_id(n)).await;
        accounts.insert(n, [available + held, held, pending]);
    }
    let (posted, pending) = store::ledger::find_platform_balance(&mut conn, FEES).await.unwrap();
    (accounts, [posted.micros(), pending.micros()])
}

async fn follow(db: &Db, plan: &[(Movement, Option<usize>)]) {
    let mut model = start(db).await;
    for (step, (movement, crash)) in (1_u8..).zip(plan) {
        let before = model.clone();
        let moved = model.apply(movement);
        let written = kill_after(*crash, async {
            let mut tx = db.begin_write().await.unwrap();
            let to_commit = make(&mut tx, movement, step, NOW + i64::from(step)).await.unwrap();
            if to_commit {
                tx.commit().await.unwrap();
            }
            to_commit
        })
        .await;
        let found = read_back(db).await;
        let is_like = |model: &Model| found == (model.accounts.clone(), model.fees);
        match written {
            Some(written) => {
                assert!(is_like(&model), "step {step} of {plan:#?}\nfound {found:?}\nmodel {model:#?}");
                assert!(moved || !written || matches!(movement, Movement::Mature { .. } | Movement::Cancel { .. }));
            }
            // Killed before the commit, or after it: all of it happened, or nothing.
            None if is_like(&before) && !job_moved(db, movement, &before).await => model = before,
            None => assert!(is_like(&model), "step {step} of {plan:#?}\nfound {found:?}\nmodel {model:#?}"),
        }
        let found = audit(&mut db.read().await.unwrap()).await.unwrap();
        assert_eq!(found, Audit::default(), "step {step} of {plan:#?}");
    }
}

/// Whether a movement that leaves all purses as they were has been written nevertheless.
async fn job_moved(db: &Db, movement: &Movement, before: &Model) -> bool {
    let mut conn = db.read().await.unwrap();
    match *movement {
        Movement::Submit { job, .. } => {
            !before.jobs.contains_key(&job) && store::jobs::load_job(&mut conn, job_id(job)).await.unwrap().is_some()
        }
        Movement::Settle { job, .. } | Movement::Void { job } | Movement::Mature { job } => {
            let known = before.jobs.get(&job).map_or(0, |job| job.accepted.len());
            list_accepted_receipts(&mut conn, job_id(job)).await.unwrap().len() != known
        }
        Movement::Cancel { job } => {
            let state = store::job_progress::find_job_state(&mut conn, job_id(job)).await.unwrap();
            let accepted = list_accepted_receipts(&mut conn, job_id(job)).await.unwrap().len();
            let known = before.jobs.get(&job);
            known.is_some_and(|known| {
                (state == Some(wire::JobState::Running)) != known.is_running || accepted != known.accepted.len()
            })
        }
        Movement::Claim => {
            let accepted = before.jobs.values().flat_map(|job| job.accepted.values());
            let guest_has = accepted.filter(|(provider, _)| *provider == GUEST).count();
            let mut still = 0;
            for &job in before.jobs.keys() {
                let receipts = list_accepted_receipts(&mut conn, job_id(job)).await.unwrap();
                still += receipts.iter().filter(|stored| stored.provider == account_id(GUEST)).count();
            }
            still != guest_has
        }
        Movement::Judge { lease: of, .. } => {
            let known = before.answers.iter().filter(|((lease, _, _), _)| *lease == of);
            sum_judged(&mut conn, lease(of)).await.unwrap() != known.map(|(_, attos)| attos).sum::<i64>()
        }
    }
}

fn run(cases: u32, db: impl AsyncFn() -> Db) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&movements(), |plan| {
            runtime.block_on(async {
                let db = db().await;
                follow(&db, &plan).await;
                db.close().await;
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn money_moves_once_or_not_at_all_whatever_is_killed_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    let count = std::cell::Cell::new(0);
    run(48, async || {
        count.set(count.get() + 1);
        let file = folder.path().join(format!("{}.db", count.get()));
        Db::connect(&format!("sqlite://{}?mode=rwc", file.display())).await.unwrap()
    });
}

#[test]
fn money_moves_once_or_not_at_all_whatever_is_killed_postgres() {
    run(24, fixture::postgres);
}
