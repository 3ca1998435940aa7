//! A tile on which two runs disagree, computed again by others before anyone is blamed.

use std::time::Duration;

use rules::Job;
use rules::scheduling::recheck::time_to_answer;
use rules::scheduling::recheck_request::{Answer, Answered, Answerer, RecheckRequest, Whom};
use rules::verification::dispute::{Comparison, Dispute, Next, Outcome};
use rules::verification::party::Parties;
use store::verdicts::{DisputeRun, DisputedTile};
use wire::{Blob, BlobHash, JobEventKind, Micros};

use super::judges::{self, Recomputed};
use super::lease_output::LeaseOutput;
use super::owner::party_of;
use super::recheck;
use super::reject;
use super::undone;
use crate::app::App;
use crate::blobs::collect;
use crate::programs::{self, Disagreement};
use crate::retry::retry;

/// Time for a witness, or for the accused, to end what it has in hand and to answer, beside what it takes to fetch the code.
const ANSWER_WITHIN: Duration = Duration::from_mins(3);
/// Time for somebody to connect who could tell more of a tile that three computed to three results.
const WAIT_MAX: Micros = 600_000_000;
/// Before a dispute that waits for a witness looks again whether one is connected.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What came of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Decided(Outcome),
    /// The device's output is damaged where it is kept, or the finder's, so that it proves nothing.
    Damaged,
    /// What they were computed from is damaged: the job has ended.
    Undecidable,
}

/// Has a disputed tile computed by others until it is clear who was wrong. What is known of it is stored, so that a
/// dispute which was broken off goes on where it was.
pub async fn resolve(app: &App, output: &LeaseOutput, found: Disagreement) -> anyhow::Result<Resolution> {
    let (tile, done) = (found.tile, found.done);
    if undone::fail_if_damaged(app, &output.job, output.lease.first_tile + u64::from(tile)).await? {
        return Ok(Resolution::Undecidable);
    }
    let Some(stored) = open(app, output, found).await? else { return Ok(Resolution::Damaged) };
    if let Some(outcome) = stored.outcome {
        // Whoever decided it may have died before this; nobody is paid twice.
        pay_judges(app, output, &stored, outcome, done).await?;
        return Ok(Resolution::Decided(outcome));
    }
    let mut dispute = Dispute::new(stored.accused, output.job.customer, stored.finder);
    for run in store::verdicts::list_dispute_runs(&mut *app.db.read().await?, stored.lease, stored.tile).await? {
        note(&mut dispute, stored.device, run);
    }
    loop {
        let whom = match dispute.next() {
            Next::Decided(outcome) => {
                decide(app, &stored, outcome, &dispute).await?;
                pay_judges(app, output, &stored, outcome, done).await?;
                return Ok(Resolution::Decided(outcome));
            }
            Next::AskAccused => Whom::Accused(stored.device),
            Next::AskWitness if !has_witness(app, output, dispute.parties()) => {
                dispute.on_no_witness();
                continue;
            }
            Next::AskWitness => Whom::Witness,
            Next::Wait => {
                tokio::select! {
                    () = app.stop.cancelled() => anyhow::bail!("the server is stopping"),
                    () = tokio::time::sleep(LOOK_AGAIN) => dispute.look_again(),
                }
                if app.clock.now() - stored.created_at > WAIT_MAX {
                    dispute.on_waited();
                }
                continue;
            }
        };
        let answered = ask(app, output, tile, whom, dispute.parties().clone()).await?;
        let Some(Answered { by: Answerer::Peer { party, device }, answer }) = answered else {
            silent(&mut dispute, whom);
            continue;
        };
        let comparison = match answer {
            Answer::Output(hash) => {
                let Some(computed) = app.blobs.read_verified(hash).await? else {
                    silent(&mut dispute, whom);
                    continue;
                };
                match compare(app, output, &stored, &computed).await? {
                    Some(comparison) => comparison,
                    None => return withdraw(app, &stored).await,
                }
            }
            Answer::Fault(_) => Comparison { with_device: false, with_checker: stored.finder_output.is_none() },
        };
        let run = DisputeRun { device, by: party, comparison };
        retry(async || {
            let mut tx = app.db.begin_write().await?;
            store::verdicts::insert_dispute_run(&mut tx, stored.lease, stored.tile, run, app.clock.now()).await?;
            Ok::<(), anyhow::Error>(tx.commit().await?)
        })
        .await?;
        note(&mut dispute, stored.device, run);
    }
}

/// What a run says of the two that disagree, which are read as they were stored when the dispute was opened. `None`: one of
/// them is damaged.
async fn compare(
    app: &App,
    output: &LeaseOutput,
    stored: &DisputedTile,
    computed: &[u8],
) -> anyhow::Result<Option<Comparison>> {
    let agree = async |outputs: (&[u8], &[u8])| programs::agree(app, &output.job, stored.tile, outputs).await;
    let Some(signed) = app.blobs.read_verified(stored.signed_output).await? else { return Ok(None) };
    let with_device = agree((&signed, computed)).await?;
    let with_checker = match stored.finder_output {
        Some(hash) => match app.blobs.read_verified(hash).await? {
            Some(found) => agree((computed, &found)).await?,
            None => return Ok(None),
        },
        None => false,
    };
    Ok(Some(Comparison { with_device, with_checker }))
}

/// A dispute that nobody can decide any more, since what it is about is damaged: nobody is to blame.
async fn withdraw(app: &App, stored: &DisputedTile) -> anyhow::Result<Resolution> {
    tracing::error!(lease = %stored.lease, tile = stored.tile, "a dispute is withdrawn: an output is damaged");
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::verdicts::withdraw_dispute(&mut tx, stored.lease, stored.tile).await?;
        Ok::<(), anyhow::Error>(tx.commit().await?)
    })
    .await?;
    app.metrics.disputes.count("withdrawn");
    Ok(Resolution::Damaged)
}

fn silent(dispute: &mut Dispute, asked: Whom) {
    match asked {
        Whom::Accused(_) => dispute.on_accused(false),
        Whom::Checkers | Whom::Witness => dispute.on_silent_witness(),
    }
}

fn note(dispute: &mut Dispute, accused: wire::DeviceId, run: DisputeRun) {
    if run.device == accused {
        dispute.on_accused(run.comparison.with_device);
    } else {
        dispute.on_witness(run.by, run.comparison);
    }
}

/// Both outputs are kept, so that the customer can see what differs. `None`: the device's is damaged where it is kept, so
/// that it is no wonder that they differ.
async fn open(app: &App, output: &LeaseOutput, found: Disagreement) -> anyhow::Result<Option<DisputedTile>> {
    let tile = found.tile;
    let Some(signed) = output.read_verified_tile(app, tile).await? else { return Ok(None) };
    let signed_output = keep(app, signed).await?;
    let finder_output = match found.output {
        Some(bytes) => Some(keep(app, bytes).await?),
        None => None,
    };
    let (lease, now) = (&output.lease, app.clock.now());
    tracing::info!(lease = %lease.id, device = %lease.device, tile, "two runs of a tile disagree");
    let dispute = DisputedTile {
        lease: lease.id,
        tile: lease.first_tile + u64::from(tile),
        job: lease.job,
        device: lease.device,
        accused: party_of(app, lease.device).await?,
        finder: found.by,
        signed_output,
        finder_output,
        outcome: None,
        created_at: now,
    };
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        let stored = store::verdicts::open_dispute(&mut tx, &dispute).await?;
        store::job_detail::insert_event(&mut tx, lease.job, JobEventKind::Disputed, Some(lease.device), now).await?;
        tx.commit().await?;
        Ok::<DisputedTile, anyhow::Error>(stored)
    })
    .await
    .map(Some)
}

async fn keep(app: &App, bytes: bytes::Bytes) -> anyhow::Result<BlobHash> {
    let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
    let blob = Blob { hash, size: wire::number::to(bytes.len()) };
    collect::reserve(app, &blob).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    app.blobs.put(hash, bytes).await?;
    Ok(hash)
}

fn has_witness(app: &App, output: &LeaseOutput, parties: &Parties) -> bool {
    let (job, now) = (&output.job, app.clock.now());
    app.scheduler.lock().core.has_witness(job.id, &job.needs(), parties, now)
}

/// `None`: nobody answered in time.
async fn ask(
    app: &App,
    output: &LeaseOutput,
    tile: u32,
    whom: Whom,
    parties: Parties,
) -> anyhow::Result<Option<Answered>> {
    let request = RecheckRequest {
        job: std::sync::Arc::clone(&output.job),
        tiles: output.tiles_of_job(&(tile..tile + 1)),
        whom,
        parties,
        has_fallback: false,
        nudge: None,
    };
    let taking = Duration::from_micros(time_to_answer(&output.job.needs(), 1).unsigned_abs());
    match tokio::time::timeout(ANSWER_WITHIN + taking, recheck::request(app, request)).await {
        Ok(answered) => Ok(answered?.ok()),
        Err(_elapsed) => Ok(None),
    }
}

/// Whoever was right is paid for what it computed: the finder like any judge of a lease, witnesses for the tile.
async fn pay_judges(
    app: &App,
    output: &LeaseOutput,
    stored: &DisputedTile,
    outcome: Outcome,
    done: Recomputed,
) -> anyhow::Result<()> {
    let (job, lease) = (&output.job, &output.lease);
    if outcome != Outcome::CheckerWrong {
        judges::pay_for_check(app, job, lease, stored.finder, done).await;
    }
    let flops = tile_flops(app, job, stored).await?;
    let runs = store::verdicts::list_dispute_runs(&mut *app.db.read().await?, stored.lease, stored.tile).await?;
    for run in runs {
        let is_right = match outcome {
            Outcome::DeviceWrong => run.comparison.with_checker,
            Outcome::CheckerWrong => run.comparison.with_device,
            Outcome::NotReproducible => true,
        };
        if is_right && run.device != stored.device {
            judges::pay_for_dispute(app, job, lease, (run.device, stored.tile), flops).await;
        }
    }
    Ok(())
}

/// What the tile took, by the smaller of the two notes: one of them may be made up.
async fn tile_flops(app: &App, job: &Job, stored: &DisputedTile) -> anyhow::Result<u64> {
    let tiles = job.tiles(stored.tile..stored.tile + 1);
    let mut least = tiles.flops();
    for hash in [Some(stored.signed_output), stored.finder_output].into_iter().flatten() {
        let Some(bytes) = app.blobs.read_verified(hash).await? else { continue };
        least = least.min(tiles.flops().saturating_sub(tiles.flops_left(&bytes).unwrap_or(0)));
    }
    Ok(least)
}

/// A checker that was wrong is not believed: the operator hears of theirs, and a device that two spoke against is suspended.
async fn decide(app: &App, stored: &DisputedTile, outcome: Outcome, dispute: &Dispute) -> anyhow::Result<()> {
    tracing::info!(lease = %stored.lease, tile = stored.tile, outcome = outcome.name(), "a dispute is decided");
    retry(async || {
        let mut tx = app.db.begin_write().await?;
        store::verdicts::decide_dispute(&mut tx, stored.lease, stored.tile, outcome, app.clock.now()).await?;
        Ok::<(), anyhow::Error>(tx.commit().await?)
    })
    .await?;
    app.metrics.disputes.count(outcome.name());
    if outcome == Outcome::CheckerWrong {
        if let Some(device) = dispute.finder_to_blame() {
            reject::suspend_device(app, device).await?;
        }
        if dispute.is_by_checker() {
            tracing::warn!(job = %stored.job, tile = stored.tile, "the operator's checker was outvoted by two devices");
        }
    }
    Ok(())
}
