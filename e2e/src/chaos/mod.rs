//! A network at work to which one fault after another happens, at moments that follow from a seed. After each round the
//! books must agree, and nothing that anybody was told may be lost; at the end every job has ended as it should.

mod customer;
mod device;
mod network;
mod plan;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use fastrand::Rng;
use store::audit::{Audit, audit};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::customer::Customer;
use self::device::{Ledger, read};
use self::network::Network;
use self::plan::Place;
use crate::books::settled_tiles;
use crate::stack::Stack;
use crate::until::found;

/// Devices that compute, beside one that is a process.
const DEVICES: u64 = 8;
/// For the last devices to hear what became of their work.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub rounds: u32,
    pub faults: usize,
    pub jobs: usize,
    /// Leases that devices know to be paid.
    pub settled: usize,
    /// Leases that were handed in and came to nothing: another had done their tiles, or their job was cancelled.
    pub refused: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, faults, jobs, settled, refused } = self;
        write!(f, "{rounds} rounds, {faults} faults, {jobs} jobs, {settled} leases settled, {refused} refused")
    }
}

/// So many rounds, three in five of them in a fleet on `PostgreSQL` and the others at one server with `SQLite`. What happens
/// is written to standard error.
pub async fn run(seed: u64, rounds: u32) -> anyhow::Result<Tally> {
    let alone = rounds * 2 / 5;
    let mut tally = Tally::default();
    for (place, rounds) in [(Place::Fleet, rounds - alone), (Place::Alone, alone)] {
        let ran = if rounds > 0 { run_in(place, seed, rounds).await } else { Ok(Tally::default()) };
        let ran = ran.with_context(|| format!("it is played again by SEED={seed}"))?;
        tally.rounds += ran.rounds;
        tally.faults += ran.faults;
        tally.jobs += ran.jobs;
        tally.settled += ran.settled;
        tally.refused += ran.refused;
    }
    Ok(tally)
}

async fn run_in(place: Place, seed: u64, rounds: u32) -> anyhow::Result<Tally> {
    let mut rng = Rng::with_seed(seed);
    let mut network = Network::start(place).await;
    let mut customer = Customer::open(&network.fleet).await?;
    let (told, (stopped, stop), mut devices) = (Ledger::default(), watch::channel(false), JoinSet::new());
    for _ in 0..DEVICES {
        devices.spawn(device::work(network.fleet.url(), rng.u64(..), Arc::clone(&told), stop.clone()));
    }
    let mut faults = 0;
    for round in 1..=rounds {
        let steps = plan::draw(&mut rng, place);
        faults += steps.len();
        let shown: Vec<String> = steps.iter().map(ToString::to_string).collect();
        eprintln!("{place:?} {round}: {}", shown.join(", "));
        // Devices and the customer go on meanwhile.
        let ((), ordered) = tokio::join!(network.suffer(&steps), customer.order(&mut rng));
        let sound = async {
            ordered?;
            network.recover().await?;
            look(&network.fleet.stack, &told).await?;
            customer.jobs_end(1).await
        };
        let sound = sound.await;
        explained(&network.fleet.stack, round, sound).await?;
    }
    let sound = async {
        customer.jobs_end(0).await?;
        let answered = found(ANSWERED_WITHIN, async || read(&told).waiting.is_empty().then_some(()));
        ensure!(answered.await.is_some(), "nobody says what became of {:?}", read(&told).waiting);
        customer.check().await?;
        look(&network.fleet.stack, &told).await
    };
    let sound = sound.await;
    explained(&network.fleet.stack, rounds, sound).await?;
    stopped.send(true).unwrap_or_default();
    devices.join_all().await;
    let told = read(&told);
    eprintln!("{place:?}: {} leases settled; refused: {:?}", told.settled.len(), told.refused);
    let (settled, refused) = (told.settled.len(), told.refused.values().sum());
    Ok(Tally { rounds, faults, jobs: customer.orders.len(), settled, refused })
}

/// What went wrong, with the servers' log and what is left to do.
async fn explained(stack: &Stack, round: u32, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
    let Err(error) = outcome else { return Ok(()) };
    let left = async {
        let sql = "select cast(remaining as text) || ' tiles of ' || job_id || ' with ' || owner from slice where remaining > 0";
        let left: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut *stack.snapshot().await?).await?;
        anyhow::Ok(left.into_iter().map(|(slice,)| slice).collect::<Vec<_>>().join("\n"))
    };
    let left = left.await.unwrap_or_else(|error| format!("what is left is not known: {error:#}"));
    let log = stack.log_tail("edge.log", 40);
    Err(error.context(format!("round {round}; what is left:\n{left}\nthe servers' log, newest first:\n{log}")))
}

/// The same of a database that a fault may still break off.
async fn look(stack: &Stack, told: &Ledger) -> anyhow::Result<()> {
    let looked = found(ANSWERED_WITHIN, async || match look_once(stack, told).await {
        Err(error) if error.is::<sqlx::Error>() => None,
        looked => Some(looked),
    });
    looked.await.context("the database does not answer")?
}

/// Holds what the database says against itself and against what devices were told.
async fn look_once(stack: &Stack, told: &Ledger) -> anyhow::Result<()> {
    // Before the snapshot: what they hear later may be in none of it.
    let told = read(told).settled.clone();
    let mut tx = stack.snapshot().await?;
    let found = audit(&mut tx).await?;
    ensure!(
        found == Audit::default(),
        "the audit found {:?}",
        found.rules().map(|(rule, rows)| format!("{rule} {rows}"))
    );
    let jobs: Vec<(String,)> = sqlx::query_as("select job_id from job").fetch_all(&mut *tx).await?;
    for (job,) in jobs {
        settled_tiles(&mut tx, &job).await?;
    }
    let paid = sqlx::query_as("select lease_id from receipt where state in ('accepted', 'matured')");
    let paid: Vec<(String,)> = paid.fetch_all(&mut *tx).await?;
    let paid: BTreeSet<String> = paid.into_iter().map(|(lease,)| lease).collect();
    let lost = told.iter().find(|lease| !paid.contains(&lease.to_string()));
    ensure!(lost.is_none(), "a device was told that lease {lost:?} is settled, and it is not");
    let blamed = sqlx::query_as("select cast(count(*) as bigint) from device where suspended_until > 0");
    let (blamed,): (i64,) = blamed.fetch_one(&mut *tx).await?;
    ensure!(blamed == 0, "{blamed} honest devices were suspended");
    Ok(())
}
